"""encap, decap and NSH: translation as the reference's, and packets that come out as they went in."""

from __future__ import annotations

from itertools import product

import pytest
from model.frames import TCP, UDP, Frame
from pair import Pair
from rule_sets import Case

import fastpath

# On IP packets, told apart by their TTL.  Left out is what the reference ends itself at (an assertion):
# encap(mpls) with decap right behind it.
IP_ACTIONS = (
    "encap(nsh(md_type=1)),set_field:0x1234->nsh_spi,set_field:7->nsh_c1,encap(ethernet),"
    "set_field:11:22:33:44:55:66->eth_dst,output:2",
    "encap(nsh(md_type=2,tlv(0x1000,10,0x12345678),tlv(0x2000,20,0xfedcba))),encap(ethernet),output:2",
    "encap(nsh),output:2",
    "decap(),encap(ethernet),output:2",
    "decap(),output:2",
    "dec_ttl,encap(mpls),encap(ethernet),output:2",
    "encap(mpls_mc),set_field:0x77->mpls_label,encap(ethernet),set_field:1->mpls_tc,output:2",
    "encap(mpls),encap(mpls),encap(ethernet),output:2,decap(),decap(),output:3",
    "encap(ethernet),output:2",
    "clone(encap(nsh),encap(ethernet),output:3),output:2",
    "decap(packet_type(ns=1,type=0x800)),encap(nsh),encap(ethernet),output:3",
    "encap(nsh),encap(nsh),encap(ethernet),output:3,output:9",
    "encap(nsh),output:9,encap(ethernet),output:2",
    "decap(),decap(),output:2",
    "encap(nsh),decap(),output:2",
    "encap(nsh),set_field:9->nsh_ttl,dec_nsh_ttl,set_field:1->nsh_flags,encap(ethernet),dec_nsh_ttl,"
    "output:2,dec_nsh_ttl,output:3",
)
OTHER_RULES = (
    "table=0,in_port=2,dl_type=0x894f,nsh_spi=0x1 actions=dec_nsh_ttl,set_field:3->nsh_si,output:1",
    "table=0,in_port=2,dl_type=0x894f,nsh_spi=0x2 actions=decap(),decap(),output:1",
    "table=0,in_port=2,dl_type=0x894f,nsh_spi=0x3 actions=decap(),decap(),resubmit(,1)",
    "table=0,in_port=2,dl_type=0x894f,nsh_spi=0x4,nsh_c1=5 actions=set_field:0x5/0xff->nsh_c2,"
    "set_field:1/1->nsh_flags,output:1",
    "table=0,in_port=2,dl_type=0x894f,nsh_spi=0x5 actions=decap(),push_vlan:0x8100,output:1",
    "table=0,in_port=2,dl_type=0x894f,nsh_spi=0x6 actions=set_field:1->nsh_ttl,output:1,dec_nsh_ttl,output:3",
    "table=0,in_port=3,mpls,mpls_label=1 actions=encap(mpls),encap(ethernet),output:2",
    "table=0,in_port=3,mpls,mpls_label=2 actions=decap(),decap(packet_type(ns=0,type=0)),output:2",
    "table=0,in_port=3,mpls,mpls_label=3 actions=decap(),decap(packet_type(ns=1,type=0x800)),"
    "encap(ethernet),output:2",
)


def test_translation_of_ip_packets(pair: Pair) -> None:
    pair.add_patched_bridges()
    rules = tuple(f"table=0,{ip},nw_ttl={ttl} actions={actions}" for ip in ("ip", "ipv6")
                  for ttl, actions in enumerate(IP_ACTIONS, 1))
    packets = tuple(f"in_port=1,{proto},nw_ttl={ttl},nw_tos=32,dl_src=00:00:00:00:00:07{tag}"
                    for ttl in range(1, len(IP_ACTIONS) + 1) for proto in ("tcp", "udp6")
                    for tag in ("", ",dl_vlan=5"))
    assert pair.compare("br0", Case(0, "OpenFlow15", rules, packets))


def test_translation_of_nsh_and_mpls_packets(pair: Pair) -> None:
    pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3}, 100)
    packets = [f"in_port=2,dl_type=0x894f,nsh_spi={spi},nsh_mdtype={md},nsh_np={np},nsh_ttl={ttl},nsh_c1=5"
               for spi, md, np, ttl in product(range(1, 7), (1, 2), (1, 3, 4, 9), (1, 9))]
    packets += [f"in_port=3,mpls,mpls_label={label},mpls_bos={bos}" for label in (1, 2, 3) for bos in (0, 1)]
    assert pair.compare("br0", Case(0, "OpenFlow15", OTHER_RULES, tuple(packets)))


@pytest.mark.parametrize("headers", [
    "encap(nsh),set_field:5->nsh_spi,encap(ethernet)",
    "encap(nsh(md_type=2,tlv(0x1000,10,0x123456))),encap(ethernet)",
    "encap(nsh),encap(nsh),encap(ethernet)", "decap(),encap(nsh),encap(ethernet)",
])
@pytest.mark.parametrize("frame", [Frame(proto=TCP, payload=b"1"), Frame(v6=True, proto=UDP, payload=b"12")])
def test_what_was_put_in_a_service_header_comes_out_of_it(headers: str, frame: Frame) -> None:
    with fastpath.Switch(seed=1) as switch:
        bridge = switch.add_bridge("br0")
        for name in ("p1", "p2", "p3"):
            bridge.add_port(name)
        bridge.add_flow(f"in_port=1 actions={headers},set_field:02:00:00:00:00:09->eth_dst,output:2")
        bridge.add_flows(["in_port=2,dl_type=0x894f actions=decap(),decap(),goto_table:1",
                          "table=1,packet_type=(0,0) actions=output:3",
                          "table=1,packet_type=(1,0x894f) actions=decap(),resubmit(,1)",
                          "table=1,packet_type=(1,0x800) actions=encap(ethernet),output:3",
                          "table=1,packet_type=(1,0x86dd) actions=encap(ethernet),output:3"])
        sent = frame.build()
        (wrapped,) = bridge.inject("p1", sent)[bridge.port("p2")]
        assert wrapped[:6].hex() == "020000000009" and wrapped[12:14].hex() == "894f"
        ((port, frames),) = bridge.inject("p2", wrapped).items()
        kept = 0 if not headers.startswith("decap") else 12         # the addresses went with their header
        assert port.name == "p3" and frames[0][kept:] == sent[kept:]


def test_a_label_is_popped_right_after_it_was_pushed() -> None:
    """Where the reference ends itself."""
    with fastpath.Switch(seed=1) as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_port("p1")
        out = bridge.add_port("p2")
        bridge.add_flow("in_port=1 actions=encap(mpls),decap(packet_type(ns=0,type=0)),output:2")
        sent = Frame(payload=b"x").build()
        assert bridge.inject("p1", sent) == {out: [sent]}
