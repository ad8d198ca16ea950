"""Probes of quiet controllers, and the rate of what they are sent; in made-up time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastpath.openflow.keepalive import NEVER, Keepalive
from fastpath.openflow.limiter import Limiter


def test_silence_asks_for_a_probe_and_then_is_the_end() -> None:
    k = Keepalive(idle_s=5, now=0)
    assert k.wake(4.9) is None and k.next_deadline() == 5
    assert k.wake(5) == "probe" and k.wake(9) is None
    k.received(9)
    assert k.wake(13) is None and k.wake(14) == "probe" and k.wake(19) == "dead"


def test_patience_may_change() -> None:
    k = Keepalive(idle_s=0, now=0)
    k.set(5)
    assert k.next_deadline() == 5 and k.wake(5) == "probe"
    k.set(0)
    assert k.wake(1e9) is None


def test_a_limit_that_is_lifted_lets_go_what_waits() -> None:
    limiter = Limiter[int](rate=1, burst=2, now=0)
    assert [limiter.offer(i, 0) for i in range(5)] == [True, True, False, False, False]
    assert (limiter.n_passed, limiter.n_queued, limiter.n_dropped, len(limiter)) == (2, 2, 1, 2)
    limiter.set(rate=1, burst=3)
    assert not limiter.offer(5, 0) and limiter.drain() == [2, 3, 5] and not len(limiter)


def test_no_probes_are_none() -> None:
    k = Keepalive(idle_s=0, now=0)
    assert k.next_deadline() == NEVER and k.wake(1e9) is None


@given(st.lists(st.floats(0, 0.2), max_size=200), st.integers(1, 20))
def test_never_more_than_burst_and_rate_go_through_and_none_is_lost_uncounted(gaps: list[float],
                                                                              burst: int) -> None:
    limiter, now, sent = Limiter[int](rate=10, burst=burst, now=0), 0.0, []
    for i, gap in enumerate(gaps):
        now += gap
        sent += limiter.due(now)
        if limiter.offer(i, now):
            sent.append(i)
        assert len(sent) <= burst + now * 10 + 1e-6
    assert sent == sorted(sent)
    while limiter.next_deadline() != NEVER:
        now = max(now, limiter.next_deadline()) + 1e-6
        sent += limiter.due(now)
    assert len(sent) + limiter.n_dropped == len(gaps)
