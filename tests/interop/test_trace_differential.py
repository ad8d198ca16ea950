"""The law of translation: what ``br.trace()`` says equals ``ofproto/trace`` of the reference, to the letter.

Both switches get the same generated rules and trace the same packets: every line must agree, from the
flow and each table's rule to the megaflow's mask and the datapath actions (``pair``).
"""

from __future__ import annotations

import re
import time

import pytest
from pair import Pair, lines
from rule_sets import Case, Maker

import fastpath
from fastpath.dpif import actions as odp
from fastpath.ofproto.match import Match
from fastpath.ofproto.xlate import translate
from fastpath.ofproto.xlate.context import XlateIn
from fastpath.ofproto.xlate.trace import Trace

N_TABLES_OF_RULES, CHUNKS = 320, 8


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_generated_tables_and_packets(pair: Pair, more: int, chunk: int) -> None:
    pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3}, 100)
    seeds = range(chunk, N_TABLES_OF_RULES * more, CHUNKS)
    n_taken = sum(pair.compare("br0", Maker(seed).case(4)) for seed in seeds)
    assert n_taken >= 0.97 * len(seeds)


def test_across_a_patch(pair: Pair, more: int) -> None:
    pair.add_patched_bridges()
    n_taken = 0
    for seed in range(5000, 5000 + 40 * more):
        far, near = Maker(seed), Maker(seed + 100_000)
        if not pair.compare("br1", far.case(0)):
            continue
        n_taken += pair.compare("br0", near.case(4))
    assert n_taken >= 35 * more


# Port settings: what ovs-vsctl is told, what our port is told.
VLAN_PORTS = {
    "p1": (("tag=5",), {"tag": 5}),
    "p2": (("trunks=5,9",), {"trunks": (5, 9)}),
    "p3": (("vlan_mode=native-tagged", "tag=9", "trunks=5,9"),
           {"tag": 9, "trunks": (5, 9), "vlan_mode": "native-tagged"}),
}
UNTAGGED = {"p3": (("vlan_mode=native-untagged", "tag=9", "other_config:priority-tags=true"),
                   {"tag": 9, "vlan_mode": "native-untagged", "priority_tags": "if-nonzero"})}


@pytest.mark.parametrize("settings", [VLAN_PORTS, {**VLAN_PORTS, **UNTAGGED}], ids=["tagged", "untagged"])
def test_normal_with_vlans_and_known_addresses(pair: Pair, settings: dict[str, tuple[tuple[str, ...], dict]],
                                               more: int) -> None:
    bridge = pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3}, 100)
    for port, (theirs, ours) in settings.items():
        pair.ref.vsctl("set", "port", port, *theirs)
        bridge.port(port).set(**ours)
    for port, vlan, mac in (("p1", 5, 1), ("p2", 9, 2), ("p3", 9, 0x020000001001), ("br0", 0, 2)):
        text = ":".join(f"{mac:012x}"[i:i + 2] for i in range(0, 12, 2))
        pair.ref.appctl("fdb/add", "br0", port, str(vlan), text)
        bridge.ofproto.macs.add_static(mac, vlan, bridge.ofproto.port_named(port).ofp_port)
    case = Case(0, "OpenFlow13", (
        "table=0,priority=5,arp actions=push_vlan:0x8100,set_field:4101->vlan_vid,NORMAL",
        "table=0,priority=0 actions=NORMAL"), ())
    assert pair.compare("br0", case)
    for seed in range(200 * more):
        pair.agree("br0", Maker(seed).packet(), case.rules)


