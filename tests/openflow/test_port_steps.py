"""What controllers are told of a port goes step by step, and ends with what the port is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.ofproto.events import PortChange, PortStatus
from fastpath.ofproto.port import TOLD_FLAGS
from fastpath.openflow.messages.port import CONFIG_DOWN, STATE_LINK_DOWN, STATE_LIVE
from fastpath.openflow.port_steps import steps, told

DOWN = frozenset(("down",))
TOLD = st.tuples(st.booleans(), st.frozensets(st.sampled_from(TOLD_FLAGS)))


def changed(was: tuple[bool, frozenset[str]], now: tuple[bool, frozenset[str]]) -> PortStatus:
    return PortStatus("br0", 1, "p1", PortChange.MODIFY, *now, None, was)


@pytest.mark.parametrize(("was", "now", "expected"), [
    ((True, frozenset()), (True, DOWN), [(CONFIG_DOWN, 0, True), (CONFIG_DOWN, STATE_LINK_DOWN, False)]),
    ((True, DOWN), (True, frozenset()), [(0, STATE_LINK_DOWN, True), (0, STATE_LIVE, False)]),
    ((True, frozenset()), (False, DOWN), [(0, 0, False), (CONFIG_DOWN, STATE_LINK_DOWN, False)]),
    ((False, DOWN), (True, frozenset()), [(0, STATE_LIVE, False)]),
], ids=["port mod down", "port mod up", "device down", "device up"])
def test_a_port_goes_down_and_up_by_parts(was: tuple[bool, frozenset[str]], now: tuple[bool, frozenset[str]],
                                          expected: list[tuple[int, int, bool]]) -> None:
    assert [step[1:] for step in steps(changed(was, now))] == expected


@given(TOLD, TOLD)
def test_the_last_step_is_what_the_port_is_now(was: tuple[bool, frozenset[str]],
                                               now: tuple[bool, frozenset[str]]) -> None:
    found = list(steps(changed(was, now)))
    assert found[-1][1:3] == told(*now) and {step[0] for step in found} == {PortChange.MODIFY}


@given(TOLD)
def test_a_new_port_is_live_once_it_was_looked_at(now: tuple[bool, frozenset[str]]) -> None:
    first, *rest = steps(PortStatus("br0", 1, "p1", PortChange.ADD, *now))
    config, state = told(*now)
    assert first == (PortChange.ADD, config, state & ~STATE_LIVE, False)
    assert rest == ([(PortChange.MODIFY, config, state, False)] if state & STATE_LIVE else [])
