"""Tuples that say which connections to forget."""

from __future__ import annotations

import pytest

from fastpath.dpif.netlink.connection import Connection, Tuple
from fastpath.dpif.netlink.ctmatch import CtMatch
from fastpath.errors import ParseError

WEB = Connection(Tuple("10.0.0.1", "10.0.0.2", 6, (40000, 80)), Tuple("10.0.0.2", "10.0.0.1", 6, (80, 40000)))
V6 = Connection(Tuple("fe80::1", "fe80::2", 17, (1, 2)), Tuple("fe80::2", "fe80::1", 17, (2, 1)))


def match(orig: str, reply: str = "") -> CtMatch:
    found = CtMatch()
    found.take(orig, found.orig)
    found.take(reply, found.reply)
    return found


@pytest.mark.parametrize(("orig", "reply", "web", "v6"), [
    ("", "", True, True), ("ct_nw_proto=6", "", True, False), ("ct_nw_src=10.0.0.1", "", True, False),
    ("ct_nw_src=10.0.0.2", "", False, False), ("", "ct_nw_src=10.0.0.2", True, False),
    ("ct_ipv6_dst=fe80::2", "", False, True), ("ct_nw_proto=17,ct_tp_dst=2", "", False, True),
    ("ct_nw_proto=6,ct_tp_src=40000", "ct_tp_dst=40000", True, False),
    ("ct_nw_proto=6,ct_tp_src=40000", "ct_tp_dst=4", False, False)])
def test_a_match_covers(orig: str, reply: str, web: bool, v6: bool) -> None:
    found = match(orig, reply)
    assert (found.covers(WEB), found.covers(V6)) == (web, v6)
    assert found.is_anything == (not orig and not reply) and not found.is_one


@pytest.mark.parametrize(("source", "message"), [
    ("ct_nw_src", "field ct_nw_src missing value"), ("fish=1", "invalid conntrack tuple field: fish"),
    ("ct_nw_src=x", "failed to parse field ct_nw_src"), ("ct_tp_src=5", "port is set without protocol"),
    ("ct_nw_src=1.2.3.4,ct_ipv6_dst=::1", "the L3 protocol does not match ::1"),
    ("ct_nw_src=1.2.3.4,ct_nw_src=1.2.3.5", "ct_nw_src is set multiple times"),
    ("ct_nw_proto=6,icmp_id=4", "invalid L4 fields"),
    ("ct_nw_proto=256", "failed to parse field ct_nw_proto")])
def test_the_words_of_the_reference(source: str, message: str) -> None:
    with pytest.raises(ParseError) as told:
        match(source)
    assert str(told.value) == message
