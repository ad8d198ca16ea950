"""Recirculation ids: equal states share one, references are counted."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.ofproto.recirc import MAX_GONE, FrozenState, RecircTable


def state(n: int) -> FrozenState:
    return FrozenState(bridge="br", table_id=n, metadata=())       # type: ignore[arg-type]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=60))
@settings(max_examples=200, deadline=None)
def test_an_id_lives_as_long_as_somebody_holds_it(steps: list[tuple[bool, int]]) -> None:
    table, refs, ids = RecircTable(), dict.fromkeys(range(5), 0), {}
    for take, n in steps:
        if take:
            new = table.alloc(state(n))
            assert new > 0
            assert refs[n] == 0 or new == ids[n], "a state has one id"
            ids[n] = new
            refs[n] += 1
        elif refs[n]:
            table.release([ids[n]])
            refs[n] -= 1
            if not refs[n]:
                gone = ids.pop(n)
                assert table.get(gone) == state(n), "packets may be on their way"
                table.forget()
                table.forget()
                assert table.get(gone) is None
    live = {n for n in refs if refs[n]}
    assert len(table) == len(live)
    assert len({ids[n] for n in live}) == len(live), "no two states share an id"
    assert all(table.get(ids[n]) == state(n) for n in live)


def test_hold_takes_another_reference() -> None:
    table = RecircTable()
    one = table.alloc(state(1))
    table.hold([one, one])
    table.release([one])
    table.release([one])
    assert table.get(one) == state(1)
    table.release([one])
    assert table.is_fading and table.alloc(state(1)) != one, "an equal state has an id of its own"
    table.forget()
    assert table.get(one) == state(1)
    table.forget()
    assert table.get(one) is None and not table.is_fading


def test_ids_nobody_holds_are_kept_in_bounds() -> None:
    table = RecircTable()
    ids = [table.alloc(state(n)) for n in range(MAX_GONE + 1)]
    table.release(ids)
    assert [table.get(ids[0]), table.get(ids[1])] == [None, state(1)]


def test_a_forgotten_id_is_not_handed_out_again_at_once() -> None:
    table = RecircTable()
    first = table.alloc(state(1))
    table.release([first])
    assert table.alloc(state(2)) != first
