"""A bridge and its ports: numbers, names, settings, and what marks it dirty."""

from __future__ import annotations

import pytest
from model.dpif import World

from fastpath.errors import ConfigError, ExistsError, NotFoundError
from fastpath.ofproto.bridge import NO_ODP_PORT, Ofproto
from fastpath.ofproto.events import PortChange, PortStatus
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.port import OfPort
from fastpath.ofproto.xlate.context import OFPP_LOCAL

A, B = 0x020000000001, 0x020000000002


def test_ports_get_the_lowest_free_number() -> None:
    w = World()
    br = w.bridge(ports=3)
    br.del_port(br.port(2))
    assert br.free_number() == 2
    br.add_port(OfPort(br, "x", 2, 77))
    assert br.free_number() == 4
    assert br.check_number(9) == 9 and br.check_number(OFPP_LOCAL) == OFPP_LOCAL
    for wrong in (0, -1, 0xff00, 0x10000):
        with pytest.raises(ConfigError, match=str(wrong)):
            br.check_number(wrong)
    with pytest.raises(ExistsError, match="'x'"):
        br.check_number(2)


def test_flooding_visits_local_first_then_by_number() -> None:
    w = World()
    br = w.bridge(ports=0)
    for number in (5, 1, OFPP_LOCAL, 3):
        br.add_port(OfPort(br, f"p{number}", number, number & 0xff))
    assert [port.ofp_port for port in br.ports()] == [OFPP_LOCAL, 1, 3, 5]


def test_names_are_taken_once() -> None:
    w = World()
    br = w.bridge()
    with pytest.raises(ExistsError, match="'p1'"):
        br.add_port(OfPort(br, "p1", 9, 9))
    with pytest.raises(ExistsError, match="'br0'"):
        Ofproto("br0", w.backer)
    with pytest.raises(NotFoundError, match="'zz'"):
        br.port_named("zz")
    assert br.port_named("p2").ofp_port == 2 and br.port_numbers() == {"p1": 1, "p2": 2, "p3": 3}
    assert (br.odp_port(2), br.odp_port(99)) == (2, NO_ODP_PORT)


def test_every_change_marks_the_bridge_and_tells_of_ports() -> None:
    w = World()
    br = w.bridge()

    def changed() -> bool:
        found = w.backer.is_dirty()
        w.backer.dirty.clear()
        w.backer.dirty_macs.clear()
        w.backer.touched.clear()
        return found
    br.apply(parse_flow("actions=drop"), 1.0)
    assert changed()
    br.apply(parse_flow("tcp", "delete"), 1.0)
    assert not changed()
    br.set_port(br.port(1), flags={"no_flood": True})
    assert changed() and br.port(1).no_flood
    br.set_frag_handling("drop")
    assert changed()
    br.set_flood_vlans([5])
    assert changed() and br.flood_vlans == {5}
    br.macs.update(A, 0, 1, 1.0)
    assert w.backer.dirty_macs == {("br0", 0, A)} and changed()
    br.macs.update(A, 0, 1, 2.0)
    assert not changed()
    br.macs.add_static(B, 0, 2)
    assert changed()
    br.macs.flush()
    assert changed()
    with pytest.raises(ConfigError, match="no_such"):
        br.set_port(br.port(1), flags={"no_flood": False, "no_such": True})
    assert br.port(1).no_flood and not changed()
    with pytest.raises(ConfigError, match="sometimes"):
        br.set_frag_handling("sometimes")
    assert w.backer.take_events() == [PortStatus("br0", 1, "p1", PortChange.MODIFY, True,
                                                frozenset({"no_flood"}), was=(True, frozenset()))]


def test_a_port_that_goes_takes_its_addresses_along() -> None:
    w = World()
    br = w.bridge()
    br.macs.update(A, 0, 1, 1.0)
    br.macs.update(B, 0, 2, 1.0)
    br.del_port(br.port(1))
    assert [entry.mac for entry in br.macs] == [B]
