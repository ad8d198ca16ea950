"""Policing: what comes in by a port beyond a rate is dropped and counted."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire import frame

from fastpath.io._memory import MemoryPort
from fastpath.io._policer import Policer, police

NEVER = 1e-6                    # a rate that fills nothing while a test runs
ARRIVALS = st.lists(st.tuples(st.integers(0, 50_000), st.integers(14, 70_000), st.booleans()), max_size=60)


class Model:
    """The same with whole numbers: tokens are billionths of a bit and of a packet."""

    def __init__(self, bits: int, bits_burst: int, packets: int, packets_burst: int) -> None:
        self.rates, self.bursts = (bits, packets), (bits_burst * 10**9, packets_burst * 10**9)
        self.levels, self.at = list(self.bursts), None

    def admits(self, n_bytes: int, now_us: int, is_segment: bool) -> bool:
        passed = 0 if self.at is None else now_us - self.at
        self.at = now_us
        self.levels = [min(burst, level + rate * passed * 1000)
                       for rate, burst, level in zip(self.rates, self.bursts, self.levels, strict=True)]
        costs = (n_bytes * 8 * 10**9, 10**9)
        needed = (min(costs[0], self.bursts[0]) if is_segment else costs[0], costs[1])
        if any(rate and level < least for rate, level, least in
               zip(self.rates, self.levels, needed, strict=True)):
            return False
        self.levels = [level - cost for level, cost in zip(self.levels, costs, strict=True)]
        return True


# Rates whose tokens are whole for any number of microseconds, so that both sides count exactly.
@given(arrivals=ARRIVALS, bits=st.sampled_from([0, 10**6, 8 * 10**6, 10**9]),
       burst=st.integers(0, 10**6), packets=st.sampled_from([0, 10**6]), packets_burst=st.integers(1, 9))
def test_buckets_equal_the_plain_ones(arrivals: list[tuple[int, int, bool]], bits: int, burst: int,
                                      packets: int, packets_burst: int) -> None:
    policer, model = Policer(), Model(bits, burst, packets, packets_burst)
    policer.set(bits=bits, bits_burst=burst, packets=packets, packets_burst=packets_burst)
    now = 1_000_000
    for wait, size, is_segment in arrivals:
        now += wait
        assert policer.admits(size, now / 10**6, is_segment=is_segment) \
            == model.admits(size, now, is_segment)


@given(arrivals=ARRIVALS, rate=st.integers(1000, 10**8), burst=st.integers(12_000, 10**6))
def test_no_more_passes_in_any_time_than_the_burst_and_the_rate_allow(
        arrivals: list[tuple[int, int, bool]], rate: int, burst: int) -> None:
    policer = Policer()
    policer.set(bits=rate, bits_burst=burst)
    now, passed = 1.0, []
    for wait, size, _is_segment in arrivals:
        now += wait / 10**6
        if policer.admits(size, now):
            passed.append((now, size * 8))
    for i, (begin, _bits) in enumerate(passed):
        total = 0
        for end, bits in passed[i:]:
            total += bits
            assert total <= burst + rate * (end - begin) + 1


def test_the_rate_holds_in_the_long_run() -> None:
    policer = Policer()
    policer.set(bits=8000, bits_burst=8000)             # a thousand bytes a second
    passed = [i for i in range(10_000) if policer.admits(100, 1 + i / 100)]
    assert len(passed) == 10 + 10 * 100 - 1             # the burst, then ten a second: 99.99 seconds of them
    assert max(b - a for a, b in pairwise(passed[20:])) <= 11


def test_a_segment_beyond_the_bucket_passes_and_is_owed() -> None:
    policer = Policer()
    policer.set(bits=8000, bits_burst=8000)
    assert not policer.admits(4000, 1.0)
    assert policer.admits(4000, 1.0, is_segment=True)
    assert not policer.admits(60, 3.9) and not policer.admits(4000, 3.9, is_segment=True)
    assert policer.admits(60, 4.1)


def test_a_port_drops_and_counts_what_is_too_much() -> None:
    port = MemoryPort("p1")
    police(port, bits=NEVER, bits_burst=8 * 250)
    assert port.inject_many([frame(i, 100) for i in range(5)]) == 5
    assert port.recv() == [(frame(0, 100), b""), (frame(1, 100), b"")]
    stats = port.stats()
    assert (stats["rx_packets"], stats["rx_dropped"]) == (5, 3)
    police(port, packets=NEVER, packets_burst=1)
    port.inject_many([frame(i, 1400) for i in range(70)])
    assert [len(port.recv()) for _ in range(3)] == [1, 0, 0]
    police(port)
    port.inject_many([frame(i, 1400) for i in range(20)])
    assert len(port.recv()) == 20
    assert port.stats()["rx_dropped"] == 3 + 69
    port.close()


def test_nothing_negative_is_taken() -> None:
    with pytest.raises(ValueError, match="negative"):
        Policer().set(bits=-1)
    with pytest.raises(ValueError, match="negative"):
        police(MemoryPort("p1"), packets=1, packets_burst=-1)


def test_a_port_that_was_never_policed_stays_as_it_is() -> None:
    port = MemoryPort("p1")
    police(port)
    port.inject_many([frame(0)] * 32)
    assert len(port.recv()) == 32
