"""Places of tunnel options in the flow key: each keeps its value, and whether it is there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastpath import FlowKey, Match
from fastpath.fields import BY_NAME
from fastpath.ofproto.tlv_table import TlvMapping, TlvTable
from fastpath.tlv import Options, present

SIZES = st.dictionaries(st.integers(0, 63), st.integers(0, 15).map(lambda n: 4 * n), max_size=4)


def places(sizes: dict[int, int], gaps: set[int]) -> Options:
    """A table of these options; *gaps* were taken while they came, so that some are in pieces."""
    table = TlvTable().added(TlvMapping(9, i, 8, 63 - i) for i in range(30) if 63 - i not in sizes)
    table = table.without(63 - i for i in range(30) if i not in gaps)
    table = table.added(TlvMapping(1, i, size, i) for i, size in sizes.items() if i not in table.places
                        and size <= 256 - sum(m.size for m in table))
    return {i: p for i, p in table.places.items() if i in sizes}


@given(SIZES, st.sets(st.integers(0, 29), max_size=6), st.data())
def test_options_do_not_touch_each_other(sizes: dict[int, int], gaps: set[int], data: st.DataObject) -> None:
    options, key = places(sizes, gaps), FlowKey(tun_id=7, metadata=9)
    values = {i: data.draw(st.integers(0, p.limit)) for i, p in options.items()}
    for i, value in values.items():
        options[i].write(key, value)
    assert {p.index: p.read(key) for p in present(options, key)} == values
    for i, place in options.items():
        place.delete(key)
        assert not place.is_present(key) and place.read(key) == values[i]
    assert present(options, key) == [] and (key.tun_id, key.metadata) == (7, 9)


@given(SIZES, st.sets(st.integers(0, 29), max_size=6), st.data())
def test_a_match_says_the_same_where_a_table_has_its_options(sizes: dict[int, int], gaps: set[int],
                                                             data: st.DataObject) -> None:
    options, match = places(sizes, gaps), Match.of(reg0=5)
    for i, place in options.items():
        value = data.draw(st.integers(0, place.limit))
        mask = data.draw(st.integers(0, place.limit) if not place.size else st.none() | st.integers(
            0, place.limit))
        match.add_option(BY_NAME[f"tun_metadata{i}"], value, mask)
    bound = match.bound(options)
    assert str(bound.unbound()) == str(match)
    assert bound.unbound().bound(options) == bound
    # It matches a packet that has just these values and no other.
    key = FlowKey(reg0=5)
    for i, place in options.items():
        place.write(key, bound.get(BY_NAME[f"tun_metadata{i}"])[0])
    assert bound.matches(key)
    for i, place in options.items():
        other = key.copy()
        place.delete(other)
        assert not bound.matches(other)
        value, mask = bound.get(BY_NAME[f"tun_metadata{i}"])
        if mask:
            place.write(other, value ^ (mask & -mask))
            assert not bound.matches(other)
