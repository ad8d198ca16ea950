"""Name of an action -> what parses it.  The one list of actions; adding one is a row here.

``parse_actions`` is the grammar of an action list: names and ports standing alone; what may stand where is
``nesting``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions import (
    balance,
    ct,
    encap,
    legacy,
    misc,
    mpls,
    output,
    pbb,
    sample,
    set_field,
    vlan,
)
from fastpath.ofproto.actions import instructions as inst
from fastpath.ofproto.actions.base import Action, ActionList, ParseContext
from fastpath.ofproto.actions.conjunction import Conjunction
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.actions.learn import Learn
from fastpath.ofproto.actions.nesting import check_list
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.numbers import PortNames

_REMEMBERED = 4096
Parser = Callable[[str, ParseContext], Action]

PARSERS: dict[str, Parser] = {
    # name                parser
    "output":             output.Output.parse,
    "controller":         output.parse_controller,
    "enqueue":            output.Enqueue.parse,
    "set_queue":          output.SetQueue.parse,
    "pop_queue":          output.PopQueue.parse,
    "group":              output.Group.parse,
    "resubmit":           output.Resubmit.parse,
    "set_field":          set_field.SetField.parse,
    "load":               set_field.Load.parse,
    "move":               set_field.Move.parse,
    "push":               set_field.Push.parse,
    "pop":                set_field.Pop.parse,
    "delete_field":       set_field.DeleteField.parse,
    "mod_dl_src":         legacy.SetEthSrc.parse,
    "mod_dl_dst":         legacy.SetEthDst.parse,
    "mod_nw_src":         legacy.SetIpv4Src.parse,
    "mod_nw_dst":         legacy.SetIpv4Dst.parse,
    "mod_nw_tos":         legacy.SetIpDscp.parse,
    "mod_nw_ecn":         legacy.SetIpEcn.parse,
    "mod_nw_ttl":         legacy.SetIpTtl.parse,
    "set_nw_ttl":         legacy.SetIpTtl.parse,
    "mod_tp_src":         legacy.SetL4Src.parse,
    "mod_tp_dst":         legacy.SetL4Dst.parse,
    "dec_ttl":            legacy.DecTtl.parse,
    "set_tunnel":         legacy.SetTunnel.parse,
    "set_tunnel64":       legacy.SetTunnel.parse_64,
    "mod_vlan_vid":       vlan.SetVlanVid.parse_mod,
    "set_vlan_vid":       vlan.SetVlanVid.parse,
    "mod_vlan_pcp":       vlan.SetVlanPcp.parse_mod,
    "set_vlan_pcp":       vlan.SetVlanPcp.parse,
    "strip_vlan":         vlan.StripVlan.parse,
    "pop_vlan":           vlan.StripVlan.parse_pop,
    "push_vlan":          vlan.PushVlan.parse,
    "push_mpls":          mpls.PushMpls.parse,
    "pop_mpls":           mpls.PopMpls.parse,
    "set_mpls_label":     mpls.SetMplsLabel.parse,
    "set_mpls_tc":        mpls.SetMplsTc.parse,
    "set_mpls_ttl":       mpls.SetMplsTtl.parse,
    "dec_mpls_ttl":       mpls.DecMplsTtl.parse,
    "copy_ttl_out":       mpls.CopyTtlOut.parse,
    "copy_ttl_in":        mpls.CopyTtlIn.parse,
    "push_pbb":           pbb.PushPbb.parse,
    "pop_pbb":            pbb.PopPbb.parse,
    "exit":               misc.Exit.parse,
    "note":               misc.Note.parse,
    "clone":              misc.Clone.parse,
    "check_pkt_larger":   misc.CheckPktLarger.parse,
    "ct":                 ct.Ct.parse,
    "ct_clear":           ct.CtClear.parse,
    "nat":                ct.Nat.parse,
    "learn":              Learn.parse,
    "conjunction":        Conjunction.parse,
    "multipath":          balance.Multipath.parse,
    "bundle":             balance.Bundle.parse,
    "bundle_load":        balance.Bundle.parse_load,
    "sample":             sample.Sample.parse,
    "fin_timeout":        sample.FinTimeout.parse,
    "encap":              encap.Encap.parse,
    "decap":              encap.Decap.parse,
    "dec_nsh_ttl":        encap.DecNshTtl.parse,
    "debug_slow":         misc.DebugSlow.parse,
    "debug_recirc":       misc.DebugRecirc.parse,
    "meter":              inst.Meter.parse,
    "clear_actions":      inst.ClearActions.parse,
    "write_actions":      inst.WriteActions.parse,
    "write_metadata":     inst.WriteMetadata.parse,
    "goto_table":         inst.GotoTable.parse,
}


def parse_actions(source: str, *, ports: PortNames | None = None, tables: Mapping[str, int] | None = None,
                  outer: str = "") -> ActionList:
    """Actions and instructions of *source*, what follows ``actions=`` in flow text.

    An empty list and ``drop`` are both ().  *outer* "bucket" allows what a group's bucket does: of the
    instructions, meter alone.  Raises ParseError in the words of ovs-ofctl.
    """
    return ActionReader(ports, tables).read(source, outer)


class ActionReader:
    """``parse_actions`` for lists with the same *ports* and *tables*; equal actions are one object."""

    def __init__(self, ports: PortNames | None = None, tables: Mapping[str, int] | None = None) -> None:
        self._context = ParseContext(ports, self._nested, {}, tables)

    def read(self, source: str, outer: str = "") -> ActionList:
        """Actions and instructions of *source*, as ``parse_actions`` returns them."""
        if len(self._context.known) > _REMEMBERED:
            self._context.known.clear()
        return _parse_list(source, self._context, outer)

    def _nested(self, inner: str, outer: str) -> ActionList:
        return _parse_list(inner, self._context, outer)


def _parse_list(source: str, ctx: ParseContext, outer: str) -> ActionList:
    actions: list[Action] = []
    drop = False
    for name, value in key_values(source):
        known = ctx.known.get((name, value))
        if known is not None:
            actions.append(known)
            continue
        parser = PARSERS.get(name) or PARSERS.get(name.lower())
        if parser is not None:
            action = ctx.known[name, value] = parser(value, ctx)
            actions.append(action)
        elif name.lower() == "drop":
            drop = True
        elif name.lower() == "apply_actions":
            raise ParseError("apply_actions is the default instruction")
        else:
            port = numbers.port(name, ctx.ports)
            if port is None:
                raise ParseError(f"unknown action {name}")
            actions.append(output.named_port(port))
    if drop and actions:
        raise ParseError('"drop" must not be accompanied by any other action or instruction')
    if actions:
        check_list(actions, outer)
    return tuple(actions)


__all__ = ["PARSERS", "ActionReader", "format_list", "parse_actions"]
