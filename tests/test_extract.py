"""What extraction leaves in the key, the layer offsets and the hashes, case by case."""

from __future__ import annotations

import struct
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model import packets

from fastpath import fields
from fastpath._extract import extract, l4_hash, layers, set_max_tags, symmetric_hash
from fastpath._flow import FlowKey

MACS = bytes(range(0x10, 0x1C))


def eth(dl_type: int, payload: bytes) -> bytes:
    return MACS + struct.pack(">H", dl_type) + payload


def ip(proto: int, payload: bytes, *, frag: int = 0, total: int | None = None, options: bytes = b"") -> bytes:
    header = 20 + len(options)
    return (
        struct.pack(
            ">BBHHHBBH4s4s",
            0x40 | header // 4,
            3,
            header + len(payload) if total is None else total,
            0,
            frag,
            64,
            proto,
            0,
            bytes((10, 0, 0, 1)),
            bytes((10, 0, 0, 2)),
        )
        + options
        + payload
    )


UDP = struct.pack(">HHHH", 1000, 53, 8, 0)
TCP = struct.pack(">HHIIHHHH", 1000, 80, 0, 0, 5 << 12 | 0x12, 0, 0, 0)


def test_udp_in_ipv4() -> None:
    key = extract(eth(0x0800, ip(17, UDP)), in_port=3, recirc_id=4, dp_hash=5, pkt_mark=6, skb_priority=7)
    assert dict(key.items()) == {
        "in_port": 3,
        "recirc_id": 4,
        "dl_dst": 0x101112131415,
        "dl_src": 0x161718191A1B,
        "dl_type": 0x0800,
        "nw_src": 0x0A000001,
        "nw_dst": 0x0A000002,
        "nw_tos": 3,
        "nw_ttl": 64,
        "nw_proto": 17,
        "tp_src": 1000,
        "tp_dst": 53,
        "dp_hash": 5,
        "pkt_mark": 6,
        "skb_priority": 7,
    }


def test_tcp_flags_lose_the_data_offset() -> None:
    assert extract(eth(0x0800, ip(6, TCP))).tcp_flags == 0x12


@pytest.mark.parametrize("offset", [0, 4, 6])
def test_tcp_header_of_impossible_length_has_no_ports(offset: int) -> None:
    segment = TCP[:12] + bytes((offset << 4,)) + TCP[13:]
    key = extract(eth(0x0800, ip(6, segment)))
    assert (key.nw_proto, key.tp_src, key.tp_dst, key.tcp_flags) == (6, 0, 0, 0)


@pytest.mark.parametrize(
    ("frag", "nw_frag", "tp_dst"), [(0, 0, 53), (0x4000, 0, 53), (0x2000, 1, 53), (0x2001, 3, 0), (1, 3, 0)]
)
def test_later_fragments_have_no_ports(frag: int, nw_frag: int, tp_dst: int) -> None:
    key = extract(eth(0x0800, ip(17, UDP, frag=frag)))
    assert (key.nw_frag, key.tp_dst) == (nw_frag, tp_dst)


@pytest.mark.parametrize("total", [0, 19, 29, 65535])
def test_total_length_that_lies_leaves_layer_3_out(total: int) -> None:
    frame = eth(0x0800, ip(17, UDP, total=total))
    key = extract(frame)
    assert (key.dl_type, key.nw_src, key.nw_proto, key.tp_dst) == (0x0800, 0, 0, 0)
    assert layers(frame)[:3] == (None, 14, None)


def test_padding_is_no_payload() -> None:
    frame = eth(0x0800, ip(17, UDP[:4])) + UDP[4:] + bytes(10)
    assert extract(frame).tp_src == 0
    assert layers(frame)[:4] == (None, 14, 34, 14)


def test_two_tags_are_kept_a_third_is_the_type() -> None:
    tags = struct.pack(">HHHHHH", 0x88A8, 0x2005, 0x8100, 7, 0x8100, 9)
    key = extract(MACS + tags + struct.pack(">H", 0x0800) + ip(17, UDP))
    assert (key.vlan_tpid, key.vlan_tci, key.vlan1_tpid, key.vlan1_tci, key.dl_type) == (
        0x88A8,
        0x3005,
        0x8100,
        0x1007,
        0x8100,
    )


def test_tag_at_the_end_of_the_frame_is_a_type() -> None:
    key = extract(MACS + b"\x81\x00\x00\x05")
    assert (key.dl_type, key.vlan_tci) == (0x8100, 0)


