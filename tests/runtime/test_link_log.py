"""What is logged of a connection that is kept up."""

from __future__ import annotations

import logging

import pytest

from fastpath.runtime.connector import AS_ASKED, TIMED_OUT, Link
from fastpath.runtime.link_log import LinkLog
from fastpath.runtime.streams import HUNG_UP

REFUSED = "Connection refused"


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Lines so far."""
    caplog.set_level(logging.INFO, "fastpath.rconn")
    return caplog.messages


def play(log: LinkLog, *links: Link) -> None:
    for link in links:
        log.changed(link)


def test_tries_are_told_until_they_come_at_the_longest_interval(told: list[str],
                                                                caplog: pytest.LogCaptureFixture) -> None:
    log = LinkLog("br0<->tcp:1.2.3.4", max_backoff=4, probe_s=5)
    for wait in (1, 2, 4, 4):
        play(log, Link("CONNECTING", 0), Link("BACKOFF", 0, REFUSED, wait_s=wait))
    failed, again = "connection failed (Connection refused)", "connecting..."
    silence = "continuing to retry connections in the background but suppressing further logging"
    assert [line.partition(": ")[2] for line in caplog.messages] == [
        again, failed, "waiting 1 seconds before reconnect", again, failed,
        "waiting 2 seconds before reconnect", again, failed, silence, failed]
    assert all(line.startswith("br0<->tcp:1.2.3.4: ") for line in caplog.messages)
    assert {r.levelno for r in caplog.records if "failed" in r.message} == {logging.WARNING}


def test_how_a_connection_ended_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fastpath.rconn")
    for why, is_silent in ((HUNG_UP, False), (AS_ASKED, False), ("Connection reset by peer", False),
                           ("closed", True)):
        log = LinkLog("x", max_backoff=8, probe_s=5)
        play(log, Link("CONNECTING", 0), Link("ACTIVE", 0))
        log.changed(Link("BACKOFF", 100.0, why, wait_s=1), is_silent=is_silent)
    ends = [(r.levelname, r.message) for r in caplog.records if "connect" in r.message
            and not r.message.endswith(("connecting...", "connected"))]
    assert ends == [("INFO", "x: connection closed by peer"), ("INFO", "x: disconnecting"),
                    ("WARNING", "x: connection dropped (Connection reset by peer)"),
                    ("ERROR", "x: no response to inactivity probe after 5 seconds, disconnecting")]


def test_a_wait_is_told_only_after_one_that_did_not_hold(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fastpath.rconn")
    log = LinkLog("x", max_backoff=8, probe_s=5)
    play(log, Link("CONNECTING", 0), Link("BACKOFF", 0, TIMED_OUT, wait_s=1), Link("CONNECTING", 1),
         Link("ACTIVE", 1), Link("BACKOFF", 1.5, HUNG_UP, wait_s=2), Link("CONNECTING", 3),
         Link("ACTIVE", 3), Link("BACKOFF", 60, HUNG_UP, wait_s=1))
    assert [line for line in caplog.messages if "waiting" in line or "timed" in line] == [
        "x: connection timed out", "x: waiting 1 seconds before reconnect",
        "x: waiting 2 seconds before reconnect"]
