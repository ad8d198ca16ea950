"""The encap, decap and dec_nsh_ttl actions: whole headers in front of a packet.

They change what type of packet the flow in hand is; the datapath's push or pop is emitted by the next
commit, which ``hand.pending`` tells of it.  What a popped NSH uncovers is known after recirculation only,
and so it is when the last label of a packet that is not Ethernet goes.
"""

from __future__ import annotations

from fastpath._flow import WINDOWS, FlowKey
from fastpath.ofproto.actions.controller import PacketInReason
from fastpath.ofproto.actions.encap import PACKET_TYPES, Decap, DecNshTtl, Encap
from fastpath.ofproto.xlate import freeze
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.commit import commit
from fastpath.ofproto.xlate.context import VLAN_CFI, Pending, Xlate, XlateError
from fastpath.ofproto.xlate.controller import to_controller
from fastpath.ofproto.xlate.trace import Kind, report

PT_ETH, PT_NSH = PACKET_TYPES["ethernet"], PACKET_TYPES["nsh"]
PT_MPLS = (PACKET_TYPES["mpls"], PACKET_TYPES["mpls_mc"])
PT_IPV4, PT_IPV6 = 0x00010800, 0x000186DD
PT_NEXT_PROTO = 0x0000FFFE              # decap() that leaves it to the packet (OpenFlow EXT-382)
ETH_TEB = 0x6558
_NSH_NP = {PT_IPV4: 1, PT_IPV6: 2, PT_ETH: 3, PT_NSH: 4}       # RFC 8300 section 2.2: what comes next
_NP_TYPE = {np: packet_type for packet_type, np in _NSH_NP.items()}
_NSH_TTL, _NSH_NP_W = WINDOWS["nsh_ttl"], WINDOWS["nsh_np"]
_LSE = tuple(WINDOWS[f"mpls_lse{i}"] for i in range(pk.MAX_MPLS))
_WHOLE_PACKET = 0xFFFF


def encap(x: Xlate, a: Encap) -> None:
    """Put a header in front; the packet is then of that header's type."""
    commit(x)
    if a.packet_type == PT_ETH:
        done = _encap_ethernet(x)
    elif a.packet_type == PT_NSH:
        done = _encap_nsh(x, a)
    else:
        done = _encap_mpls(x, a.packet_type)
    if done:
        x.hand.pending = Pending.ENCAP


def _unsupported(x: Xlate, why: str) -> bool:
    report(x, Kind.ACTION, why)
    x.fail(XlateError.UNSUPPORTED_PACKET_TYPE)
    return False


def _encap_ethernet(x: Xlate) -> bool:
    flow = x.hand.flow
    if flow.packet_type >> 16 != 1:
        return _unsupported(x, "Dropping packet as encap(ethernet) is not supported for packet type "
                            "ethernet.")
    flow.dl_type = flow.packet_type & 0xFFFF
    flow.packet_type = PT_ETH
    flow.dl_src = flow.dl_dst = 0
    return True


def _encap_nsh(x: Xlate, a: Encap) -> bool:
    flow = x.hand.flow
    inner = flow.packet_type
    if inner not in _NSH_NP:
        return _unsupported(x, "Dropping packet as encap(nsh) is not supported for packet type "
                            f"({inner >> 16},0x{inner & 0xFFFF:x})")
    for window in pk.PACKET_HEADERS:
        flow.set(window, 0)
    flow.packet_type, flow.dl_type = PT_NSH, pk.ETH_NSH
    flow.nsh_ttl, flow.nsh_np, flow.nsh_path_hdr = 63, _NSH_NP[inner], 255
    flow.nsh_mdtype = a.md_type or 1
    x.hand.encap_data = b"" if flow.nsh_mdtype == 1 else b"".join(
        tlv.cls.to_bytes(2, "big") + bytes((tlv.type, len(tlv.data))) + tlv.data + bytes(-len(tlv.data) % 4)
        for tlv in a.tlvs)
    return True


