"""What messages of IGMP and MLD say, whole, cut and wrong."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model.multicast import igmp, mld

from fastpath.ofproto.membership import Change, igmp3_changes, igmp_of, mld_changes, mld_of

GROUP, OTHER = "239.1.2.3", "239.4.5.6"
GROUP6 = "ff05::1:3"
INCLUDE, EXCLUDE, TO_INCLUDE, TO_EXCLUDE, ALLOW, BLOCK = range(1, 7)


def record(kind: int, group: str, n_sources: int = 0, auxiliary: bytes = b"") -> bytes:
    address = IPv4Address(group).packed if ":" not in group else IPv6Address(group).packed
    head = struct.pack("!BBH", kind, len(auxiliary) // 4, n_sources)
    return head + address + bytes(len(address) * n_sources) + auxiliary


def report3(*records: bytes, n: int | None = None) -> bytes:
    return igmp(0x22, to="224.0.0.22",
                body=struct.pack("!HH", 0, len(records) if n is None else n) + b"".join(records))


def changes(frame: bytes) -> list[Change]:
    message = igmp_of(frame)
    assert message is not None
    return list(igmp3_changes(message))


@pytest.mark.parametrize(("kind", "n_sources", "joins"), [
    (INCLUDE, 0, False), (INCLUDE, 1, True), (EXCLUDE, 0, True), (EXCLUDE, 2, True), (TO_INCLUDE, 0, False),
    (TO_INCLUDE, 3, True), (TO_EXCLUDE, 0, True), (ALLOW, 0, True), (BLOCK, 1, True)])
def test_to_include_nobody_is_to_leave(kind: int, n_sources: int, joins: bool) -> None:
    assert changes(report3(record(kind, GROUP, n_sources))) == [Change(int(IPv4Address(GROUP)), joins)]


def test_records_of_unknown_kinds_are_passed_over() -> None:
    """RFC 3376 section 4.2.12; and with auxiliary data, which section 4.2.10 counts in words of 32 bits."""
    found = changes(report3(record(9, OTHER), record(EXCLUDE, GROUP, 1, b"auxiliar"), record(EXCLUDE, OTHER)))
    assert [c.group for c in found] == [int(IPv4Address(GROUP)), int(IPv4Address(OTHER))]


def test_more_records_are_promised_than_there_are() -> None:
    assert len(changes(report3(record(EXCLUDE, GROUP), n=9))) == 1
    assert changes(report3(record(EXCLUDE, GROUP)[:7])) == []


@pytest.mark.parametrize("vlan", [None, 7])
def test_what_is_behind_a_message_is_no_part_of_it(vlan: int | None) -> None:
    frame = igmp(0x16, GROUP, vlan=vlan)
    message = igmp_of(frame + b"padding")
    assert message == igmp_of(frame) and message is not None and len(message) == 8


def test_a_message_with_a_wrong_checksum_is_none() -> None:
    for frame, read in ((igmp(0x16, GROUP), igmp_of), (mld(131, GROUP6), mld_of)):
        assert read(frame) is not None
        for at in range(1, 9):
            assert read(frame[:-at] + bytes([frame[-at] ^ 1]) + frame[len(frame) - at + 1:]) is None


def test_mld_tells_of_one_group_or_of_many() -> None:
    def told(frame: bytes) -> list[Change]:
        message = mld_of(frame)
        assert message is not None
        return list(mld_changes(message))
    group = int(IPv6Address(GROUP6))
    assert told(mld(131, GROUP6)) == [Change(group, True)]
    assert told(mld(132, GROUP6)) == [Change(group, False)]
    records = record(9, "ff05::9"), record(EXCLUDE, GROUP6, 2, b"auxi"), record(TO_INCLUDE, "ff05::5")
    assert told(mld(143, body=struct.pack("!HH", 0, 3) + b"".join(records))) == [
        Change(group, True), Change(int(IPv6Address("ff05::5")), False)]


@pytest.mark.parametrize(("first", "extensions"), [
    (58, b""), (0, bytes([58, 0]) + bytes(6)), (60, bytes([43, 1]) + bytes(14) + bytes([58, 0]) + bytes(6)),
    (51, bytes([58, 2]) + bytes(14)), (44, bytes([58, 0]) + bytes(6))])
def test_mld_is_found_behind_extension_headers(first: int, extensions: bytes) -> None:
    assert mld_of(mld(131, GROUP6, first=first, extensions=extensions)) is not None


def test_other_packets_tell_nothing() -> None:
    assert igmp_of(mld(131, GROUP6)) is None and mld_of(igmp(0x16, GROUP)) is None
    assert mld_of(mld(131, GROUP6, first=99)) is None


@pytest.mark.parametrize("frame", [
    report3(record(EXCLUDE, GROUP, 1, b"auxi"), record(INCLUDE, OTHER)), igmp(0x16, GROUP, vlan=3),
    mld(131, GROUP6), mld(143, body=struct.pack("!HH", 0, 1) + record(EXCLUDE, GROUP6, 2, b"auxi"))])
def test_no_truncation_is_read_beyond_its_end(frame: bytes) -> None:
    """The checksum tells, or what is left out is behind the message."""
    whole = igmp_of(frame), mld_of(frame)
    for size in range(len(frame)):
        assert (igmp_of(frame[:size]), mld_of(frame[:size])) == (None, None)
    message = whole[0] or whole[1]
    assert message is not None
    for size in range(8, len(message)):
        list(igmp3_changes(message[:size]) if whole[0] else mld_changes(message[:size]))


@given(st.binary(max_size=120), st.sampled_from([igmp(0x22, GROUP)[:38], mld(143, GROUP6)[:66]]))
def test_nothing_that_is_read_breaks_the_reader(data: bytes, head: bytes) -> None:
    for frame in (data, head + data):
        message = igmp_of(frame)
        assert message is None or len(list(igmp3_changes(message))) <= len(message)
        message = mld_of(frame)
        assert message is None or len(list(mld_changes(message))) <= len(message)
