"""Tunnel ports: what they tell the datapath of the outer header, and matches on what it was."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from pair import Pair, tunnel_pair
from rule_sets import Case
from wide_sets import TUNNELS

import fastpath

RULES = (
    "in_port=1,ip actions=set_tunnel:5,output:11,output:12,output:13",
    "in_port=2,ip actions=set_field:9.9.9.9->tun_dst,set_field:8.8.8.8->tun_src,set_tunnel:0x123456,"
    "output:12,output:14,output:15,output:16,dec_ttl,output:13",
    "in_port=3,ip actions=set_field:fe80::7->tun_ipv6_dst,set_field:oam->tun_flags,output:14,output:12,"
    "output:2",
    "in_port=LOCAL actions=output:11,output:2,output:11,debug_recirc,output:12",
    "in_port=11,tun_id=5,tun_src=1.1.1.1,ip actions=move:NXM_NX_TUN_ID[0..31]->NXM_NX_REG0[],output:12,"
    "output:2",
    "in_port=12,tun_flags=+oam actions=output:1",
    "in_port=12,priority=1,tun_src=1.0.0.0/8,tun_id=0x4/0xc actions=output:1,in_port",
    "in_port=13 actions=resubmit(,1),output:1",
    "table=1,tun_ipv6_src=fe80::/16 actions=output:3",
)


@pytest.fixture(scope="module")
def tunnels() -> Iterator[Pair]:
    """Both switches with the same tunnel ports, real ones in the reference."""
    with tunnel_pair(TUNNELS) as pair:
        yield pair


def packets(n: int) -> tuple[str, ...]:
    rng = Random(7)
    out = []
    for _ in range(n):
        terms = [f"in_port={rng.choice((1, 2, 3, 'LOCAL', 11, 12, 12, 13))}",
                 rng.choice(("tcp", "udp6", "arp", "udp"))]
        if terms[1] != "arp":
            terms += [f"nw_tos={rng.choice((0, 32, 252))}", f"nw_ecn={rng.choice((0, 1, 3))}",
                      f"nw_ttl={rng.choice((1, 2, 9))}"]
        if rng.random() < 0.6:
            v6 = rng.random() < 0.3
            terms += ([f"tun_ipv6_src={rng.choice(('fe80::1', '2001::1'))}", "tun_ipv6_dst=fe80::9"]
                      if v6 else [f"tun_src=1.1.1.{rng.randint(1, 3)}",
                                  f"tun_dst={rng.choice(('1.1.1.1', '3.3.3.3'))}"])
            terms += [f"tun_id={rng.randint(4, 6)}", f"tun_tos={rng.choice((0, 3, 5))}"]
            if rng.random() < 0.3:
                terms.append("tun_flags=oam")
        out.append(",".join(terms))
    return tuple(out)


def test_traces_through_tunnel_ports_agree(tunnels: Pair, more: int) -> None:
    assert tunnels.compare("br0", Case(0, "OpenFlow15", RULES, packets(150 * more)))


def test_what_is_sent_to_a_tunnel_is_dropped_and_counted() -> None:
    with fastpath.Switch(seed=1) as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_port("p1")
        tunnel = bridge.add_tunnel("t1", "vxlan", remote_ip="1.1.1.1", key=5)
        bridge.add_flow(f"in_port=1 actions=output:{tunnel.number}")
        assert bridge.inject("p1", bytes(60)) == {}
        assert switch.stats().datapath.drops == {"invalid_port": 1}
        bridge.del_port(tunnel)
        assert bridge.add_port("p2").of.odp_port == tunnel.of.odp_port
