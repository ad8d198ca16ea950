"""Rules: timeouts, counts and the line a dump prints."""

from __future__ import annotations

import pytest

from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.match import Match
from fastpath.ofproto.rule import FLAG_BY_TEXT, FlowFlags, RemovedReason, Rule


def make(**values: float) -> Rule:
    return Rule(Match.parse("tcp"), 100, parse_actions("output:2"), now=1.0, **values)  # type: ignore[arg-type]


def test_a_rule_without_timeouts_never_expires() -> None:
    assert make().expiry() == float("inf") and make().expired(1e12) is None


def test_the_earlier_timeout_decides_and_the_hard_one_wins_a_tie() -> None:
    r = make(idle_timeout=5, hard_timeout=9)
    assert r.expiry() == 6.0
    r.credit(1, 64, 4.0)
    assert r.expiry() == 9.0
    assert r.expired(8.9) is None and r.expired(9.0) is RemovedReason.IDLE_TIMEOUT
    assert r.expired(10.0) is RemovedReason.HARD_TIMEOUT


def test_late_credit_does_not_move_the_last_use_back() -> None:
    r = make()
    r.credit(2, 128, 7.0)
    r.credit(1, 64, 3.0)
    assert (r.n_packets, r.n_bytes, r.used) == (3, 192, 7.0)


def test_dump_line() -> None:
    r = make(
        idle_timeout=7, hard_timeout=9, importance=3, cookie=0xABC, flags=FlowFlags.SEND_FLOW_REM, table_id=4
    )
    r.credit(2, 108, 3.5)
    assert r.format(6.25) == (
        "cookie=0xabc, duration=5.250s, table=4, n_packets=2, n_bytes=108, idle_timeout=7, "
        "hard_timeout=9, send_flow_rem importance=3, idle_age=2, priority=100,tcp "
        "actions=output:2"
    )
    assert r.format(6.25, stats=False) == (
        "cookie=0xabc, table=4, idle_timeout=7, hard_timeout=9, send_flow_rem importance=3, "
        "priority=100,tcp actions=output:2"
    )


def test_dump_line_without_match_and_with_names() -> None:
    r = Rule(Match(), actions=parse_actions("output:3"))
    assert r.format(0.0, stats=False) == str(r) == "actions=output:3"
    assert r.format(0.0, stats=False, ports={3: "p3"}) == "actions=output:p3"


@pytest.mark.parametrize("name, flag", FLAG_BY_TEXT.items())
def test_flags_print_their_words(name: str, flag: FlowFlags) -> None:
    assert flag.text == f"{name} "
