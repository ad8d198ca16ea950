"""A connection without a socket: negotiation, framing, echo, refusals."""

from __future__ import annotations

import pytest

from fastpath.ofproto.actions.versions import OF10, OF13, OF15
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.connection import Connection
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.table import HEADER, Frame, decode, encode


def said(connection: Connection) -> list[Frame]:
    """Messages that wait to be sent; they are taken away."""
    data, out = connection.take(1 << 20), []
    connection.sent(len(data))
    while data:
        size = HEADER.unpack_from(data)[2]
        out.append(decode(data[:size]))
        data = data[size:]
    return out


def met(theirs: bytes, versions: tuple[int, ...] = VERSIONS) -> Connection:
    connection = Connection(versions)
    said(connection)
    assert list(connection.received(theirs)) == []
    return connection


@pytest.mark.parametrize(("header", "bitmap", "ours", "spoken"), [
    (OF15, {OF10, OF13}, VERSIONS, OF13), (OF13, None, VERSIONS, OF13), (OF15, None, (OF10, OF13), OF13),
    (OF10, None, VERSIONS, OF10), (OF15, {OF10, OF15}, (OF10, OF13), OF10)])
def test_the_highest_version_both_speak_is_spoken(header: int, bitmap: set[int] | None,
                                                  ours: tuple[int, ...], spoken: int) -> None:
    hello = basic.Hello(None if bitmap is None else frozenset(bitmap))
    assert met(encode(hello, header, 1), ours).version == spoken


def test_a_hello_of_a_later_version_is_understood() -> None:
    later = b"\x09" + encode(basic.Hello(frozenset({OF10, OF13, 9})), OF15, 1)[1:]
    assert met(later).version == OF13


def test_without_a_common_version_the_peer_is_told_and_left() -> None:
    connection = met(encode(basic.Hello(frozenset({OF15})), OF15, 5), (OF10,))
    (frame,) = said(connection)
    assert connection.closed and frame == Frame(OF15, 0, basic.Error(
        "OFPHFC_INCOMPATIBLE", b"We support version 0x01, you support version 0x06, no common versions."))


def test_what_comes_byte_by_byte_is_read_as_a_whole() -> None:
    data = encode(basic.Hello(), OF13, 1) + encode(basic.EchoRequest(b"abc"), OF13, 2) + \
        encode(basic.BarrierRequest(), OF13, 3) + encode(basic.FeaturesRequest(), OF13, 4)
    connection, got = Connection(), []
    said(connection)
    for i in range(len(data)):
        got += [frame for frame, _raw in connection.received(data[i:i + 1])]
    assert got == [Frame(OF13, 3, basic.BarrierRequest()), Frame(OF13, 4, basic.FeaturesRequest())]
    assert said(connection) == [Frame(OF13, 2, basic.EchoReply(b"abc"))]


def test_a_message_that_cannot_be_read_is_refused_and_the_next_one_read() -> None:
    connection = met(encode(basic.Hello(), OF13, 1))
    bad = bytes.fromhex("0463000800000007")
    got = list(connection.received(bad + encode(basic.BarrierRequest(), OF13, 8)))
    assert [frame.message for frame, _raw in got] == [basic.BarrierRequest()]
    assert said(connection) == [Frame(OF13, 7, basic.Error("OFPBRC_BAD_TYPE", bad))]


@pytest.mark.parametrize("version", [OF10, OF13])
def test_a_second_hello_is_refused_in_its_own_version(version: int) -> None:
    connection = met(encode(basic.Hello(), OF13, 1))
    hello = encode(basic.Hello(), version, 9)
    assert list(connection.received(hello)) == [] and not connection.closed
    assert said(connection) == [Frame(version, 9, basic.Error("OFPBRC_BAD_TYPE", hello))]


def test_a_length_that_cannot_be_ends_the_connection() -> None:
    connection = met(encode(basic.Hello(), OF13, 1))
    assert list(connection.received(bytes.fromhex("0402000700000001"))) == []
    assert connection.closed and not said(connection)


@pytest.mark.parametrize(("version", "answered"), [(OF10, OF10), (OF15, OF15), (9, OF10)])
def test_a_message_of_another_version_is_refused_in_it_and_no_other(version: int, answered: int) -> None:
    connection, seen = met(encode(basic.Hello(), OF13, 1)), []
    connection.on_other_version = seen.append
    bad = bytes([version]) + bytes.fromhex("05000800000007")
    got = list(connection.received(bad + encode(basic.BarrierRequest(), OF13, 8)))
    assert [frame.message for frame, _raw in got] == [basic.BarrierRequest()] and seen == [version]
    assert said(connection) == [Frame(answered, 7, basic.Error("OFPBRC_BAD_VERSION", bad))]


def test_an_echo_of_another_version_is_answered_in_it() -> None:
    connection = met(encode(basic.Hello(), OF13, 1))
    assert list(connection.received(encode(basic.EchoRequest(b"there?"), OF15, 5))) == []
    assert said(connection) == [Frame(OF15, 5, basic.EchoReply(b"there?"))]


def test_a_peer_that_does_not_read_makes_it_congested() -> None:
    connection = met(encode(basic.Hello(), OF13, 1))
    echo = encode(basic.EchoRequest(bytes(60_000)), OF13, 2)
    for _ in range(100):
        list(connection.received(echo))
    assert connection.is_congested
    connection.sent(connection.backlog)
    assert not connection.is_congested
