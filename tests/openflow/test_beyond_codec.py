"""What OpenFlow has and the reference has not, on the wire: the standard's numbers; refused when strict."""

from __future__ import annotations

import pytest
from test_service import said, session_of

import fastpath
from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.ofproto.flow_text import format_flow_mod, parse_flow
from fastpath.openflow.actions.nested import get_action, put_action
from fastpath.openflow.codec import Reader
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.table import decode, encode

FLOWS = ("mpls actions=copy_ttl_out,copy_ttl_in,set_field:1->mpls_bos,output:1",
         "dl_type=0x88e7,pbb_isid=0x5/0xff actions=set_field:7->pbb_isid,push_pbb:0x88e7,pop_pbb",
         "ip actions=set_field:17->nw_proto,set_field:0x806->eth_type")


@pytest.mark.parametrize("text", FLOWS)
@pytest.mark.parametrize("version", [OF13, OF14, OF15])
def test_flow_mods_come_back(version: int, text: str) -> None:
    mod = parse_flow(text)
    data = encode(mod, version, 7)
    got = decode(data).message
    assert format_flow_mod(got, version) == format_flow_mod(mod, version)
    assert encode(got, version, 7) == data


# Numbers of OpenFlow 1.3.5 sections 7.2.5 and 7.2.3.7, bytes written by hand.
@pytest.mark.parametrize("flow, data, since", [
    ("ip actions=copy_ttl_out", "000b000800000000", OF11),
    ("ip actions=copy_ttl_in", "000c000800000000", OF11),
    ("actions=push_pbb:0x88e7", "001a000888e70000", OF13),
    ("dl_type=0x88e7 actions=pop_pbb", "001b000800000000", OF13),
    ("dl_type=0x88e7 actions=set_field:0x123456->pbb_isid", "0019001080004a031234560000000000", OF12),
    ("dl_type=0x88e7 actions=set_field:1->pbb_uca", "00190010800052010100000000000000", OF12)])
def test_actions_have_the_standards_numbers(flow: str, data: str, since: int) -> None:
    (action,) = parse_flow(flow).actions
    for version in (OF10, OF11, OF12, OF13, OF14, OF15):
        if version >= since:
            assert put_action(action, version).hex() == data
            assert get_action(Reader(bytes.fromhex(data)), version) == action
        elif "set_field" not in flow:
            with pytest.raises(OpenFlowError):
                put_action(action, version)
            with pytest.raises(OpenFlowError):
                get_action(Reader(bytes.fromhex(data)), version)


def test_a_backbone_type_is_the_only_one_to_push() -> None:
    with pytest.raises(OpenFlowError, match="cannot be pushed"):
        get_action(Reader(bytes.fromhex("001a000888a80000")), OF13)


@pytest.mark.parametrize("strict", [False, True])
def test_a_strict_switch_answers_with_the_references_errors(strict: bool) -> None:
    """The codes were taken from the reference, which was sent the same bytes."""
    codes = {"mpls actions=copy_ttl_out": "OFPBAC_BAD_TYPE", "actions=push_pbb:0x88e7": "OFPBAC_BAD_TYPE",
             "dl_type=0x88e7 actions=pop_pbb": "OFPBAC_BAD_TYPE",
             "dl_type=0x88e7,pbb_isid=5 actions=drop": "OFPBMC_BAD_FIELD",
             "dl_type=0x88e7 actions=set_field:5->pbb_isid": "OFPBAC_BAD_SET_TYPE",
             "ip actions=set_field:6->nw_proto": "OFPBAC_BAD_SET_ARGUMENT",
             "ip actions=set_field:0x8847->eth_type": "OFPBAC_BAD_SET_ARGUMENT",
             "mpls actions=set_field:1->mpls_bos": "OFPBAC_BAD_SET_ARGUMENT"}
    with fastpath.Switch(seed=0, strict=strict) as switch:
        bridge = switch.add_bridge("br0")
        session = session_of(bridge, OF13)
        for flow, code in codes.items():
            session.received(encode(parse_flow("table=0," + flow), OF13, 9))
            replies = [frame.message for frame in said(session)]
            assert [isinstance(reply, basic.Error) for reply in replies] == [True] * strict, flow
            assert all(reply.code == code for reply in replies), (flow, replies)
        assert len(bridge.rules()) == (0 if strict else 5)      # of the others five have different matches
