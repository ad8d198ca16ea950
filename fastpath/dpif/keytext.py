"""Text of flow keys with their masks, and of whole flows, as dpctl/dump-flows prints them."""

from __future__ import annotations

from collections.abc import Mapping

from fastpath import text
from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.key import ATTRS, ETH_IPV6, L3, L4, Form, Member
from fastpath.dpif.membertext import format_member, format_nsh, hexa
from fastpath.dpif.provider import DpFlow, FlowStats
from fastpath.dpif.tunneltext import format_tunnel

MAX_LABELS = 3
MPLS_SHIFTS = {"label": 12, "tc": 9, "bos": 8, "ttl": 0}
_CFI, _BOS = 0x1000, 0x100
_TPIDS = (0x8100, 0x88A8)
DL_TYPE_NONE = 0x05FF           # frames with a length where others have their type
NO_TYPE = "eth_type(0/0xffff)"  # how these are told
_MPLS = (0x8847, 0x8848)
_ND = (135, 136)
_ETH_NSH, _MD1 = 0x894F, 1
_TCP_FLAG_LETTERS = (("S", 0x02), ("F", 0x01), ("P", 0x08), ("R", 0x04), ("U", 0x20), (".", 0x10),
                     ("E", 0x40), ("C", 0x80), ("N", 0x100), ("[200]", 0x200), ("[400]", 0x400),
                     ("[800]", 0x800))
_CT = ("ct_zone", "ct_mark", "ct_label")        # attributes that are their own only member


# ---- keys ---------------------------------------------------------------------------------------------

def format_key(key: FlowKey, mask: FlowKey, *, names: Mapping[int, str] | None = None,
               verbose: bool = False) -> str:
    """Return *key* under *mask* as dpctl/dump-flows prints it.

    Members no bit of which matters are left out, unless *verbose* (dump-flows -m).  Ports by *names*.
    """
    out = [_whole("skb_priority", key, mask, verbose)]
    if key.tun_dst or key.tun_ipv6_dst:
        out.append(format_tunnel(key, mask, verbose=verbose))
    out.append(_whole("skb_mark", key, mask, verbose))
    if mask.ct_state or verbose:
        out.append(format_ct_state(key.ct_state, mask.ct_state, verbose))
    out += [_whole(attr, key, mask, verbose) for attr in _CT]
    out.append(f"recirc_id({hexa(key.recirc_id)})")
    out.append(_whole("dp_hash", key, mask, verbose))
    out.append(f"in_port({(names or {}).get(key.in_port, key.in_port)})")
    kind = key.packet_type
    if mask.packet_type or verbose:
        out.append(f"packet_type(ns={kind >> 16},id={hexa(kind & 0xffff)})")
    if not kind:
        # Only a flow that was given as text leaves the packet type open, and then says eth().
        out.append(_attr("eth", key, mask, verbose) or ("" if mask.packet_type else "eth()"))
    out.append(_above_eth(key, mask, verbose))
    return ",".join(term for term in out if term)


def _get(m: Member, key: FlowKey, mask: FlowKey) -> tuple[int, int]:
    window = WINDOWS[m.field]
    exact = (1 << m.bits) - 1
    return key.get(window), mask.get(window) & exact if m.form is not Form.FRAG else exact


def _attr(attr: str, key: FlowKey, mask: FlowKey, verbose: bool) -> str:
    terms = []
    for m in ATTRS[attr]:
        value, bits = _get(m, key, mask)
        if attr == "arp" and m.name == "op":
            bits = 0xFFFF if bits == 0xFF else bits         # one byte in the key, two in the packet
        if bits or verbose:
            terms.append(f"{m.name}={format_member(m, value, bits)}")
    return f"{attr}({','.join(terms)})" if terms else ""


def _whole(attr: str, key: FlowKey, mask: FlowKey, verbose: bool) -> str:
    (m,) = ATTRS[attr]
    value, bits = _get(m, key, mask)
    return f"{attr}({format_member(m, value, bits)})" if bits or verbose else ""


def format_ct_state(value: int, mask: int, verbose: bool) -> str:
    """What conntrack said of a packet."""
    if verbose:
        return f"ct_state({hexa(value)}/{hexa(mask)})"
    return f"ct_state({text.format_flags_masked(value, mask, text.CT_STATE)})"


def _above_eth(key: FlowKey, mask: FlowKey, verbose: bool) -> str:
    """Everything from the Ethernet type on; each VLAN tag puts the rest into encap()."""
    inner = ",".join(_network(key, mask, verbose))
    if key.dl_type in _TPIDS and not key.vlan_tci & _CFI and not verbose:
        return f"eth_type(0x{key.dl_type:04x}),vlan(vid=0,cfi=0),encap()"       # the frame ends in a tag
    tags = [(key.vlan_tpid, key.vlan_tci, mask.vlan_tci), (key.vlan1_tpid, key.vlan1_tci, mask.vlan1_tci)]
    for at, (tpid, tci, bits) in reversed(list(enumerate(tags))):
        if tci & _CFI:
            is_told = bits & ~_CFI or verbose or at == 0        # that there is an outer tag always matters
            vlan = f"vlan({format_tci(tci, bits, verbose)})," if is_told else ""
            inner = f"eth_type(0x{tpid:04x}),{vlan}encap({inner})"
    return inner


