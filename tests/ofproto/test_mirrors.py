"""MirrorTable: places, outputs shared, and what goes with a port."""

from __future__ import annotations

import pytest

from fastpath.errors import ConfigError, ExistsError, NotFoundError
from fastpath.ofproto.mirrors import MAX_MIRRORS, Mirror, MirrorTable


def mirror(name: str, *, src: set[int] | None = None, dst: set[int] | None = None, port: int | None = None,
           vlan: int | None = None) -> Mirror:
    return Mirror(name, frozenset(src or ()), frozenset(dst or ()), None, port, vlan)


def test_places_are_filled_from_below_and_order_follows_them() -> None:
    table = MirrorTable()
    for name in "abc":
        table.add(mirror(name, port=1))
    table.remove("a")
    table.add(mirror("d", port=2))
    assert [(m.name, m.bit) for m in table] == [("d", 1), ("b", 2), ("c", 4)]
    assert [m.same_output for m in table] == [1, 6, 6]
    assert table.is_output(1) and table.is_output(2) and not table.is_output(3)
    table.remove("d")
    assert not table.is_output(2) and len(table) == 2


def test_a_port_and_a_vlan_of_one_number_are_two_outputs() -> None:
    table = MirrorTable()
    table.add(mirror("a", port=5))
    table.add(mirror("b", vlan=5))
    assert [m.same_output for m in table] == [1, 2]


def test_a_port_that_goes_takes_the_mirrors_into_it_along() -> None:
    table = MirrorTable()
    table.add(mirror("a", src={1, 2}, port=3))
    table.add(mirror("b", dst={1, 3}, port=4))
    table.add(Mirror("c", None, None, None, None, 7))
    assert [m.name for m in table.selecting_source(1)] == ["a", "c"]
    assert [m.name for m in table.selecting_target(3)] == ["b", "c"]
    assert [m.name for m in table.forget_port(3)] == ["a"]
    assert [m.name for m in table.selecting_target(3)] == ["c"]
    assert [m.name for m in table.selecting_target(1)] == ["b", "c"]


def test_there_are_so_many_places_and_names_are_unique() -> None:
    table = MirrorTable()
    assert not table
    for i in range(MAX_MIRRORS):
        table.add(mirror(str(i), port=i))
    with pytest.raises(ConfigError, match="maximum of 32"):
        table.add(mirror("more", port=1))
    with pytest.raises(ExistsError, match="'3'"):
        table.add(mirror("3", port=1))
    with pytest.raises(NotFoundError, match="'x'"):
        table.remove("x")
    assert table and sum(m.bit for m in table) == (1 << MAX_MIRRORS) - 1
