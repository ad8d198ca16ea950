"""Matches read and written in one call are as when each of their TLVs is."""

from __future__ import annotations

import random
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from malformed import good_flows

from fastpath._flow import WINDOWS
from fastpath._matchwire import WireField, WireReader
from fastpath.errors import OpenFlowError
from fastpath.fields import BY_NAME, FIELDS
from fastpath.ofproto.flow_mod import Command
from fastpath.ofproto.flow_reader import FlowReader
from fastpath.ofproto.match import FORMS, Match
from fastpath.openflow import oxm
from fastpath.openflow.codec import Reader
from fastpath.tlv import OPTION_OF

VERSIONS = (oxm.NXM, 3, 5, 6)


def one_by_one(data: bytes) -> Match | str:
    """What oxm reads, normalized, or how it refuses."""
    try:
        match, _cookie, mask = oxm.get_match(Reader(data, "OFPBMC_BAD_LEN"))
    except OpenFlowError as error:
        return error.code
    return "cookie" if mask else match.normalized()


def agree(data: bytes) -> bool:
    """Whether *data* could be read in one call; if so it must mean the same."""
    found = oxm.wire_reader().read(b"\xff" * 3 + data + b"\xff", 3, 3 + len(data))
    expected = one_by_one(data)
    if found is not None:
        assert found == expected, data.hex()
        assert found.form is not None
    return found is not None


@cache
def matches(shared: Path) -> list[Match]:
    reader = FlowReader()
    return [reader._read_items(line.partition("action")[0], Command.ADD)[0].normalized()
            for line in good_flows(shared / "data", n=80)]


def test_matches_mean_the_same_either_way(shared: Path, more: int) -> None:
    rng, n_read, n_spoilt = random.Random(4), 0, 0
    samples = [oxm.put_match(match, version) for match in matches(shared) for version in VERSIONS]
    for data in samples:
        agree(data)
        try:
            oxm.get_normal_match(Reader(data), len(data))       # learns
        except OpenFlowError:
            continue
        n_read += agree(data)
    assert n_read > len(samples) * 0.6
    for data in samples * (3 * more):
        if data:
            spoilt = bytearray(data)
            spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
            n_spoilt += agree(bytes(spoilt))
            agree(bytes(spoilt[:rng.randrange(len(spoilt))]))
    assert n_spoilt > 100


@pytest.mark.parametrize("order", range(3))
def test_any_fields_in_any_order_mean_the_same_either_way(order: int, more: int) -> None:
    rng = random.Random(order)
    fields = [f for f in FIELDS if f.name not in OPTION_OF and f.ids]
    for _ in range(700 * more):
        data = b"".join(tlv(rng, f) for f in [
            *([BY_NAME["eth_type"]] if rng.random() < 0.8 else []), *rng.sample(fields, rng.randrange(4))])
        agree(data)
        with suppress(OpenFlowError):
            oxm.get_normal_match(Reader(data, "OFPBMC_BAD_LEN"), len(data))
        agree(data)


def tlv(rng: random.Random, f: object) -> bytes:
    from fastpath.fields import Field
    assert isinstance(f, Field)
    size, masked = f.n_bytes, f.maskable and rng.random() < 0.4
    value = rng.choice((0, 1, (1 << f.bits) - 1, rng.getrandbits(f.bits)))
    if f.name == "eth_type":
        value = rng.choice((0x0800, 0x86DD, 0x0806, 0x8847, 0x894F))
    mask = rng.choice((0, (1 << 8 * size) - 1, (1 << f.bits) - 1, rng.getrandbits(f.bits)))
    head = oxm.field_header(f, rng.choice(VERSIONS), masked=masked)
    if not masked:
        return head + value.to_bytes(size, "big")
    return head + (value & mask).to_bytes(size, "big") + mask.to_bytes(size, "big")


def test_matches_are_written_the_same_either_way(shared: Path) -> None:
    n_written = 0
    for match in matches(shared):
        packed = match.packed()
        assert packed._words is not None
        for version in VERSIONS:
            found = oxm.wire_writer().put(packed.mask, packed._words, version)
            if found is not None:
                assert found[0] == oxm.put_match(match, version), (match, version)
                n_written += 1
    assert n_written > 150


@pytest.mark.parametrize("source", ["actset_output=unset", "actset_output=5", "actset_output=local,ip"])
def test_ports_of_32_bits_are_those_of_16_when_they_come_back(source: str) -> None:
    match = Match.parse(source).normalized()
    for version in VERSIONS:
        data = oxm.put_match(match, version)
        for _ in range(2):                      # the second time as one that is known
            assert oxm.get_normal_match(Reader(data, "OFPBMC_BAD_LEN"), len(data))[0] == match


def test_a_plan_beyond_its_bytes_is_refused() -> None:
    from fastpath._matchwire import WireWriter
    wire = WireField(WINDOWS["nw_src"], lsb=0, n_bytes=4, number=0, maskable=True, ethernet=True,
                     is_port=False, full=0xFFFFFFFF, valid=0xFFFFFFFF, bits=0xFFFFFFFF, exact=0xFFFFFFFF,
                     present=0)
    match = Match.parse("ip,nw_src=1.2.3.4").normalized()
    assert match._words is not None
    writer = WireWriter(FORMS, lambda _match, _version: (b"abc", [(wire, 0)]), Match)
    with pytest.raises(ValueError, match="beyond"):
        writer.put(match.mask, match._words, 1)


def test_only_members_of_up_to_16_bytes_are_fields() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        WireField(WINDOWS["tun_opts"], lsb=0, n_bytes=124, number=0, maskable=True, ethernet=True,
                  is_port=False, full=0, valid=0, bits=0, exact=0, present=0)
    assert WireReader({}, FORMS, Match).read(b"", 0, 0) is None
