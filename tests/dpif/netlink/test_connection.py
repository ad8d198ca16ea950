"""The text of connections, as ovs-dpctl prints them."""

from __future__ import annotations

import time

import pytest

from fastpath.dpif.netlink.connection import Connection, TcpState, Tuple, format_connection, format_counts

ORIG = Tuple("10.0.0.1", "10.0.0.2", 6, (40000, 80))
REPLY = Tuple("10.0.0.2", "10.1.1.1", 6, (80, 40000))
WEB = Connection(ORIG, REPLY, zone=7, mark=5, label=1, tcp=TcpState(3, (7, 6), (0x23, 0)), id=256, timeout=30,
                 status=0xE, counters=((5, 500), (4, 400)))


def test_a_connection() -> None:
    assert format_connection(WEB) == (
        "tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=40000,dport=80),"
        "reply=(src=10.0.0.2,dst=10.1.1.1,sport=80,dport=40000),zone=7,mark=5,labels=0x1,"
        "protoinfo=(state=ESTABLISHED)")
    ping = Connection(Tuple("10.0.0.1", "10.0.0.2", 1, (99, 8, 0)),
                      Tuple("10.0.0.2", "10.0.0.1", 1, (99, 0, 0)), helper="ftp")
    assert format_connection(ping) == (
        "icmp,orig=(src=10.0.0.1,dst=10.0.0.2,id=99,type=8,code=0),"
        "reply=(src=10.0.0.2,dst=10.0.0.1,id=99,type=0,code=0),helper=ftp")
    other = Connection(Tuple("::1", "::2", 99), Tuple("::2", "::1", 99))
    assert format_connection(other) == (
        "99,orig=(src=::1,dst=::2,sport=0,dport=0),reply=(src=::2,dst=::1,sport=0,dport=0)")


def test_more_and_counters() -> None:
    assert format_connection(WEB, verbose=True) == (
        "tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=40000,dport=80),"
        "reply=(src=10.0.0.2,dst=10.1.1.1,sport=80,dport=40000),id=256,zone=7,"
        "status=SEEN_REPLY|ASSURED|CONFIRMED,mark=5,labels=0x1,protoinfo=(state_orig=ESTABLISHED,"
        "state_reply=ESTABLISHED,wscale_orig=7,wscale_reply=6,flags_orig=WINDOW_SCALE|SACK_PERM|MAXACK_SET,"
        "flags_reply=0)")
    counted = format_connection(WEB, statistics=True)
    assert ",dport=80,packets=5,bytes=500)," in counted and ",zone=7,timeout=30,mark=5," in counted


def test_times_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    c = Connection(ORIG, REPLY, times=(1_700_000_000_123_000_000, 1_700_000_001_000_000_000))
    told = format_connection(c, statistics=True)
    assert ",start=2023-11-14T22:13:20.123,stop=2023-11-14T22:13:21.000," in told


def test_states_are_coalesced_but_for_verbose_text() -> None:
    syn = Connection(ORIG, REPLY, tcp=TcpState(2))
    assert format_connection(syn).endswith("(state=ESTABLISHED)")
    assert "state_orig=SYN_RECV," in format_connection(syn, verbose=True)
    assert format_connection(Connection(ORIG, REPLY, tcp=TcpState(77))).endswith("(state=[77])")


def test_counts() -> None:
    some = [WEB, WEB, Connection(ORIG, REPLY, tcp=TcpState(7)),
            *(Connection(Tuple("a", "b", proto), Tuple("b", "a", proto)) for proto in (17, 1, 1, 58, 47))]
    assert format_counts([]) == "Connections Stats:\n    Total: 0\n"
    assert format_counts(some) == (
        "Connections Stats:\n    Total: 8\n  TCP: 3\n  UDP: 1\n  ICMP: 2\n  Other: 1\n")
    assert ("  TCP: 3\n    Conn per TCP states:\n\t  [ESTABLISHED]=2\n\t  [TIME_WAIT]=1\n  UDP: 1\n"
            in format_counts(some, verbose=True))