@pytest.mark.parametrize(
    ("tail", "dl_type"),
    [
        (b"\xaa\xaa\x03\0\0\0\x08\x06", 0x0806),
        (b"\xaa\xaa\x03\0\0\1\x08\x06", 0x05FF),
        (b"\xaa\xaa\x03\0\0\0\x05\x06", 0x05FF),
        (b"\x42\x42\x03\0\0\0\0\0", 0x05FF),
        (b"\xaa\xaa\x03", 0x05FF),
    ],
)
def test_llc_and_snap(tail: bytes, dl_type: int) -> None:
    assert extract(MACS + b"\0\x08" + tail).dl_type == dl_type


@pytest.mark.parametrize(("n", "kept"), [(1, 1), (3, 3), (5, 3)])
def test_mpls_keeps_three_labels_and_skips_the_stack(n: int, kept: int) -> None:
    stack = b"".join(struct.pack(">I", (i + 1) << 12 | (i == n - 1) << 8 | 64) for i in range(n))
    frame = eth(0x8847, stack + b"rest")
    key = extract(frame)
    assert [lse >> 12 for lse in (key.mpls_lse0, key.mpls_lse1, key.mpls_lse2)] == [
        i + 1 if i < kept else 0 for i in range(3)
    ]
    assert layers(frame)[:3] == (14, 14 + 4 * n, None)


def test_neighbour_discovery() -> None:
    sll, tll = b"\1\1" + bytes(range(6)), b"\2\1" + bytes(range(6, 12))
    body = struct.pack(">BBHI", 136, 0, 0, 0x60000000) + bytes(range(16))

    def nd(options: bytes) -> FlowKey:
        segment = body + options
        return extract(
            eth(0x86DD, struct.pack(">IHBB", 6 << 28, len(segment), 58, 255) + bytes(32) + segment)
        )

    key = nd(tll + sll)
    assert key.nd_target == int.from_bytes(bytes(range(16)), "big")
    assert (key.nd_sll, key.nd_tll) == (0x000102030405, 0x060708090A0B)
    assert (key.nd_reserved, key.nd_options_type) == (0x60000000, 2)
    assert (key.tp_src, key.tp_dst) == (136, 0)
    twice = nd(tll + tll)
    assert (twice.nd_target, twice.nd_sll, twice.nd_tll, twice.nd_reserved) == (0, 0, 0, 0x60000000)
    assert nd(b"").nd_options_type == 0


def test_igmp_group() -> None:
    assert extract(eth(0x0800, ip(2, bytes((0x16, 0, 0, 0, 224, 0, 0, 5))))).igmp_group_ip4 == 0xE0000005


def test_nsh() -> None:
    header = struct.pack(">HBBI", 1 << 12 | 63 << 6 | 6, 1, 3, 0x123456FF) + struct.pack(">IIII", 1, 2, 3, 4)
    key = extract(eth(0x894F, header))
    assert (key.nsh_flags, key.nsh_ttl, key.nsh_mdtype, key.nsh_np, key.nsh_spi, key.nsh_si) == (
        1,
        63,
        1,
        3,
        0x123456,
        0xFF,
    )
    assert (key.nsh_c1, key.nsh_c2, key.nsh_c3, key.nsh_c4) == (1, 2, 3, 4)
    assert extract(eth(0x894F, b"\x40" + header[1:])).nsh_path_hdr == 0


def test_packet_without_ethernet_header() -> None:
    key = extract(ip(17, UDP), packet_type=0x10800)
    assert (key.packet_type, key.dl_type, key.dl_src, key.nw_dst, key.tp_dst) == (
        0x10800,
        0x0800,
        0,
        0x0A000002,
        53,
    )
    assert layers(ip(17, UDP), packet_type=0x10800)[:3] == (None, 0, 20)


