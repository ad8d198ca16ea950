"""Packets into tunnels: what the outer header is to say; and packets out of them: what it said.

The tunnel members of the flow in hand are what rules asked for.  A port adds what its settings fix, for its
own output only; the datapath is told with set(tunnel()), and told again only when that changes.
"""

from __future__ import annotations

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif import actions as odp
from fastpath.dpif.key import ATTRS, OF_TUNNEL, Form, members_of
from fastpath.fields import DP_WORDS, MEMBERS, OFFSETS, TNL_WORD
from fastpath.flowtext import TUN_CSUM, TUN_DF, TUN_KEY, TUN_OAM
from fastpath.ofproto.tunnel import DEFAULT_TTL, Tunnel
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.context import Hand, PortView, Xlate
from fastpath.ofproto.xlate.trace import Kind, report
from fastpath.tlv import present

TUNNEL = tuple(WINDOWS[m.name] for m in MEMBERS if TNL_WORD <= OFFSETS[m.name] // 8 < DP_WORDS)
_DST = FlowKey(tun_dst=WINDOWS["tun_dst"].limit, tun_ipv6_dst=WINDOWS["tun_ipv6_dst"].limit)
_CE, _ECT_0 = 3, 2                      # ECN codepoints (RFC 3168)
_ERSPAN_PARTS = {1: ("erspan_idx",), 2: ("erspan_dir", "erspan_hwid")}      # of each version
_FLAGS = TUN_DF | TUN_CSUM | TUN_KEY


def is_tunnelled(key: FlowKey) -> bool:
    """Whether the packet came out of a tunnel."""
    return key.meets(_DST)


def mark_tunnel(flow: FlowKey, wc: FlowKey) -> None:
    """Un-wildcard what decides which tunnel port a packet came by."""
    wc.fill(WINDOWS["tun_id"])
    wc.fill(WINDOWS["tun_tos"])
    for name in ("tun_src", "tun_dst") if flow.tun_dst else ("tun_ipv6_src", "tun_ipv6_dst"):
        wc.fill(WINDOWS[name])
    wc.tun_flags = _FLAGS
    if pk.is_ip(flow) and flow.tun_tos & pk.ECN_MASK == _CE:
        wc.nw_tos |= pk.ECN_MASK


def take_congestion(flow: FlowKey) -> bool:
    """Hand congestion the tunnel met on to the packet inside (RFC 6040); False if it cannot be told."""
    if is_tunnelled(flow) and pk.is_ip(flow) and flow.tun_tos & pk.ECN_MASK == _CE:
        if not flow.nw_tos & pk.ECN_MASK:
            return False
        flow.nw_tos |= _CE
    return True


def enter_tunnel(x: Xlate, port: PortView, tunnel: Tunnel) -> bool:
    """Have the datapath know the outer header of what leaves by *port*; False if nothing may leave.

    The flow in hand is left as it was, but for a refused one: there the reference forgets to restore it.
    """
    hand = x.hand
    asked = [hand.flow.get(window) for window in TUNNEL]
    _fill_header(tunnel, hand.flow, hand.wc)
    if _dst(hand.flow) == _dst(x.env.flow):
        report(x, Kind.WARN, "Not tunneling to our own address")
        return False
    report(x, Kind.DETAIL, "output to kernel tunnel")
    _commit_tunnel(x, hand, tunnel)
    for window, value in zip(TUNNEL, asked, strict=True):
        hand.flow.set(window, value)
    return True


def _dst(key: FlowKey) -> tuple[int, int]:
    return (key.tun_dst, 0) if key.tun_dst else (0, key.tun_ipv6_dst)


def _fill_header(tunnel: Tunnel, flow: FlowKey, wc: FlowKey) -> None:
    for end, name in ((tunnel.local, "src"), (tunnel.remote, "dst")):
        if not end.from_flow:
            setattr(flow, f"tun_{name}", end.value if end.family == 4 else 0)
            setattr(flow, f"tun_ipv6_{name}", end.value if end.family == 6 else 0)
    flow.tun_tp_dst = tunnel.dst_port
    for name, value in tunnel.fixed:
        setattr(flow, name, value)
    if not tunnel.out_key.from_flow:
        flow.tun_id = tunnel.out_key.value
    is_ip = pk.is_ip(flow)
    if tunnel.ttl is None and is_ip:
        wc.nw_ttl = 0xFF
        flow.tun_ttl = flow.nw_ttl
    else:
        flow.tun_ttl = DEFAULT_TTL if tunnel.ttl is None else tunnel.ttl
    if tunnel.tos is None and is_ip:
        wc.nw_tos |= pk.DSCP_MASK
        flow.tun_tos = flow.nw_tos & pk.DSCP_MASK
    else:
        flow.tun_tos = tunnel.tos or 0
    if is_ip:
        wc.nw_tos |= pk.ECN_MASK
        ecn = flow.nw_tos & pk.ECN_MASK
        flow.tun_tos |= _ECT_0 if ecn == _CE else ecn
    flow.tun_flags = (flow.tun_flags & TUN_OAM | TUN_DF * tunnel.df | TUN_CSUM * tunnel.csum
                      | TUN_KEY * tunnel.out_key.present)


def _commit_tunnel(x: Xlate, hand: Hand, tunnel: Tunnel) -> None:
    flow, base = hand.flow, hand.base
    if _dst(flow) == (0, 0) or all(flow.get(window) == base.get(window) for window in TUNNEL):
        return
    members = []
    for m in ATTRS["tunnel"]:
        value = flow.get(WINDOWS[m.field])
        if value or m.name == "ttl" or (m.name == "tun_id" and flow.tun_flags & TUN_KEY):
            members.append((m.name, value, (1 << m.bits) - 1 if m.form is not Form.FLAGS else 0xFFFF))
    members += _of_kind(tunnel.kind, flow)
    options: tuple[odp.GeneveOption, ...] = ()
    if tunnel.kind == "geneve":
        options = tuple(odp.GeneveOption(place.cls, place.type, place.read(flow).to_bytes(place.size, "big"))
                        for place in present(hand.bridge.options, flow))
    x.out.actions.append(odp.SetMasked("tunnel", tuple(members), options))
    for window in TUNNEL:
        base.set(window, flow.get(window))


def _of_kind(kind: str, flow: FlowKey) -> list[tuple[str, int, int]]:
    """Members that only tunnels of *kind* have, if the flow says anything of them."""
    values = {name: getattr(flow, f"tun_{name}") for name, _bits in members_of(kind)}
    family = OF_TUNNEL.get(kind)
    told = {"vxlan": any(values.values()), "erspan": values.get("erspan_ver") in _ERSPAN_PARTS,
            "gtpu": all(values.values())}
    if family is None or not told[family]:
        return []
    left_out = _ERSPAN_PARTS[3 - values["erspan_ver"]] if family == "erspan" else ()
    return [(name, values[name], (1 << bits) - 1) for name, bits in members_of(kind) if name not in left_out]
