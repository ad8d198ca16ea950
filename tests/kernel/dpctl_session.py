"""Commands of a session with ovs-dpctl, one after the other: ours must answer as the reference does.

Devices are v1 to v4.  The session ends with nothing left.
"""

from __future__ import annotations

from pathlib import Path

UFID = "ufid:00000000-0000-0000-0000-00000000000"
IP = "eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800)"
IP4 = "ipv4(src=10.0.0.1,dst=10.0.0.0/255.255.255.0,proto={},tos=0/0,ttl=64/0,frag=no)"
UDP = f"{UFID}1,in_port(1),{IP},{IP4.format(17)},udp(src=53,dst=1000/0xff00)"
TCP = f"{UFID}2,in_port(2),{IP},{IP4.format(6)},tcp(src=80,dst=0/0),tcp_flags(+syn-ack)"
ARP = f"{UFID}3,recirc_id(0x5),in_port(1),eth(),eth_type(0x0806),arp(sip=10.0.0.1,op=1/0xff)"
VLAN = (f"{UFID}4,in_port(1),eth(),eth_type(0x8100),vlan(vid=7,pcp=0/0),encap(eth_type(0x86dd),"
        "ipv6(src=fe80::1,dst=::/::,label=0/0,proto=58,tclass=0/0,hlimit=0/0,frag=no),"
        "icmpv6(type=128,code=0))")
CT = (f"{UFID}5,ct_state(+est-new),ct_zone(3),ct_mark(0x10/0xf0),ct_label(0x1/0x1),in_port(2),eth(),"
      "eth_type(0x0800),ipv4(frag=later)")
MPLS = f"{UFID}6,in_port(2),eth(),eth_type(0x8847),mpls(label=100,tc=0/0,ttl=64,bos=1)"
MARK = f"{UFID}7,skb_mark(0x5/0xff),in_port(3),eth(),eth_type(0x88cc)"
ICMP = f"{UFID}8,in_port(3),eth(),eth_type(0x0800),ipv4(proto=1,frag=no),icmp(type=8,code=0/0)"
NESTED = ("sample(sample=50.0%,actions(1)),clone(2),check_pkt_len(size=100,gt(1),le(2)),trunc(64),1,"
          "userspace(pid=7,userdata(0102030405060708)),meter(3)")
ND = (f"{UFID}9,in_port(1),eth(),eth_type(0x86dd),ipv6(src=fe80::/ffff::,proto=58,frag=no),"
      "icmpv6(type=135,code=0),nd(target=fe80::1,sll=02:00:00:00:00:01)")
_TUNNEL = ("tunnel(tun_id=0x5,src=10.9.9.1,dst=10.9.9.2,ttl=64/0,{}flags(-df-csum)),in_port({}),eth(),"
           "eth_type(0x1234)")
GENEVE = f"{UFID}a," + _TUNNEL.format(
    "geneve({class=0xffff,type=0x1,len=4,0x7/0xff}{class=0x102,type=0x80,len=8,0x1122334455667788}),", 1)
VXLAN = f"{UFID}b," + _TUNNEL.format("vxlan(gbp(id=4,flags=0x8/0x8)),", 2)
NO_OPTIONS = f"{UFID}c," + _TUNNEL.format("", 3)
SET_GENEVE = ("set(tunnel(tun_id=0x6,dst=10.9.9.3,ttl=64,geneve({class=0xffff,type=0x2,len=8,0x1234}"
              "{class=0x1,type=0x3,len=0}),flags(df|key))),2")
SET_VXLAN = "set(tunnel(tun_id=0x6,dst=10.9.9.3,tos=0x4,ttl=64,vxlan(gbp(id=5,flags=0x1)),flags(key))),1"
# Asked while a connection is there.
CONNECTIONS: tuple[tuple[str, ...], ...] = (
    ("dump-conntrack",), ("dump-conntrack", "-m"), ("dump-conntrack", "-s", "-m", "zone=0"),
    ("dump-conntrack", "zone=3"), ("ct-stats-show",), ("ct-stats-show", "verbose"),
    ("ct-stats-show", "-m", "zone=0"), ("ct-bkts",), ("flush-conntrack", "ct_nw_src=10.7.7.7"),
    ("flush-conntrack", "zone=0", "", "ct_nw_proto=17,ct_tp_dst=9"), ("flush-conntrack", "fish=1"),
    ("flush-conntrack", "zone=9",
     "ct_nw_src=1.2.3.4,ct_nw_dst=1.2.3.5,ct_nw_proto=17,ct_tp_src=1,ct_tp_dst=2"))
