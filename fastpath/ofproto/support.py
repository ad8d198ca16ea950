"""What rules may ask for of the datapath below: those that need more are refused, as the reference does."""

from __future__ import annotations

from fastpath.dpif.provider import Features
from fastpath.errors import InvalidFlow
from fastpath.fields import BY_NAME
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.ct import Ct, Nat
from fastpath.ofproto.actions.misc import Clone
from fastpath.ofproto.actions.set_field import Load, SetField
from fastpath.ofproto.match import Match

_NATTED = 0xC0                  # of ct_state: the source or destination was translated
# Members of a match that need a feature; of the original tuple, either of two.
_NEEDS = (("ct_state", "ct_state"), ("ct_zone", "ct_zone"), ("ct_mark", "ct_mark"), ("ct_label", "ct_label"))
_TUPLE = ("ct_nw_proto", "ct_tp_src", "ct_tp_dst")
_KEPT = {BY_NAME["ct_mark"]: "ct_mark", BY_NAME["ct_label"]: "ct_label"}
_TUPLE_4, _TUPLE_6 = ("ct_nw_src", "ct_nw_dst"), ("ct_ipv6_src", "ct_ipv6_dst")


def refuse_unsupported(match: Match, actions: ActionList, features: Features) -> None:
    """Raise InvalidFlow if the datapath has not what *match* or *actions* need."""
    if features.has_all_of_conntrack:
        return
    if not _can_match(match, features):
        raise InvalidFlow("NXBMC_CT_DATAPATH_SUPPORT", "the datapath does not track connections so")
    if not all(_can_do(action, features) for action in actions):
        raise InvalidFlow("NXBAC_CT_DATAPATH_SUPPORT", "the datapath does not track connections so")


def _can_match(match: Match, features: Features) -> bool:
    mask = match.mask
    if any(getattr(mask, member) and not getattr(features, name) for member, name in _NEEDS):
        return False
    if mask.ct_state & _NATTED and not features.ct_state_nat:
        return False
    has_4, has_6 = features.ct_orig_tuple, features.ct_orig_tuple6
    asked = ((_TUPLE, has_4 or has_6), (_TUPLE_4, has_4), (_TUPLE_6, has_6))
    return all(has or not any(getattr(mask, name) for name in names) for names, has in asked)


def _can_do(action: object, features: Features) -> bool:
    match action:
        case Ct():
            return (features.ct_state and (features.ct_zone or not action.zone)
                    and all(_can_do(inner, features) for inner in action.actions))
        case Nat():
            return features.ct_state_nat
        case SetField() | Load():
            field = action.field if isinstance(action, SetField) else action.target.field
            return field not in _KEPT or bool(getattr(features, _KEPT[field]))
        case Clone():
            return all(_can_do(inner, features) for inner in action.actions)
    return True
