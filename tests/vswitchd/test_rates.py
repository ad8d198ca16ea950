"""Rates are those of what was counted in the last 5 seconds, minute and hour."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastpath.vswitchd.rates import SPANS, STEP_S, Rates


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_rates_are_what_was_added_over_the_time(added: list[int]) -> None:
    total = 0
    rates = Rates(lambda: {"n": total}, 0.0)
    for i, more in enumerate(added, 1):
        total += more
        rates.look(i * STEP_S)
    for span, rate in zip(SPANS, rates.of({"n": total})["n"], strict=True):
        assert abs(rate - sum(added[-span:]) / (span * STEP_S)) < 1e-9


def test_nothing_is_told_before_the_first_step() -> None:
    rates = Rates(lambda: {"n": 7}, 0.0)
    rates.look(STEP_S / 2)
    assert rates.of({"n": 7})["n"] == (0.0, 0.0, 0.0)


def test_a_long_sleep_costs_one_look() -> None:
    looks = 0

    def count() -> dict[str, int]:
        nonlocal looks
        looks += 1
        return {"n": looks}
    rates = Rates(count, 0.0)
    rates.look(1e9)
    assert looks == 1
