"""Port numbers go round, and rest for an hour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.vswitchd.port_numbers import LAST, REST_S, PortNumbers


@given(st.lists(st.tuples(st.sampled_from(("take", "free", "choose")), st.integers(1, 9)), max_size=60))
def test_no_number_is_given_twice_nor_again_while_others_are_fresh(steps: list[tuple[str, int]]) -> None:
    numbers, used, ever = PortNumbers(), set(), set()
    for now, (what, number) in enumerate(steps):
        if what == "take":
            assert numbers.take(number) == (number not in used)
            used.add(number)
            ever.add(number)
        elif what == "free":
            numbers.free(number, now)
            used.discard(number)
        else:
            found = numbers.choose(now)
            assert found not in ever
            used.add(found)
            ever.add(found)


def test_a_number_comes_back_after_an_hour_or_when_there_is_no_other() -> None:
    numbers = PortNumbers()
    for expected in range(1, LAST + 1):
        assert numbers.choose(0.0) == expected
    with pytest.raises(OverflowError):
        numbers.choose(0.0)
    numbers.free(9, 1.0)
    numbers.free(5, 2.0)
    assert numbers.choose(3.0) == 9
    assert numbers.choose(2.0 + REST_S) == 5
