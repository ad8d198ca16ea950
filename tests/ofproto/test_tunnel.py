"""Tunnel ports: their options with defaults and what is refused, and which of them a packet came by."""

from __future__ import annotations

import pytest

from fastpath._flow import FlowKey
from fastpath.errors import ConfigError, ExistsError
from fastpath.ofproto.tunnel import Address, Key, Tunnel, TunnelPorts, format_tunnel, parse_tunnel
from fastpath.value import value


def test_defaults_are_those_of_open_vswitch() -> None:
    tunnel = parse_tunnel("geneve", {"remote_ip": "1.2.3.4"})
    assert tunnel.remote == Address(4, 0x01020304) and tunnel.local == Address()
    assert (tunnel.dst_port, tunnel.ttl, tunnel.tos, tunnel.df, tunnel.csum) == (6081, 64, 0, True, False)
    assert tunnel.in_key == tunnel.out_key == Key()


def test_keys_may_differ_by_direction_and_come_from_the_flow() -> None:
    tunnel = parse_tunnel("gre", {"remote_ip": "flow", "key": "flow", "in_key": 5, "tos": "inherit"})
    assert tunnel.remote.from_flow and tunnel.tos is None
    assert tunnel.in_key == Key(5, True) and tunnel.out_key == Key(0, True, True)


@pytest.mark.parametrize(("kind", "options", "message"), [
    ("l2tp", {"remote_ip": "1.1.1.1"}, "l2tp"),
    ("gre", {}, "remote_ip"),
    ("gre", {"remote_ip": "here"}, "here"),
    ("vxlan", {"remote_ip": "1.1.1.1", "key": 1 << 24}, "key"),
    ("vxlan", {"remote_ip": "1.1.1.1", "vni": 1}, "vni"),
    ("vxlan", {"remote_ip": "1.1.1.1", "local_ip": "::1"}, "two families"),
    ("vxlan", {"remote_ip": "1.1.1.1", "csum": "maybe"}, "maybe"),
    ("vxlan", {"remote_ip": "1.1.1.1", "ttl": 256}, "ttl"),
    ("vxlan", {"remote_ip": "1.1.1.1", "local_ip": "flow"}, "remote_ip=flow"),
    ("geneve", {"remote_ip": "1.1.1.1", "exts": "gbp"}, "exts gbp"),
    ("vxlan", {"remote_ip": "1.1.1.1", "exts": "gpe"}, "exts gpe"),
])
def test_bad_options_are_named(kind: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_tunnel(kind, options)


# ---- which tunnel a packet came by --------------------------------------------------------------------

@value
class Port:
    name: str
    odp_port: int | None
    tunnel: Tunnel | None


def ports_of(*options: dict[str, object], odp_port: int = 9) -> TunnelPorts[str, Port]:
    found: TunnelPorts[str, Port] = TunnelPorts()
    for i, some in enumerate(options):
        found.add("br", Port(f"t{i}", odp_port, parse_tunnel("geneve", some)))
    return found


def by(ports: TunnelPorts[str, Port], key: int, src: int, dst: int, in_port: int = 9, **more: int) -> str:
    found = ports.receiver(FlowKey(in_port=in_port, tun_id=key, tun_src=src, tun_dst=dst, **more))
    return found[1].name if found is not None else ""


def test_the_tunnel_that_names_most_is_taken() -> None:
    ports = ports_of({"remote_ip": "flow", "local_ip": "flow", "key": "flow"},
                     {"remote_ip": "flow", "local_ip": "0.0.0.2", "key": "flow"},
                     {"remote_ip": "flow", "key": 5}, {"remote_ip": "0.0.0.1", "key": "flow"},
                     {"remote_ip": "0.0.0.1", "key": 5},
                     {"remote_ip": "0.0.0.1", "local_ip": "0.0.0.2", "key": 5})
    asked = ((5, 1, 2), (5, 1, 3), (6, 1, 2), (5, 4, 2), (6, 4, 2), (6, 4, 3))
    assert [by(ports, *one) for one in asked] == ["t5", "t4", "t3", "t2", "t1", "t0"]
    assert by(ports, 5, 1, 2, in_port=8) == "" and by(ports, 5, 1, 2, packet_type=0x10800) == ""


def test_a_tunnel_without_a_key_takes_packets_whose_key_is_zero() -> None:
    ports = ports_of({"remote_ip": "0.0.0.1"}, {"remote_ip": "fe80::1", "key": 7})
    assert (by(ports, 0, 1, 2), by(ports, 1, 1, 2)) == ("t0", "")
    assert by(ports, 7, 0, 0, tun_ipv6_src=0xFE80 << 112 | 1, tun_ipv6_dst=9) == "t1"


def test_tunnels_share_a_port_and_are_told_apart() -> None:
    ports = ports_of({"remote_ip": "0.0.0.1", "key": 5})
    same, other = (parse_tunnel("geneve", {"remote_ip": "0.0.0.1", "key": key, "ttl": 9}) for key in (5, 6))
    assert ports.odp_port(other) == 9 and ports.odp_port(parse_tunnel("vxlan", {"remote_ip": "flow"})) is None
    assert ports.odp_port(parse_tunnel("geneve", {"remote_ip": "flow", "dst_port": 1})) is None
    ports.check(other, 9)
    with pytest.raises(ExistsError, match="port 't0' has the same addresses and key"):
        ports.check(same, 9)
    port = Port("more", 9, other)
    ports.add("br2", port)
    assert [name for name, _ in ports.of(9)] == ["br", "br2"] and by(ports, 6, 1, 2) == "more"
    ports.remove(port)
    assert by(ports, 6, 1, 2) == "" and len(ports.of(9)) == len(list(ports)) == 1


def test_a_tunnel_in_words() -> None:
    assert format_tunnel("t", 4, parse_tunnel("gre", {"remote_ip": "1.2.3.4", "csum": "true"})) == (
        "port 4: t (gre: ::->1.2.3.4, key=0, legacy_l2, dp port=4, ttl=64, csum=true)")
    assert format_tunnel("t", 4, parse_tunnel("gtpu", {
        "remote_ip": "flow", "local_ip": "1.1.1.1", "in_key": "flow", "tos": "inherit", "ttl": "inherit",
        "df_default": "false"})) == (
        "port 4: t (gtpu: 1.1.1.1->flow, key=flow, legacy_l3, dp port=4, out_key=none, ttl=inherit, "
        "tos=inherit, df=false)")
