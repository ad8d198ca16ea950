"""The MAC table: against a plain dict, and what aging, eviction, locking and pinning promise."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.ofproto.learning import AGING_S, GRATUITOUS_LOCK_S, MacTable

A, B, C = 0x0A, 0x0B, 0x0C
MULTICAST = 0x010000000001
macs = st.integers(1, 8)
step = st.tuples(st.sampled_from(("seen", "wait", "flush_port")), macs, st.integers(0, 2), st.integers(1, 3),
                 st.integers(0, 200))


@given(st.lists(step, max_size=60))
@settings(max_examples=200, deadline=None)
def test_it_knows_what_a_dict_with_timestamps_knows(steps: list[tuple[str, int, int, int, int]]) -> None:
    table, model, now = MacTable(), {}, 0.0
    for what, mac, vlan, port, seconds in steps:
        if what == "seen":
            moved = model.get((mac, vlan), (None, 0))[0] != port
            assert table.update(mac, vlan, port, now) == moved
            model[mac, vlan] = (port, now + AGING_S)
        elif what == "wait":
            now += seconds
            gone = {key for key, (_, expires) in model.items() if expires <= now}
            assert {(e.mac, e.vlan) for e in table.expire(now)} == gone
            model = {key: entry for key, entry in model.items() if key not in gone}
        else:
            table.flush_port(port)
            model = {key: entry for key, entry in model.items() if entry[0] != port}
        assert table.next_deadline() == min((e for _, e in model.values()), default=float("inf"))
        assert {(e.mac, e.vlan): (e.port, e.expires) for e in table} == model
    for mac in range(1, 9):
        for vlan in range(3):
            assert table.lookup(mac, vlan) == model.get((mac, vlan), (None,))[0]


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 3)), max_size=80), st.integers(1, 10))
@settings(max_examples=100, deadline=None)
def test_a_full_table_takes_from_the_fullest_port(seen: list[tuple[int, int]], size: int) -> None:
    table = MacTable(max_entries=size)
    for mac, port in seen:
        before = [e.port for e in table]
        new = table.lookup(mac, 0) is None
        oldest = {p: next(e.mac for e in table if e.port == p) for p in set(before)}
        table.update(mac, 0, port, 0.0)
        if new and len(before) == size:
            most = max(before.count(p) for p in set(before))
            (victim,) = [p for p in set(before) if before.count(p) == most
                         and table.lookup(oldest[p], 0) is None]
            assert oldest[victim] != mac
        assert len(table) <= size


def test_a_vlan_is_a_world_of_its_own() -> None:
    table = MacTable()
    table.update(A, 1, 7, 0.0)
    assert table.lookup(A, 1) == 7
    assert table.lookup(A, 2) is None


def test_multicast_is_never_learned() -> None:
    table = MacTable()
    assert not table.update(MULTICAST, 0, 1, 0.0)
    assert table.lookup(MULTICAST, 0) is None
    assert len(table) == 0


def test_nothing_is_learned_in_a_flood_vlan() -> None:
    table = MacTable()
    table.update(A, 5, 1, 0.0)
    table.set_flood_vlans(frozenset({5}))
    assert len(table) == 0
    assert not table.update(A, 5, 1, 0.0)


def test_version_grows_only_with_news() -> None:
    table = MacTable()
    table.update(A, 0, 1, 0.0)
    version = table.version
    table.update(A, 0, 1, 1.0)
    assert table.version == version
    table.update(A, 0, 2, 2.0)
    assert table.version > version


def test_gratuitous_arp_pins_the_address_against_a_bond() -> None:
    table = MacTable()
    table.update(A, 0, 1, 0.0, gratuitous=True)
    assert table.is_locked(A, 0, GRATUITOUS_LOCK_S - 0.1)
    assert not table.update(A, 0, 2, 1.0, gratuitous=True, bond=True)
    assert table.lookup(A, 0) == 1
    assert table.update(A, 0, 2, GRATUITOUS_LOCK_S, gratuitous=True, bond=True)
    assert table.lookup(A, 0) == 2


def test_static_entries_stay_put() -> None:
    table = MacTable(max_entries=2)
    assert table.add_static(A, 0, 1)
    assert not table.add_static(A, 0, 1)
    assert not table.update(A, 0, 2, 0.0)
    table.update(B, 0, 2, 0.0)
    table.update(C, 0, 2, 0.0)
    assert table.lookup(A, 0) == 1
    assert table.lookup(B, 0) is None
    table.expire(1e9)
    table.flush()
    assert [e.mac for e in table] == [A]
    assert table.del_static(A, 0)
    assert table.lookup(A, 0) is None


def test_a_shorter_aging_time_counts_for_what_is_there() -> None:
    table = MacTable()
    table.update(A, 0, 1, 0.0)
    table.set_aging(10)
    assert table.next_deadline() == 10
    table.set_max_entries(0)
    assert len(table) == 0