def test_a_deeper_look_after_an_mpls_pop_recirculates(pair: Pair) -> None:
    pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3}, 100)
    case = Case(0, "OpenFlow13", (
        "table=0,mpls,mpls_label=1 actions=pop_mpls:0x0800,output:2",
        "table=0,mpls,mpls_label=2 actions=pop_mpls:0x0800,set_field:1->reg0,dec_ttl,output:2",
        "table=0,mpls,mpls_label=3 actions=pop_mpls:0x0800,output:2,resubmit(,1),output:3",
        "table=0,mpls,mpls_label=4 actions=pop_mpls:0x8847,goto_table:1",
        "table=0,mpls,mpls_label=5 actions=resubmit(,2),output:3,write_actions(output:1)",
        "table=1,mpls,mpls_label=4 actions=dec_mpls_ttl,output:3",
        "table=2,mpls actions=push:NXM_NX_REG0[],pop_mpls:0x0800,set_field:9->ip_dscp,output:2",
    ), tuple(f"in_port=1,mpls,mpls_label={label},mpls_bos={bos},mpls_ttl=9" for label in range(1, 6)
             for bos in (0, 1)))
    assert pair.compare("br0", case)


POPPED = (
    "table=0,mpls,mpls_label=2 actions=pop_mpls:0x0800,set_field:1->reg0,dec_ttl,output:2",
    "table=0,mpls,mpls_label=3 actions=set_field:7->reg1,push:NXM_NX_REG1[],resubmit(,3),output:2",
    "table=3,mpls actions=pop_mpls:0x0800,dec_ttl,CONTROLLER:99,write_metadata:5,goto_table:4",
    "table=4,ip,metadata=5,reg1=7 actions=pop:NXM_NX_REG2[],write_actions(output:3)",
)
INNER = ("in_port(1),eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02),eth_type(0x0800),"
         "ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=9,frag=no),udp(src=53,dst=80)")


@pytest.mark.parametrize("label", [2, 3])
def test_what_was_frozen_thaws_alike(pair: Pair, label: int) -> None:
    bridge = pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3}, 100)
    case = Case(0, "OpenFlow13", POPPED, ())
    assert pair.compare("br0", case)
    ip = bytes.fromhex("45000020000100000911" "0000" "0a0000010a000002" "00350050000c000061626364")
    frame = bytes.fromhex("0000000000020000000000018847") + (label << 12 | 0x140).to_bytes(4, "big") + ip
    # Only a packet makes the reference keep what it froze; its flow then holds the recirculation id.
    pair.ref.appctl("netdev-dummy/receive", "p1", frame.hex())
    deadline = time.monotonic() + 60
    while not (ids := re.findall(r"recirc\((0x[0-9a-f]+)\)", pair.ref.appctl("dpctl/dump-flows"))):
        assert time.monotonic() < deadline, "the reference installed no flow"
        time.sleep(0.02)
    theirs = lines(pair.ref.appctl("ofproto/trace", f"recirc_id({ids[-1]}),{INNER}"))

    first = translate(XlateIn(bridge.ofproto, fastpath.extract(frame, in_port=1), side_effects=False))
    recirc = first.actions[-1]
    assert isinstance(recirc, odp.Recirc)
    key = Match.parse("in_port=1,udp,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02,nw_src=10.0.0.1,"
                      "nw_dst=10.0.0.2,nw_ttl=9,udp_src=53,udp_dst=80").key
    key.recirc_id = recirc.recirc_id
    trace = Trace()
    translate(XlateIn(bridge.ofproto, key, side_effects=False, trace=trace,
                      frozen=bridge.ofproto.recirc.get(recirc.recirc_id)))
    assert pair.text(trace) == theirs


def test_bounds_are_those_of_the_reference(pair: Pair) -> None:
    pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3}, 100)
    loop = Case(0, "OpenFlow13", ("actions=resubmit(,0)",), ("in_port=1",))
    assert pair.compare("br0", loop)
    # Two resubmits a level, to later tables: depth never grows, the number of lookups doubles.
    doubling = tuple(f"table={i} actions=resubmit(,{i + 1}),resubmit(,{i + 1})" for i in range(13))
    assert pair.compare("br0", Case(0, "OpenFlow13", doubling, ("in_port=2",)))
