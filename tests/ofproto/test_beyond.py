"""A strict switch refuses what the reference does not know, in its words, which are asked of it here."""

from __future__ import annotations

import subprocess

import pytest

from fastpath import OpenFlowError, Switch
from fastpath.errors import FastpathError
from fastpath.testing import frame

PBB = "dl_type=0x88e7"
STRICT = (
    ("ip,actions=copy_ttl_out", "OFPBAC_BAD_TYPE", "unknown action copy_ttl_out"),
    ("mpls,actions=clone(copy_ttl_in)", "OFPBAC_BAD_TYPE", "unknown action copy_ttl_in"),
    ("actions=push_pbb:0x88e7", "OFPBAC_BAD_TYPE", "unknown action push_pbb"),
    (f"{PBB},actions=write_actions(pop_pbb,output:1)", "OFPBAC_BAD_TYPE", "unknown action pop_pbb"),
    ("ip,actions=set_field:6->nw_proto", "OFPBAC_BAD_SET_ARGUMENT", "nw_proto is read-only"),
    ("actions=set_field:0x800->eth_type", "OFPBAC_BAD_SET_ARGUMENT", "eth_type is read-only"),
    ("mpls,actions=set_field:1->mpls_bos", "OFPBAC_BAD_SET_ARGUMENT", "mpls_bos is read-only"),
    ("ip,actions=load:6->NXM_OF_IP_PROTO[]", "OFPBAC_BAD_SET_ARGUMENT", "nw_proto is read-only"),
    (f"{PBB},pbb_isid=5,actions=drop", "OFPBMC_BAD_FIELD", "unknown keyword pbb_isid"),
    (f"{PBB},actions=set_field:5->pbb_isid", "OFPBAC_BAD_SET_TYPE", "pbb_isid is not a valid OXM field name"),
    (f"{PBB},actions=move:OXM_OF_PBB_ISID[0..7]->NXM_NX_REG0[0..7]", "OFPBMC_BAD_FIELD", "pbb_isid"),
    (f"{PBB},actions=learn(table=1,OXM_OF_PBB_ISID[])", "OFPBMC_BAD_FIELD", "pbb_isid"))


@pytest.mark.parametrize("flow, code, words", STRICT)
def test_a_strict_switch_refuses_it(flow: str, code: str, words: str) -> None:
    with Switch(seed=0, strict=True) as strict, Switch(seed=0) as free:
        bridge = strict.add_bridge("br0")
        if "learn" not in flow:         # a learned rule must name the type its field depends on
            free.add_bridge("br0").add_flow(flow)
        with pytest.raises(FastpathError) as refused:
            bridge.add_flow(flow)
        if "learn" not in flow:
            assert isinstance(refused.value, OpenFlowError) and refused.value.code == code
            assert words in str(refused.value)
        actions = flow.partition("actions=")[2]
        if actions != "drop" and "write_actions" not in flow:
            with pytest.raises(FastpathError):
                bridge.add_group(f"group_id=1,type=all,bucket={actions},output:1")
            with pytest.raises(FastpathError):
                bridge.packet_out(frame(), actions)
        assert bridge.dump_flows() == bridge.dump_groups() == ""


@pytest.mark.parametrize("flow, code, words", STRICT)
def test_the_words_are_those_of_ovs_ofctl(ovs_ofctl: str, flow: str, code: str, words: str) -> None:
    done = subprocess.run([ovs_ofctl, "-O", "OpenFlow13,OpenFlow10", "parse-flow", flow], capture_output=True,
                          text=True, timeout=60)
    if "load:" in flow:                 # which ovs-ofctl finds only when it checks the whole
        assert code in done.stderr
    elif words != "pbb_isid":           # it names the field as it was written
        assert words in done.stderr
