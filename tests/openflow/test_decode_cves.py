"""Messages that were the end of another switch, one test for each (CVE numbers are Open vSwitch's).

None may do more here than be refused, and all must print.  Sizes run over many that there can be, as mostly
it was a length in a message that was trusted.
"""

from __future__ import annotations

import gc
import struct
import tracemalloc
from collections.abc import Iterable

import pytest

import fastpath
from fastpath.controllers import Control
from fastpath.errors import FastpathError, OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.ofproto.flow_text import parse_flow
from fastpath.openflow.codec import NX_VENDOR
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.table import HEADER, decode, encode
from fastpath.openflow.printing.message import format_message
from fastpath.openflow.service import Session

GROUP_MOD = 15


def whole(version: int, kind: int, body: bytes, xid: int = 3) -> bytes:
    return HEADER.pack(version, kind, HEADER.size + len(body), xid) + body


def refusal_of(data: bytes) -> str:
    """How *data* is refused, empty if it is not; it must print in either case."""
    assert format_message(data)
    try:
        decode(data)
    except OpenFlowError as error:
        return error.code
    return ""


def answers(version: int, messages: Iterable[bytes]) -> list[str]:
    """Codes of the errors that a switch answers to *messages*."""
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_port("p1")
        session = Session(Control(bridge, None), (version,))
        session.received(encode(basic.Hello(), version, 1))
        session.connection.sent(session.connection.backlog)
        codes = []
        for data in messages:
            session.received(data)
            out = session.connection.take(1 << 24)
            session.connection.sent(len(out))
            assert not session.connection.closed
            while out:
                size = int.from_bytes(out[2:4], "big")
                message = decode(out[:size]).message
                if isinstance(message, basic.Error):
                    codes.append(message.code)
                out = out[size:]
        return codes


@pytest.mark.parametrize(("version", "kind"), [(OF10, 21), (OF11, 23), (OF12, 23), (OF13, 23)])
def test_cve_2017_9214_queues_that_end_too_early(version: int, kind: int) -> None:
    """A reply with queues was read beyond its end when a property was longer than the queue."""
    head = struct.pack(">HHI" if version == OF10 else ">I4x", *((1, 0, 0) if version == OF10 else (1,)))
    queue = struct.pack(">IHxx", 1, 24) + struct.pack(">HH4xH6x", 1, 16, 100)
    if version > OF10:
        queue = struct.pack(">IIH6x", 1, 1, 32) + struct.pack(">HH4xH6x", 1, 16, 100)
    for n in range(len(queue) + 1):
        refusal_of(whole(version, kind, head + queue[:n]))
    for size in (0, 1, 7, 8, 15, 0xFFF8, 0xFFFF):       # of the property
        at = len(queue) - 14
        refusal_of(whole(version, kind, head + queue[:at] + struct.pack(">H", size) + queue[at + 2:]))
    assert answers(version, [whole(version, kind, head + queue)]) in (["OFPBRC_BAD_TYPE"], ["OFPBRC_BAD_LEN"])


@pytest.mark.parametrize("version", [OF14, OF15])
def test_cve_2017_9263_a_role_changed_for_no_known_reason(version: int) -> None:
    """Printing such a reason was the end of who printed it."""
    messages = [whole(version, 30, struct.pack(">IB3xQ", 1, reason, 5)) for reason in range(256)]
    for data in messages:
        assert "ROLE_STATUS" in format_message(data)
    assert answers(version, messages) == ["OFPBRC_BAD_TYPE"] * 256


def group_mod15(command: int, kind: int, buckets: bytes, properties: bytes = b"", *,
                array_len: int | None = None, command_bucket: int = 0xFFFFFFFF) -> bytes:
    n = len(buckets) if array_len is None else array_len
    return whole(OF15, GROUP_MOD, struct.pack(
        ">HBxIH2xI", command, kind, 77, n, command_bucket) + buckets + properties)


def bucket15(actions: bytes, bucket_id: int = 0) -> bytes:
    return struct.pack(">HHI", 8 + len(actions), len(actions), bucket_id) + actions


OUTPUT = struct.pack(">HHIH6x", 0, 16, 1, 0)


def test_cve_2017_9265_buckets_longer_than_their_message() -> None:
    """The length of the buckets of a 1.5 group mod was trusted."""
    buckets = bucket15(OUTPUT) * 2
    for n in range(0, 0x10000, 7):
        code = refusal_of(group_mod15(0, 1, buckets, array_len=n))
        assert code or n == len(buckets)
    assert answers(OF15, [group_mod15(0, 1, buckets, array_len=n) for n in (8, 1000, 0xFFFF)]) != []


def test_cve_2017_14970_refused_groups_are_forgotten() -> None:
    """Buckets of a group mod whose properties are wrong were never freed."""
    bad = [group_mod15(0, 1, bucket15(OUTPUT) * 50, struct.pack(">HH4x", 0x77, 8)),
           group_mod15(0, 1, bucket15(OUTPUT) * 50 + bucket15(struct.pack(">HH4x", 0x7777, 8))),
           group_mod15(9, 1, bucket15(OUTPUT) * 50), group_mod15(0, 99, bucket15(OUTPUT) * 50)]

    def refuse_all(n: int) -> None:
        for data in bad * n:
            assert refusal_of(data)
    refuse_all(5)
    gc.collect()
    tracemalloc.start()
    try:
        refuse_all(15)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 96 * 1024
    finally:
        tracemalloc.stop()


