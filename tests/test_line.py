"""Lines: a packet read as plain is what extraction says it is, and every way of comparing lines agrees."""

from __future__ import annotations

import ctypes
import mmap
import struct
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model import packets

from fastpath._extract import extract, layers
from fastpath._flow import FlowKey
from fastpath._line import alike_ways, covered_ways, key_hash, read_plain

NONE = 0xFFFF


def frame(proto: int, rest: bytes, *, tag: bytes = b"", first: int = 0x45, frag: int = 0,
          total: int = -1) -> bytes:
    total = 20 + len(rest) if total < 0 else total
    ip = struct.pack(">BBHHHBBHII", first, 3, total, 0, frag, 64, proto, 0, 0x0A000001, 0x0A000002)
    return bytes(range(0x10, 0x1C)) + tag + struct.pack(">H", 0x0800) + ip + rest


UDP, ICMP = bytes.fromhex("0005000700080000"), bytes.fromhex("0800000000010001")
TCP = bytes.fromhex("0005000700000001000000025012 010000000000")
TAG = bytes.fromhex("81000064")


def told(data: bytes, md: FlowKey | None = None) -> bool:
    """Whether *data* is plain; if so, it was read as extraction reads it."""
    seen, = read_plain([data], mds=[md])
    assert read_plain([data], mds=[md], form="best") == [seen]
    if seen is None:
        return False
    key, offsets, _ = seen
    more = {} if md is None else {"in_port": md.in_port, "recirc_id": md.recirc_id}
    assert bytes(extract(data, **more)) == bytes(key)
    *ofs, pad = layers(data)
    assert offsets == (*(NONE if o is None else o for o in ofs), pad)
    return True


@pytest.mark.parametrize("tag", [b"", TAG, bytes.fromhex("88a81fff")])
@pytest.mark.parametrize("proto, rest", [(17, UDP), (6, TCP), (1, ICMP), (6, TCP + bytes(99))])
def test_common_packets_are_plain_and_their_prefixes_are_not(proto: int, rest: bytes, tag: bytes) -> None:
    data = frame(proto, rest, tag=tag)
    assert told(data) and told(data + bytes(20))
    assert not any(told(data[:n]) for n in range(len(data)))
    assert told(data, FlowKey(in_port=7, recirc_id=9))


def other(dl_type: int, rest: bytes = bytes(40), *, tag: bytes = b"") -> bytes:
    return bytes(range(0x10, 0x1C)) + tag + struct.pack(">H", dl_type) + rest


OPTIONS = bytes.fromhex("94040000") * 2


@pytest.mark.parametrize("tag", [b"", TAG])
@pytest.mark.parametrize("data", [
    {"proto": 17, "rest": OPTIONS + UDP, "first": 0x47}, {"proto": 6, "rest": OPTIONS + TCP, "first": 0x47},
    {"proto": 17, "rest": UDP, "first": 0x65}, {"proto": 17, "rest": UDP, "frag": 0x2000},
    {"proto": 17, "rest": UDP, "frag": 1}, {"proto": 6, "rest": TCP, "frag": 0x2001},
    {"proto": 17, "rest": UDP, "total": 27}, {"proto": 17, "rest": UDP, "total": 20},
    {"proto": 6, "rest": TCP[:12] + b"\x40" + TCP[13:]}, {"proto": 6, "rest": TCP[:12] + b"\x60" + TCP[13:]},
    {"proto": 6, "rest": TCP[:19]}, {"proto": 1, "rest": ICMP, "total": 27},
    {"proto": 132, "rest": bytes(range(12))}, {"proto": 132, "rest": bytes(range(11))},
    {"proto": 50, "rest": bytes(range(16))}, {"proto": 0, "rest": bytes(8)},
    {"proto": 17, "rest": UDP, "first": 0x47}], ids=range(17))
def test_what_ip4_may_carry_and_options_and_fragments_fit_a_line(data: dict[str, Any], tag: bytes) -> None:
    assert told(frame(**data, tag=tag) + bytes(4))


@pytest.mark.parametrize("dl_type", [0x0600, 0x0601, 0x22F0, 0x88B5, 0x88CC, 0x8863, 0xFFFF])
@pytest.mark.parametrize("tag", [b"", TAG])
def test_types_that_are_not_read_into_fit_a_line(dl_type: int, tag: bytes) -> None:
    assert told(other(dl_type, tag=tag)) and told(other(dl_type, bytes(70000), tag=tag))


@pytest.mark.parametrize("tag", [b"", TAG])
@pytest.mark.parametrize("dl_type", [0x86DD, 0x0806, 0x8035, 0x8847, 0x8848, 0x894F, 0x88E7, 0x05FF, 0x0032])
def test_types_that_are_read_into_do_not(dl_type: int, tag: bytes) -> None:
    assert not told(other(dl_type, tag=tag))


