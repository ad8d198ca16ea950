"""Sessions of ovs-ofctl, for every version of OpenFlow: all its verbs, what they do and what they refuse.

A command is its words, those of ovs-ofctl before the switch and after it; bytes at the end are its standard
input.  Each script begins with a bridge without rules, groups, meters and TLV mappings, and leaves all other
settings as they were.
"""

from __future__ import annotations

PACKET = "ffffffffffff000000000001080045000020" + "00" * 40
CLEAN = ("del-flows", "del-groups", "del-meters", "del-tlv-map")
Command = tuple[str | bytes, ...]

SWITCH: tuple[Command, ...] = (
    ("show",), ("--names", "show"), ("dump-table-desc",),
    ("get-frags",), ("set-frags", "drop"), ("get-frags",), ("set-frags", "nx-match"), ("get-frags",),
    ("set-frags", "reassemble"), ("get-frags",), ("set-frags", "normal"), ("set-frags", "nonsense"),
    ("probe",))
PORTS: tuple[Command, ...] = (
    ("dump-ports",), ("dump-ports", "1"), ("dump-ports", "p2"), ("dump-ports", "LOCAL"),
    ("dump-ports", "nine"),
    ("dump-ports", "99"), ("dump-ports-desc",), ("dump-ports-desc", "1"), ("dump-ports-desc", "p2"),
    ("dump-ports-desc", "LOCAL"), ("dump-ports-desc", "99"), ("mod-port", "p1", "no-flood"), ("show",),
    ("mod-port", "p1", "flood"), ("mod-port", "p1", "no-forward"), ("mod-port", "1", "no-receive"),
    ("dump-ports-desc",), ("mod-port", "p1", "forward"), ("mod-port", "1", "receive"),
    ("mod-port", "p1", "no-packet-in"), ("dump-ports-desc", "p1"), ("mod-port", "p1", "packet-in"),
    ("mod-port", "LOCAL", "no-flood"), ("mod-port", "LOCAL", "flood"), ("mod-port", "p1", "sideways"),
    ("mod-port", "nine", "up"), ("mod-port", "p1", "down"), ("show",), ("mod-port", "p1", "up"), ("show",),
    ("queue-stats", "1", "5"), ("queue-stats", "99"), ("queue-stats", "ALL", "5"), ("queue-get-config", "99"))
TABLES: tuple[Command, ...] = (
    ("mod-table", "0", "evict"), ("dump-table-desc",), ("mod-table", "0", "noevict"),
    ("mod-table", "3", "vacancy:20,80"), ("dump-table-desc",), ("mod-table", "3", "novacancy"),
    ("mod-table", "3", "vacancy:80,20"), ("mod-table", "3", "vacancy:-1,20"),
    ("mod-table", "0", "controller"),
    ("dump-tables",), ("mod-table", "0", "continue"), ("dump-tables",), ("mod-table", "0", "drop"),
    ("dump-tables",), ("mod-table", "0", "default"), ("mod-table", "all", "controller"), ("dump-tables",),
    ("mod-table", "all", "default"), ("mod-table", "254", "drop"), ("mod-table", "255", "drop"),
    ("mod-table", "name", "drop"), ("mod-table", "0", "nonsense"))
