"""Bridge.tlv_map: options map to fields that rules match and set, for the packets a trace tells of."""

from __future__ import annotations

import pytest

import fastpath
from fastpath.errors import NotFoundError, OpenFlowError
from fastpath.ofproto.tlv_table import TlvMapping

ONE = "{class=0xffff,type=0x1,len=4}->tun_metadata0"


def test_options_are_matched_set_and_sent() -> None:
    with fastpath.Switch(seed=0, strict=True) as sw:
        br = sw.add_bridge("br0")
        br.add_port("a")
        br.add_tunnel("t", "geneve", remote_ip="1.1.1.1")
        br.tlv_map.add(ONE)
        assert list(br.tlv_map) == [TlvMapping(0xFFFF, 1, 4, 0)] and len(br.tlv_map) == 1
        br.add_flow("tun_metadata0=0x12/0xfe,actions=set_field:0xa0/0xf0->tun_metadata0,output:t")
        assert br.dump_flows("tun_metadata0", stats=False) == (
            "tun_metadata0=0x12/0xfe actions=set_field:0xa0/0xf0->tun_metadata0,output:2")
        assert "geneve({class=0xffff,type=0x1,len=4,0x3a2})" in str(br.trace("in_port=1,tun_metadata0=0x312"))
        assert "drop" in str(br.trace("in_port=1,tun_metadata0=0x314"))
        assert "tun_metadata0=0x12/0xfe wants tun_metadata0=0x12/0xfe, the packet has tun_metadata0=NP" in (
            br.trace("in_port=1").why())


def test_an_option_that_rules_name_stays() -> None:
    with fastpath.Switch(seed=0) as sw:
        br = sw.add_bridge("br0")
        br.tlv_map.add(ONE)
        br.add_flow("actions=learn(table=1,NXM_NX_REG0[]=NXM_NX_TUN_METADATA0[0..31])")
        for drop in (br.tlv_map.clear, lambda: br.tlv_map.delete(ONE)):
            with pytest.raises(OpenFlowError, match="NXTTMFC_INVALID_TLV_DEL"):
                drop()
        br.del_flows()
        br.tlv_map.delete(TlvMapping(0, 0, 0, 0))       # the number alone counts
        assert br.tlv_map.dump().splitlines()[1:] == [
            " allocated option space=0", "", " mapping table:", "  class  type  length  match field",
            " ------  ----  ------  --------------"]
        with pytest.raises(OpenFlowError, match="NXFMFC_INVALID_TLV_FIELD"):
            br.add_flow("tun_metadata0=1,actions=drop")


def test_learned_rules_match_options() -> None:
    with fastpath.Switch(seed=0) as sw:
        br = sw.add_bridge("br0")
        a = br.add_port("a")
        br.tlv_map.add([TlvMapping(1, 2, 8, 5)])
        br.add_flow("in_port=1,actions=set_field:0x1122334455->tun_metadata5,learn(table=1,"
                    "NXM_NX_TUN_METADATA5[8..39]=NXM_NX_TUN_METADATA5[0..31],load:7->NXM_NX_TUN_METADATA5[0..3])")
        for _ in range(2):
            br.inject(a, bytes(60))
            assert br.dump_flows("table=1", stats=False) == (
                "table=1, tun_metadata5=0x2233445500/0xffffffff00 actions=set_field:0x7/0xf->tun_metadata5")


def test_a_deleted_bridge_has_no_table() -> None:
    with fastpath.Switch(seed=0) as sw:
        br = sw.add_bridge("br0")
        sw.del_bridge("br0")
        with pytest.raises(NotFoundError):
            br.tlv_map.add(ONE)