def _encap_mpls(x: Xlate, packet_type: int) -> bool:
    hand, flow = x.hand, x.hand.flow
    if not hand.bridge.features.add_mpls:
        x.out.slow.add("action")
    n = pk.count_mpls(flow, hand.wc)
    if n >= pk.MAX_MPLS:
        if x.env.packet is not None:
            report(x, Kind.ERROR, "dropping packet on which an encap MPLS action can't be performed as it "
                   f"would have more MPLS LSEs than the {pk.MAX_MPLS} supported.")
        x.fail(XlateError.TOO_MANY_MPLS_LABELS)
        return False
    if flow.packet_type == PT_ETH and flow.dl_type == pk.ETH_MPLS:
        for window in _LSE:             # the labels inside the Ethernet header are out of sight now
            for key in (hand.wc, flow, hand.base):
                key.set(window, 0)
    flow.packet_type = packet_type
    pk.push_mpls(flow, n, packet_type & 0xFFFF, hand.wc, hide=True)
    flow.dl_src = flow.dl_dst = 0
    return True


def decap(x: Xlate, a: Decap) -> bool:
    """Take the outermost header off; True when the rest has to wait for recirculation."""
    commit(x)
    packet_type = x.hand.flow.packet_type
    if packet_type == PT_ETH:
        _decap_ethernet(x)
        return False
    if packet_type == PT_NSH:
        waits = _decap_nsh(x)
    elif packet_type in PT_MPLS:
        waits = _decap_mpls(x, PT_NEXT_PROTO if a.new_type is None else a.new_type)
    else:
        return _unsupported(x, "Dropping packet as the decap() does not support packet type "
                            f"({packet_type >> 16},0x{packet_type & 0xFFFF:x})")
    if waits:
        freeze.trigger(x)
    return waits


def _decap_ethernet(x: Xlate) -> None:
    flow = x.hand.flow
    if flow.vlan_tci & VLAN_CFI:
        _unsupported(x, "Dropping packet, cannot decap Ethernet if VLAN is present.")
        return
    flow.packet_type = 1 << 16 | flow.dl_type
    flow.dl_src = flow.dl_dst = 0


def _decap_nsh(x: Xlate) -> bool:
    flow = x.hand.flow
    inner = _NP_TYPE.get(flow.nsh_np)
    if inner is None:
        return _unsupported(x, f"Dropping packet as NSH next protocol {flow.nsh_np} is not supported")
    flow.packet_type = inner
    x.hand.wc.fill(_NSH_NP_W)
    x.hand.pending = Pending.DECAP
    return True


def _decap_mpls(x: Xlate, new_type: int) -> bool:
    hand = x.hand
    hand.flow.packet_type = new_type
    n = pk.count_mpls(hand.flow, hand.wc)
    if pk.pop_mpls(hand.flow, n, new_type & 0xFFFF or ETH_TEB, hand.wc):
        hand.pending = Pending.DECAP
        return n == 1
    if n >= pk.MAX_MPLS:
        if x.env.packet is not None:
            report(x, Kind.ERROR, "dropping packet on which an MPLS decap can't be performed as it has "
                   f"more MPLS LSEs than the {pk.MAX_MPLS} supported.")
        x.fail(XlateError.TOO_MANY_MPLS_LABELS)
        x.out.actions.clear()
    return False


def dec_nsh_ttl(x: Xlate, a: DecNshTtl) -> bool:
    """Count the TTL of the NSH down; at its end, or without an NSH, this list stops (True)."""
    flow, wc = x.hand.flow, x.hand.wc
    if _has_nsh(flow):
        wc.fill(_NSH_TTL)
        if flow.nsh_ttl > 1:
            flow.nsh_ttl -= 1
            return False
        to_controller(x, _WHOLE_PACKET, PacketInReason.INVALID_TTL)
    report(x, Kind.WARN, "NSH decrement TTL exception")
    return True


def _has_nsh(flow: FlowKey) -> bool:
    return flow.packet_type == PT_NSH or flow.dl_type == pk.ETH_NSH
