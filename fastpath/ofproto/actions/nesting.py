"""Which actions may stand in which lists, and in which order: for text, messages and objects alike.

The words are those of ovs-ofctl; the codes what a switch says of the same on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastpath.errors import InvalidFlow
from fastpath.ofproto.actions import balance, ct, legacy, misc, output, set_field, vlan
from fastpath.ofproto.actions.base import Action, Instruction
from fastpath.ofproto.actions.conjunction import Conjunction
from fastpath.ofproto.actions.instructions import WriteActions
from fastpath.ofproto.subfield import Subfield

_ABOUT_CT = (ct.Nat, set_field.SetField, set_field.Load)
_BAD_SET, _BAD_ORDER = "OFPBAC_BAD_SET_ARGUMENT", "OFPBAC_UNSUPPORTED_ORDER"


def check_list(actions: Iterable[Action], outer: str = "") -> None:
    """Raise InvalidFlow if one of *actions*, of a list within *outer*, may not stand where it stands.

    *outer* is "", the name of the action around the list, or "bucket".  What the actions hold within them
    is not looked at.
    """
    if type(actions) is not list:
        actions = list(actions)
    _check_nesting(actions, outer)
    _check_order(actions, outer)


def check_lists(actions: Iterable[Action], outer: str = "") -> None:
    """The same for *actions* and all lists within them."""
    actions = list(actions)
    check_list(actions, outer)
    for action in actions:
        match action:
            case ct.Ct(actions=inner):
                check_lists(inner, "ct")
            case misc.Clone(inner):
                check_lists(inner, "clone")
            case WriteActions(inner):
                check_lists(inner, "write_actions")
            case _:
                pass


def lists_are_good(actions: Iterable[Action]) -> bool:
    """Whether ``check_lists`` has nothing against *actions*."""
    try:
        check_lists(actions)
    except InvalidFlow:
        return False
    return True


def _check_nesting(actions: list[Action], outer: str) -> None:
    """Refuse nat, exec's contents and conjunction among others where they may not be."""
    kinds = set(map(type, actions))
    if outer == "ct":
        for action in actions:
            _check_exec(action)
    elif not kinds.isdisjoint(_ABOUT_CT):
        for action in actions:
            if isinstance(action, ct.Nat):
                raise InvalidFlow(_BAD_SET, 'Cannot have NAT action outside of "ct" action')
            if isinstance(action, (set_field.SetField, set_field.Load)) and _is_ct(action.target):
                raise InvalidFlow(_BAD_SET, "cannot set CT fields outside of ct action")
    if Conjunction in kinds:
        for action in actions:
            if not isinstance(action, (Conjunction, misc.Note)):
                raise InvalidFlow(
                    "NXBAC_BAD_CONJUNCTION", '"conjunction" actions may be used along with "note" but not '
                    f'any other kind of action (such as the "{_name(action)}" action used here)')


def _check_exec(action: Action) -> None:
    if isinstance(action, ct.Nat):
        return
    if not isinstance(action, (set_field.SetField, set_field.Load, set_field.Move)):
        raise InvalidFlow("OFPBAC_BAD_ARGUMENT", f"ct action doesn't support nested action {_name(action)}")
    if not _is_ct(action.target):
        raise InvalidFlow("OFPBAC_BAD_ARGUMENT", "ct action doesn't support nested modification of "
                          f"{action.target.field.name}")


def _is_ct(target: Subfield) -> bool:
    return target.field.name in ("ct_mark", "ct_label")


# What errors call actions that do not print under their own name.
_NAMES: dict[type[Action], str] = {
    output.Output: "output", output.OutputReg: "output_reg", output.OutputTrunc: "output_trunc",
    set_field.Load: "set_field", legacy.SetTunnel: "set_tunnel", vlan.SetVlanVid: "set_vlan_vid",
    vlan.SetVlanPcp: "set_vlan_pcp", vlan.StripVlan: "strip_vlan", balance.Bundle: "bundle",
}


def _name(action: Action) -> str:
    return _NAMES.get(type(action)) or str(action).replace("(", ":").partition(":")[0]


def _check_order(actions: list[Action], outer: str) -> None:
    last = Instruction.METER
    seen_last = False
    for action in actions:
        this = action.instruction
        if this is Instruction.APPLY_ACTIONS:
            if last > this:
                _refuse_order(this, last)
            last, seen_last = this, True
            continue
        if outer in ("clone", "write_actions") and this is Instruction.METER:
            raise InvalidFlow("OFPBAC_BAD_ARGUMENT", f"{outer} action doesn't support nested action meter")
        if outer and not (outer == "bucket" and this is Instruction.METER):
            raise InvalidFlow("OFPBIC_UNSUP_INST", f"{this.name.lower()} instruction not allowed here")
        if seen_last and this == last:
            raise InvalidFlow(_BAD_ORDER, f"duplicate {this.name.lower()} instruction not allowed, for "
                              "OpenFlow 1.1+ compatibility")
        if this < last:
            _refuse_order(this, last)
        last, seen_last = this, True


def _refuse_order(this: Instruction, last: Instruction) -> None:
    raise InvalidFlow(_BAD_ORDER, f"invalid instruction ordering: {this.name.lower()} must appear before "
                      f"{last.name.lower()}, for OpenFlow 1.1+ compatibility")
