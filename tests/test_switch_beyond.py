"""What OpenFlow has and the reference has not, end to end: copied TTLs, PBB, fields that say what follows.

A strict switch refuses all of it: ``ofproto/test_beyond.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import Bridge, Switch
from fastpath._extract import extract
from fastpath.errors import FastpathError
from fastpath.ofproto.flow_mod import FlowMod
from fastpath.ofproto.match import Match
from fastpath.testing import frame

PBB = "dl_type=0x88e7"
PUSH_LEN = 18


@pytest.fixture(scope="module")
def br() -> Iterator[Bridge]:
    with Switch(seed=3) as switch:
        bridge = switch.add_bridge("br0")
        for name in "abc":
            bridge.add_port(name)
        yield bridge


def out(bridge: Bridge, data: bytes, *flows: str, port: str = "a") -> dict[str, list[bytes]]:
    """What comes out when *data* meets these rules and no others."""
    bridge.del_flows()
    bridge.add_flows(flows)
    return {p.name: frames for p, frames in bridge.inject(port, data).items()}


def only(bridge: Bridge, data: bytes, *flows: str) -> bytes:
    ((got,),) = out(bridge, data, *flows).values()
    return got


def ip_sum(header: bytes) -> int:
    total = sum(int.from_bytes(header[i:i + 2], "big") for i in range(0, 20, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


frames = st.builds(frame, st.sampled_from(("udp", "tcp", "icmp", "udp6", "tcp6", "arp", "eth")),
                   src=st.integers(1, 9), dst=st.integers(1, 9), ttl=st.integers(1, 255),
                   vlan=st.sampled_from((None, 5, (7, 5))), pcp=st.integers(0, 7),
                   payload=st.binary(max_size=60))
ip_frames = st.builds(frame, st.sampled_from(("udp", "tcp6", "tcp", "icmp")), ttl=st.integers(2, 255),
                      payload=st.binary(max_size=60))


# -- PBB -------------------------------------------------------------------------------------------------

@settings(max_examples=60)
@given(data=frames, isid=st.integers(0, 0xFFFFFF), uca=st.integers(0, 1))
def test_what_is_pushed_and_popped_is_as_before(br: Bridge, data: bytes, isid: int, uca: int) -> None:
    """In one list, and over two bridges' worth of lookups with the backbone's own addresses and tag."""
    pushes = (f"push_pbb:0x88e7,set_field:{isid}->pbb_isid,set_field:{uca}->pbb_uca,"
              "set_field:00:00:00:00:00:09->eth_dst,set_field:00:00:00:00:00:08->eth_src")
    assert only(br, data, f"actions={pushes},pop_pbb,output:b") == data
    backbone = only(br, data, f"actions={pushes},output:b")
    pcp = data[14] >> 5 if data[12:14] in (b"\x81\0", b"\x88\xa8") else 0
    assert backbone == bytes.fromhex("00000000000900000000000888e7") + (
        pcp << 29 | uca << 27 | isid).to_bytes(4, "big") + data
    key = extract(backbone)
    assert (key.dl_type, key.pbb_isid, key.pbb_uca) == (0x88E7, isid, uca)
    assert only(br, backbone, f"{PBB},pbb_isid={isid},pbb_uca={uca},actions=pop_pbb,output:c",
                "priority=1,actions=drop") == data
    tagged = only(br, data, f"actions={pushes},push_vlan:0x8100,output:b")
    assert only(br, tagged, f"{PBB},vlan_tci=0x1000/0x1000,actions=strip_vlan,pop_pbb,output:c") == data


def test_what_is_under_the_backbone_header_is_matched_after_the_pop(br: Bridge) -> None:
    data = only(br, frame("tcp", dport=80), "actions=push_pbb:0x88e7,output:b")
    rules = (f"{PBB},actions=pop_pbb,resubmit(,1)", "table=1,tcp,tp_dst=80,actions=output:c",
             "table=1,priority=1,actions=output:b")
    assert set(out(br, data, *rules)) == {"c"}
    assert [p.name for p in br.inject("a", data)] == ["c"]      # once more, by the flows that are there now


def test_service_ids_are_matched_under_masks(br: Bridge) -> None:
    data = only(br, frame(), "actions=push_pbb:0x88e7,set_field:0x123456->pbb_isid,output:b")
    br.del_flows()
    br.add_flows((f"priority=9,{PBB},pbb_isid=0x120000/0xff0000,actions=output:b",
                  f"priority=5,{PBB},actions=output:c"))
    assert [p.name for p in br.inject("a", data)] == ["b"]
    other = data[:15] + b"\x13" + data[16:]
    assert [p.name for p in br.inject("a", other)] == ["c"]
    assert str(br.rules()[0].match) == "dl_type=0x88e7,pbb_isid=0x120000/0xff0000"
    assert "/0xff0000)),actions" not in br.dump_megaflows() and "/0xff0000)" in br.dump_megaflows()


def test_a_second_backbone_header_takes_the_service_id_over(br: Bridge) -> None:
    once = only(br, frame(), "actions=push_pbb:0x88e7,set_field:77->pbb_isid,output:b")
    twice = only(br, once, f"{PBB},actions=push_pbb:0x88e7,output:b")
    assert twice == once[:14] + (77).to_bytes(4, "big") + once
    assert only(br, twice, f"{PBB},actions=pop_pbb,output:b") == once


def test_other_copies_of_the_packet_have_no_backbone_header(br: Bridge) -> None:
    """By clone, by groups, and by a table in between: what cannot be taken back is done to a clone."""
    data = frame("tcp")
    for way in ("clone(push_pbb:0x88e7,output:b),output:c", "clone(resubmit(,1)),output:c",
                "group:5"):
        br.del_groups()
        br.add_group("group_id=5,type=all,bucket=push_pbb:0x88e7,output:b,bucket=output:c")
        got = out(br, data, f"actions={way}", "table=1,actions=push_pbb:0x88e7,output:b")
        assert len(got["b"][0]) == len(data) + PUSH_LEN and got["c"] == [data], way
    backbone = got["b"][0]
    got = out(br, backbone, "actions=clone(resubmit(,1)),output:c", f"table=1,{PBB},actions=pop_pbb,output:b")
    assert got == {"b": [data], "c": [backbone]}


def test_an_action_set_runs_in_the_order_openflow_has(br: Bridge) -> None:
    data = frame("tcp", ttl=9)
    got = only(br, data, "tcp,actions=write_actions(output:b,push_mpls:0x8847,dec_mpls_ttl,copy_ttl_out)")
    assert got[12:14] == b"\x88\x47" and got[17] == 8
    got = only(br, data, "tcp,actions=write_actions(push_vlan:0x8100,push_pbb:0x88e7,push_mpls:0x8847,"
               "output:b)")
    assert got[12:18] == b"\x81\0\0\0\x88\xe7" and got[34:36] == b"\x88\x47"
    got = got[:12] + got[16:]
    assert only(br, got, f"{PBB},actions=write_actions(output:b,pop_pbb)")[12:14] == b"\x88\x47"


def test_pop_with_nothing_to_do_after_it_ends_there(br: Bridge) -> None:
    data = only(br, frame(), "actions=push_pbb:0x88e7,output:b")
    assert out(br, data, f"{PBB},actions=pop_pbb", "priority=1,actions=output:c") == {}


@pytest.mark.parametrize("n", range(14, 40))
def test_every_truncation_of_a_backbone_frame_is_handled(br: Bridge, n: int) -> None:
    data = only(br, frame(), "actions=push_pbb:0x88e7,set_field:9->pbb_isid,output:b")[:n]
    got = only(br, data, f"{PBB},pbb_isid=9,actions=pop_pbb,output:b",
               f"priority=1,{PBB},actions=pop_pbb,output:c")
    assert got == (data[PUSH_LEN:] if n >= PUSH_LEN + 14 else data)


# -- TTLs -------------------------------------------------------------------------------------------------

@settings(max_examples=60)
@given(data=ip_frames, ttl=st.integers(0, 255))
def test_ttls_go_in_and_out_with_checksums_right(br: Bridge, data: bytes, ttl: int) -> None:
    own = extract(data).nw_ttl
    labelled = only(br, data, f"ip,actions=push_mpls:0x8847,set_field:{ttl}->mpls_ttl,output:b",
                    f"ipv6,actions=push_mpls:0x8847,set_field:{ttl}->mpls_ttl,output:b")
    assert labelled[17] == ttl
    assert only(br, labelled, "mpls,actions=copy_ttl_out,output:b")[17] == own
    into = only(br, labelled, "mpls,actions=copy_ttl_in,output:b")
    assert into[17] == ttl
    ethertype = "0x0800" if data[12:14] == b"\x08\0" else "0x86dd"
    back = only(br, into, f"mpls,actions=pop_mpls:{ethertype},output:b")
    assert extract(back).nw_ttl == ttl
    if ethertype == "0x0800":
        assert ip_sum(back[14:34]) == 0xFFFF
    # The one undoes the other.
    assert only(br, labelled, f"mpls,actions=copy_ttl_out,copy_ttl_in,pop_mpls:{ethertype},output:b") == data


@given(first=st.integers(0, 255), second=st.integers(0, 255))
@settings(max_examples=25)
def test_ttls_go_from_label_to_label(br: Bridge, first: int, second: int) -> None:
    data = only(br, frame("udp", ttl=99), f"ip,actions=push_mpls:0x8847,set_field:{second}->mpls_ttl,"
                f"push_mpls:0x8847,set_field:{first}->mpls_ttl,output:b")
    for action, ttls in (("copy_ttl_out", (second, second)), ("copy_ttl_in", (first, first))):
        got = only(br, data, f"mpls,actions={action},output:b")
        assert (got[17], got[21]) == ttls and got[22:] == data[22:]
        assert got == only(br, data, f"mpls,actions={action},{action},output:b")


def test_a_ttl_that_came_out_of_ip_is_known_to_later_actions(br: Bridge) -> None:
    data = frame("udp", ttl=7)
    push = "push_mpls:0x8847,set_field:200->mpls_ttl"
    assert only(br, data, f"ip,actions={push},copy_ttl_out,dec_mpls_ttl,output:b")[17] == 6
    assert set(out(br, frame("udp", ttl=1), f"ip,actions={push},copy_ttl_out,dec_mpls_ttl,output:b")) == set()
    labelled = only(br, data, f"ip,actions={push},output:b")
    got = out(br, labelled, "mpls,actions=clone(copy_ttl_out,output:b),output:c,copy_ttl_in,pop_mpls:0x0800,"
                            "output:b")
    assert [f[17] for f in got["b"][:1]] == [7] and got["c"] == [labelled]
    assert extract(got["b"][1]).nw_ttl == 200


# -- fields that say what follows --------------------------------------------------------------------------

@given(data=ip_frames, proto=st.integers(0, 255))
@settings(max_examples=40)
def test_the_protocol_is_set_and_nothing_else(br: Bridge, data: bytes, proto: int) -> None:
    v4 = data[12:14] == b"\x08\0"
    got = only(br, data, *(f"{word},actions=set_field:{proto}->nw_proto,output:b" for word in ("ip", "ipv6")))
    at = 23 if v4 else 20
    assert got[at] == proto
    if v4:
        assert ip_sum(got[14:34]) == 0xFFFF
        got = got[:24] + data[24:26] + got[26:]
    assert got[:at] + data[at:at + 1] + got[at + 1:] == data


def test_what_follows_is_read_anew(br: Bridge) -> None:
    data = frame("udp", sport=7, dport=80)
    assert set(out(br, data, "ip,actions=set_field:6->nw_proto,resubmit(,1)", "table=1,tcp,actions=output:b",
                   "table=1,udp,actions=output:c")) == {"b"}
    got = only(br, data, "ip,actions=set_field:0x1234->eth_type,resubmit(,1)",
               "table=1,dl_type=0x1234,actions=output:b", "table=1,priority=1,actions=drop")
    assert got == data[:12] + b"\x12\x34" + data[14:]
    assert only(br, got, "dl_type=0x1234,actions=set_field:0x800->eth_type,set_field:10.9.9.9->ip_dst,"
                         "output:b")[30:34] == bytes((10, 9, 9, 9))
    tagged = frame("udp", vlan=5)
    got = only(br, tagged, "actions=set_field:0x1234->eth_type,output:b")
    assert got == tagged[:16] + b"\x12\x34" + tagged[18:]


def test_the_bottom_of_the_stack_is_set(br: Bridge) -> None:
    data = only(br, frame("udp", ttl=9), "ip,actions=push_mpls:0x8847,set_field:3->mpls_label,output:b")
    open_end = only(br, data, "mpls,actions=set_field:0->mpls_bos,output:b")
    assert open_end == data[:16] + bytes((data[16] & 0xFE,)) + data[17:]
    got = only(br, open_end, "mpls,mpls_bos=0,actions=set_field:1->mpls_bos,pop_mpls:0x0800,dec_ttl,output:b")
    assert got[22] == 8
    assert only(br, data, "mpls,actions=clone(set_field:0->mpls_bos,output:c),push_mpls:0x8847,resubmit(,1)",
                "table=1,actions=drop").startswith(open_end[:18])


# -- refusals -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("flow", [
    "actions=copy_ttl_out", "arp,actions=copy_ttl_in", "ip,actions=pop_pbb",
    "ip,actions=set_field:5->pbb_isid",
    "arp,actions=set_field:5->nw_proto", "ip,actions=set_field:1->mpls_bos",
    f"{PBB},actions=pop_pbb,dec_ttl,push_vlan:0x8100", "actions=push_pbb:0x8100",
    "ip,actions=move:NXM_NX_REG0[0..7]->NXM_OF_IP_PROTO[]", "ip,actions=load:1->NXM_OF_IP_PROTO[0..3]",
    "actions=set_field:0x800->eth_type,set_field:80->tcp_dst"])
def test_what_makes_no_sense_is_refused_by_any_switch(br: Bridge, flow: str) -> None:
    with pytest.raises(FastpathError):
        br.add_flow(flow)


def test_a_match_on_a_service_id_of_no_backbone_frame_is_dropped_from_the_rule(br: Bridge) -> None:
    br.del_flows()
    br.add_flow(FlowMod(match=Match.of(dl_type=0x800, pbb_isid=5)))
    assert str(br.rules()[0].match) == "ip"
