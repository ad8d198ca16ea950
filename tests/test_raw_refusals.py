"""Which of several faults of a message is told, byte by byte as the reference does."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import product

import pytest
from ofctl_pair import Raw, our_bridge, reference_bridge
from test_raw_differential import told
from test_raw_spoilt import clean

from fastpath.ofproto.actions.versions import OF10, OF11, OF13, OF14, OF15
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.group import GROUP_ALL, GroupCommand, GroupMod, GroupType
from fastpath.ofproto.match import Match
from fastpath.openflow.codec import VERSIONS, Reader
from fastpath.openflow.messages import basic, packet, stats
from fastpath.openflow.messages.flow import NxFlowMod
from fastpath.openflow.messages.table import HEADER, Frame, encode
from fastpath.value import replace

XID = 7
GROUP_MOD, NTR, ONF = 15, 0x154D, 0x4F4E4600
NONE32, FIRST, LAST = 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFE
_NO_GROUPS = GroupMod(GroupCommand.DELETE, GROUP_ALL, GroupType.ALL, ())


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with reference_bridge() as theirs, our_bridge(tmp_path_factory.mktemp("ours")) as (ours, _bridge):
        yield ours, theirs


def compare(both: tuple[str, str], version: int, messages: Iterable[bytes], *, before: Iterable[object] = (),
            each: Iterable[object] = ()) -> set[str]:
    """Fail at the first of *messages* that is answered otherwise than by the reference; all the answers.
    *before* them all, and before *each*, others are sent."""
    heard: set[str] = set()
    before, each = list(before), list(each)
    for target in both:
        clean(target)
    with Raw(both[0], version) as ours, Raw(both[1], version) as theirs:
        for peer in (ours, theirs):
            for message in before:
                peer.send(message)
            peer.said()
        for data in messages:
            answers = []
            for peer in (ours, theirs):
                for message in each:
                    peer.send(message)
                peer.said()
                peer.send(data)
                answers.append(told(peer.said()))
            assert answers[0] == answers[1], data.hex()
            heard.update(answers[0])
    return heard


def whole(version: int, kind: int, body: bytes) -> bytes:
    return HEADER.pack(version, kind, HEADER.size + len(body), XID) + body


# -- flow mods -------------------------------------------------------------------------------------

def standard(version: int, command: int, table: int, flags: int, idle: int) -> bytes:
    data = bytearray(encode(parse_flow(f"in_port=1,idle_timeout={idle},actions=output:1"), version, XID))
    at = (56, 57, 70) if version == OF10 else (24, 25, 44)
    data[at[0]], data[at[1]] = table, command
    data[at[2]:at[2] + 2] = struct.pack(">H", flags)
    return bytes(data)


def nicira(version: int, command: int, table: int, flags: int, idle: int) -> bytes:
    mod = parse_flow(f"ip,idle_timeout={idle},actions=output:1")
    data = bytearray(encode(NxFlowMod(mod), version, XID))
    data[24], data[25] = table, command
    data[38:40] = struct.pack(">H", flags)
    return bytes(data)


def without_action(data: bytes) -> bytes:
    """*data* with an action or instruction at its end that there is not."""
    return data[:-8] + b"\x7f\0" + data[-6:]


@pytest.mark.parametrize(("version", "by_table"), [*((v, False) for v in VERSIONS), (OF10, True)])
def test_flow_mods_tell_their_match_then_command_then_actions_then_flags(
        both: tuple[str, str], version: int, by_table: bool) -> None:
    good = [make(version, command, table, flags, idle) for make, command, table, flags, idle in product(
        (standard, nicira), (0, 1, 2, 3, 4, 5), (0, 1, 254, 255), (0, 1, 4, 0x4000), (0, 5))]
    heard = compare(both, version, good + [without_action(data) for data in good],
                    before=[basic.FlowModTableId(1)] if by_table else [])
    assert len(heard) > 3


def test_an_nxm_flow_mod_with_an_unmapped_option_and_a_table_tells_the_option(both: tuple[str, str]) -> None:
    data = bytearray(encode(NxFlowMod(parse_flow("reg0=1,actions=output:1")), OF10, XID))
    data[24], data[50] = 4, 0x50                # tun_metadata0, and a table
    heard = compare(both, OF10, [bytes(data)])
    assert "INVALID_TLV_FIELD" in str(heard)


@pytest.mark.parametrize("version", VERSIONS)
def test_only_deletions_of_none_of_its_rules_may_name_the_switchs_table(both: tuple[str, str],
                                                                        version: int) -> None:
    mods = [FlowMod(command, 254, priority, Match.parse(match), (), out_port=port)
            for command, match, priority, port in product(
                Command, ("", "reg0=1", "recirc_id=0", "ip"), (0, 2), (1, 0xFFFF))]
    compare(both, version, [encode(NxFlowMod(mod), version, XID) for mod in mods],
            before=[basic.FlowModTableId(1)] if version == OF10 else [])


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_actions_of_deletions_must_be_in_order_too(both: tuple[str, str], version: int) -> None:
    messages = []
    for nx, command, table, goto in product((False, True), range(5), (0, 5, 253), (1, 5, 254)):
        mod = parse_flow("in_port=1,actions=goto_table:1")
        data = bytearray(encode(NxFlowMod(mod) if nx else mod, version, XID))
        data[24], data[25], data[-4] = table, command, goto
        messages.append(bytes(data))
    assert "BAD_TABLE_ID" in str(compare(both, version, messages))


# -- groups ----------------------------------------------------------------------------------------

def group_mod(*, command: int = 0, kind: int = 1, number: int = 7, buckets: bytes = b"", at: int = NONE32,
              properties: bytes = b"") -> bytes:
    return whole(OF15, GROUP_MOD, struct.pack(">HBxIH2xI", command, kind, number, len(buckets), at)
                 + buckets + properties)


def prop(kind: int, value: bytes, size: int | None = None) -> bytes:
    whole_size = 4 + len(value)
    return struct.pack(">HH", kind, whole_size if size is None else size) + value + bytes(-whole_size % 8)


def selection(fields: bytes = b"", *, method: bytes = b"hash", vendor: int = NTR, kind: int = 1,
              size: int | None = None) -> bytes:
    body = struct.pack(">III16sQ", vendor, kind, 0, method, 5) + fields
    return prop(0xFFFF, body[:size])


def bucket(properties: bytes = b"", *, actions: bytes = b"", number: int = 1) -> bytes:
    size = 8 + len(actions) + len(properties)
    return struct.pack(">HHI", size, len(actions), number) + actions + properties


def field(number: int, masked: int, data: bytes) -> bytes:
    return struct.pack(">HBB", 0x8000, number << 1 | masked, len(data)) + data


def test_fields_of_selection_methods_are_refused_alike(both: tuple[str, str]) -> None:
    fields = [field(number, masked, fill * size) for number, masked, fill, size in product(
        (0, 5, 6, 10, 11, 63), (0, 1), (b"\xff", b"\0", b"\1"), (0, 1, 2, 4, 8))]
    fields += [field(63, 1, b"\xff\xff\0\0"), field(11, 0, bytes(4)) * 2, b"\x80", b"\x80\0\x16\4\xff"]
    heard = compare(both, OF15, [group_mod(properties=selection(one)) for one in fields], each=[_NO_GROUPS])
    assert all(f"OFPBMC_{code}" in str(heard) for code in (
        "BAD_FIELD", "BAD_MASK", "BAD_WILDCARDS", "DUP_FIELD"))


def test_selection_methods_are_refused_alike(both: tuple[str, str]) -> None:
    names = (b"hash", b"dp_hash", b"", b"x", b"hash" * 4, b"hash\0and more")
    ways = [selection(method=name) for name in names]
    ways += [selection(vendor=vendor, kind=kind) for vendor, kind in product((0, NTR, ONF, 1), (0, 1, 2))]
    ways += [selection(size=size) for size in range(41)] + [prop(0xFFFE, bytes(n)) for n in (0, 4, 8)]
    compare(both, OF15, [group_mod(kind=kind, command=command, properties=way)
                         for way in ways for kind, command in ((1, 0), (0, 0), (1, 2), (9, 0), (1, 9))],
            each=[_NO_GROUPS])


def test_buckets_are_refused_alike(both: tuple[str, str]) -> None:
    watch, weight = prop(1, b"\0\0\0\1"), prop(0, b"\0\1\0\0")
    ways = [b"", bucket(), bucket(weight), bucket(watch), bucket(weight + watch), bucket() + bucket(),
            bucket(prop(1, b"\xff\xff\xff\5")), bucket(number=0xFFFFFF01), bucket(prop(9, bytes(4))),
            bucket(prop(0xFFFE, bytes(4)))]
    ways += [bucket(prop(0, bytes(size))) for size in range(13)]
    messages = [group_mod(command=command, kind=kind, buckets=way, at=at, number=number)
                for way, command, kind, at, number in product(
                    ways, (0, 3, 5, 99), range(5), (NONE32, FIRST, LAST, 1), (7, 0xFFFFFF01))]
    heard = compare(both, OF15, messages, each=[_NO_GROUPS])
    assert all(f"OFPGMFC_{code}" in str(heard) for code in (
        "INVALID_GROUP", "WATCH_UNSUPPORTED", "UNKNOWN_GROUP", "BAD_BUCKET", "BAD_COMMAND", "BAD_TYPE"))


def test_buckets_with_outputs_that_are_none_are_refused_alike(both: tuple[str, str]) -> None:
    ports = (1, 99, 0xFF00, 0xFFFFFF01, 0xFFFFFFF0, 0xFFFFFFF8, 0xFFFFFFFD, NONE32)
    outputs = [struct.pack(">HHIH6x", 0, 16, port, 0) for port in ports]
    compare(both, OF15, [group_mod(kind=0, buckets=bucket(actions=output), number=number)
                         for output in outputs for number in (3, 7, 0xFFFFFF01)],
            each=[_NO_GROUPS, GroupMod(GroupCommand.ADD, 3, GroupType.ALL, ())])


def test_a_short_packet_does_not_excuse_an_output_that_is_none(both: tuple[str, str]) -> None:
    out = packet.PacketOut(b"short", Match.of(in_port=1), parse_flow("actions=output:1").actions)
    for version in (OF10, OF11, OF13):
        data = encode(out, version, XID)
        port = struct.pack(">H", 1) if version == OF10 else struct.pack(">I", 1)
        none = b"\xff" * len(port)
        at = data.index(port, HEADER.size + (8 if version == OF10 else 16))
        assert "BAD_OUT_PORT" in str(compare(both, version, [data[:at] + none + data[at + len(port):]]))


# -- bundles ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("version", [OF13, OF15])
def test_bundle_controls_of_every_type_are_answered_alike(both: tuple[str, str], version: int) -> None:
    def control(kind: int, flags: int) -> bytes:
        body = struct.pack(">IHH", 5, kind, flags)
        if version == OF13:
            return whole(version, 4, struct.pack(">II", ONF, 2300) + body)
        return whole(version, 33, body)
    compare(both, version, [control(kind, flags) for kind, flags in product(
        (0, 8, 1, 3, 5, 7, 9, 2, 0x7FFF, 4, 6, 0xFFFF), (0, 3, 0xFFFF))])


@pytest.mark.parametrize("version", [OF13, OF15])
def test_what_bundles_do_not_take_is_refused_alike(both: tuple[str, str], version: int) -> None:
    def added(inside: bytes) -> bytes:
        body = struct.pack(">I2xH", 5, 0) + inside
        return whole(version, 4, struct.pack(">II", ONF, 2301) + body) if version == OF13 else whole(
            version, 34, body)
    good = [encode(one, version, XID) for one in (
        parse_flow("in_port=1,actions=output:1"), basic.EchoRequest(b"there"), basic.BarrierRequest(),
        GroupMod(GroupCommand.ADD, 9, GroupType.ALL, ()),
        packet.PacketOut(bytes(60), Match.of(in_port=1), parse_flow("actions=output:1").actions))]
    good += [whole(version, kind, bytes(size)) for kind, size in product(
        (0, 1, 5, 9, 14, 16, 17, 18, 29, 33, 99), (0, 4, 8, 40))]
    cut = [data[:2] + struct.pack(">H", size) + data[4:] for data in good[:5]
           for size in (0, 8, 12, len(data) - 8, len(data) + 8)]
    other = [data[:at] + b"\x03" + data[at + 1:] for data in good[:5] for at in (0, 4)]
    heard = compare(both, version, [added(data) for data in (*good, *cut, *other, b"", b"\4\5")])
    assert all(f"OFPBFC_{code}" in str(heard) for code in ("MSG_UNSUP", "MSG_BAD_LEN", "MSG_BAD_XID"))


# -- meters ----------------------------------------------------------------------------------------

_BANDS = tuple(struct.pack(">HHIIB3x", kind, size, rate, 0, 1) for kind, size, rate in (
    (1, 16, 100), (1, 16, 0), (2, 16, 5), (2, 16, 0), (9, 16, 5), (9, 15, 5), (1, 24, 5)))


def test_bands_no_meter_has_are_refused_alike(both: tuple[str, str]) -> None:
    bands = (b"", *_BANDS, 9 * _BANDS[0], 9 * _BANDS[1], _BANDS[0] + _BANDS[1], _BANDS[1] + _BANDS[5],
             _BANDS[0][:12])

    def mod(command: int, meter: int, flags: int, bands: bytes) -> bytes:
        return whole(OF13, 29, struct.pack(">HHI", command, flags, meter) + bands)

    heard = compare(both, OF13, (mod(*one) for one in product((0, 1), (1, 2, 0), (0, 1, 3, 0x11), bands)),
                    each=(mod(2, NONE32, 0, b""), mod(0, 1, 1, _BANDS[0])))
    assert all(any(code in text for text in heard) for code in (
        "BAD_RATE", "BAD_BAND", "OUT_OF_BANDS", "BAD_FLAGS", "BAD_LEN", "METER_EXISTS", "UNKNOWN_METER"))


# -- table features --------------------------------------------------------------------------------

@pytest.mark.parametrize("version", [OF13, OF15])
def test_properties_that_are_missing_or_there_twice_are_refused_alike(both: tuple[str, str],
                                                                     version: int) -> None:
    with Raw(both[0], version) as peer:
        peer.send(stats.TableFeaturesRequest())
        first = peer.said()[0]
    assert isinstance(first, Frame)
    table, parts = first.message.tables[0], []
    reader = Reader(table.properties)
    while len(reader):
        size = int.from_bytes(reader.peek(4)[2:], "big")
        parts.append(reader.take(size + -size % 8))
    lists = [parts, [], *(parts[:i] + n * [one] + parts[i + 1:]
                          for i, one in enumerate(parts) for n in (0, 2))]
    heard = compare(both, version, (encode(stats.TableFeaturesRequest(
        replace(table, properties=b"".join(one)).put(version)), version, XID) for one in lists))
    assert "OFPTFFC_EPERM" in str(heard)
    assert ("OFPTFFC_BAD_FEATURES" if version == OF15 else "UNENCODABLE") in str(heard)


@pytest.mark.parametrize("version", [OF14, OF15])
def test_vacancy_marks_that_make_no_sense_are_refused_alike(both: tuple[str, str], version: int) -> None:
    marks = [struct.pack(">HHBBBx", 3, 8, *one) for one in (
        (20, 80, 0), (80, 20, 0), (0, 101, 0), (101, 101, 0), (20, 80, 5), (0, 0, 0))]
    others = (b"", struct.pack(">HHI", 9, 8, 0), struct.pack(">HHI", 2, 4, 0), marks[1])
    heard = compare(both, version, (
        whole(version, 17, struct.pack(">B3xI", table, config) + one + other)
        for table, config, one, other in product((0, 253, 254, 255), (0, 8), marks, others)))
    assert all(code in str(heard) for code in ("BAD_VALUE", "OFPTMFC_EPERM", "BAD_LEN", "BAD_TYPE"))