@pytest.mark.parametrize("data", [
    frame(17, UDP[:7]), frame(17, UDP, total=29), frame(17, UDP, total=19), frame(17, UDP, first=0x44),
    frame(17, UDP, first=0x4F), frame(17, UDP, tag=TAG * 2), frame(2, bytes(8)), frame(58, bytes(8)),
    frame(17, UDP) + bytes(70000), other(0x8100), other(0x88A8, tag=TAG)], ids=range(11))
def test_what_needs_more_than_a_line_is_not_plain(data: bytes) -> None:
    assert not told(data)


@pytest.mark.parametrize("md", ["dp_hash", "pkt_mark", "skb_priority", "packet_type"])
def test_a_packet_with_metadata_is_not_plain(md: str) -> None:
    assert not told(frame(17, UDP), FlowKey(**{md: 1}))


def test_of_valid_and_spoiled_packets_every_plain_one_is_read_as_extraction_reads_it(more: int) -> None:
    rng = Random(4)
    assert sum(told(data) for data in packets.mutated(rng, 4000 * more)) > 50
    spoiled = [packets.mutate(rng, frame(p, r + rng.randbytes(rng.randrange(9)), tag=t))
               for p, r in ((17, UDP), (6, TCP), (1, ICMP)) for t in (b"", TAG) for _ in range(1000 * more)]
    plain = sum(map(told, spoiled))
    assert len(spoiled) // 10 < plain < len(spoiled)


