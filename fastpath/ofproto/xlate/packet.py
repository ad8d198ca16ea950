"""Facts about a flow key that translation asks: which protocols it has, its VLAN tags and MPLS labels.

With *wc* given, the bits that decided the answer are un-wildcarded in it.  dl_type (and nw_frag of IP) is
in every mask from the start, so it is not set here.  Functions that change a key change only that.
"""

from __future__ import annotations

from fastpath._flow import WINDOWS, FlowKey
from fastpath.fields import MEMBERS, OFFSETS, TNL_WORD
from fastpath.ofproto.xlate.context import VLAN_CFI

ETH_IP, ETH_ARP, ETH_RARP, ETH_IPV6, ETH_NSH = 0x0800, 0x0806, 0x8035, 0x86DD, 0x894F
ETH_MPLS, ETH_MPLS_MCAST, ETH_8021Q, ETH_8021AD = 0x8847, 0x8848, 0x8100, 0x88A8
ETH_PBB = 0x88E7
ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
ND_SOLICIT, ND_ADVERT = 135, 136
FRAG_ANY, FRAG_LATER = 1, 2
MAX_MPLS, MAX_VLANS = 3, 2
MPLS_BOS, MPLS_TC_SHIFT, MPLS_LABEL_SHIFT = 0x100, 9, 12
IPV6_NULL_LABEL = 2                     # RFC 3032 section 2.1; IPv4's is 0
DEFAULT_TTL = 64
DSCP_MASK, ECN_MASK = 0xFC, 0x03

_DL_TYPE, _NW_PROTO, _NW_FRAG = WINDOWS["dl_type"], WINDOWS["nw_proto"], WINDOWS["nw_frag"]
_TP_SRC, _TP_DST = WINDOWS["tp_src"], WINDOWS["tp_dst"]
_LSE = tuple(WINDOWS[f"mpls_lse{i}"] for i in range(MAX_MPLS))
_TPID = (WINDOWS["vlan_tpid"], WINDOWS["vlan1_tpid"])
_TCI = (WINDOWS["vlan_tci"], WINDOWS["vlan1_tci"])
_ONES16, _ONES32 = 0xFFFF, 0xFFFFFFFF

# Members above L2 that an MPLS push makes unknowable: the label hides them.
_ABOVE_L2 = tuple(WINDOWS[name] for name in (
    "nw_src", "nw_dst", "ct_nw_src", "ct_nw_dst", "ipv6_src", "ipv6_dst", "ct_ipv6_src", "ct_ipv6_dst",
    "ipv6_label", "nw_frag", "nw_tos", "nw_ttl", "nw_proto", "nd_target", "arp_sha", "arp_tha", "tcp_flags",
    "nsh_flags", "nsh_ttl", "nsh_mdtype", "nsh_np", "nsh_path_hdr", "nsh_c1", "nsh_c2", "nsh_c3", "nsh_c4",
    "tp_src", "tp_dst", "ct_tp_src", "ct_tp_dst", "igmp_group_ip4", "dp_hash"))
# All that the Ethernet type gives a meaning.
ABOVE_ETHERNET = (*_ABOVE_L2, *_LSE, WINDOWS["pbb_itag"])
# What is the packet's own rather than known about it: all a new outer header hides.
_KNOWN = ("in_port", "recirc_id", "packet_type", "ct_state", "ct_nw_proto", "ct_zone", "dp_hash", "pkt_mark",
          "ct_mark", "skb_priority", "ct_label")
