"""What is logged of flow mods and refusals."""

from __future__ import annotations

import logging

import pytest

from fastpath.ofproto.flow_mod import Command
from fastpath.openflow.keepalive import NEVER
from fastpath.openflow.session_log import FlowModTally, tell, tell_mismatch, tell_refusal


def test_flow_mods_are_told_ten_seconds_after_the_first() -> None:
    tally = FlowModTally()
    assert tally.next_deadline() == NEVER
    tally.count(Command.ADD, 100.0, 3)
    tally.count(Command.DELETE_STRICT, 104.5)
    assert tally.wake(109.9) is None and tally.next_deadline() == 110.0
    assert tally.wake(110.0) == "4 flow_mods in the 4 s starting 10 s ago (3 adds, 1 deletes)"
    assert tally.next_deadline() == NEVER and tally.wake(200.0) is None


def test_then_there_is_a_pause() -> None:
    tally = FlowModTally()
    tally.count(Command.MODIFY, 0.0)
    assert tally.wake(10.0) == "1 flow_mods 10 s ago (1 modifications)"
    tally.count(Command.ADD, 11.0)
    assert tally.next_deadline() == 70.0
    tally.count(Command.ADD, 70.0)
    assert tally.wake(70.0) == "2 flow_mods in the last 59 s (2 adds)"


def test_the_end_of_a_session_tells_at_once() -> None:
    tally = FlowModTally()
    assert tally.take(0.0) is None
    tally.count(Command.MODIFY_STRICT, 5.0)
    assert tally.take(5.5) == "1 flow_mods in the last 0 s (1 modifications)"


def test_only_named_sessions_are_talked_about(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fastpath.connmgr")
    request = bytes.fromhex("010e0048" + "00" * 68)
    tell("", "1 flow_mods")
    tell_refusal("", "OFPBRC_BAD_LEN", request)
    tell("br0<->unix#1", None)
    assert not caplog.messages
    tell("br0<->unix#1", "1 flow_mods")
    tell_refusal("br0<->unix#1", "OFPBRC_BAD_LEN", request)
    tell_refusal("br0<->unix#1", "OFPBRC_BAD_LEN", bytes.fromhex("010e000800000001"))
    tell_refusal("br0<->unix#1", "OFPBRC_BAD_TYPE", bytes.fromhex("01ee000800000001"))
    assert caplog.messages == ["br0<->unix#1: 1 flow_mods",
                               "br0<->unix#1: sending OFPBRC_BAD_LEN error reply to OFPT_FLOW_MOD message",
                               "br0<->unix#1: sending OFPBRC_BAD_LEN error reply to invalid message",
                               "br0<->unix#1: sending OFPBRC_BAD_TYPE error reply to invalid message"]


def test_versions_that_nobody_shares_are_told(caplog: pytest.LogCaptureFixture) -> None:
    for name, ours, theirs in (("br0<->unix#3", {1, 4}, {5}), ("tcp:1.2.3.4:5", {1, 2, 3}, set[int]()),
                               ("", {1}, {2})):
        tell_mismatch(name, frozenset(ours), frozenset(theirs))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "unix#3: version negotiation failed (we support versions 0x01, 0x04, "
                    "peer supports version 0x05)"),
        ("WARNING", "tcp:1.2.3.4:5: version negotiation failed (we support version 0x03 and earlier, "
                    "peer supports no versions)")]
