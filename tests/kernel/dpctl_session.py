"""Commands of a session with ovs-dpctl, one after the other: ours must answer as the reference does.

Devices are v1 to v4.  The session ends with nothing left.
"""

from __future__ import annotations

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
    ("ct-get-limits", "dp0"),
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