FLOWS: tuple[Command, ...] = (
    ("add-flow", "table=1,priority=5,cookie=7,ip,nw_src=10.0.0.0/8,actions=mod_nw_ttl:5,output:2"),
    ("add-flow", "in_port=1,hard_timeout=900,send_flow_rem,actions=output:2"),
    ("add-flow", "in_port=p2,idle_timeout=100,actions=set_field:5->reg3,resubmit(,1)"),
    ("add-flow", "table=2,tcp,tp_dst=80,dl_vlan=9,actions=strip_vlan,mod_dl_src:00:00:00:00:00:09,normal"),
    ("add-flow", "table=3,ip,actions=ct(commit,zone=5,exec(set_field:1->ct_mark)),in_port"),
    ("add-flow", "table=3,priority=7,ipv6,ipv6_src=fe80::/16,actions="
                 "learn(table=4,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])"),
    ("add-flow", "table=4,importance=9,udp,actions=controller:100"),
    ("add-flow", "table=4,priority=8,arp,actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],in_port"),
    ("add-flow", "table=5,mpls,actions=pop_mpls:0x800,push_vlan:0x8100,goto_table:6"),
    ("add-flow", "table=6,metadata=5,actions=write_metadata:7,write_actions(output:1),goto_table:7"),
    ("add-flow", "table=7,reg5=3/0xf,actions=multipath(eth_src,50,modulo_n,4,0,reg0[0..3]),drop"),
    ("add-flow", "table=7,conj_id=5,actions=output:LOCAL"),
    ("add-flow", "table=7,priority=9,in_port=1,actions=conjunction(5,1/2)"),
    ("dump-flows",), ("--names", "dump-flows"), ("--no-names", "dump-flows"), ("--no-stats", "dump-flows"),
    ("dump-flows", "ip"), ("dump-flows", "table=1"), ("dump-flows", "cookie=0x7/0xf"),
    ("dump-flows", "out_port=2"), ("dump-flows", "out_port=LOCAL,table=7"), ("--strict", "dump-flows", "ip"),
    ("--sort", "dump-flows"), ("--sort=cookie", "dump-flows"), ("--rsort=in_port", "dump-flows"),
    ("--color=always", "--no-stats", "dump-flows", "table=1"), ("dump-flows", "out_group=3"),
    ("dump-aggregate",), ("dump-aggregate", "table=3"), ("dump-aggregate", "cookie=7/-1"),
    ("mod-flows", "table=1,ip,actions=output:1"), ("dump-flows", "table=1"),
    ("mod-flows", "table=8,ip,actions=output:1"), ("dump-flows", "table=8"),
    ("--strict", "mod-flows", "table=3,priority=7,ipv6,ipv6_src=fe80::/16,actions=drop"),
    ("dump-flows", "table=3"), ("mod-flows", "cookie=7/-1,actions=output:2"), ("dump-flows",),
    ("dump-tables",), ("del-flows", "cookie=0x7/-1"), ("--strict", "del-flows", "in_port=1"),
    ("dump-flows",), ("del-flows", "out_port=2"), ("del-flows", "table=3"), ("dump-flows",),
    ("del-flows", "udp"), ("del-flows",), ("dump-flows",), ("dump-tables",))
WRONG_FLOWS: tuple[Command, ...] = (
    ("add-flow", "in_port=1,actions=group:5"), ("add-flow", "actions=meter:9,output:1"),
    ("add-flow", "table=5,check_overlap,priority=32768,actions=drop"),
    ("add-flow", "table=5,check_overlap,ip,actions=drop"), ("add-flow", "table=255,actions=drop"),
    ("add-flow", "table=254,actions=drop"), ("add-flow", "tcp_dst=80,actions=drop"),
    ("add-flow", "actions=mod_tp_dst:80"), ("add-flow", "actions=output:70000"),
    ("add-flow", "actions=bogus"),
    ("add-flow", "priority=99999,actions=drop"), ("add-flow", "nonsense"), ("add-flow", "ip"),
    ("add-flow", "table=3,actions=goto_table:2"), ("add-flow", "actions=goto_table:1"),
    ("add-flow", "actions=output:1,write_metadata:5,output:2"),
    ("add-flow", "dl_type=0x0800,arp,actions=drop"),
    ("add-flow", "conj_id=5,actions=conjunction(1,1/2),output:1"),
    ("add-flow", "tun_metadata3=5,actions=drop"),
    ("add-flow", "actions=learn(table=254,output:1)"), ("add-flow", "actions=resubmit(,254)"),
    ("add-flow", "cookie=1/2,actions=drop"), ("del-flows", "cookie=9/-1,actions=drop"),
    ("mod-flows", "table=255,actions=drop"), ("dump-flows", "bogus=5"), ("dump-flows", "table=255"),
    ("dump-flows", "table=254"), ("dump-aggregate", "table=254"), ("del-flows", "table=254"),
    ("add-flow", "actions=sample(probability=0)"), ("add-flow", "actions=clone(bogus)"),
    ("add-flow", "ip,actions=ct(commit,nat(src=1.2.3.4),zone=70000)"),
    ("add-flow", "in_port=99,actions=output:98"), ("add-flow", "in_port=nine,actions=drop"),
    ("add-flow", "in_port=65530,actions=drop"), ("dump-flows",))
