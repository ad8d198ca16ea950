"""Meters: token buckets that start full, refill by the millisecond and never hold more than the burst."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath._actions import ActionRunner
from fastpath.dpif.actions import Meter, Output
from fastpath.dpif.program import compile_actions

PROGRAM = compile_actions((Meter(3), Output(1)))
FRAME = bytes(125)                          # 1000 bits


def passed(runner: ActionRunner, n: int, now: float) -> int:
    return len(runner.run(PROGRAM, FRAME, repeat=n, now=now))


def test_packets_per_second() -> None:
    runner = ActionRunner()
    runner.set_meter(3, pktps=True, rate=10, burst=4)
    assert [passed(runner, 8, t) for t in (0, 0, 0.1, 0.2999, 10)] == [4, 0, 1, 1, 4]
    assert runner.meter_stats(3) == ((40, 40 * 125), (30, 30 * 125))


def test_kilobits_per_second() -> None:
    runner = ActionRunner()
    runner.set_meter(3, pktps=False, rate=10, burst=3)
    assert [passed(runner, 8, t) for t in (0, 0.1, 0.2, 60)] == [3, 1, 1, 3]


def test_burst_defaults_to_the_rate() -> None:
    runner = ActionRunner()
    runner.set_meter(3, pktps=True, rate=7)
    assert passed(runner, 32, 0) == 7


def test_a_meter_that_is_not_there_lets_all_pass() -> None:
    assert passed(ActionRunner(), 9, 0) == 9


def test_time_that_goes_back_adds_nothing() -> None:
    runner = ActionRunner()
    runner.set_meter(3, pktps=True, rate=10, burst=1, now=5)
    assert [passed(runner, 1, t) for t in (5, 4, 5.05)] == [1, 0, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 1000), st.integers(0, 50),
       st.lists(st.tuples(st.integers(0, 200), st.integers(1, 32)), max_size=20))
def test_bucket_equals_its_model(rate: int, burst: int, steps: list[tuple[int, int]]) -> None:
    runner = ActionRunner()
    runner.set_meter(3, pktps=True, rate=rate, burst=burst)
    most = tokens = (burst or rate) * 1000
    now_ms = 0
    for wait_ms, n in steps:
        now_ms += wait_ms
        tokens = min(most, tokens + wait_ms * rate)
        want = min(n, tokens // 1000)
        tokens -= want * 1000
        assert passed(runner, n, now_ms / 1000 + 0.0001) == want
