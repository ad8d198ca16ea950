"""Tunnel options without a TLV table: refused when strict, else they read zero and ignore writes."""

from __future__ import annotations

import pytest

import fastpath
from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.tunnel_options import name_option
from fastpath.testing import frame

NAMING = ["set_field:5->tun_metadata0", "move:NXM_NX_TUN_METADATA3[0..31]->NXM_NX_REG0[]",
          "move:NXM_NX_REG0[]->NXM_NX_TUN_METADATA63[0..31]", "load:5->NXM_NX_TUN_METADATA0[0..31]",
          "push:NXM_NX_TUN_METADATA0[0..31]", "delete_field:tun_metadata0",
          "clone(delete_field:tun_metadata1)",
          "learn(table=2,NXM_NX_REG1[]=NXM_NX_TUN_METADATA0[0..31])", "ct(zone=NXM_NX_TUN_METADATA0[0..15])"]
OTHERS = ["output:2", "set_field:5->tun_id", "move:NXM_NX_TUN_ID[0..31]->NXM_NX_REG0[]",
          "learn(table=2,NXM_NX_REG1[]=NXM_NX_REG0[])", "clone(set_field:5->reg0)"]


@pytest.mark.parametrize("text", NAMING)
def test_rules_that_name_an_option_are_refused_when_strict(text: str) -> None:
    with fastpath.Switch(seed=0, strict=True) as sw:
        br = sw.add_bridge("br0")
        with pytest.raises(OpenFlowError, match="NXFMFC_INVALID_TLV_FIELD"):
            br.add_flow(f"ip,actions={text}")
        assert br.dump_flows() == ""


@pytest.mark.parametrize("text", OTHERS)
def test_others_name_none(text: str) -> None:
    assert not name_option(parse_actions(text))


def test_options_read_zero_and_swallow_what_is_written() -> None:
    with fastpath.Switch(seed=0) as sw:
        br = sw.add_bridge("br0")
        br.add_port("a")
        out = br.add_port("b")
        br.add_flow("actions=load:7->NXM_NX_TUN_METADATA0[0..31],set_field:9->tun_metadata1,"
                    "load:5->NXM_NX_REG0[],move:NXM_NX_TUN_METADATA0[0..31]->NXM_NX_REG0[],"
                    "delete_field:tun_metadata0,push:NXM_NX_TUN_METADATA0[0..31],resubmit(,1)")
        br.add_flow("table=1,reg0=0,actions=output:b")
        assert br.inject("a", frame()) == {out: [frame()]}