def test_conntrack_and_tunnel_come_from_metadata() -> None:
    md = FlowKey(
        ct_state=0x21,
        ct_zone=5,
        ct_mark=6,
        ct_label=7,
        ct_nw_proto=17,
        ct_nw_src=1,
        ct_nw_dst=2,
        ct_tp_src=3,
        ct_tp_dst=4,
        tun_id=8,
        tun_dst=9,
        tun_ttl=64,
        in_port=99,
        dl_src=1,
    )
    key = extract(eth(0x0800, ip(17, UDP)), in_port=3, md=md)
    for name in (
        "ct_state",
        "ct_zone",
        "ct_mark",
        "ct_label",
        "ct_nw_proto",
        "ct_nw_src",
        "ct_nw_dst",
        "ct_tp_src",
        "ct_tp_dst",
        "tun_id",
        "tun_dst",
        "tun_ttl",
    ):
        assert getattr(key, name) == getattr(md, name), name
    assert (key.in_port, key.dl_src) == (3, 0x161718191A1B)
    arp = extract(eth(0x0806, packets.arp(Random(1), 1)), md=md)
    assert (arp.ct_state, arp.ct_nw_proto, arp.ct_nw_src, arp.ct_tp_src) == (0x21, 0, 0, 0)
    six = extract(eth(0x86DD, packets.ipv6(Random(1), 17, UDP)), md=md)
    assert (six.ct_state, six.ct_nw_proto, six.ct_tp_src) == (0x21, 0, 0)


def test_no_tunnel_destination_means_no_tunnel() -> None:
    assert extract(eth(0x0800, ip(17, UDP)), md=FlowKey(tun_id=8, tun_src=1)).tun_id == 0


def test_every_truncation_keeps_what_was_whole() -> None:
    """A prefix of a frame never has a MAC, tag or address that the frame has not."""
    whole = ("dl_dst", "dl_src", "vlan_tci", "vlan1_tci", "mpls_lse0")
    for frame in packets.samples(Random(5)):
        full = extract(frame)
        for n in range(len(frame)):
            key = extract(frame[:n])
            for name in whole:
                assert getattr(key, name) in (0, getattr(full, name)), (name, n, frame.hex())


def test_every_header_field_is_produced_by_some_packet() -> None:
    seen: set[str] = set()
    rng = Random(7)
    for _ in range(10):
        for frame in packets.samples(rng):
            seen |= {name for name, _ in extract(frame).items()}
    header = {
        m.name
        for m in fields.MEMBERS
        if m.stage != fields.Stage.METADATA and not m.name.startswith(("pad", "ct_"))
    }
    assert header <= seen


@given(st.binary(max_size=200))
def test_any_bytes_are_a_packet(frame: bytes) -> None:
    key = extract(frame)
    assert (key.dl_type == 0) == (len(frame) < 14)
    for ofs in layers(frame)[:3]:
        assert ofs is None or ofs <= len(frame)


def test_hash_is_the_same_for_both_directions_when_symmetric() -> None:
    rng = Random(3)
    for frame in packets.samples(rng):
        key = extract(frame)
        back = key.copy()
        back.dl_src, back.dl_dst = key.dl_dst, key.dl_src
        back.nw_src, back.nw_dst, back.ipv6_src, back.ipv6_dst = (
            key.nw_dst,
            key.nw_src,
            key.ipv6_dst,
            key.ipv6_src,
        )
        if key.nw_proto in (6, 17, 132):
            back.tp_src, back.tp_dst = key.tp_dst, key.tp_src
        assert symmetric_hash(key, 7) == symmetric_hash(back, 7)


def test_hashes_spread_and_obey_the_basis() -> None:
    keys = [
        FlowKey(dl_type=0x0800, nw_src=i, nw_dst=1, nw_proto=6, tp_src=i * 3 & 0xFFFF) for i in range(4000)
    ]
    for hash_of in (l4_hash, symmetric_hash):
        assert len({hash_of(k, 0) for k in keys}) > 3990
        assert hash_of(keys[0], 0) != hash_of(keys[0], 1)
        low = [hash_of(k, 0) & 15 for k in keys]
        assert all(150 < low.count(i) < 350 for i in range(16))


def test_single_conntrack_arguments() -> None:
    key = extract(eth(0x0800, ip(17, UDP)), ct_state=0x22, ct_zone=1, ct_mark=2, ct_label=3)
    assert (key.ct_state, key.ct_zone, key.ct_mark, key.ct_label, key.ct_nw_proto) == (0x22, 1, 2, 3, 0)


def test_as_many_tags_are_read_as_asked_for() -> None:
    frame = bytes.fromhex("505400000007505400000005" "88a80005" "81000007" "0800") + bytes(20)
    set_max_tags(1)
    try:
        key = extract(frame)
        assert (key.vlan_tci, key.vlan1_tci, key.dl_type) == (0x1005, 0, 0x8100)
    finally:
        set_max_tags(2)
    key = extract(frame)
    assert (key.vlan_tci, key.vlan1_tci, key.dl_type) == (0x1005, 0x1007, 0x0800)
    with pytest.raises(ValueError, match="expected 1 or 2"):
        set_max_tags(3)