PACKET_HEADERS = tuple(WINDOWS[m.name] for m in MEMBERS
                       if OFFSETS[m.name] // 8 < TNL_WORD and m.name not in _KNOWN)
# What conntrack found out about a packet.
_CONNTRACK = tuple(WINDOWS[name] for name in (
    "ct_state", "ct_zone", "ct_mark", "ct_label", "ct_nw_proto", "ct_tp_src", "ct_tp_dst"))
_CT_NW = {ETH_IP: (WINDOWS["ct_nw_src"], WINDOWS["ct_nw_dst"]),
          ETH_IPV6: (WINDOWS["ct_ipv6_src"], WINDOWS["ct_ipv6_dst"])}


def is_ip(key: FlowKey) -> bool:
    """IPv4 or IPv6."""
    return key.get(_DL_TYPE) in (ETH_IP, ETH_IPV6)


def is_mpls(key: FlowKey) -> bool:
    return key.get(_DL_TYPE) in (ETH_MPLS, ETH_MPLS_MCAST)


def is_transport(key: FlowKey, proto: int, wc: FlowKey | None) -> bool:
    """IPv4 or IPv6 with this protocol."""
    if not is_ip(key):
        return False
    if wc is not None:
        wc.fill(_NW_PROTO)
    return key.get(_NW_PROTO) == proto


def is_icmp4(key: FlowKey, wc: FlowKey | None) -> bool:
    return key.get(_DL_TYPE) == ETH_IP and is_transport(key, ICMP, wc)


def is_icmp6(key: FlowKey, wc: FlowKey | None) -> bool:
    return key.get(_DL_TYPE) == ETH_IPV6 and is_transport(key, ICMPV6, wc)


def is_nd(key: FlowKey, wc: FlowKey | None) -> bool:
    """Neighbour solicitation or advertisement: by type, and code 0."""
    if not is_icmp6(key, wc):
        return False
    if wc is not None:
        wc.fill(_TP_DST)
    if key.get(_TP_DST):
        return False
    if wc is not None:
        wc.fill(_TP_SRC)
    return key.get(_TP_SRC) in (ND_SOLICIT, ND_ADVERT)


def tcp_flags(key: FlowKey) -> int:
    """TCP's flags; 0 for what is not TCP (ND keeps something else in that member)."""
    return key.tcp_flags if is_transport(key, TCP, None) else 0


def is_later_fragment(key: FlowKey) -> bool:
    return bool(key.get(_NW_FRAG) & FRAG_LATER)


def clear_conntrack(key: FlowKey) -> None:
    """Forget what conntrack knew of the packet."""
    for window in (*_CONNTRACK, *_CT_NW.get(key.get(_DL_TYPE), ())):
        key.set(window, 0)


# Members of the packet in hand, those of the first packet of its connection, for swapping.
_TUPLE_V4, _TUPLE_V6 = (tuple((WINDOWS[name], WINDOWS[f"ct_{name}"]) for name in (*addresses, *rest))
                        for rest in [("nw_proto", "tp_src", "tp_dst")]
                        for addresses in (("nw_src", "nw_dst"), ("ipv6_src", "ipv6_dst")))


def swap_conntrack_tuple(key: FlowKey, is_v4: bool) -> None:
    """Exchange addresses, ports and protocol with what conntrack says they were in the first packet."""
    for here, there in _TUPLE_V4 if is_v4 else _TUPLE_V6:
        value = key.get(here)
        key.set(here, key.get(there))
        key.set(there, value)


# -- VLAN tags -----------------------------------------------------------------------------------------

def count_vlans(key: FlowKey) -> int:
    """Tags present, outermost first without a gap."""
    for i in range(MAX_VLANS):
        if not key.get(_TCI[i]) & VLAN_CFI:
            return i
    return MAX_VLANS


def push_vlan(key: FlowKey, wc: FlowKey) -> None:
    """Make room for an outermost tag, left zero; a tag pushed beyond MAX_VLANS is lost."""
    for i in range(count_vlans(key)):
        wc.set(_TPID[i], _ONES16)
        wc.set(_TCI[i], _ONES16)
    key.set(_TPID[1], key.get(_TPID[0]))
    key.set(_TCI[1], key.get(_TCI[0]))
    key.set(_TPID[0], 0)
    key.set(_TCI[0], 0)


def pop_vlan(key: FlowKey, wc: FlowKey) -> None:
    """Remove the outermost tag, if there is one."""
    n = count_vlans(key)
    if n > 1:
        wc.set(_TPID[1], _ONES16)
        wc.set(_TCI[1], _ONES16)
        key.set(_TPID[0], key.get(_TPID[1]))
        key.set(_TCI[0], key.get(_TCI[1]))
    if n:
        key.set(_TPID[n - 1], 0)
        key.set(_TCI[n - 1], 0)


def pin_tags(key: FlowKey, pins: FlowKey) -> None:
    """Pin the tags that *key* has: what is done depends on all of them."""
    for tci in _TCI:
        if key.get(tci) & VLAN_CFI:
            pins.fill(tci)


def fix_tpid(key: FlowKey) -> None:
    """Give a tag that came into being the usual TPID, and take it from one that is gone."""
    if not key.get(_TCI[0]):
        key.set(_TPID[0], 0)
    elif not key.get(_TPID[0]):
        key.set(_TPID[0], ETH_8021Q)


def complete_tags(key: FlowKey) -> None:
    """Give tags without a TPID the usual one: a key made from text, not from a packet, has none."""
    for tpid, tci in zip(_TPID, _TCI, strict=True):
        if key.get(tci) & VLAN_CFI and not key.get(tpid):
            key.set(tpid, ETH_8021Q)


# -- MPLS labels ---------------------------------------------------------------------------------------

def count_mpls(key: FlowKey, wc: FlowKey | None = None) -> int:
    """Entries of the label stack that the key holds, MAX_MPLS at most."""
    if not is_mpls(key):
        return 0
    n = 0
    for i in range(MAX_MPLS):
        if wc is not None:
            wc.set(_LSE[i], wc.get(_LSE[i]) | MPLS_BOS)
        lse = key.get(_LSE[i])
        if lse & MPLS_BOS:
            return i + 1
        n += lse != 0
    return n


def pin_deep_stack(key: FlowKey, pins: FlowKey) -> None:
    """If the stack of *key* goes deeper than the key does, pin what it holds: an entry of zero does not
    count then, so the count depends on every bit."""
    if is_mpls(key) and not any(key.get(window) & MPLS_BOS for window in _LSE):
        for window in _LSE:
            pins.fill(window)


def common_mpls(a: FlowKey, n_a: int, b: FlowKey, n_b: int) -> int:
    """How many entries at the bottom of both stacks are equal."""
    n = 0
    while n < min(n_a, n_b) and a.get(_LSE[n_a - 1 - n]) == b.get(_LSE[n_b - 1 - n]):
        n += 1
    return n


def push_mpls(key: FlowKey, n: int, ethertype: int, wc: FlowKey | None = None, *, hide: bool = False) -> None:
    """Push an entry onto the *n* that *key* has.

    On a stack it is a copy of the top one; as the first it takes TTL and traffic class from IP.  With
    *hide* the first also clears what the label now covers.
    """
    if n:
        for i in range(n, 0, -1):
            if wc is not None:
                wc.fill(_LSE[i - 1])
            key.set(_LSE[i], key.get(_LSE[i - 1]))
        key.set(_LSE[0], key.get(_LSE[1]) & ~MPLS_BOS)
    else:
        label, tc, ttl = IPV6_NULL_LABEL if key.get(_DL_TYPE) == ETH_IPV6 else 0, 0, DEFAULT_TTL
        if is_ip(key) and key.packet_type in (0, 1 << 16 | key.dl_type):
            tc = (key.nw_tos & DSCP_MASK) >> 2
            ttl = key.nw_ttl or DEFAULT_TTL
            if wc is not None:
                wc.nw_tos |= DSCP_MASK
                wc.nw_ttl = 0xFF
        key.set(_LSE[0], label << MPLS_LABEL_SHIFT | (tc & 7) << MPLS_TC_SHIFT | MPLS_BOS | ttl)
        if hide:
            for window in _ABOVE_L2:
                key.set(window, 0)
    key.set(_DL_TYPE, ethertype)


def pop_mpls(key: FlowKey, n: int, ethertype: int, wc: FlowKey | None = None) -> bool:
    """Remove the top of *n* entries; False when there is none, or when the stack is deeper than the key
    and what would move up is not known."""
    if not n:
        return False
    if n == MAX_MPLS:
        if wc is not None:
            wc.set(_LSE[n - 1], wc.get(_LSE[n - 1]) | MPLS_BOS)
        if not key.get(_LSE[n - 1]) & MPLS_BOS:
            return False
    for i in range(1, n):
        if wc is not None:
            wc.set(_LSE[i], _ONES32)
        key.set(_LSE[i - 1], key.get(_LSE[i]))
    key.set(_LSE[n - 1], 0)
    key.set(_DL_TYPE, ethertype)
    return True


_RESERVED = frozenset((
    *range(0x0180C2000000, 0x0180C2000010),             # IEEE 802.1D table 7-10: STP, pause, LACP, LLDP
    0x00E02B000000, 0x00E02B000004, 0x00E02B000006,     # Extreme: EDP, EAPS
    0x01000C000000, 0x01000CCCCCCC, 0x01000CCCCCCD,     # Cisco: ISL; CDP, VTP, DTP, PAgP, UDLD; PVST+
    0x01000CCDCDCD, *range(0x01000CCCCCC0, 0x01000CCCCCC8),     # STP Uplink Fast; CFM
))


def is_reserved(mac: int) -> bool:
    """Whether bridges do not forward frames to *mac*, which belong to protocols of one link."""
    return mac in _RESERVED
