"""Action lists made ready to be carried out: what to call for each action, and runs of writes as one call.

Most of what rules do is to write fields.  A run of such actions becomes FieldSteps, which do in one call
what the functions of ``set_field`` do one by one.  Only without a trace: that tells of each action.

Lists are remembered by identity, as long as they are among the last KEPT new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastpath._fieldsteps import FieldSteps
from fastpath._flow import WINDOWS, Window
from fastpath.fields import BEYOND_WRITABLE, Field, Prereq
from fastpath.ofproto.actions import legacy
from fastpath.ofproto.actions import set_field as act
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.instructions import WriteMetadata
from fastpath.ofproto.subfield import Subfield
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.actions import TABLE, Call, unsupported
from fastpath.ofproto.xlate.set_field import KNOWN_OPERATION, KNOWN_PROTO, WIDE_PORTS, place
from fastpath.tlv import OPTION_OF

KEPT = 16384
_NEED = {Prereq.NONE: "nothing", Prereq.ETHERNET: "ethernet", Prereq.ARP: "arp", Prereq.IPV4: "ipv4",
         Prereq.IPV6: "ipv6", Prereq.IP: "ip", Prereq.TCP: "tcp", Prereq.UDP: "udp", Prereq.SCTP: "sctp"}
_TCI = WINDOWS["vlan_tci"]
_TO_END = frozenset((Call.LAST, Call.JUMP, Call.BRANCH))
_STOPS = frozenset((Call.STOP, Call.BRANCH, Call.REST))


class Step(NamedTuple):
    """One action of a list: its function and how that is called (``actions.Call``)."""

    handler: Callable[..., Any]
    call: Call
    asks_end: bool                  # wants to know whether anything follows
    asks_rest: bool                 # wants the actions that follow
    stops: bool                     # True as its answer ends the list
    writes: FieldSteps | None       # of a run of actions that only write fields, at its first


_ready: dict[int, tuple[Sequence[Action], tuple[Step, ...]]] = {}


def steps_of(actions: Sequence[Action]) -> tuple[Step, ...]:
    """A step for each of *actions*, which do not change if they are a tuple."""
    found = _ready.get(id(actions))
    if found is not None:
        return found[1]
    steps = _prepare(actions)
    if isinstance(actions, tuple):
        if len(_ready) >= KEPT:
            _ready.clear()
        _ready[id(actions)] = actions, steps       # holds the list, so the id stays its own
    return steps


def _prepare(actions: Sequence[Action]) -> tuple[Step, ...]:
    steps: list[Step] = []
    writes = FieldSteps()               # of the run of writes that ends here
    for a in actions:
        handler, call = TABLE.get(type(a), (unsupported, Call.STOP))
        starts = not writes.n
        if not add_writes(writes, a):
            starts, writes = False, FieldSteps()
        steps.append(Step(handler, call, call in _TO_END, call is Call.REST, call in _STOPS,
                          writes if starts else None))
    return tuple(steps)


def add_writes(steps: FieldSteps, a: Action) -> bool:
    """Add what *a* does to *steps*; False if it does more than write fields that fit there."""
    match a:
        case act.SetField():
            return _add_store(steps, a.field, a.value, a.mask)
        case act.Load():
            return _add_store(steps, a.target.field, a.value << a.target.ofs, a.target.limit << a.target.ofs)
        case act.Move():
            if not (_is_plain(a.target.field) and _is_plain(a.source.field)):
                return False
            steps.add_move(_operand(a.target), _operand(a.source))
        case WriteMetadata():
            steps.add_store("nothing", WINDOWS["metadata"], a.value, a.mask, marks=False)
        case legacy.SetTunnel():
            steps.add_store("nothing", WINDOWS["tun_id"], a.tun_id, WINDOWS["tun_id"].limit, marks=False)
        case legacy.SetEthSrc():
            steps.add_store("nothing", WINDOWS["dl_src"], a.mac, WINDOWS["dl_src"].limit)
        case legacy.SetEthDst():
            steps.add_store("nothing", WINDOWS["dl_dst"], a.mac, WINDOWS["dl_dst"].limit)
        case legacy.SetIpv4Src():
            steps.add_store("ipv4", WINDOWS["nw_src"], a.ipv4, 0xFFFFFFFF, knows_proto=True)
        case legacy.SetIpv4Dst():
            steps.add_store("ipv4", WINDOWS["nw_dst"], a.ipv4, 0xFFFFFFFF, knows_proto=True)
        case legacy.SetIpDscp():
            steps.add_store("ip", WINDOWS["nw_tos"], a.tos & pk.DSCP_MASK, pk.DSCP_MASK, knows_proto=True)
        case legacy.SetIpEcn():
            steps.add_store("ip", WINDOWS["nw_tos"], a.ecn, pk.ECN_MASK, knows_proto=True)
        case legacy.SetIpTtl():
            steps.add_store("ip", WINDOWS["nw_ttl"], a.ttl, 0xFF, knows_proto=True)
        case legacy.SetL4Src():
            steps.add_store("ip_head", WINDOWS["tp_src"], a.port, 0xFFFF, knows_proto=True)
        case legacy.SetL4Dst():
            steps.add_store("ip_head", WINDOWS["tp_dst"], a.port, 0xFFFF, knows_proto=True)
        case _:
            return False
    return True


def _is_plain(field: Field) -> bool:
    """Whether reading and writing *field* is nothing but copying bits of up to eight bytes."""
    if field.name in OPTION_OF:
        return False
    window = place(field)[0]
    return field.prereq in _NEED and window.size <= 8 and window is not _TCI and field.name not in WIDE_PORTS


def _add_store(steps: FieldSteps, field: Field, value: int, mask: int) -> bool:
    if not _is_plain(field) or field.name in KNOWN_OPERATION or field.name in BEYOND_WRITABLE:
        return False
    window, shift, limit = place(field)
    steps.add_store(_NEED[field.prereq], window, (value & limit) << shift, (mask & limit) << shift,
                    knows_proto=field.name in KNOWN_PROTO)
    return True


def _operand(sf: Subfield) -> tuple[str, Window, int, int]:
    window, shift, limit = place(sf.field)
    return _NEED[sf.field.prereq], window, shift + sf.ofs, (sf.limit << sf.ofs & limit) << shift
