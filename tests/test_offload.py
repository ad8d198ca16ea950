"""Laws of software offloads: segments carry the same payload in order, with right lengths and sums."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from model.frames import ICMP, TCP, UDP, Frame, ones_sum

from fastpath._offload import finish

GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, GSO_ECN = 1, 4, 5, 0x80


def gso(frame: Frame, size: int, flags: int = 0) -> bytes:
    """The vnet header that asks for segments of *size* payload bytes."""
    start = len(frame.build()) - len(frame.l4())
    kind = GSO_UDP_L4 if frame.proto == UDP else GSO_TCPV6 if frame.v6 else GSO_TCPV4
    headers = start + (20 if frame.proto == TCP else 8)
    return struct.pack("=BBHHHH", 1, kind | flags, headers, size, start, 16 if frame.proto == TCP else 6)


@st.composite
def big_frames(draw: st.DrawFn) -> Frame:
    v6 = draw(st.booleans())
    address = st.integers(0, (1 << (128 if v6 else 32)) - 1)
    return Frame(v6=v6, proto=draw(st.sampled_from((TCP, UDP))), owed=True,
                 nw_src=draw(address), nw_dst=draw(address),
                 tags=draw(st.sampled_from(((), ((0x8100, 5),), ((0x88A8, 5), (0x8100, 6))))),
                 labels=draw(st.sampled_from(((), (0x140,)))),
                 payload=draw(st.binary(max_size=700)) * draw(st.integers(1, 40)))


def checked(frame: Frame, segment: bytes) -> tuple[bytes, bytes]:
    """(L4 header, payload) of a segment whose lengths and checksums are right."""
    l3 = len(frame.build()) - len(frame.l3())
    ip, size = segment[l3:], 40 if frame.v6 else 20
    assert segment[:l3] == frame.build()[:l3]
    if frame.v6:
        assert int.from_bytes(ip[4:6], "big") == len(ip) - 40
    else:
        assert int.from_bytes(ip[2:4], "big") == len(ip) and ones_sum(ip[:20]) == 0xFFFF
    l4 = ip[size:]
    assert ones_sum(l4, frame.pseudo(len(l4))) == 0xFFFF
    header = 20 if frame.proto == TCP else 8
    if frame.proto == UDP:
        assert int.from_bytes(l4[4:6], "big") == len(l4) and l4[6:8] != b"\0\0"
    return l4[:header], l4[header:]


def test_segments_join_to_the_same_payload(more: int) -> None:
    @settings(max_examples=80 * more, deadline=None)
    @given(big_frames(), st.integers(8, 1460))
    def law(frame: Frame, size: int) -> None:
        out = finish(frame.build(), gso(frame, size))
        parts = [checked(frame, s) for s in out]
        assert b"".join(data for _, data in parts) == frame.payload
        assert all(len(data) == size for _, data in parts[:-1]) and len(parts[-1][1]) <= size
        l3 = len(frame.build()) - len(frame.l3())
        if not frame.v6:
            assert [int.from_bytes(s[l3 + 4:l3 + 6], "big") for s in out] == list(range(7, 7 + len(out)))
        if frame.proto == TCP:
            starts = [int.from_bytes(h[4:8], "big") for h, _ in parts]
            assert starts == [1 + i * size for i in range(len(parts))]
            assert [h[13] for h, _ in parts] == [0x10] * (len(parts) - 1) + [0x18]

    law()


def test_fin_stays_with_the_last_segment_and_cwr_with_the_first() -> None:
    frame = Frame(proto=TCP, payload=bytes(30), owed=True)
    data = bytearray(frame.build())
    at = len(data) - len(frame.l4()) + 13
    data[at] = 0x91
    assert [s[at] for s in finish(data, gso(frame, 10, GSO_ECN))] == [0x90, 0x10, 0x11]


def test_finishing_equals_computing_from_scratch(more: int) -> None:
    @settings(max_examples=60 * more, deadline=None)
    @given(big_frames().map(lambda f: f.with_(payload=f.payload[:900])))
    def law(frame: Frame) -> None:
        assert finish(frame.build(), frame.vnet()) == [frame.with_(owed=False).build()]

    law()


def test_padding_of_a_short_frame_is_not_summed() -> None:
    frame = Frame(owed=True, payload=b"x")
    pad = b"\xee" * 10
    assert finish(frame.build() + pad, frame.vnet()) == [frame.with_(owed=False).build() + pad]


def test_nothing_owed_nothing_changed() -> None:
    frame = Frame(proto=ICMP).build()
    assert finish(frame, b"") == [frame]


def test_headers_that_lie_give_nothing(more: int) -> None:
    @settings(max_examples=120 * more, deadline=None)
    @given(big_frames().map(lambda f: f.with_(payload=f.payload[:100])), st.data())
    def law(frame: Frame, data: st.DataObject) -> None:
        cut = frame.build()[:data.draw(st.integers(14, 90))]
        vnet = data.draw(st.one_of(st.binary(min_size=10, max_size=10),
                                   st.sampled_from((gso(frame, 9), frame.vnet()))))
        for out in finish(cut, vnet):
            assert len(out) <= len(cut)

    law()


def test_a_type_that_is_not_the_packets_is_refused() -> None:
    frame = Frame(proto=TCP, payload=bytes(30), owed=True)
    v6_type = gso(frame.with_(v6=True), 10)[:2] + gso(frame, 10)[2:]
    assert finish(frame.build(), v6_type) == [] == finish(frame.build(), gso(frame, 0))