# Asked of the daemon that has the datapath, with connections in zones 3 and 0.
DAEMON: tuple[str, ...] = (
    "dump-conntrack", "dump-conntrack -m system@ovs-system zone=3", "dump-conntrack -s ovs-system",
    "dump-conntrack zone=4", "dump-conntrack nosuch", "ct-stats-show", "ct-stats-show -m ovs-system",
    "ct-stats-show zone=3 verbose",
    "flush-conntrack fish=1", "flush-conntrack zone=x", "flush-conntrack ct_nw_src=10.7.7.7",
    "flush-conntrack zone=9 ct_nw_src=1.2.3.4,ct_nw_dst=1.2.3.5,ct_nw_proto=17,ct_tp_src=1,ct_tp_dst=2",
    "flush-conntrack zone=0", "dump-conntrack", "flush-conntrack zone=3 ct_nw_proto=17",
    "dump-conntrack zone=3", "flush-conntrack",
    "ct-bkts", "ct-bkts ovs-system gt=5", "ct-get-maxconns",
    "ct-set-maxconns 5", "ct-get-nconns", "ct-get-tcp-seq-chk", "ct-enable-tcp-seq-chk",
    "ct-disable-tcp-seq-chk", "ct-get-limits", "ct-set-limits default=10 zone=5,limit=3 zone=0,limit=7",
    "ct-set-limits system@ovs-system zone=9,limit=2", "ct-get-limits", "ct-get-limits zone=5,0",
    "ct-get-limits ovs-system zone=9", "ct-get-limits nosuch", "ct-del-limits zone=5,9", "ct-get-limits",
    "ct-set-limits zone=99999,limit=1", "ct-set-limits zone=1", "ct-del-limits fish",
    "ct-set-limits default=0", "ct-del-limits zone=0", "ipf-get-status", "ipf-set-enabled v4",
    "ipf-set-disabled v5", "ipf-set-min-frag v6 1500", "ipf-set-max-nfrags 99", "offload-stats-show")


def write_files() -> None:
    """The files of flows that the session names."""
    for name, lines in (
            ("add", (f"{UDP} 2", "", "# a comment", f"add {MARK} 1", "nonsense")),
            ("change", (f"{UDP} 1,2", f"modify {MARK} drop", f"delete {UFID}8")),
            ("remove", (UDP, f"delete {MARK}", f"{UFID}f"))):
        Path(f"/tmp/flows-to-{name}").write_text("\n".join(lines) + "\n")


