"""Every form of extraction leaves what the walk leaves: key, layer offsets, padding and hash."""

from __future__ import annotations

import itertools
import struct
import subprocess
import sys
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from model import packets

from fastpath._extract import extract, forms, layers, set_form
from fastpath._extract_batch import Reader
from fastpath._flow import FlowKey

BATCH = 32
TUNNEL = FlowKey(tun_dst=1, tun_src=2, tun_id=3, tun_opts=1, ct_state=0x21, ct_label=5, ct_nw_proto=6)
ZONE = FlowKey(ct_state=0x20, ct_zone=7)


@pytest.fixture(params=["words", "avx2"])
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    if not forms()[request.param]:
        pytest.skip(f"this processor has no {request.param}")
    before = set_form(request.param)
    yield request.param
    set_form(before)


def segment(rng: Random, proto: int) -> bytes:
    """TCP with and without options and data, or UDP."""
    payload = rng.randbytes(rng.choice((0, 0, 1, 2, 3, 4, 12, 13, 40)))
    if proto == 17:
        return rng.randbytes(8) + payload
    words = rng.choice((5, 5, 5, 6, 8, 15))
    flags = words << 12 | rng.randrange(4096)
    return rng.randbytes(12) + struct.pack(">H", flags) + rng.randbytes(words * 4 - 14) + payload


def of_a_shape(rng: Random) -> bytes:
    """A frame of one of the shapes, most often with room for a whole TCP header."""
    proto = rng.choice((6, 6, 17))
    body = segment(rng, proto)
    if rng.random() < 0.5:
        ip = packets.ipv4(rng, proto, body, frag=rng.choice((0, 0x4000)))
        frame = packets.ethernet(rng, packets.IPV4, ip)
    else:
        frame = packets.ethernet(rng, packets.IPV6, packets.ipv6(rng, proto, body))
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        frame = packets.vlan(rng.choice((0x8100, 0x88A8)), rng.randrange(65536), frame)
    return frame + bytes(rng.choice((0, 0, 6, 12, 20, 300)))


def metadata(rng: Random) -> dict[str, Any]:
    meta: dict[str, Any] = {"in_port": rng.randrange(1 << 32)}
    if rng.random() < 0.3:
        for name in ("recirc_id", "dp_hash", "pkt_mark", "skb_priority"):
            meta[name] = rng.choice((0, 1, 0xFFFFFFFF, rng.randrange(1 << 32)))
    kind = rng.random()
    if kind < 0.05:
        meta["md"] = rng.choice((TUNNEL, FlowKey(tun_ipv6_dst=1, tun_ttl=9), ZONE))
    elif kind < 0.08:
        meta["packet_type"] = rng.choice((0x10800, 0x186DD, 0x18847))
    return meta


def check(reader: Reader, batch: list[tuple[bytes, dict[str, Any]]]) -> None:
    for (frame, meta), (key, read) in zip(batch, reader.read(batch), strict=True):
        assert key == extract(frame, **meta), (frame.hex(), meta)
        assert read == layers(frame, packet_type=meta.get("packet_type", 0)), (frame.hex(), meta)


def test_batches_of_any_packets(form: str, more: int) -> None:
    """Packets of all kinds and spoiled ones through the same keys: nothing of an earlier packet stays."""
    rng, reader = Random(11), Reader()
    for _ in range(25 * more):
        frames = packets.mutated(rng, 150)
        for _ in range(10):
            alike = rng.random() < 0.3
            batch: list[tuple[bytes, dict[str, Any]]] = []
            for _ in range(rng.randrange(BATCH + 1)):
                frame = of_a_shape(rng) if alike or rng.random() < 0.6 else rng.choice(frames)
                batch.append((packets.mutate(rng, frame) if rng.random() < 0.2 else frame, metadata(rng)))
            check(reader, batch)


def test_every_truncation_of_every_shape(form: str) -> None:
    rng, reader = Random(12), Reader()
    for _ in range(60):
        frame = of_a_shape(rng)
        cuts = [(frame[:n], {"in_port": 1}) for n in range(len(frame) + 1)]
        for i in range(0, len(cuts), BATCH):
            check(reader, cuts[i : i + BATCH])


def test_every_value_of_the_bytes_that_decide(form: str) -> None:
    """Type, version, lengths, fragment, protocol and TCP's length, each through all of its values."""
    rng, reader = Random(13), Reader()
    places = [(4, n) for n in (0, 1, 2, 3, 4, 8, 9, 10, 11, 34)] + [(6, n) for n in (0, 1, 2, 6, 7, 8, 54)]
    for (version, offset), proto, n_tags in itertools.product(places, (6, 17), range(3)):
        body = segment(rng, proto)
        if version == 4:
            frame = packets.ethernet(rng, packets.IPV4, packets.ipv4(rng, proto, body)) + bytes(20)
        else:
            frame = packets.ethernet(rng, packets.IPV6, packets.ipv6(rng, proto, body)) + bytes(20)
        for _ in range(n_tags):
            frame = packets.vlan(0x8100, rng.randrange(65536), frame)
        before, behind = frame[: 12 + 4 * n_tags + offset], frame[13 + 4 * n_tags + offset :]
        for first in range(0, 256, BATCH):
            check(reader, [(before + bytes((v,)) + behind, {}) for v in range(first, first + BATCH)])


def test_the_shapes_are_taken_by_each_form(form: str) -> None:
    """A form that took nothing would obey the laws too."""
    rng, reader = Random(14), Reader()
    n_taken = n = 0
    for _ in range(50):
        batch = [(of_a_shape(rng), {"in_port": 1}) for _ in range(BATCH)]
        check(reader, batch)
        n, n_taken = n + BATCH, n_taken + BATCH - reader.n_left
    assert n_taken > 0.5 * n            # others have three tags, or little UDP
    for proto in (6, 17):
        body = segment(rng, proto) + bytes(20)
        for ip in (
            packets.ethernet(rng, packets.IPV4, packets.ipv4(rng, proto, body)),
            packets.ethernet(rng, packets.IPV6, packets.ipv6(rng, proto, body)),
        ):
            tagged = packets.vlan(0x8100, 6, ip)
            for frame in (ip, tagged, packets.vlan(0x88A8, 5, tagged)):
                check(reader, [(frame, {})] * BATCH)
                assert reader.n_left == 0


def test_the_environment_leaves_all_to_the_walk() -> None:
    code = "from fastpath._extract import set_form; print(set_form('words'))"
    for env, want in (({"FASTPATH_PLAIN": "1"}, "walk"), ({}, "avx2" if forms()["avx2"] else "words")):
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, check=True, timeout=60, capture_output=True, text=True
        )
        assert done.stdout == f"{want}\n"


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="'mmx': this processor has the forms walk, words"):
        set_form("mmx")
