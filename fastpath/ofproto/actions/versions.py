"""How a list of actions looks in each OpenFlow version.

Rules keep actions as they were given.  Each version's wire can say some of them in another way
only: OpenFlow 1.0 has no set_field but load, 1.3 no mod_dl_dst but set_field, 1.5 no load.  What
the reference prints for a rule is what went over the wire, so ``as_version`` rewrites a list as a
switch of that version would hand it out.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastpath.fields import BY_NAME, Field
from fastpath.ofproto.actions import legacy, mpls, output, pbb, vlan
from fastpath.ofproto.actions.base import Action, ActionList, PortNumbers
from fastpath.ofproto.actions.ct import Ct
from fastpath.ofproto.actions.instructions import ClearActions, GotoTable, Meter, WriteActions, format_list
from fastpath.ofproto.actions.misc import Clone
from fastpath.ofproto.actions.set_field import Load, SetField, is_narrow, value_bits
from fastpath.ofproto.actions.state import HeaderState
from fastpath.ofproto.match import SCTP, TCP, UDP, Match
from fastpath.ofproto.subfield import VLAN_CFI, Subfield
from fastpath.value import replace

OF10, OF11, OF12, OF13, OF14, OF15 = 1, 2, 3, 4, 5, 6        # as on the wire
PCP_MASK, VID_MASK = 0xE000, 0x1FFF                         # of a TCI; VID with the presence bit
LOAD_BITS = 64                                              # most bits one load carries


def as_version(actions: ActionList, version: int, match: Match | None = None) -> ActionList:
    """*actions* in the words of OpenFlow *version*; *match* tells which header mod_tp_src means."""
    return tuple(_rewrite(actions, version, HeaderState(match)))


def match_as_version(match: Match, version: int) -> Match:
    """*match* as OpenFlow *version* says it: since 1.2 priority bits are matched whole, and only on a tag."""
    tci, mask = match.key.vlan_tci, match.mask.vlan_tci
    if version < OF12 or not mask & PCP_MASK:
        return match
    keep = mask | PCP_MASK if tci & mask & VID_MASK else mask & VID_MASK
    new = match.copy()
    new.key.vlan_tci, new.mask.vlan_tci = tci & keep, keep
    return new


def format_actions(actions: ActionList, version: int | None = None, *, match: Match | None = None,
                   ports: PortNumbers = None) -> str:
    """Text of *actions* as *version* prints them, or as they were given (None); ``drop`` for none."""
    if version is not None:
        actions = as_version(actions, version, match)
    return format_list(actions, ports)


def _rewrite(actions: ActionList, version: int, state: HeaderState) -> Iterator[Action]:
    for action in actions:
        match action:
            case Clone(inner):
                yield Clone(tuple(_rewrite(inner, version, state.copy())))
            case Ct() if action.actions:
                yield Ct(action.commit, action.force, action.table, action.zone, action.alg,
                         tuple(_rewrite(action.actions, version, state.copy())))
            case WriteActions(inner) if version > OF10:
                if inner:
                    yield WriteActions(tuple(_rewrite(inner, version, state.copy())))
            case _ if version == OF10:
                yield from _as_of10(action)
            case _:
                yield from _as_of11_up(action, version, state)
        state.advance(action)


# -- OpenFlow 1.0: setters and loads --------------------------------------------------------------

def _as_of10(action: Action) -> Iterator[Action]:
    match action:
        case SetField(f, value, _):
            setter = _of10_setter(f, value)
            if setter is not None:
                yield from setter
            else:
                yield from _as_loads(action)
        case Load() if not _has_short_id(action.target.field):
            yield _as_set_field(action)
        case Load(target, value) if target.n_bits > LOAD_BITS:
            yield from _as_loads(SetField(target.field, value << target.ofs, target.limit << target.ofs))
        case legacy.SetIpEcn(ecn):
            yield Load(Subfield.whole(BY_NAME["nw_ecn"]), ecn)
        case legacy.SetIpTtl(ttl):
            yield Load(Subfield.whole(BY_NAME["nw_ttl"]), ttl)
        case vlan.SetVlanVid(vid):
            yield vlan.SetVlanVid(vid, True)
        case vlan.SetVlanPcp(pcp):
            yield vlan.SetVlanPcp(pcp, True)
        case vlan.StripVlan():
            yield vlan.StripVlan()
        case mpls.CopyTtlOut() | mpls.CopyTtlIn() | pbb.PushPbb() | pbb.PopPbb():
            pass
        case vlan.PushVlan() | Meter() | ClearActions() | WriteActions():
            pass            # the version has no word for it; setting a VLAN id implies the push
        case GotoTable(table):
            yield output.Resubmit(table=table)
        case _:
            yield action


def _of10_setter(f: Field, value: int) -> tuple[Action, ...] | None:
    """The OpenFlow 1.0 actions for setting *f*, None if it has none.  Masks cannot be said and are lost."""
    match f.name:
        case "vlan_tci":
            if not value & VLAN_CFI:
                return (vlan.StripVlan(),)
            return (vlan.SetVlanVid(value & 0xFFF), vlan.SetVlanPcp(value >> 13))
        case "vlan_vid" | "dl_vlan":
            return (vlan.SetVlanVid(value & 0xFFF),)
        case "vlan_pcp" | "dl_vlan_pcp":
            return (vlan.SetVlanPcp(value),)
        case "eth_src":
            return (legacy.SetEthSrc(value),)
        case "eth_dst":
            return (legacy.SetEthDst(value),)
        case "ip_src":
            return (legacy.SetIpv4Src(value),)
        case "ip_dst":
            return (legacy.SetIpv4Dst(value),)
        case "ip_dscp":
            return (legacy.SetIpDscp(value << 2),)
        case "nw_tos":
            return (legacy.SetIpDscp(value & 0xFC),)
        case "tcp_src" | "udp_src":
            return (legacy.SetL4Src(value),)
        case "tcp_dst" | "udp_dst":
            return (legacy.SetL4Dst(value),)
        case _:
            return None


def _of11_setter(f: Field, value: int) -> tuple[Action, ...] | None:
    """The OpenFlow 1.1 actions for setting *f*, likewise."""
    return (legacy.SetIpEcn(value),) if f.name == "nw_ecn" else _of10_setter(f, value)


def _has_short_id(f: Field) -> bool:
    """Whether *f* has an id without experimenter and of fixed length, which is what load can carry."""
    return any(not i.experimenter for i in f.ids) and not f.name.startswith("tun_metadata")


def _as_loads(action: SetField) -> Iterator[Action]:
    """One load for each run of mask bits, from the least significant up."""
    f = action.field
    if not _has_short_id(f):
        yield action
        return
    whole = (1 << f.bits) - 1
    mask, at = whole if action.is_exact and not action.shows_mask else action.mask & whole, 0
    while mask >> at:
        if not mask >> at & 1:
            at += 1
            continue
        n_bits = 0
        while n_bits < LOAD_BITS and mask >> (at + n_bits) & 1:
            n_bits += 1
        yield Load(Subfield(f, at, n_bits), action.value >> at & ((1 << n_bits) - 1))
        at += n_bits


# -- OpenFlow 1.1 and up --------------------------------------------------------------------------

def _as_of11_up(action: Action, version: int, state: HeaderState) -> Iterator[Action]:
    match action:
        case output.Enqueue(port, queue):
            yield output.SetQueue(queue)
            yield output.Output(port)
            yield output.PopQueue()
        case vlan.StripVlan():
            yield vlan.StripVlan(True)
        case pbb.PushPbb() | pbb.PopPbb() if version < OF13:
            pass
        case vlan.SetVlanVid(vid, push):
            if push and not state.vlan:
                yield vlan.PushVlan()
            yield (_set("vlan_vid", vid | VLAN_CFI) if version >= OF12 else vlan.SetVlanVid(vid, False))
        case vlan.SetVlanPcp(pcp, push):
            if push and not state.vlan:
                yield vlan.PushVlan()
            yield _set("vlan_pcp", pcp) if version >= OF12 else vlan.SetVlanPcp(pcp, False)
        case SetField() if version == OF11:
            if action.field.name == "vlan_tci" and action.value & VLAN_CFI and not state.vlan:
                yield vlan.PushVlan()
            setter = _of11_setter(action.field, action.value)
            for a in setter if setter is not None else _as_loads(action):
                yield replace(a, push=False) if isinstance(a, (vlan.SetVlanVid, vlan.SetVlanPcp)) else a
        case SetField() if version < OF15 and (action.shows_mask or not action.is_exact):
            yield from _as_loads(action)
        case Load() if version >= OF15 or not _has_short_id(action.target.field):
            yield _as_set_field(action)
        case _ if version >= OF12:
            yield from _as_set_fields(action, state)
        case _:
            yield action


def _set(name: str, value: int) -> SetField:
    f = BY_NAME[name]
    return SetField(f, value, value_bits(f))


def _as_set_field(action: Load) -> SetField:
    t, bits = action.target, value_bits(action.target.field)
    mask = t.limit << t.ofs
    if mask == (1 << 8 * t.field.n_bytes) - 1:
        return SetField(t.field, action.value << t.ofs, bits)
    return SetField(t.field, action.value << t.ofs, mask, mask == bits and is_narrow(t.field))


_PORT_PREFIX = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}


def _as_set_fields(action: Action, state: HeaderState) -> Iterator[Action]:
    match action:
        case legacy.SetEthSrc(mac):
            yield _set("eth_src", mac)
        case legacy.SetEthDst(mac):
            yield _set("eth_dst", mac)
        case legacy.SetIpv4Src(address):
            yield _set("ip_src", address)
        case legacy.SetIpv4Dst(address):
            yield _set("ip_dst", address)
        case legacy.SetIpDscp(tos):
            yield _set("ip_dscp", tos >> 2)
        case legacy.SetIpEcn(ecn):
            yield _set("nw_ecn", ecn)
        case legacy.SetTunnel(tun_id):
            yield _set("tun_id", tun_id)
        case mpls.SetMplsLabel(label):
            yield _set("mpls_label", label)
        case mpls.SetMplsTc(tc):
            yield _set("mpls_tc", tc)
        case legacy.SetL4Src(port) if state.nw_proto in _PORT_PREFIX:
            yield _set(f"{_PORT_PREFIX[state.nw_proto]}_src", port)
        case legacy.SetL4Dst(port) if state.nw_proto in _PORT_PREFIX:
            yield _set(f"{_PORT_PREFIX[state.nw_proto]}_dst", port)
        case _:
            yield action
