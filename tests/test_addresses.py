"""The MAC table of a Bridge: pinned addresses, limits, VLANs that flood, and the texts of fdb/show."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from fastpath import Bridge, Switch
from fastpath.errors import ConfigError, NotFoundError
from fastpath.testing import frame

A, B, C = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"


@pytest.fixture
def br() -> Iterator[Bridge]:
    with Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0", normal=True)
        for name in ("p1", "p2", "p3"):
            bridge.add_port(name)
        yield bridge


def reached(br: Bridge, port: int, src: str, dst: str, **more: int) -> list[int]:
    """Ports a frame comes out of."""
    return sorted(out.number for out in br.inject(port, frame("eth", src=src, dst=dst, **more)))


def test_a_pinned_address_gets_what_is_for_it_and_installed_flows_follow(br: Bridge) -> None:
    assert reached(br, 1, A, B) == [2, 3]
    br.add_mac("p3", B)
    assert reached(br, 1, A, B) == [3] and reached(br, 1, A, B) == [3]
    assert reached(br, 2, B, A) == [1] and reached(br, 1, A, B) == [3]      # it does not move
    br.switch.advance(1000)
    assert reached(br, 1, A, B) == [3]                                      # nor age
    br.del_mac(B)
    assert reached(br, 1, A, B) == [2, 3]


def test_a_learned_address_can_be_pinned_and_then_counts_as_static(br: Bridge) -> None:
    reached(br, 1, A, B)
    br.add_mac(2, A)
    assert reached(br, 3, C, A) == [2]
    (_, entry), stats = br.fdb(), br.fdb_stats()
    assert (stats.n_learned, stats.n_moved) == (2, 0) and not entry.is_static
    assert br.dump_fdb().splitlines()[1:] == ["    2     0  02:00:00:00:00:0a  static",
                                              "    3     0  02:00:00:00:00:0c    0"]
    br.flush_fdb()
    assert [e.mac for e in br.fdb()] == [0x02000000000A]


def test_a_table_full_of_pinned_addresses_learns_nothing(br: Bridge) -> None:
    br.set_fdb(max_macs=2)
    br.add_mac(1, A)
    br.add_mac(1, B)
    assert reached(br, 2, C, A) == [1]
    br.add_mac(1, C, vlan=7)
    assert [e.is_static for e in br.fdb()] == [True] * 3


def test_a_smaller_table_forgets_the_longest_unseen(br: Bridge) -> None:
    for i in range(6):
        reached(br, 1 + i % 3, f"02:00:00:00:01:0{i}", B)
    br.set_fdb(max_macs=4)
    assert [e.mac & 0xFF for e in br.fdb()] == [2, 3, 4, 5] and br.fdb_stats().n_expired == 2
    reached(br, 1, A, B)
    assert [e.mac & 0xFF for e in br.fdb()] == [3, 4, 5, 0x0A] and br.fdb_stats().n_evicted == 1


def test_aging_holds_for_what_is_there(br: Bridge) -> None:
    reached(br, 1, A, B)
    br.switch.advance(20)
    br.set_fdb(mac_aging=21)
    br.switch.advance(0.9)
    assert len(br.fdb()) == 1
    br.switch.advance(0.2)
    assert br.fdb() == [] and br.fdb_stats().n_expired == 1


def test_flood_vlans_flood_what_is_learned_or_pinned(br: Bridge) -> None:
    assert reached(br, 1, A, B, vlan=5) == [2, 3] and reached(br, 2, B, A, vlan=5) == [1]
    br.add_mac(1, A, vlan=5)
    br.set_fdb(flood_vlans=[5])
    assert reached(br, 2, B, A, vlan=5) == [1, 3] and [e.is_static for e in br.fdb()] == [True]
    assert reached(br, 2, B, A) == [1, 3] and reached(br, 1, A, B) == [2]
    br.set_fdb(flood_vlans=[])
    assert reached(br, 2, B, A, vlan=5) == [1]


def test_counters_as_text_and_cleared(br: Bridge) -> None:
    reached(br, 1, A, B)
    reached(br, 2, A, B)
    br.add_mac(3, C)
    head = 'Statistics for bridge "br0":\n  Current/maximum MAC entries in the table: 2/8192\n' \
        "  Current static MAC entries in the table : 1\n"
    told = (f"  Total number of {what:7} MAC entries     : {n}"
            for what, n in (("learned", 1), ("expired", 0), ("evicted", 0)))
    assert br.dump_fdb_stats() == head + "\n".join(
        [*told, "  Total number of port moved MAC entries  : 1"])
    br.clear_fdb_stats()
    assert br.dump_fdb_stats().count(": 0") == 4


@pytest.mark.parametrize("wrong, kind, words", [
    (lambda br: br.add_mac(1, "02:00:00:00:00"), ConfigError, "02:00:00:00:00"),
    (lambda br: br.add_mac(1, 1 << 48), ConfigError, "not of 48 bits"),
    (lambda br: br.add_mac(1, A, vlan=4096), ConfigError, "VLAN 4096"),
    (lambda br: br.add_mac(9, A), NotFoundError, "no port 9"),
    (lambda br: br.del_mac(A, vlan=3), NotFoundError, f"no static address {A} in VLAN 3"),
    (lambda br: br.set_fdb(mac_aging=-1, max_macs=1), ConfigError, "mac_aging -1"),
    (lambda br: br.set_fdb(flood_vlans=["5"], max_macs=1), ConfigError, "flood_vlans ..5.., expected"),
    (lambda br: br.set_fdb(flood_vlans=5), ConfigError, "flood_vlans 5, expected several"),
    (lambda br: br.switch.add_bridge("br1", flood_vlans=[-1]), ConfigError, "flood VLAN -1"),
])
def test_what_makes_no_sense_changes_nothing(br: Bridge, wrong: Callable[[Bridge], object],
                                             kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        wrong(br)
    assert br.fdb() == [] and br.ofproto.macs.max_entries == 8192
