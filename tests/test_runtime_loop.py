"""Clocks, the policy loop and the event feed."""

from __future__ import annotations

import asyncio
import threading

import pytest

from fastpath.runtime.clock import RealClock, VirtualClock
from fastpath.runtime.feed import Feed
from fastpath.runtime.loop import Loop


def test_virtual_time_moves_only_forward_and_only_when_told() -> None:
    clock = VirtualClock()
    start = clock.now()
    assert clock.now() == start > 0
    clock.advance_to(start + 5)
    clock.advance_to(start + 3)
    assert clock.now() == start + 5


def test_real_time_goes_on_by_itself() -> None:
    clock = RealClock()
    start = clock.now()
    clock.sleep(0.01)
    clock.sleep(-1)
    assert clock.now() - start >= 0.01


def test_a_loop_steps_until_stopped_and_waits_as_long_as_the_step_says() -> None:
    waited: list[float] = []
    enough = threading.Event()

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            enough.set()
    loop = Loop(lambda: 0.01, wait, name="test")
    assert enough.wait(5) and loop.is_running
    loop.stop()
    assert not loop.is_running and set(waited) == {0.01}


def test_an_exception_in_the_loop_is_raised_by_stop() -> None:
    def step() -> float:
        raise KeyError("broken")
    loop = Loop(step, lambda seconds: None, name="test")
    assert loop.sleep(5)
    with pytest.raises(KeyError, match="broken"):
        loop.stop()
    loop.stop()


def test_a_loop_may_stop_itself() -> None:
    loops: list[Loop] = []
    ready = threading.Event()

    def step() -> float:
        ready.wait(5)
        loops[0].stop()
        return 0.0
    loops.append(Loop(step, lambda seconds: None, name="test"))
    ready.set()
    assert loops[0].sleep(5)


def test_callbacks_get_events_of_their_kind_until_they_are_stopped() -> None:
    feed: Feed[object] = Feed()
    numbers: list[object] = []
    stop = feed.call(int, numbers.append)
    for event in (1, "a", 2):
        feed.publish([event])
    stop()
    stop()
    feed.publish([3])
    assert numbers == [1, 2]


def test_a_stream_yields_what_is_published_from_another_thread_and_ends() -> None:
    feed: Feed[int] = Feed()

    async def main() -> list[int]:
        stream = feed.stream(lambda event: event % 2 == 0)

        def publish() -> None:
            for i in range(100):
                feed.publish([i])
            feed.close()
        threading.Timer(0.01, publish).start()
        return [event async for event in stream]
    assert asyncio.run(main()) == list(range(0, 100, 2))
