"""Meters: token buckets that start full, refill by the millisecond and never hold more than the burst."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model.frames import Frame

from fastpath._actions import ActionRunner
from fastpath.dpif.actions import Meter, Output
from fastpath.dpif.program import compile_actions

PROGRAM = compile_actions((Meter(3), Output(1)))
FRAME = bytes(125)                          # 1000 bits


def passed(runner: ActionRunner, n: int, now: float) -> int:
    return len(runner.run(PROGRAM, FRAME, repeat=n, now=now))


def test_packets_per_second() -> None:
    runner = ActionRunner()
    runner.set_meter(3, pktps=True, bands=[(10, 4, 0)])
    assert [passed(runner, 8, t) for t in (0, 0, 0.1, 0.2999, 10)] == [4, 0, 1, 1, 4]
    assert runner.meter_stats(3) == (40, 40 * 125, ((30, 30 * 125),))


def test_kilobits_per_second() -> None:
    runner = ActionRunner()
    runner.set_meter(3, pktps=False, bands=[(10, 3, 0)])
    assert [passed(runner, 8, t) for t in (0, 0.1, 0.2, 60)] == [3, 1, 1, 3]


def test_of_the_bands_exceeded_the_fastest_counts() -> None:
    runner = ActionRunner()
    runner.set_meter(3, pktps=True, bands=[(2, 2, 0), (5, 5, 0), (3, 3, 0)])
    assert passed(runner, 8, 0) == 2
    # The third packet exceeds 2/s, the fourth to fifth 3/s as well, the rest all.
    assert runner.meter_stats(3) == (8, 1000, ((1, 125), (3, 375), (2, 250)))


def test_setting_a_meter_again_starts_its_counters_anew() -> None:
    runner = ActionRunner()
    runner.set_meter(3, pktps=True, bands=[(2, 2, 0)])
    assert passed(runner, 8, 0) == 2
    runner.set_meter(3, pktps=True, bands=[(4, 4, 0)])
    assert runner.meter_stats(3) == (0, 0, ((0, 0),)) and passed(runner, 8, 0) == 4
    with pytest.raises(ValueError, match="9 bands, a meter has 8 at most"):
        runner.set_meter(3, pktps=True, bands=[(1, 1, 0)] * 9)


@pytest.mark.parametrize("v6", [False, True])
def test_remarking_raises_the_drop_precedence_of_assured_forwarding_alone(v6: bool) -> None:
    for tos in range(256):
        for level in (1, 2, 3, 255):
            frame = Frame(v6=v6, tos=tos)
            runner = ActionRunner()
            runner.set_meter(3, pktps=True, bands=[(1, 0, level)])
            ((_port, out, _vnet),) = runner.run(PROGRAM, frame.build())
            # RFC 2597: AF11 is 001 01 0, class and drop precedence.
            kind, precedence, low = tos >> 5, tos >> 3 & 3, tos >> 2 & 1
            if 1 <= kind <= 4 and precedence and not low:
                frame = frame.with_(tos=tos & ~0x18 | min(3, precedence + level) << 3)
            assert out == frame.build(), (tos, level)


def test_a_meter_that_is_not_there_lets_all_pass() -> None:
    assert passed(ActionRunner(), 9, 0) == 9


def test_time_that_goes_back_adds_nothing() -> None:
    runner = ActionRunner()
    runner.set_meter(3, pktps=True, bands=[(10, 1, 0)], now=5)
    assert [passed(runner, 1, t) for t in (5, 4, 5.05)] == [1, 0, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 1000), st.integers(1, 50),
       st.lists(st.tuples(st.integers(0, 200), st.integers(1, 32)), max_size=20))
def test_bucket_equals_its_model(rate: int, burst: int, steps: list[tuple[int, int]]) -> None:
    runner = ActionRunner()
    runner.set_meter(3, pktps=True, bands=[(rate, burst, 0)])
    most = tokens = burst * 1000
    now_ms = 0
    for wait_ms, n in steps:
        now_ms += wait_ms
        tokens = min(most, tokens + wait_ms * rate)
        want = min(n, tokens // 1000)
        tokens -= want * 1000
        assert passed(runner, n, now_ms / 1000 + 0.0001) == want
