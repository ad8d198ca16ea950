"""Routes: the most specific one is found, as by looking at all of them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.errors import ConfigError, NotFoundError
from fastpath.vswitchd.routes import Routes, parse_address

OWN = ["10.0.0.5/8", "2001::5/16"]
near = st.integers(0, 2**24 - 1).map(lambda n: ip_address((10 << 24) + n))
prefixes = st.lists(st.tuples(near, st.integers(8, 32)), max_size=12)


@given(prefixes, near)
def test_the_longest_prefix_wins(found: list[tuple[object, int]], asked: object) -> None:
    routes = Routes(lambda _device: OWN)
    networks = [ip_network(f"{address}/{size}", strict=False) for address, size in found]
    for network in networks:
        routes.add(str(network), "br0", None, 0)
    best = max((n for n in networks if asked in n), key=lambda n: n.prefixlen, default=None)
    route = routes.find(parse_address(str(asked)), 0)
    assert (None if route is None else str(route).split()[1]) == (None if best is None else str(best))


def test_a_route_needs_an_address_to_send_from() -> None:
    routes = Routes(lambda device: OWN if device == "br0" else [])
    for prefix, device, gateway in (("11.0.0.0/8", "br0", None), ("10.0.0.0/8", "br1", None),
                                    ("11.0.0.0/8", "br0", "12.0.0.1")):
        with pytest.raises(ConfigError):
            routes.add(prefix, device, gateway and parse_address(gateway), 0)
    routes.add("11.0.0.0/8", "br0", parse_address("10.0.0.1"), 0)
    assert [str(route) for route in routes] == ["User: 11.0.0.0/8 dev br0 GW 10.0.0.1 SRC 10.0.0.5"]


def test_marks_keep_routes_apart() -> None:
    routes = Routes(lambda _device: OWN)
    routes.add("10.0.0.0/8", "br0", None, 5)
    assert routes.find(parse_address("10.1.1.1"), 0) is None
    assert routes.find(parse_address("10.1.1.1"), 5) is not None
    with pytest.raises(NotFoundError):
        routes.remove("10.0.0.0/8", 0)
    routes.remove("10.0.0.0/8", 5)
    assert not list(routes)