SESSION: tuple[tuple[str, ...], ...] = (
    ("dump-dps",),
    ("show",),
    ("add-dp", "dp0"),
    ("add-dp", "dp0"),
    ("show",),
    ("show", "nosuch"),
    ("dump-flows",),
    ("add-dp", "dp1", "v4"),
    ("dump-dps",),
    ("dump-flows",),
    ("add-if", "dp0", "v1", "v2"),
    ("add-if", "dp0", "v1"),
    ("add-if", "dp0", "nosuch"),
    ("add-if", "dp0", "int0,type=internal"),
    ("add-if", "dp0", "x,type=strange"),
    ("show", "dp0"),
    ("show", "-s", "dp1"),
    ("del-if", "dp0", "nosuch", "9"),
    ("add-flow", "dp0", UDP, "2"),
    ("add-flow", "dp0", TCP, "set(ipv4(ttl=63)),set(eth(src=02:00:00:00:00:99)),1"),
    ("add-flow", "dp0", ARP, "push_vlan(vid=7,pcp=3),2"),
    ("add-flow", "dp0", VLAN, "pop_vlan,2,userspace(pid=5,slow_path(action))"),
    ("add-flow", "dp0", CT, "ct(commit,zone=9,mark=0x1/0xff,nat(src=10.1.1.1-10.1.1.9)),2"),
    ("add-flow", "dp0", MPLS, "1"),
    ("add-flow", "dp0", MARK, "drop"),
    ("add-flow", "dp0", MARK, "1"),
    ("add-flow", "dp0", ICMP, NESTED),
    ("add-flow", "dp0", ICMP, "1"),
    ("add-flow", "dp0", ND, "2,set(tcp(src=1))"),
    ("add-flow", "dp0", ND, "2"),
    ("add-flow", "dp0", "in_port(9),fish(1)", "1"),
    ("add-flow", "dp0", "in_port(1),eth(),eth_type(0x1234)", "fly"),
    ("dump-flows", "dp0"),
    ("dump-flows", "-m", "dp0"),
    ("dump-flows", "--names", "dp0"),
    ("dump-flows", "dp0", "filter=in_port=1"),
    ("dump-flows", "dp0", "type=ovs"),
    ("dump-flows", "nosuch"),
    ("get-flow", "dp0", f"{UFID}1"),
    ("get-flow", "dp0", f"{UFID}f"),
    ("mod-flow", "dp0", UDP, "1,2"),
    ("get-flow", "dp0", f"{UFID}1"),
    ("del-flow", "dp0", MARK),
    ("del-flow", "dp0", MARK),
    ("del-flow", "dp0", f"{UFID}6"),
    ("dump-flows", "dp0"),
    ("add-flow", "dp0", GENEVE, SET_GENEVE),
    ("add-flow", "dp0", VXLAN, SET_VXLAN),
    ("add-flow", "dp0", NO_OPTIONS, "1"),
    ("dump-flows", "dp0"),
    ("dump-flows", "-m", "dp0"),
    ("dump-flows", "dp0", "filter=tun_id=5"),
    ("dump-flows", "dp0", "filter=in_port=2,ip,nw_src=10.0.0.1"),
    ("del-flow", "dp0", GENEVE),
    ("add-flows", "dp0", "/tmp/flows-to-add"),
    ("mod-flows", "dp0", "/tmp/flows-to-change"),
    ("dump-flows", "dp0"),
    ("del-flows", "dp0", "/tmp/flows-to-remove"),
    ("dump-flows", "dp0"),
    ("set-if", "dp0", "v1,type=system"),
    ("set-if", "dp0", "v1,type=internal", "v2,port_no=77", "nosuch"),
    ("offload-stats-show", "dp0"),
    ("ct-stats-show", "dp0", "zone=999"),
    ("ct-bkts", "dp0", "gt=5"),
    ("ct-get-maxconns", "dp0"),
    ("ct-set-maxconns", "dp0", "100"),
    ("ct-get-nconns", "dp0"),
    ("ipf-set-min-frag", "dp0", "v6", "1000"),
    ("ipf-get-status", "dp0"),
    ("dump-conntrack", "dp0", "zone=999"),
    ("parse-actions", SET_GENEVE, "fly"),
    ("normalize-actions", IP.replace("0x0800", "0x1234"), "push_vlan(vid=5,pcp=0),a,1", "a=3"),
    ("ct-set-limits", "dp0", "default=10", "zone=5,limit=3", "zone=0,limit=7"),
    ("ct-get-limits", "dp0"),
    ("ct-get-limits", "dp0", "zone=5,0"),
    ("ct-del-limits", "dp0", "zone=5"),
    ("ct-get-limits", "dp0"),
    ("ct-set-limits", "dp0", "zone=99999,limit=1"),
    ("ct-set-limits", "dp0", "default=0"),      # they are the namespace's, and stay
    ("ct-del-limits", "dp0", "zone=0"),
    ("cache-set-size", "dp0", "masks-cache", "512"),
    ("cache-get-size", "dp0"),
    ("del-flows", "dp0"),
    ("dump-flows", "dp0"),
    ("fly",),
    ("add-dp",),
    ("del-if", "dp0", "int0"),
    ("del-dp", "dp0"),
    ("del-dp", "dp0"),
    ("del-dp", "dp1"),
    ("dump-dps",),
)
