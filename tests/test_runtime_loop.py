"""Clocks, the policy loop and the event feed."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from fastpath.runtime.clock import RealClock, VirtualClock
from fastpath.runtime.feed import Feed
from fastpath.runtime.loop import IDLE_WAIT, Loop
from fastpath.switch import Switch


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


def test_stopping_ends_a_wait() -> None:
    waiting, woken = threading.Event(), threading.Event()

    def wait(seconds: float) -> None:
        assert seconds == IDLE_WAIT
        waiting.set()
        assert woken.wait(5)
    loop = Loop(lambda: 60.0, wait, name="test", interrupt=woken.set)
    assert waiting.wait(5)
    loop.stop()


def test_an_idle_switch_takes_fewer_steps_and_does_what_is_asked_all_the_same(
        monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[float] = []
    policy_step = Switch._policy_step

    def step(switch: Switch) -> float:
        steps.append(time.monotonic())
        return policy_step(switch)
    monkeypatch.setattr(Switch, "_policy_step", step)
    with Switch(seed=0, realtime=True) as switch:
        bridge = switch.add_bridge("br0")
        switch.start()
        deadline = time.monotonic() + 60
        while len(steps) < 3 or steps[-1] - steps[-2] < IDLE_WAIT / 2:
            assert time.monotonic() < deadline, steps
            time.sleep(0.01)
        heard = threading.Event()
        bridge.on_flow_removed(lambda event: heard.set())
        bridge.add_flow("cookie=1,send_flow_rem,actions=drop")
        bridge.del_flows("")
        assert heard.wait(60)


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
