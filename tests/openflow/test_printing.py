"""Our text of messages is what ``ovs-ofctl ofp-print`` prints of the same bytes."""

from __future__ import annotations

import subprocess

import pytest
from wire_samples import samples, texts

from fastpath.ofproto.actions.versions import OF10, OF11
from fastpath.ofproto.flow_text import parse_flow
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.messages import basic, flow, packet, stats
from fastpath.openflow.messages.table import encode
from fastpath.openflow.printing.message import format_message

FRAMES = (
    "ffffffffffff00000000000108004500002800000000400600000a0000010a00000200500051000000000000000050020000abcd"
    "0000", "ffffffffffff000000000001080045000020000000004011000001020304050607080035003500080102",
    "3333000000010000000000018100200586dd6000000000083afffe800000000000000000000000000001ff0200000000000000000"
    "0000000000180001234000000ff",
    "ffffffffffff0000000000010806000108000604000100000000000102030405" + "00" * 10,
    "00", "ffffffffffff00000000000188470000110508004500")


def compare(ovs_ofctl: str, messages: list[bytes], *more: str) -> None:
    """Fail at the first message that we print otherwise."""
    for data in messages:
        done = subprocess.run([ovs_ofctl, "ofp-print", data.hex(), *more], capture_output=True, text=True,
                              timeout=30)
        assert format_message(data) == done.stdout, done.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_every_message_is_printed_as_the_reference_prints_it(ovs_ofctl: str, version: int) -> None:
    compare(ovs_ofctl, [encode(m, version, 0x12345678) for m in samples(version)
                        if not isinstance(m, stats.TableFeaturesReply | basic.Error)])


@pytest.mark.parametrize("version", [v for v in VERSIONS if v != OF11])
def test_flow_mods_are_printed_as_the_reference_prints_them(ovs_ofctl: str, version: int) -> None:
    mods = [parse_flow(text if "table=" in text[:6] else f"table=0,{text}") for text in texts(version)]
    compare(ovs_ofctl, [encode(flow.NxFlowMod(m) if version == OF10 else m, version, 1) for m in mods])


@pytest.mark.parametrize("frame", FRAMES)
def test_packets_are_printed_as_the_reference_prints_them(ovs_ofctl: str, frame: str) -> None:
    data = bytes.fromhex(frame)
    compare(ovs_ofctl, [encode(packet.NxPacketIn2(data, len(data), 1), 6, 1)])


def test_errors_show_what_was_refused(ovs_ofctl: str) -> None:
    for version in VERSIONS:
        request = encode(basic.EchoRequest(b"abc"), version, 5)
        compare(ovs_ofctl, [encode(basic.Error(code, data), version, 9) for code, data in (
            ("OFPBRC_BAD_LEN", request),
            ("OFPFMFC_OVERLAP", encode(parse_flow("table=0,ip,actions=2"), version, 1)),
            ("OFPHFC_INCOMPATIBLE", b"We speak nothing."), ("OFPBRC_BAD_TYPE", request[:4]))])


def test_what_cannot_be_decoded_is_dumped(ovs_ofctl: str) -> None:
    for version in VERSIONS:
        compare(ovs_ofctl, [bytes([version, 99, 0, 8, 0, 0, 0, 1]),
                            encode(basic.SetConfig(), version, 1)[:-1] + b"",
                            bytes([version, 14, 0, 12, 0, 0, 0, 1, 1, 2, 3, 4])])
