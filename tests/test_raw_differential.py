"""Bytes on a connection are answered with the bytes the reference answers, but for what differs from run to
run.

ovs-ofctl sends good messages and shows little of what it gets; here are messages of every kind and version,
those that no switch takes, parts of messages, and what is wrong in a way of its own.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from ofctl_pair import Raw, ofctl, our_bridge, reference_bridge
from session_scripts import CLEAN

from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.match import Match
from fastpath.openflow.codec import NX_VENDOR, ONF_VENDOR, VERSIONS
from fastpath.openflow.messages import basic, conntrack, monitor, packet, port, queue, stats
from fastpath.openflow.messages.bundle import BundleAdd, BundleControl, BundleType
from fastpath.openflow.messages.table import HEADER, Frame, encode, versions_of

sys.path.insert(0, str(Path(__file__).parent / "openflow"))

from wire_samples import samples

XID = 7
# Who the switch is, and what its ports are.
_OWN = (port.FeaturesReply, stats.DescReply, stats.PortDescReply, stats.PortStatsReply)
_QUEUES = (queue.QueueReply, queue.QueueConfigReply, queue.QueueDescReply)
# Not sent: what is for the other side (a second hello and an error are answered with an error, which we do
# not do), what ends the reference, and monitors, whose refusals it fills with bytes that lie around.
_LEFT_OUT = (basic.Hello, basic.Error, conntrack.CtFlush, monitor.FlowMonitorRequest)
# The reference tells the wrong number of a table's miss, and ages of flows in whole seconds.
_NOT_EQUAL = {OF11: (stats.TableRequest,), OF15: (stats.FlowRequest,)}
_TIMES = re.compile(r"(duration|idle_age|hard_age)=[-0-9.e]+")


@pytest.fixture(scope="module")
def theirs() -> Iterator[str]:
    with reference_bridge() as target:
        yield target


@pytest.fixture
def pair(theirs: str, tmp_path: Path) -> Iterator[tuple[str, str]]:
    for verb in CLEAN:
        ofctl(theirs, 5, (verb,))
    with Raw(theirs, OF10) as connection:
        connection.send(basic.SetConfig())
        connection.said()
    with our_bridge(tmp_path) as (ours, _bridge):
        yield ours, theirs


def told(frames: Iterable[Frame | bytes]) -> list[str]:
    """*frames* as text, without times and what is one's own."""
    out = []
    for frame in frames:
        if isinstance(frame, bytes):
            out.append(frame.hex())
        elif isinstance(frame.message, _OWN):
            out.append(type(frame.message).__name__)
        elif isinstance(frame.message, _QUEUES):        # of ports in no order
            out.append(repr(sorted(frame.message.queues, key=lambda q: (q.port, q.queue))))
        else:
            out.append(_TIMES.sub(r"\1=T", repr(frame)))
    return out


def compare(pair: tuple[str, str], version: int, messages: Iterable[object]) -> int:
    """Fail at the first of *messages* that is answered in another way; how many were answered at all."""
    n = 0
    with Raw(pair[0], version) as ours, Raw(pair[1], version) as theirs:
        for message in messages:
            heard = []
            for one in (ours, theirs):
                one.send(message, XID)
                heard.append(told(one.said()))
            if heard[0] != heard[1]:
                sent = message.hex()[:200] if isinstance(message, bytes) else repr(message)[:200]
                lines = [line[:400] for both in heard for line in (*both, "--")]
                pytest.fail("\n".join(["", f"version {version}: {sent}", *lines]))
            n += bool(heard[0])
    return n


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_of_every_kind_are_answered_alike(pair: tuple[str, str], version: int) -> None:
    chosen = [one for one in samples(version) if not isinstance(one, _LEFT_OUT)
              and version in versions_of(type(one))
              and not isinstance(one, _NOT_EQUAL.get(version, ()))]
    assert compare(pair, version, chosen) > 10


@pytest.mark.parametrize("version", VERSIONS)
def test_numbers_nobody_knows_are_refused_alike(pair: tuple[str, str], version: int) -> None:
    stat = 16 if version == OF10 else 18
    pad = b"" if version == OF10 else bytes(4)
    bodies = [(kind, b"") for kind in range(35, 50)]
    bodies += [(stat, struct.pack(">HH", n, 0) + pad + bytes(8)) for n in range(17, 30)]
    for vendor in (NX_VENDOR, ONF_VENDOR, 0x1234):
        bodies += [(4, struct.pack(">II", vendor, number) + bytes(8)) for number in (0, 1, 9, 33, 77, 9999)]
        bodies += [(stat, struct.pack(">HH", 0xFFFF, 0) + pad + struct.pack(">II", vendor, n) + bytes(12))
                   for n in (5, 6, 11, 9999)]
    whole = [HEADER.pack(version, kind, HEADER.size + len(body), XID) + body for kind, body in bodies]
    assert compare(pair, version, whole) == len(whole)


@pytest.mark.parametrize("version", VERSIONS)
def test_queues_are_told_alike(pair: tuple[str, str], version: int) -> None:
    numbers = (0, 1, 2, 9, 0xFEFF, 0xFFF8, 0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF)
    asks: list[object] = [queue.QueueRequest(n, q) for n in numbers for q in (0, 1, 0xFFFFFFFE, queue.ALL)]
    if version >= OF14:
        asks += [queue.QueueDescRequest(n, q) for n in numbers for q in (0, 1, 0xFFFFFFFE, queue.ALL)]
    else:
        asks += [queue.QueueConfigRequest(n) for n in numbers]
    assert compare(pair, version, asks) == len(asks)


