"""What rules may ask for of the datapath below: those that need more are refused, as the reference does."""

from __future__ import annotations

import logging

from fastpath.dpif.provider import Features
from fastpath.errors import InvalidFlow
from fastpath.fields import BY_NAME
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.ct import Ct, Nat
from fastpath.ofproto.actions.misc import Clone
from fastpath.ofproto.actions.set_field import Load, SetField
from fastpath.ofproto.match import Match

_log = logging.getLogger("fastpath.ofproto_dpif")
_log.addHandler(logging.NullHandler())
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
    for action in actions:
        missing = _missing(action, features)
        if missing:
            _log.warning("Rejecting ct action because datapath does not support %s "
                         "(your kernel module may be out of date)", missing)
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


def _missing(action: object, features: Features) -> str:
    """What the datapath has not that *action* needs, as the reference calls it; empty if it has all."""
    match action:
        case Ct():
            if not features.ct_state:
                return "ct action"
            if action.zone and not features.ct_zone:
                return "ct zones"
            return next(filter(None, (_missing(inner, features) for inner in action.actions)), "")
        case Nat():
            return "" if features.ct_state_nat else "nat"
        case SetField() | Load():
            field = action.field if isinstance(action, SetField) else action.target.field
            has = field not in _KEPT or bool(getattr(features, _KEPT[field]))
            return "" if has else "setting mark and/or label"
        case Clone():
            return next(filter(None, (_missing(inner, features) for inner in action.actions)), "")
    return ""
