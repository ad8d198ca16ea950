"""Fail modes: when a bridge begins anew, fails open and comes back, against the sentences that say so."""

from __future__ import annotations

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.ofproto.fail_open import FailMode, FailOpen


class Bridge:
    """Remembers what was done to it: "user" rules come and go with flushes."""

    def __init__(self) -> None:
        self.rules: list[str] = ["user"]
        self.hidden = False

    def flush(self, now: float) -> None:
        self.rules.clear()

    def add_normal(self, now: float) -> None:
        self.rules.append("normal")

    def fail_open(self, on: bool, now: float) -> None:
        assert on is not self.hidden
        self.hidden = on


def test_without_controllers_the_mode_says_how_tables_begin() -> None:
    bridge = Bridge()
    failing = FailOpen(bridge)
    failing.set_mode(FailMode.SECURE, 0)
    assert bridge.rules == ["user"]                 # it was secure: no change
    failing.set_mode(FailMode.STANDALONE, 1)
    assert bridge.rules == ["normal"]
    failing.set_mode(FailMode.SECURE, 2)
    assert bridge.rules == [] and failing.next_deadline() == inf


def test_controllers_have_three_probe_intervals() -> None:
    bridge = Bridge()
    failing = FailOpen(bridge)
    failing.set_mode(FailMode.STANDALONE, 0)
    failing.set_controllers(1, 8.0, 10)
    assert bridge.rules == [] and failing.next_deadline() == 34
    bridge.rules.append("user")
    failing.wake(33.9)
    assert bridge.rules == ["user"]
    failing.wake(34)
    assert bridge.rules == [] and bridge.hidden and failing.is_active
    bridge.rules.append("user")
    failing.admitted(40)
    assert bridge.rules == ["user"] and not bridge.hidden and failing.next_deadline() == inf
    failing.lost(50)
    failing.lost(55)
    assert failing.next_deadline() == 74


def test_one_more_controller_has_its_own_time() -> None:
    failing = FailOpen(Bridge())
    failing.set_mode(FailMode.STANDALONE, 0)
    failing.set_controllers(1, 5.0, 0)
    failing.set_controllers(2, 5.0, 10)
    assert failing.next_deadline() == 25
    failing.set_controllers(1, 5.0, 20)
    assert failing.next_deadline() == 25
    failing.admitted(21)
    failing.set_controllers(2, 5.0, 22)
    assert failing.next_deadline() == inf


WHAT = ("admitted", "lost", "wait", "wait")


@given(st.lists(st.one_of(st.sampled_from(FailMode), st.integers(0, 2), st.sampled_from(WHAT)), max_size=30))
@settings(max_examples=200, deadline=None)
def test_it_is_open_only_while_a_standalone_bridge_misses_its_controllers(
        steps: list[FailMode | int | str]) -> None:
    bridge, now, away = Bridge(), 0.0, 0.0
    failing = FailOpen(bridge)
    for step in steps:
        if isinstance(step, FailMode):
            failing.set_mode(step, now)
        elif isinstance(step, int):
            failing.set_controllers(step, 5.0, now)
        elif step == "wait":
            now += 4
            away += 4
            failing.wake(now)
        else:
            if step == "admitted":
                failing.admitted(now)
                away = 0.0
            else:
                failing.lost(now)
        assert bridge.hidden is failing.is_active
        if bridge.hidden:
            assert failing.mode is FailMode.STANDALONE and failing.n_controllers and away >= 15
            assert failing.next_deadline() == inf
