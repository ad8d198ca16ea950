"""Options of tunnel ports: defaults, and what is refused."""

from __future__ import annotations

import pytest

from fastpath.errors import ConfigError
from fastpath.ofproto.tunnel import Address, Key, parse_tunnel


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
])
def test_bad_options_are_named(kind: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_tunnel(kind, options)