def test_in_batches_of_all_kinds_each_packet_is_read_as_if_it_came_alone(more: int) -> None:
    rng, plain = Random(7), 0
    kinds = [frame(p, r, tag=t) for p, r in ((17, UDP), (6, TCP), (1, ICMP)) for t in (b"", TAG)]
    for _ in range(600 * more):
        few = rng.sample(kinds, rng.choice((1, 2, 6)))
        frames = [rng.choice(few) for _ in range(rng.randrange(1, 33))]
        mds = [FlowKey(in_port=rng.randrange(3), recirc_id=rng.randrange(2)) for _ in frames]
        for i in rng.sample(range(len(frames)), rng.choice((0, 0, 1, len(frames) // 2))):
            frames[i] = packets.mutate(rng, frames[i])
        if rng.random() < 0.2:
            mds[rng.randrange(len(mds))] = FlowKey(**{rng.choice(("dp_hash", "pkt_mark", "packet_type")): 1})
        alone = [read_plain([f], mds=[md])[0] for f, md in zip(frames, mds, strict=True)]
        assert read_plain(frames, mds=mds) == alone == read_plain(frames, mds=mds, form="best")
        plain += sum(a is not None for a in alone)
    assert plain > 3000


TOLD_APART = {"in_port": 1, "recirc_id": 1, "dl_src": 1, "dl_dst": 1, "dl_type": 1, "vlan_tci": 1,
              "nw_src": 1, "nw_dst": 1, "tp_src": 1, "tp_dst": 1, "ipv6_src": 1, "ipv6_dst": 1 << 64,
              "mpls_lse0": 1 << 12}
VARY_TOGETHER = [("nw_src", 1, "nw_dst", 1), ("nw_src", 1, "tp_src", 16), ("nw_dst", 256, "tp_src", 1),
                 ("tp_src", 1, "tp_dst", 1), ("dl_src", 1, "dl_dst", 1), ("dl_src", 1, "nw_src", 1),
                 ("ipv6_src", 1, "ipv6_dst", 1), ("ipv6_src", 1 << 64, "ipv6_dst", 1),
                 ("ipv6_dst", 1, "tp_src", 1)]


def test_hashes_are_the_same_by_line_and_by_key_and_of_what_does_not_change_within_a_connection() -> None:
    for proto, rest in ((17, UDP), (6, TCP), (1, ICMP)):
        data = bytearray(frame(proto, rest, tag=TAG))
        read, = read_plain([data], form="best")
        data[19], data[26] = 0xB8, 7                # TOS and TTL
        again, = read_plain([data], form="best")
        assert read is not None and again is not None and read[2] == again[2] == key_hash(extract(data))
    assert len({key_hash(FlowKey(nw_tos=i, nw_ttl=i, tcp_flags=i)) for i in range(64)}) == 1


@pytest.mark.parametrize("name", TOLD_APART)
def test_hashes_spread_over_buckets_and_signatures(name: str) -> None:
    spread([hash_of({name: i * TOLD_APART[name]}) for i in range(4000)])


@pytest.mark.parametrize("one, by, other, step", VARY_TOGETHER)
def test_hashes_spread_where_two_fields_vary_together(one: str, by: int, other: str, step: int) -> None:
    spread([hash_of({one: i * by, other: j * step}) for i in range(64) for j in range(64)])
    spread([hash_of({one: i * by, other: i * step}) for i in range(4000)])


def hash_of(fields: dict[str, int]) -> int:
    dl_type = 0x86DD if "ipv6_dst" in fields or "ipv6_src" in fields else 0x0800
    return key_hash(FlowKey(**{"dl_type": dl_type} | fields))


def spread(hashes: list[int]) -> None:
    """That they are as different as chance has it, as a cache takes them."""
    assert all(h >> 48 for h in hashes)                                     # 0 is an empty way
    assert len({h >> 6 & 0xFFFF for h in hashes}) > 0.95 * len(hashes)      # 0.97 by chance
    assert len({(h >> 6 & 63, h >> 48) for h in hashes}) > len(hashes) - 20     # four by chance


def common(data: bytes) -> bool:
    """Whether a plain packet is TCP or UDP over IPv4 without options, no fragment, and whole."""
    ip = data[18:] if data[12:14] in (b"\x81\x00", b"\x88\xa8") else data[14:]
    total, fragment = struct.unpack_from(">2xH2xH", ip)
    return ip[0] == 0x45 and not fragment & 0x3FFF and (
        (ip[9] == 17 and total >= 28) or (ip[9] == 6 and 20 <= (ip[32] >> 4) * 4 <= total - 20))


def assert_alike(told: tuple[Any, ...], frames: list[bytes], covered: list[bool], read: list[Any]) -> None:
    """That what was told of packets compared with a flow is what it is of those *covered*."""
    if not covered[0]:
        assert told == (0xFFFFFFFF,)
        return
    bits, n_bytes, _, keys = told
    assert bits == sum((not c) << i for i, c in enumerate(covered))
    assert n_bytes == sum(len(f) for f, c in zip(frames, covered, strict=True) if c)
    assert keys == [bytes(r[0])[:56] for r, c in zip(read, covered, strict=True) if c]


def test_packets_of_one_flow_are_compared_as_they_are_read(more: int) -> None:
    rng, kept = Random(5), 0
    for _ in range(300 * more):
        proto, rest = rng.choice([(17, UDP), (6, TCP), (1, ICMP)])
        first = frame(proto, rest, tag=rng.choice([b"", b"", TAG]))
        frames = [first] * rng.randrange(1, 33)
        for i in rng.sample(range(len(frames)), rng.choice([0, 0, len(frames) // 4])):
            frames[i] = packets.mutate(rng, first)
        mask = FlowKey(in_port=0xFFFFFFFF, dl_type=0xFFFF, nw_proto=0xFF, tp_dst=0xFFFF,
                       nw_tos=rng.choice([0, 0xFF]), dl_src=rng.choice([0, 0xFFFFFFFFFFFF]))
        read = read_plain(frames)
        flow = extract(first)
        plain, best = alike_ways(frames, flow, mask)
        covered = [r is not None and mask_agrees(r[0], flow, mask) for r in read]
        assert_alike(plain, frames, covered, read)
        if best != plain:               # vectors leave what is not common to the cache
            assert_alike(best, frames, [c and common(f) for f, c in zip(frames, covered, strict=True)], read)
        if not covered[0]:
            continue
        assert plain[2] == (0x012 if proto == 6 else 0) or len(set(frames)) > 1
        kept += 1
    assert kept > 100


def mask_agrees(key: FlowKey, flow: FlowKey, mask: FlowKey) -> bool:
    words = [struct.unpack("=83Q", bytes(k)) for k in (key, flow, mask)]
    return all((k ^ f) & m == 0 for k, f, m in zip(*words, strict=True))


def test_no_byte_behind_a_frame_is_looked_at(more: int) -> None:
    """Frames end where their page does, and the next one cannot be read."""
    page, rng = mmap.PAGESIZE, Random(6)
    pages = mmap.mmap(-1, 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(start + page), page, 0) == 0
    whole = [frame(p, r, tag=t) for p, r in ((17, UDP), (6, TCP), (1, ICMP)) for t in (b"", TAG)]
    spoiled = [packets.mutate(rng, f) for f in whole * 50 * more]
    for data in [f[:n] for f in whole for n in range(len(f) + 1)] + spoiled:
        place = memoryview(pages)[page - len(data):page]
        place[:] = data
        assert read_plain([place], form="best") == read_plain([data])
        place.release()
    assert libc.mprotect(ctypes.c_void_p(start + page), page, mmap.PROT_READ | mmap.PROT_WRITE) == 0


words = st.lists(st.sampled_from([0, 1, 0xFF, 1 << 63, (1 << 64) - 1]), min_size=7, max_size=7)

def masked(a: list[int], m: list[int]) -> list[int]:
    return [x & y for x, y in zip(a, m, strict=True)]



def key_of(line: list[int]) -> FlowKey:
    return FlowKey.from_bytes(struct.pack("=83Q", *line, *[0] * 76))


@given(words, words, st.lists(words, min_size=1, max_size=32))
def test_every_way_of_comparing_lines_agrees(flow: list[int], mask: list[int],
                                             others: list[list[int]]) -> None:
    others.append(flow)
    ways = covered_ways(key_of(masked(flow, mask)), key_of(mask), [key_of(o) for o in others[:32]])
    assert ways == [(masked(o, mask) == masked(flow, mask),) * 4 for o in others[:32]]
