"""Groups and meters on the wire: what ovs-ofctl sends comes back, and what is malformed is refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from recorder import record
from wire_samples import printed

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF11, OF13, OF15
from fastpath.ofproto.group import GroupMod
from fastpath.ofproto.group_text import format_group_mod, parse_group_mod
from fastpath.ofproto.meter_text import format_meter_mod, parse_meter_mod
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.messages.table import decode, encode

_ACTIONS = ("output:1", "output:2,output:3", "mod_dl_src:00:00:00:00:00:05,output:1", "dec_ttl,group:7",
            "strip_vlan,output:4", "drop")
_METHODS = ("", "selection_method=dp_hash,", "selection_method=hash,selection_method_param=9,",
            "selection_method=hash,fields(ip_src,tcp_dst=0xff00,ipv6_dst=ffff::),")


def group_texts(n: int, *, properties: bool) -> list[str]:
    """*n* groups of all types."""
    chance, out = random.Random(n), []
    for number in range(n):
        kind = chance.choice(("all", "select", "indirect", "ff"))
        method = chance.choice(_METHODS) if kind == "select" and properties else ""
        buckets, numbered = [], properties and chance.random() < .5
        for i in range(1 if kind == "indirect" else chance.randint(0, 4)):
            head = f"bucket_id:{i * 3}," if numbered else ""
            head += f"weight:{chance.choice((0, 1, 7, 65535))}," if kind == "select" else ""
            head += f"watch_port:{chance.randint(1, 9)}," if kind == "ff" else ""
            buckets.append(f",bucket={head}actions={chance.choice(_ACTIONS)}")
        out.append(f"group_id={number},type={kind},{method}{''.join(buckets)[1:]}".rstrip(","))
    return out


@pytest.mark.parametrize("version", VERSIONS)
def test_group_mods_of_ovs_ofctl_are_read_and_written_alike(ovs_ofctl: str, version: int, tmp_path: Path,
                                                           more: int) -> None:
    texts = group_texts(60 * more, properties=version in (OF10, OF15))
    lines = [f"add {text}" for text in texts]
    if version in (OF10, OF15):
        lines += ["insert_bucket group_id=4,command_bucket_id=3,bucket=actions=output:3",
                  "remove_bucket group_id=4,command_bucket_id=first"]
    sent = record(tmp_path, version, "add-groups", "SWITCH", "-",
                  text="\n".join([*lines, "delete group_id=7"]))
    sent = [data for data in sent if isinstance(decode(data).message, GroupMod)]
    assert len(sent) == len(lines) + 1
    for data in sent:
        frame = decode(data)
        assert encode(frame.message, version, frame.xid) == data
    for data, text in zip(sent, texts, strict=False):
        assert encode(parse_group_mod(text), version, decode(data).xid) == data


@pytest.mark.parametrize("version", VERSIONS)
def test_group_mods_are_printed_as_we_print_them(ovs_ofctl: str, version: int) -> None:
    for text in group_texts(12, properties=version in (OF10, OF15)):
        mod = decode(encode(parse_group_mod(text), version, 1)).message
        line = printed(ovs_ofctl, encode(mod, version, 1))
        assert line.partition("):\n")[2].strip() == format_group_mod(mod, version).strip(), text


@pytest.mark.parametrize("version", [v for v in VERSIONS if v >= OF13])
def test_meter_mods_of_ovs_ofctl_are_read_and_written_alike(ovs_ofctl: str, version: int,
                                                           tmp_path: Path) -> None:
    texts = ("meter=1,kbps,band=type=drop,rate=1000", "meter=2,pktps,burst,stats,band=type=drop,rate=100,"
             "burst_size=50,type=dscp_remark,rate=9,burst_size=1,prec_level=2")
    for text in texts:
        (data,) = record(tmp_path, version, "add-meter", "SWITCH", text)
        mod = parse_meter_mod(text)
        assert decode(data).message == mod and encode(mod, version, decode(data).xid) == data
        line = printed(ovs_ofctl, data)
        assert line.partition("):")[2].strip() == format_meter_mod(mod).strip()


@pytest.mark.parametrize(("version", "body", "code"), [
    (OF11, "0000 09 00 00000001", "OFPGMFC_BAD_TYPE"), (OF11, "0007 00 00 00000001", "OFPGMFC_BAD_COMMAND"),
    (OF13, "0000 00 00 00000001 0008 0000 00000000", "OFPGMFC_BAD_BUCKET"),
    (OF13, "0000 00 00 00000001 0020 0000 ffffffff ffffffff 00000000", "OFPGMFC_BAD_BUCKET"),
    (OF13, "0000 00 00 00000001 0010 0000 0000ff05 ffffffff 00000000", "OFPGMFC_BAD_WATCH"),
    (OF13, "0000 00 00 00000001 0010 0000 00000005 ffffffff 00000000", "OFPGMFC_WATCH_UNSUPPORTED"),
    (OF13, "0000 01 00 00000001 0010 0000 ffff0005 ffffffff 00000000", "OFPGMFC_BAD_WATCH"),
    (OF13, "0000 00 00 00000001 0010 0005 ffffffff ffffffff 00000000", "OFPGMFC_INVALID_GROUP"),
    (OF13, "0002 00 00 00000001 0010 0000 ffffffff ffffffff 00000000", "OFPGMFC_INVALID_GROUP"),
    (OF13, "0000 02 00 00000001", "OFPGMFC_INVALID_GROUP"),
    (OF15, "0000 00 00 00000001 0000 0000 00000005", "OFPGMFC_BAD_BUCKET"),
    (OF15, "0003 00 00 00000001 0000 0000 ffffffff", "OFPGMFC_BAD_BUCKET"),
    (OF15, "0000 00 00 00000001 0010 0000 ffffffff", "OFPBRC_BAD_LEN"),
    (OF15, "0000 00 00 00000001 0008 0000 ffffffff 0008 0000 ffffff01", "OFPGMFC_BAD_BUCKET"),
    (OF15, "0000 00 00 00000001 0010 0000 ffffffff 0008 0000 00000001 0008 0000 00000001",
     "OFPGMFC_BAD_BUCKET"),
    (OF15, "0000 00 00 00000001 0010 0000 ffffffff 0010 0000 00000001 0007 0008 00000000",
     "OFPBPC_BAD_TYPE"),
    (OF15, "0000 01 00 00000001 0000 0000 ffffffff 0007 0008 00000000", "OFPBPC_BAD_TYPE"),
    (OF15, "0000 01 00 00000001 0000 0000 ffffffff ffff 0010 00000099 00000000 00000000",
     "OFPBPC_BAD_EXP_TYPE"),
    (OF15, "0000 01 00 00000001 0000 0000 ffffffff ffff 0010 0000154d 00000009 00000000",
     "OFPBPC_BAD_EXP_TYPE"),
    (OF15, "0000 00 00 00000001 0000 0000 ffffffff ffff 0028 0000154d 00000001 00000000 68617368" + "00" * 20,
     "OFPBPC_BAD_VALUE"),
    (OF15, "0000 01 00 00000001 0000 0000 ffffffff ffff 0028 0000154d 00000001 00000000 68617369" + "00" * 20,
     "OFPBPC_BAD_VALUE")])
def test_malformed_groups_have_the_error_of_the_reference(ovs_ofctl: str, version: int, body: str,
                                                          code: str) -> None:
    payload = bytes.fromhex(body.replace(" ", ""))
    data = bytes([version, 15]) + (8 + len(payload)).to_bytes(2, "big") + bytes(4) + payload
    with pytest.raises(OpenFlowError) as e:
        decode(data)
    assert e.value.code == code
    assert f"decode error: {code}" in printed(ovs_ofctl, data)


@pytest.mark.parametrize(("body", "code"), [
    ("0007 0001 00000001", "OFPMMFC_BAD_COMMAND"), ("0000 0003 00000001", "OFPMMFC_BAD_FLAGS"),
    ("0000 0001 00000001 0001 000c 00000001 00000001 00000000", "OFPBRC_BAD_LEN"),
    ("0000 0001 00000001 0007 0010 00000001 00000001 00000000", "OFPMMFC_BAD_BAND"),
    ("0000 0001 00000001 0001 0018 00000001 00000001 00000000", "OFPBRC_BAD_LEN")])
def test_malformed_meters_have_the_error_of_the_reference(ovs_ofctl: str, body: str, code: str) -> None:
    payload = bytes.fromhex(body.replace(" ", ""))
    data = bytes([OF13, 29]) + (8 + len(payload)).to_bytes(2, "big") + bytes(4) + payload
    with pytest.raises(OpenFlowError) as e:
        decode(data)
    assert e.value.code == code
    assert f"decode error: {code}" in printed(ovs_ofctl, data)
