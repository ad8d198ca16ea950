"""WireLog: lines of messages, whole ones, while somebody takes them."""

from __future__ import annotations

import logging

import pytest

from fastpath.openflow.messages import basic
from fastpath.openflow.messages.table import encode
from fastpath.openflow.wire_log import WireLog

HELLO = encode(basic.Hello(frozenset((1, 4))), 4, 7)
BARRIER = encode(basic.BarrierRequest(), 4, 0x22)
DONE = encode(basic.BarrierReply(), 4, 0x22)


def test_messages_are_told_whole_and_in_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "fastpath.vconn")
    log = WireLog("unix#3", frozenset(range(1, 7)))
    stream = HELLO + BARRIER
    for i in range(len(stream)):
        log.heard(stream[i:i + 1], is_amid=i not in (0, len(HELLO)))
    log.said(DONE[:5])
    log.said(DONE[5:])
    assert [message.split("\n")[0] for message in caplog.messages] == [
        "unix#3: received: OFPT_HELLO (OF1.3) (xid=0x7):",
        "unix#3: negotiated OpenFlow version 0x04 (we support version 0x06 and earlier, "
        "peer supports versions 0x01, 0x04)",
        "unix#3: received: OFPT_BARRIER_REQUEST (OF1.3) (xid=0x22):",
        "unix#3: sent (Success): OFPT_BARRIER_REPLY (OF1.3) (xid=0x22):"]


def test_lines_begin_with_a_message_that_begins(caplog: pytest.LogCaptureFixture) -> None:
    log = WireLog("unix#3", frozenset((4,)))
    caplog.set_level(logging.INFO, "fastpath.vconn")
    log.heard(BARRIER[:3], is_amid=False)
    log.said(DONE[:3])
    caplog.set_level(logging.DEBUG, "fastpath.vconn")
    log.heard(BARRIER[3:], is_amid=True)
    log.said(DONE[3:])
    assert not caplog.messages
    log.heard(BARRIER, is_amid=False)
    assert len(caplog.messages) == 1