@pytest.mark.parametrize("version", VERSIONS)
def test_requests_of_a_wrong_length_are_refused_alike(pair: tuple[str, str], version: int) -> None:
    asks = [basic.FeaturesRequest(), basic.GetConfigRequest(), basic.SetConfig(), port.PortMod(1),
            basic.SetPacketInFormat(1), basic.SetControllerId(3), basic.RoleRequest("equal", 1),
            basic.NxRoleRequest("equal"), basic.FlowModTableId(0), basic.GetAsyncRequest(), port.TableMod(0),
            stats.TableRequest(), stats.DescRequest(), queue.QueueConfigRequest(1)]
    messages = []
    for ask in asks:
        if version in versions_of(type(ask)):
            data = encode(ask, version, XID)
            for size in (len(data) - 4, len(data) + 4, len(data) + 8):
                if size >= HEADER.size:
                    cut = (data + bytes(8))[:size]
                    messages.append(cut[:2] + struct.pack(">H", size) + cut[4:])
    compare(pair, version, messages)


@pytest.mark.parametrize("version", [OF10, OF11, OF12, OF13, OF15])
def test_packets_that_are_none_are_lost_alike(pair: tuple[str, str], version: int) -> None:
    actions = parse_flow("actions=output:2").actions
    compare(pair, version, [
        packet.PacketOut(data=bytes(n), match=Match.of(in_port=number), actions=actions)
        for n in (0, 5, 13, 14, 60) for number in (1, 99, 0xFFFD)])


def more(data: bytes) -> bytes:
    """The multipart request *data* as one that goes on."""
    return data[:11] + b"\x01" + data[12:]


@pytest.mark.parametrize("version", [OF13, OF14, OF15])
def test_requests_in_parts_are_answered_alike(pair: tuple[str, str], version: int) -> None:
    flows = encode(stats.FlowRequest(), version, XID)
    empty = flows[:2] + b"\x00\x10" + flows[4:16]
    other = encode(stats.DescRequest(), version, XID)
    compare(pair, version, [
        more(flows) + empty, more(empty) + flows, more(empty) + more(empty) + flows,
        more(flows) + more(other), flows, empty, more(empty) + more(flows) + empty])


@pytest.mark.parametrize("version", [OF13, OF14, OF15])
def test_what_tables_can_do_is_told_and_named_alike(pair: tuple[str, str], version: int) -> None:
    with Raw(pair[1], version) as theirs:
        theirs.send(stats.TableFeaturesRequest(), XID)
        parts = [bytearray(encode(frame.message, version, XID)[16:])
                 for frame in theirs.said()]
    first = bytes(parts[0][:int.from_bytes(parts[0][:2], "big")])
    bare, longer = struct.pack(">H", 64) + first[2:64], struct.pack(">H", 72) + first[2:64]

    def asked(*bodies: bytes) -> bytes:
        *first, last = (encode(stats.TableFeaturesRequest(body), version, XID) for body in bodies)
        return b"".join(map(more, first)) + last
    whole = [bytes(part) for part in parts]
    parts[0][8:12] = b"here"
    messages = [
        asked(b""), asked(first), *(asked(first[:3] + bytes([n]) + first[4:]) for n in range(5)), asked(bare),
        asked(first + first), asked(first[:2] + b"\xfe" + first[3:]), asked(first[:2] + b"\xff" + first[3:]),
        asked(bytes(8)), asked(bytes(4)), asked(longer + b"\x00\x99\x00\x04" + bytes(4)),
        asked(longer + b"\x00\x00\x00\x09" + bytes(4)),
        asked(*whole), asked(bytes(parts[0]), *whole[1:]), asked(b"", *whole, b""), asked(*whole[:2])]
    compare(pair, version, messages)


@pytest.mark.parametrize("version", [OF13, OF14, OF15])
def test_bundles_take_and_refuse_messages_alike(pair: tuple[str, str], version: int) -> None:
    inner = [parse_flow("table=0,ip actions=output:1"), port.TableMod(0), basic.EchoRequest(b""),
             packet.PacketOut(data=bytes(60), match=Match.of(in_port=1),
                              actions=parse_flow("actions=output:2").actions)]
    for flags in range(4):
        for message in (*inner, port.PortMod(1, 1), port.PortMod(77)):
            if isinstance(message, port.PortMod) and message.port == 1 and not flags & 1:
                continue                # the other's port has an address
            bundle = [BundleControl(9, BundleType.OPEN_REQUEST, flags),
                      BundleAdd(9, flags, encode(message, version, XID)),
                      BundleControl(9, BundleType.CLOSE_REQUEST, flags),
                      BundleControl(9, BundleType.COMMIT_REQUEST, flags)]
            compare(pair, version, bundle)


def configured(target: str, version: int, changes: Iterable[tuple[int, int]]) -> list[int]:
    """The configuration of port 1, as OpenFlow 1.0 tells it, after each of *changes*: bits and their mask."""
    with Raw(target, version) as peer, Raw(target, OF10) as onlooker:
        out = []
        for config, mask in changes:
            onlooker.send(basic.FeaturesRequest(), XID)
            (features,) = (frame.message for frame in onlooker.said() if isinstance(frame, Frame))
            found = next(one for one in features.ports if one.port == 1)
            out.append(found.config)
            peer.send(port.PortMod(1, found.mac, config, mask))
            peer.said()
        return out


@pytest.mark.parametrize("version", VERSIONS)
def test_port_mods_change_the_bits_their_version_has(pair: tuple[str, str], version: int) -> None:
    bits = (0, 2, 4, 8, 0x10, 0x20, 0x40, 0x7E, 0x80, 0xFFFFFFFE, 0x54)
    changes = [(config & mask, mask) for mask in bits for config in (0xFFFFFFFF, 0x2A)] + [(0, 0x7F)] * 2
    ours, theirs = (configured(target, version, changes) for target in pair)
    assert ours == theirs and len(set(ours)) > 3
