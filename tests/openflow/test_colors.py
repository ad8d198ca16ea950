"""Rules are painted as ovs-ofctl paints them: its own dumps of many rules, with the colours taken off."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from reference import Reference, available

from fastpath.openflow.printing.colors import DEFAULTS, painter, palette

CODE = re.compile(r"\x1b\[[^m]*m\x1b\[K")
# One of each action; a rule of a table each.
ACTIONS = (
    "actions=mod_dl_src:00:11:22:33:44:55",
    "ip, actions=mod_nw_src:1.2.3.4",
    "ip, actions=mod_nw_tos:4",
    "tcp, actions=mod_tp_dst:80",
    "actions=mod_vlan_vid:5",
    "actions=mod_vlan_pcp:5",
    "dl_vlan=5, actions=strip_vlan",
    "actions=load:0x5->NXM_NX_REG0[0..5]",
    "actions=push_vlan:0x8100",
    "ip, actions=set_field:5->ip_dscp",
    "actions=set_field:1/3->reg0",
    "actions=resubmit(,3)",
    "actions=resubmit:5",
    "actions=group:5",
    "actions=note:00.01",
    "actions=enqueue:1:2",
    "actions=controller(max_len=50,reason=no_match,id=3)",
    "actions=controller:100",
    "actions=controller(userdata=00.01,pause)",
    "actions=learn(table=5,idle_timeout=3,hard_timeout=5,priority=6,cookie=5,send_flow_rem,"
    "delete_learned,limit=3,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],NXM_OF_VLAN_TCI[0..11],dl_type=0x800,load:0x1->NXM_NX_REG1[],load:NXM_OF_IN_PORT[]->NXM_NX_REG2[0..15],output:NXM_OF_IN_PORT[])",
    "tcp, actions=ct(commit,zone=5,nat(src=1.2.3.4-1.2.3.5:1-2,persistent,random),"
    "exec(set_field:1->ct_mark),table=3,force,alg=ftp)",
    "tcp, actions=ct(zone=NXM_NX_REG0[0..15],nat)",
    "actions=ct_clear",
    "actions=clone(output:1,2)",
    "actions=bundle(eth_src,0,hrw,ofport,slaves:1,2)",
    "actions=bundle_load(eth_src,0,hrw,ofport,NXM_NX_REG0[],slaves:1,2)",
    "actions=conjunction(1,1/2)",
    "actions=sample(probability=5,collector_set_id=1,obs_domain_id=2,obs_point_id=3)",
    "actions=sample(probability=5,collector_set_id=1,obs_domain_id=2,obs_point_id=3,sampling_port=1,"
    "egress)",
    "actions=write_actions(output:3)",
    "actions=write_actions(set_field:1->reg0,group:3)",
    "actions=clear_actions",
    "actions=goto_table:200",
    "actions=write_metadata:0x5/0xff",
    "actions=meter:1",
    "actions=NORMAL",
    "actions=FLOOD",
    "actions=ALL",
    "actions=IN_PORT",
    "actions=LOCAL",
    "actions=CONTROLLER",
    "actions=1,2",
    "actions=move:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]",
    "ip, actions=dec_ttl",
    "ip, actions=dec_ttl(1,2)",
    "mpls, actions=set_mpls_ttl:5",
    "mpls, actions=set_mpls_label:5",
    "mpls, actions=set_mpls_tc:5",
    "mpls, actions=dec_mpls_ttl",
    "actions=push_mpls:0x8847",
    "mpls, actions=pop_mpls:0x800",
    "actions=set_queue:5",
    "actions=pop_queue",
    "actions=set_tunnel:5",
    "actions=set_tunnel64:5",
    "actions=multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG0[])",
    "actions=check_pkt_larger(100)->NXM_NX_REG0[0]",
    "actions=exit",
    "actions=push:NXM_NX_REG0[]",
    "actions=pop:NXM_NX_REG0[]",
    "tcp, actions=fin_timeout(idle_timeout=5,hard_timeout=6)",
    "actions=output(port=1,max_len=100)",
    "actions=output:NXM_NX_REG0[]",
    "actions=encap(nsh(md_type=1))",
    "actions=encap(ethernet)",
    "actions=encap(mpls)",
    "actions=decap()",
    "actions=decap(packet_type(ns=0,type=0))",
    "packet_type=(1,0x894f), actions=dec_nsh_ttl",
    "actions=delete_field:tun_metadata0",
    "actions=debug_recirc",
    "actions=debug_slow",
    "actions=output:1,clone(drop),output:2",
    "actions=drop",
)
MATCHES = ("ct_state=+trk-new,ct_zone=5,ip", "tcp,tcp_flags=+syn-ack", "arp,arp_op=1,arp_spa=10.0.0.0/8",
           "tun_id=0x5/0xff,tun_src=1.2.3.4,tun_flags=+oam", "ip,nw_frag=not_later,nw_ecn=2",
           "ipv6,ipv6_src=fe80::/10,ipv6_label=5,nw_tos=8",
           "icmp6,icmp_type=135,nd_target=::1,nd_sll=00:00:00:00:00:01",
           "metadata=0x5/0xff,reg0=0x1/0x3,xreg1=5,pkt_mark=7", "dl_vlan=5,dl_vlan_pcp=3,dl_type=0x1234",
           "vlan_tci=0x1000/0x1000", "mpls,mpls_label=5,mpls_bos=1",
           "packet_type=(1,0x894f),nsh_spi=5,nsh_si=3",
           "sctp,sctp_dst=80", "udp6,udp_src=0x10/0xf0", "conj_id=7,ip",
           "in_port=LOCAL,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00",
           "ct_mark=5,ct_label=0x7/0xff", "rarp,dl_src=00:00:00:00:00:02", "actset_output=3",
           "tun_metadata0=5",
           "ip,send_flow_rem,no_packet_counts,importance=3,hard_timeout=600,idle_timeout=60,cookie=5")


def dumps(target: str, version: str, colors: str | None = None) -> list[str]:
    env = {**os.environ, **({} if colors is None else {"OVS_COLORS": colors})}
    command = ["ovs-ofctl", "-O", version, "--color=always", "dump-flows", target]
    return [line for line in subprocess.run(command, capture_output=True, text=True, check=True, env=env
                                            ).stdout.splitlines() if CODE.search(line)]


@pytest.mark.skipif(not available(), reason="Open vSwitch is not installed")
def test_rules_are_painted_as_the_reference_paints_them(tmp_path: Path) -> None:
    rules = [*ACTIONS, *(f"{match} actions=output:1" for match in MATCHES)]
    (tmp_path / "rules").write_text("".join(f"table={i},{rule}\n" for i, rule in enumerate(rules)))
    with Reference() as ref:
        ref.add_bridge("br0")
        target = ref.bridge_target("br0")
        ref.ofctl("add-tlv-map", target, "{class=0xffff,type=0,len=4}->tun_metadata0")
        for group in (3, 5):
            ref.ofctl("-O", "OpenFlow13", "add-group", target, f"group_id={group},type=all,bucket=output:1")
        ref.ofctl("-O", "OpenFlow13", "add-meter", target, "meter=1,pktps,band=type=drop,rate=5")
        ref.ofctl("-O", "OpenFlow15", "add-flows", target, str(tmp_path / "rules"))
        for version in ("OpenFlow10", "OpenFlow13", "OpenFlow15"):
            for colors in (None, "pm=01;32:xx=1:sp=:vl=7=8:dr=3,4"):
                paint, lines = painter(palette(colors)), dumps(target, version, colors)
                assert len(lines) > 60          # some are not told in 1.0
                for line in lines:
                    assert paint(CODE.sub("", line)) == line


def test_codes_are_those_of_the_environment() -> None:
    assert palette(None) == palette("") == DEFAULTS
    assert palette("pm=1:none=2:sp")["pm"] == "1" and palette("pm=1:none=2:sp").keys() == DEFAULTS.keys()


def test_any_text_is_painted_and_stays_what_it_was() -> None:
    paint = painter(DEFAULTS)
    for rule in ACTIONS:
        for end in range(len(rule)):
            for text in (rule[:end], rule[:end] + ")", rule[:end] + "(", "actions=" + rule[end:]):
                assert CODE.sub("", paint(text)) == text