def test_cve_2018_17204_commands_of_1_5_in_older_group_mods() -> None:
    """INSERT_BUCKET and REMOVE_BUCKET in versions without them failed an assertion."""
    for version in (OF11, OF12, OF13, OF14):
        messages = [whole(version, GROUP_MOD, struct.pack(">HBxI", command, kind, 5))
                    for command in (*range(10), 0xFFFF) for kind in (*range(6), 0xFF)]
        codes = answers(version, messages)
        assert set(codes) <= {
            "NXBRC_UNENCODABLE_ERROR", "OFPGMFC_BAD_COMMAND", "OFPGMFC_BAD_TYPE", "OFPGMFC_GROUP_EXISTS",
            "OFPGMFC_UNKNOWN_GROUP", "OFPGMFC_INVALID_GROUP", "OFPGMFC_BAD_BUCKET"}
        # Six commands that there are not, with three types: of the fourth, a lack of buckets is told first.
        assert codes.count("OFPGMFC_BAD_COMMAND") == (18 if version > OF11 else 0)
        assert codes.count("NXBRC_UNENCODABLE_ERROR") >= (0 if version > OF11 else 18)
    messages = [group_mod15(command, kind, bucket15(OUTPUT, 1), command_bucket=at)
                for command in range(10) for kind in range(5) for at in (0, 1, 0xFFFFFFFD, 0xFFFFFFFF)]
    assert answers(OF15, messages)


@pytest.mark.parametrize("version", [OF10, OF13, OF15])
def test_cve_2018_17206_bundle_actions_with_more_members_than_bytes(version: int) -> None:
    """The number of members was trusted, and read beyond the action."""
    good = encode(parse_flow("table=0 actions=bundle(symmetric_l4,0,hrw,ofport,members:1,2,3)"), version, 3)
    at = good.index(struct.pack(">IH", NX_VENDOR, 12)) + 16         # how many there are
    assert int.from_bytes(good[at:at + 2], "big") == 3
    n_refused = 0
    for where in range(at - 12, at + 6):
        for value in (0, 4, 5, 100, 0x7FFF, 0xFFFF):
            n_refused += bool(refusal_of(good[:where] + struct.pack(">H", value) + good[where + 2:]))
    assert n_refused > 20


def test_cve_2021_36980_encap_with_properties() -> None:
    """Properties of an encap action were written where the actions had been before they grew."""
    def encap(properties: bytes) -> bytes:
        action = struct.pack(">IHHI", NX_VENDOR, 46, 0, 0x1894F) + properties
        action += bytes(-(len(action) + 4) % 8)
        return struct.pack(">HH", 0xFFFF, 4 + len(action)) + action

    def with_actions(actions: bytes) -> bytes:
        apply = struct.pack(">HH4x", 4, 8 + len(actions)) + actions
        head = encode(parse_flow("table=0 actions=drop"), OF13, 3)
        return head[:2] + struct.pack(">H", len(head) + len(apply)) + head[4:] + apply
    md_type = struct.pack(">HBB", 4, 1, 5) + b"\x01" + bytes(3)
    tlv = struct.pack(">HBB", 4, 2, 12) + struct.pack(">HBB", 0x1000, 10, 4) + bytes(4)
    for n in range(0, 200, 3):
        refusal_of(with_actions(encap(md_type + tlv * n)))
        refusal_of(with_actions(encap(tlv * n) * 3))
    for size in range(256):
        refusal_of(with_actions(encap(struct.pack(">HBB", 4, 1, size) + b"\x02" + bytes(3))))


def test_cve_2022_2639_actions_that_fill_a_message() -> None:
    """So many actions that the datapath's form of them had no room for their length."""
    one = struct.pack(">HHIH6x", 0, 16, 1, 0)
    sets = struct.pack(">HHI", 25, 16, 0x80000606) + bytes(6) + bytes(2)       # set_field of eth_dst
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        into = bridge.add_port("p1")
        session = Session(Control(bridge, None), (OF13,))
        session.received(encode(basic.Hello(), OF13, 1))
        head = encode(parse_flow("table=0 actions=drop"), OF13, 3)
        for body in (one * 4080, (sets + one) * 2040, sets * 4080):
            apply = struct.pack(">HH4x", 4, 8 + len(body)) + body
            session.received(head[:2] + struct.pack(">H", len(head) + len(apply)) + head[4:] + apply)
            for n in (14, 60, 1500):
                try:
                    bridge.inject(into, bytes(12) + b"\x08\x00" + bytes(n - 14))
                except FastpathError as error:
                    raise AssertionError(f"a rule of {len(body)} bytes") from error
        assert len(bridge.rules()) == 1
