"""The OpenFlow codec: there and back, in the reference's eyes, from its own hands, and broken input."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder import record
from strategies import flows
from wire_samples import printed, samples, texts

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF11, OF13, OF14, as_version
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.flow_text import format_flow_mod, parse_flow
from fastpath.openflow.codec import VERSIONS, Reader
from fastpath.openflow.errors import ERRORS, NAMELESS, UNENCODABLE, decode_error, encode_error
from fastpath.openflow.legacy_match import get_match, put_match
from fastpath.openflow.messages import basic, flow
from fastpath.openflow.messages.table import decode, encode, refusal

# -- there and back ----------------------------------------------------------------------------------

@given(st.sampled_from(VERSIONS).flatmap(lambda v: st.tuples(st.just(v), flows(of10=v == OF10))),
       st.sampled_from(list(Command)))
@settings(deadline=None, max_examples=80)
def test_flow_mods_come_back_as_the_version_says_them(drawn: tuple[int, str], command: Command) -> None:
    version, text = drawn
    mod = parse_flow(text)
    if version == OF11 and not _fits_of11(mod):
        return
    try:
        data = encode(flow.NxFlowMod(mod) if version == OF10 else mod, version, 7)
    except OpenFlowError as error:
        assert error.code == "OFPBAC_BAD_TYPE"
        return
    frame = decode(data)
    assert (frame.version, frame.xid) == (version, 7)
    assert encode(frame.message, version, 7) == data
    got = frame.message.mod if isinstance(frame.message, flow.NxFlowMod) else frame.message
    assert format_flow_mod(got, version) == format_flow_mod(mod, version)
    assert as_version(got.actions, version, got.match) == got.actions


EXACT = ("tcp,in_port=1,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,dl_vlan=5,dl_vlan_pcp=3,"
         "nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_tos=4,tp_src=1,tp_dst=2")


@pytest.mark.parametrize(("match", "priority"), [(EXACT, 65535), (EXACT.replace("tp_src=1,", ""), 7)])
def test_a_match_of_all_fields_has_the_highest_priority_in_1_0(
        match: str, priority: int, ovs_ofctl: str) -> None:
    data = encode(parse_flow(f"priority=7,{match} actions=output:2"), OF10, 7)
    message = decode(data).message
    assert isinstance(message, FlowMod) and message.priority == priority
    assert f"priority={priority}," in printed(ovs_ofctl, data)


def _fits_of11(mod: FlowMod) -> bool:
    return get_match(Reader(put_match(mod.match, OF11)), OF11).normalized() == mod.match


@pytest.mark.parametrize("version", VERSIONS)
def test_errors_have_one_number_each(version: int) -> None:
    unencodable = encode_error(UNENCODABLE, version)
    for name in ERRORS:
        data = encode_error(name, version)
        if data != unencodable:
            again = decode_error(data + bytes(64), version)[0]
            assert encode_error(again, version) == data


def test_a_refusal_carries_the_request() -> None:
    request = encode(basic.EchoRequest(bytes(range(100))), OF13, 99)
    frame = decode(refusal(OpenFlowError("OFPBRC_BAD_TYPE"), request, OF13))
    assert frame.xid == 99 and frame.message == basic.Error("OFPBRC_BAD_TYPE", request)


# -- as the reference sees it ------------------------------------------------------------------------

@pytest.mark.parametrize("version", VERSIONS)
def test_the_reference_reads_our_flow_mods_as_we_print_them(ovs_ofctl: str, version: int) -> None:
    for text in texts(version):
        mod = parse_flow(text if "table=" in text[:6] else f"table=0,{text}")
        message = flow.NxFlowMod(mod) if version == OF10 else mod
        if version == OF11 and not _fits_of11(mod):
            continue
        line = printed(ovs_ofctl, encode(message, version, 1))
        assert line.partition("): ")[2].rstrip() == format_flow_mod(mod, version), text


@pytest.mark.parametrize("version", [v for v in VERSIONS if v != OF11])
def test_what_ovs_ofctl_sends_is_read_and_written_alike(ovs_ofctl: str, version: int, tmp_path: Path) -> None:
    sent = record(tmp_path, version, "add-flows", "SWITCH", "-", text="\n".join(texts(version)))
    sent += record(tmp_path, version, "del-flows", "SWITCH", "cookie=0x5/0xff,ip,out_port=3")
    packet_out = f"in_port=2 packet={'ab' * 60} actions=output:1"
    sent += record(tmp_path, version, "packet-out", "SWITCH", packet_out)
    mods = 0
    for data in sent:
        frame = decode(data)
        mods += isinstance(frame.message, FlowMod | flow.NxFlowMod)
        assert encode(frame.message, version, frame.xid) == data
    assert mods == len(texts(version)) + 1


# -- broken input ------------------------------------------------------------------------------------

def attempt(data: bytes) -> None:
    try:
        decode(data)
    except OpenFlowError as error:
        assert error.code in ERRORS or error.code == NAMELESS, error.code


def corpus() -> list[bytes]:
    out = []
    for version in VERSIONS:
        out += [encode(m, version, 1) for m in samples(version)]
        for text in texts(version):
            mod = parse_flow(text)
            out.append(encode(flow.NxFlowMod(mod) if version == OF10 else mod, version, 1))
    return out


def test_every_truncation_is_an_error_and_no_crash() -> None:
    for data in corpus():
        for size in range(8, len(data)):
            cut = data[:2] + size.to_bytes(2, "big") + data[4:size]
            attempt(cut)


def test_mutations_are_errors_or_other_messages(more: int) -> None:
    chance = random.Random(5)
    messages = corpus()
    for _ in range(6000 * more):
        data = bytearray(chance.choice(messages))
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(4, len(data))] = chance.choice((0, 1, 0xFF, chance.randrange(256)))
        attempt(bytes(data))


def test_actions_within_actions_have_a_limit() -> None:
    body = b""
    for _ in range(3000):
        size = 16 + len(body)
        body = b"\xff\xff" + size.to_bytes(2, "big") + b"\0\0\x23\x20\0\x2a" + bytes(6) + body
    data = encode(parse_flow("actions=drop"), OF10, 1) + body
    data = data[:2] + len(data).to_bytes(2, "big") + data[4:]
    with pytest.raises(OpenFlowError, match="OFPBAC_TOO_MANY"):
        decode(data)


@pytest.mark.parametrize(("version", "hexa", "code"), [
    (OF13, "04630008 00000001", "OFPBRC_BAD_TYPE"),
    (OF13, "0404 0010 00000001 00000099 00000001", "OFPBRC_BAD_VENDOR"),
    (OF13, "0404 0010 00000001 00002320 0000ffff", "OFPBRC_BAD_SUBTYPE"),
    (OF13, "0412 0010 00000001 00990000 00000000", "OFPBRC_BAD_STAT"),
    (OF13, "0403 0007 00000001", "OFPBRC_BAD_LEN"),
    (OF14, "0905 0008 00000001", "OFPBRC_BAD_TYPE"),
])
def test_malformed_messages_have_the_error_of_the_specification(version: int, hexa: str, code: str) -> None:
    with pytest.raises(OpenFlowError) as e:
        decode(bytes.fromhex(hexa.replace(" ", "")))
    assert e.value.code == code


def match_refused(tlvs: str) -> str:
    body = bytes.fromhex(tlvs.replace(" ", ""))
    good = encode(parse_flow("actions=drop"), OF13, 1)
    size = 4 + len(body)
    match = b"\0\1" + size.to_bytes(2, "big") + body + bytes(-size % 8)
    data = good[:48] + match
    data = data[:2] + len(data).to_bytes(2, "big") + data[4:]
    with pytest.raises(OpenFlowError) as e:
        decode(data)
    return e.value.code


def test_bad_matches_have_the_error_of_the_specification() -> None:
    assert match_refused("8000fe02 0800") == "OFPBMC_BAD_FIELD"
    assert match_refused("80000a03 080000") == "OFPBMC_BAD_FIELD"       # in the reference's reading
    assert match_refused("80000a02 0800 80000a02 0800") == "OFPBMC_DUP_FIELD"
    assert match_refused("80001604 0a000001") == "OFPBMC_BAD_PREREQ"
    assert match_refused("80000a02 0800 80001708 0a0000ff ff000000") == "OFPBMC_BAD_WILDCARDS"
    assert match_refused("80000a02 0800 80001001 ff") == "OFPBMC_BAD_VALUE"
    assert match_refused("80000b04 0800 ff00") == "OFPBMC_BAD_MASK"
