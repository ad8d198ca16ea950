"""Requests in parts: put together, refused, given up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF13, OF15
from fastpath.openflow.messages import basic, stats
from fastpath.openflow.messages.table import encode
from fastpath.openflow.multiparts import MAX_SIZE, PART_S, Multiparts


def part(body: bytes, xid: int = 5, *, more: bool, version: int = OF13) -> bytes:
    return encode(stats.TableFeaturesRequest(whole(body)), version, xid, more=more)


def whole(body: bytes) -> bytes:
    """*body* as long as one may be."""
    return body + bytes(-len(body) % 8)


@given(bodies=st.lists(st.binary(max_size=40), min_size=1, max_size=6), others=st.lists(st.integers(6, 9)))
def test_bodies_are_joined_in_order_whatever_comes_between(bodies: list[bytes], others: list[int]) -> None:
    parts = Multiparts()
    for body in bodies[:-1]:
        assert parts.decode(part(body, more=True), 1.0) is None
        for xid in others:
            frame = parts.decode(part(b"other", xid, more=False), 1.0)
            assert frame is not None and frame.message.data == whole(b"other")
            assert parts.decode(encode(basic.BarrierRequest(), OF13, 5), 1.0) is not None
    frame = parts.decode(part(bodies[-1], more=False), 1.0)
    assert frame is not None and frame.xid == 5 and frame.message.data == b"".join(map(whole, bodies))
    assert parts.next_deadline() == float("inf")


def test_before_1_3_every_message_is_whole() -> None:
    frame = Multiparts().decode(encode(stats.TableRequest(), OF10, 1, more=True), 1.0)
    assert frame is not None


def test_a_request_is_given_up_when_a_part_is_late_and_its_last_part_is_told() -> None:
    parts = Multiparts()
    parts.decode(part(b"first", more=True), 1.0)
    parts.decode(part(b"second", more=True), 1.5)
    assert parts.expire(1.5 + PART_S - 0.01) == [] and parts.next_deadline() == 1.5 + PART_S
    assert parts.expire(1.5 + PART_S) == [part(b"second", more=True)] and parts.expire(99) == []
    frame = parts.decode(part(b"third", more=False), 99)
    assert frame is not None and frame.message.data == whole(b"third")


@pytest.mark.parametrize("version", [OF13, OF15])
def test_parts_of_different_requests_and_too_many_bytes_end_the_request(version: int) -> None:
    parts = Multiparts()
    parts.decode(part(b"", more=True, version=version), 1.0)
    with pytest.raises(OpenFlowError, match="BAD_STAT"):
        parts.decode(encode(stats.DescRequest(), version, 5), 1.0)
    big = part(bytes(60000), more=True, version=version)
    for _ in range(MAX_SIZE // len(big)):
        assert parts.decode(big, 1.0) is None
    with pytest.raises(OpenFlowError, match="MULTIPART_BUFFER_OVERFLOW"):
        parts.decode(big, 1.0)
    assert parts.next_deadline() == float("inf")


def test_only_some_requests_may_have_several_bodies() -> None:
    parts, ask = Multiparts(), stats.FlowRequest()
    parts.decode(encode(ask, OF13, 5, more=True), 1.0)
    with pytest.raises(OpenFlowError, match="BAD_STAT"):
        parts.decode(encode(ask, OF13, 5), 1.0)


def test_what_nobody_knows_is_refused_when_its_first_part_comes() -> None:
    data = bytearray(part(b"", more=True))
    data[9] = 77
    with pytest.raises(OpenFlowError, match="BAD_STAT"):
        Multiparts().decode(bytes(data), 1.0)


def test_what_is_no_part_of_any_request_leaves_the_request_as_it_was() -> None:
    parts = Multiparts()
    parts.decode(part(b"first", more=True), 1.0)
    strange = bytearray(part(b"", more=True))
    strange[9] = 77
    with pytest.raises(OpenFlowError, match="BAD_STAT"):
        parts.decode(bytes(strange), 1.5)
    assert parts.expire(1.0 + PART_S) == [part(b"first", more=True)]
