"""Parts of a match that no packet can have are dropped, and the log says which."""

from __future__ import annotations

import logging

import pytest

from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.match import Match
from fastpath.ofproto.normal_log import tell_normalized


def test_what_is_dropped_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fastpath.ofp_match"):
        assert str(parse_flow("nw_src=1.2.3.4,actions=drop").match) == ""
    assert [r.getMessage() for r in caplog.records] == [
        "normalization changed ofp_match, details:", " pre: nw_src=1.2.3.4", "post: "]


def test_of_what_stays_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fastpath.ofp_match"):
        parse_flow("ip,nw_src=1.2.3.4,actions=drop")
        match = Match.parse("tcp,tp_dst=80")
        tell_normalized(match, match.normalized())
    assert not caplog.records
