"""Unfinished checksums found by the bytes alone: all are, and finished ones stay as they are."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from fastpath._offload import finish
from fastpath.io._partial import owed

TCP, UDP, SCTP = 6, 17, 132
FIELD = {TCP: 16, UDP: 6, SCTP: 8}
HEADER = {TCP: 20, UDP: 8, SCTP: 12}


def folded(data: bytes) -> int:
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@st.composite
def packets(draw: st.DrawFn) -> tuple[bytes, int, int, bytes]:
    """A frame with an unfinished checksum, where L4 begins, its protocol and its pseudo header."""
    proto = draw(st.sampled_from([TCP, UDP, SCTP]))
    l4 = bytearray(draw(st.binary(min_size=HEADER[proto], max_size=60)))
    tags = draw(st.sampled_from(["", "81000005", "88a8000581000006"]))
    pad = draw(st.sampled_from([b"", bytes(6)]))
    if proto == TCP:
        l4[12] = 0x50
    if draw(st.booleans()):
        addresses = draw(st.binary(min_size=8, max_size=8))
        options = draw(st.sampled_from([b"", b"\1\1\1\0"]))
        ip = bytearray(struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(l4), 0,
                                   0x4000, 64, proto, 0)) + addresses + options
        pseudo, kind = addresses + struct.pack("!HH", proto, len(l4)), "0800"
    else:
        addresses = draw(st.binary(min_size=32, max_size=32))
        extension = draw(st.sampled_from([b"", bytes([proto, 0]) + bytes(6)]))
        ip = bytearray(struct.pack("!IHBB", 6 << 28, len(extension) + len(l4), 60 if extension else proto, 9))
        ip += addresses + extension
        pseudo, kind = addresses + struct.pack("!IHH", len(l4), 0, proto), "86dd"
    field = FIELD[proto]
    l4[field:field + 2] = folded(pseudo).to_bytes(2, "big")
    if proto == SCTP:
        l4[8:12] = bytes(4)
    head = bytes.fromhex("020000000002020000000001" + tags + kind) + bytes(ip)
    return head + bytes(l4) + pad, len(head), proto, pseudo


@given(packets())
def test_every_unfinished_checksum_is_found(case: tuple[bytes, int, int, bytes]) -> None:
    frame, l4, proto, _ = case
    vnet = owed(frame)
    assert vnet[0] == 1
    assert struct.unpack("=HH", vnet[6:]) == (l4, FIELD[proto])


@given(packets())
def test_a_finished_checksum_is_never_changed(case: tuple[bytes, int, int, bytes]) -> None:
    frame, _, _, _ = case
    (finished,) = finish(frame, owed(frame))
    vnet = owed(finished)
    assert (finish(finished, vnet) if vnet else [finished]) == [finished]


@given(packets(), st.binary(min_size=2, max_size=2))
def test_a_finished_checksum_that_looks_unfinished_is_finished_to_itself(case: tuple[bytes, int, int, bytes],
                                                                         word: bytes) -> None:
    """Make one: choose two bytes of the payload so that the checksum comes out as the pseudo header's sum."""
    frame, l4, proto, pseudo = case
    if proto == SCTP:
        return
    end = l4 + int.from_bytes(pseudo[-2:] if len(pseudo) == 12 else pseudo[34:36], "big")
    field = l4 + FIELD[proto]
    partial = folded(pseudo)
    body = bytearray(frame)
    body[l4:l4 + 2] = b"\0\0"               # the source port settles it
    rest = folded(pseudo + bytes(body[l4:end]))
    body[l4:l4 + 2] = ((0xFFFF - rest) % 0xFFFF).to_bytes(2, "big")
    assert body[field:field + 2] == partial.to_bytes(2, "big")
    assert folded(pseudo + bytes(body[l4:end])) == 0xFFFF       # it is right as it stands
    vnet = owed(bytes(body))
    assert vnet[0] == 1
    assert finish(bytes(body), vnet) == [bytes(body)]


@given(packets(), st.integers(0, 120))
def test_a_frame_cut_short_owes_nothing_beyond_its_end(case: tuple[bytes, int, int, bytes],
                                                       size: int) -> None:
    frame = case[0][:size]
    vnet = owed(frame)
    if vnet:
        start, field = struct.unpack("=HH", vnet[6:])
        assert start + field + 2 <= len(frame)


def test_fragments_owe_nothing() -> None:
    frame = bytes.fromhex("020000000002020000000001" "0800" "4500002400002000401100000a0000010a000002"
                          "0000000000100000") + bytes(8)
    assert owed(frame) == b""