def format_tci(tci: int, mask: int, verbose: bool) -> str:
    """What is inside of vlan()."""
    terms = []
    vid, pcp = mask & 0xFFF, mask >> 13
    if vid or tci & 0xFFF or verbose:
        terms.append(f"vid={tci & 0xfff}" + (f"/0x{vid:x}" if vid != 0xFFF else ""))
    if pcp or tci >> 13 or verbose:
        terms.append(f"pcp={tci >> 13}" + (f"/0x{pcp:x}" if pcp != 7 else ""))
    return ",".join(terms)


def _network(key: FlowKey, mask: FlowKey, verbose: bool) -> list[str]:
    dl_type = key.dl_type
    out = [_format_type(dl_type, is_tagged=bool(key.vlan_tci & _CFI))] if mask.dl_type or verbose else []
    if dl_type in _MPLS:
        out.append(format_mpls(key, mask, verbose))
    elif dl_type == _ETH_NSH and not verbose:
        out.append(_format_nsh(key, mask))
    elif dl_type in L3:
        out.append(_attr(L3[dl_type], key, mask, verbose))
    # Later fragments have no L4 header; the protocol must be known for L4 to mean anything.
    attr = L4.get((dl_type, key.nw_proto)) if not key.nw_frag & 2 else None
    if attr and (mask.nw_proto or verbose):
        out.append(_attr(attr, key, mask, verbose))
        if attr == "tcp":
            out.append(format_tcp_flags(key.tcp_flags, mask.tcp_flags, verbose))
        if dl_type == ETH_IPV6 and attr == "icmpv6" and key.tp_src in _ND:
            out.append(_attr("nd", key, mask, verbose))
            out.append(_attr("nd_ext", key, mask, False))
    return [term for term in out if term]


def _format_type(dl_type: int, *, is_tagged: bool) -> str:
    """An Ethernet type.  Frames that have none are told by a mask alone, behind a tag by nothing."""
    if dl_type != DL_TYPE_NONE:
        return f"eth_type(0x{dl_type:04x})"
    return "" if is_tagged else NO_TYPE


def _format_nsh(key: FlowKey, mask: FlowKey) -> str:
    """The NSH header, which is told even if nothing of it matters; the context that other metadata types than
    1 do not have counts as known."""
    if key.nsh_mdtype != _MD1:
        mask = mask.copy()
        mask.nsh_c1 = mask.nsh_c2 = mask.nsh_c3 = mask.nsh_c4 = 0xFFFFFFFF
    return f"nsh({format_nsh(tuple((m.name, *_get(m, key, mask)) for m in ATTRS['nsh']))})"


def format_mpls(key: FlowKey, mask: FlowKey, verbose: bool) -> str:
    """The labels of a packet."""
    stack = [(getattr(key, f"mpls_lse{i}"), getattr(mask, f"mpls_lse{i}")) for i in range(MAX_LABELS)]
    bottom = next((i for i, (lse, _bits) in enumerate(stack) if lse & _BOS), None)
    if bottom is None:          # deeper than what is kept, or a key that was given as text
        bottom = max((i for i, (lse, bits) in enumerate(stack) if lse or bits), default=0)
    stack = stack[:bottom + 1]
    if not any(bits for _lse, bits in stack) and not verbose:
        return ""
    exact = all(bits == 0xFFFFFFFF for _lse, bits in stack)
    return f"mpls({','.join(_format_label(lse, None if exact else bits) for lse, bits in stack)})"


def _format_label(lse: int, bits: int | None) -> str:
    terms = []
    for m in ATTRS["mpls"]:
        shift, limit = MPLS_SHIFTS[m.name], (1 << m.bits) - 1
        prefix = "0x" if m.name in ("label", "ttl") else ""
        tail = "" if bits is None else f"/{prefix}{bits >> shift & limit:x}"
        terms.append(f"{m.name}={lse >> shift & limit}{tail}")
    return ",".join(terms)


def format_tcp_flags(value: int, mask: int, verbose: bool) -> str:
    """The flags of a TCP header."""
    if not mask:
        return "tcp_flags(0/0)" if verbose else ""
    if mask & 0xFFF == 0xFFF:
        return f"tcp_flags({text.format_flags(value & 0xFFF, text.TCP_FLAGS)})"
    return f"tcp_flags({text.format_flags_masked(value, mask, text.TCP_FLAGS)})"


# ---- flows --------------------------------------------------------------------------------------------

def format_flow(flow: DpFlow, actions: str, *, now: float, names: Mapping[int, str] | None = None,
                verbose: bool = False) -> str:
    """One line of dpctl/dump-flows; *actions* is the text of the flow's actions."""
    return (f"{format_key(flow.key, flow.mask, names=names, verbose=verbose)}, "
            f"{format_stats(flow.stats, now)}, actions:{actions}")


def format_stats(s: FlowStats, now: float) -> str:
    """What a flow has counted."""
    used = "never" if s.used is None else f"{max(0.0, now - s.used):.3f}s"
    flags = "".join(letter for letter, bit in _TCP_FLAG_LETTERS if s.tcp_flags & bit)
    return f"packets:{s.n_packets}, bytes:{s.n_bytes}, used:{used}{f', flags:{flags}' if flags else ''}"