FILES: tuple[Command, ...] = (
    ("add-flows", "-", b"in_port=1,actions=2\n# comment\n\ntable=1,ip,actions=1 # more\n"),
    ("dump-flows",), ("add-flows", "-", b"in_port=1,actions=3\nbogus\n"), ("dump-flows",),
    ("--bundle", "add-flows", "-", b"in_port=3,actions=2\nadd in_port=4,actions=2\ndelete in_port=1\n"),
    ("dump-flows",),
    ("--bundle", "add-flows", "-", b"in_port=5,actions=2\nin_port=6,actions=group:77\nin_port=7,actions=1\n"),
    ("dump-flows",),
    ("replace-flows", "-", b"in_port=1,actions=2\nin_port=3,actions=1\nip,priority=9,actions=drop\n"),
    ("dump-flows",), ("diff-flows", "SWITCH", "-", b"in_port=1,actions=2\nin_port=9,actions=1\n"),
    ("diff-flows", "SWITCH", "-", b"in_port=1,actions=2\nin_port=3,actions=1\nip,priority=9,actions=drop\n"),
    ("--bundle", "replace-flows", "-", b"in_port=2,cookie=4,actions=2\nin_port=3,actions=normal\n"),
    ("dump-flows",), ("--bundle", "replace-flows", "-", b"in_port=2,actions=group:9\n"), ("dump-flows",),
    ("--bundle", "add-flow", "in_port=8,actions=1"), ("--bundle", "del-flows", "in_port=8"),
    ("--bundle", "mod-flows", "actions=1"), ("--bundle", "--strict", "del-flows", "in_port=2"),
    ("dump-flows",),
    ("bundle", "-", b"flow add in_port=1,actions=1\ngroup add group_id=1,type=all,bucket=output:1\n"
                    b"flow modify in_port=1,actions=group:1\n"), ("dump-flows",), ("dump-groups",),
    ("bundle", "-", b"flow delete\ngroup delete group_id=1\npacket-out in_port=1 packet=" + PACKET.encode() +
     b" actions=2\n"), ("dump-flows",), ("dump-groups",), ("bundle", "-", b"nonsense\n"),
    ("bundle", "-", b"flow add in_port=1,actions=1\nflow add in_port=2,actions=group:8\n"), ("dump-flows",))
PACKETS: tuple[Command, ...] = (
    ("packet-out", f"in_port=1 packet={PACKET} actions=output:2"),
    ("packet-out", f"in_port=controller packet={PACKET} actions=flood"),
    ("packet-out", f"in_port=none packet={PACKET} actions=controller"),
    ("packet-out", f"in_port=p1 packet={PACKET} actions=set_field:5->reg0,resubmit(,0)"),
    ("packet-out", f"in_port=1 packet={PACKET} actions="),
    ("packet-out", f"in_port=77 packet={PACKET} actions=output:2"),
    ("packet-out", f"in_port=1 packet={PACKET} actions=table"),
    ("packet-out", f"in_port=1 packet={PACKET} actions=group:5"),
    ("packet-out", f"in_port=1 packet={PACKET} actions=dec_ttl,mod_nw_src:1.2.3.4,output:2"),
    ("packet-out", f"in_port=1 packet={PACKET} actions=mod_tp_src:4"),
    ("packet-out", "in_port=1 packet=abcd actions=output:2"), ("packet-out", "in_port=1 actions=output:2"),
    ("packet-out", f"packet={PACKET} actions=output:2"), ("packet-out", "1", "output:2", PACKET),
    ("packet-out", "LOCAL", "drop", PACKET, PACKET), ("packet-out", "1", "bogus", PACKET),
    ("packet-out", f"in_port=1,metadata=5 packet={PACKET} actions=output:2"),
    ("packet-out", f"in_port=1 buffer=5 packet={PACKET} actions=output:2"),
    ("dump-ports", "2"))
GROUPS: tuple[Command, ...] = (
    ("add-group", "group_id=1,type=all,bucket=output:1,bucket=output:2"),
    ("add-group", "group_id=2,type=select,bucket=weight:5,output:1,bucket=weight:7,output:2"),
    ("add-group", "group_id=3,type=indirect,bucket=mod_dl_src:00:00:00:00:00:01,output:1"),
    ("add-group", "group_id=4,type=ff,bucket=watch_port:1,output:1,bucket=watch_group:1,output:2"),
    ("add-group", "group_id=5,type=select,selection_method=hash,fields(ip_src,eth_dst),bucket=output:1"),
    ("add-group", "group_id=1,type=all,bucket=output:1"), ("add-group", "group_id=6,type=indirect"),
    ("add-group", "group_id=7,type=bogus"), ("add-group", "type=all"),
    ("add-group", "group_id=4294967292,type=all"), ("add-group", "group_id=8,type=all,bucket=group:8"),
    ("add-group", "group_id=9,type=all,bucket=group:99"),
    ("add-group", "group_id=10,type=ff,bucket=output:1"),
    ("dump-groups",), ("dump-groups", "2"), ("dump-groups", "99"), ("dump-group-stats",),
    ("dump-group-stats", "1"), ("dump-group-stats", "99"), ("dump-group-features",),
    ("mod-group", "group_id=1,type=select,bucket=output:2"),
    ("mod-group", "group_id=77,type=all,bucket=output:2"),
    ("--may-create", "mod-group", "group_id=77,type=all,bucket=output:2"), ("dump-groups",),
    ("insert-buckets", "group_id=1,command_bucket_id=last,bucket=bucket_id:5,output:1"),
    ("insert-buckets", "group_id=1,command_bucket_id=first,bucket=bucket_id:7,output:1"),
    ("dump-groups", "1"),
    ("insert-buckets", "group_id=1,command_bucket_id=5,bucket=bucket_id:5,output:1"),
    ("remove-buckets", "group_id=1,command_bucket_id=first"), ("dump-groups", "1"),
    ("remove-buckets", "group_id=1,command_bucket_id=all"),
    ("remove-buckets", "group_id=1,command_bucket_id=9"),
    ("add-flow", "in_port=1,actions=group:2"), ("add-flow", "in_port=2,actions=output:2"),
    ("dump-group-stats", "2"), ("dump-flows", "out_group=2"), ("del-flows", "out_group=2"), ("dump-flows",),
    ("add-flow", "in_port=1,actions=group:2"), ("del-groups", "group_id=2"), ("dump-flows",),
    ("dump-groups",),
    ("del-groups", "group_id=99"), ("del-groups",), ("dump-groups",),
    ("add-groups", "-", b"group_id=1,type=all,bucket=output:1\ngroup_id=2,type=all\n"), ("dump-groups",),
    ("--bundle", "add-groups", "-", b"group_id=3,type=all,bucket=output:1\ndelete group_id=1\n"),
    ("dump-groups",),
    ("--bundle", "add-groups", "-", b"group_id=4,type=all\ngroup_id=3,type=all\n"), ("dump-groups",))
METERS: tuple[Command, ...] = (
    ("add-meter", "meter=1,kbps,band=type=drop,rate=1000"),
    ("add-meter", "meter=2,pktps,burst,stats,bands=type=drop,rate=10,burst_size=20"),
    ("add-meter", "meter=2,pktps,band=type=drop,rate=1"), ("add-meter", "meter=3,pktps"),
    ("add-meter", "meter=0,kbps,band=type=drop,rate=1"),
    ("add-meter", "meter=70000,kbps,band=type=drop,rate=1"),
    ("add-meter", "meter=4,band=type=dscp_remark,rate=1,prec_level=1"),
    ("add-meter", "kbps,band=type=drop,rate=1"),
    ("add-meter", "meter=controller,kbps,band=type=drop,rate=9"), ("dump-meters",), ("dump-meter", "meter=1"),
    ("dump-meter", "meter=99"), ("meter-stats",), ("meter-stats", "meter=2"), ("meter-stats", "meter=99"),
    ("meter-features",), ("mod-meter", "meter=1,pktps,band=type=drop,rate=5"),
    ("mod-meter", "meter=99,pktps,band=type=drop,rate=5"), ("dump-meters",),
    ("add-flow", "in_port=1,actions=meter:1,output:2"), ("add-flow", "in_port=2,actions=output:2"),
    ("meter-stats", "meter=1"), ("dump-flows",), ("del-meter", "meter=1"), ("dump-flows",), ("dump-meters",),
    ("del-meter", "meter=99"), ("del-meter",), ("del-meters",), ("dump-meters",))
EXTRAS: tuple[Command, ...] = (
    ("dump-ipfix-bridge",), ("dump-ipfix-flow",), ("ct-flush-zone", "5"), ("ct-flush-zone", "70000"),
    ("ct-flush",), ("ct-flush", "zone=5"), ("ct-flush", "zone=5", "ct_nw_src=10.0.0.1,ct_nw_proto=6"),
    ("ct-flush", "ct_nw_proto=9"), ("bogus-verb",), ("show", "too", "many"))
SCRIPTS: dict[str, tuple[Command, ...]] = {
    "switch": SWITCH, "ports": PORTS, "tables": TABLES, "flows": FLOWS, "wrong": WRONG_FLOWS, "files": FILES,
    "packets": PACKETS, "groups": GROUPS, "meters": METERS, "extras": EXTRAS}
