"""Random rules for what ``rule_sets`` has little of: stacks, service headers, nesting, tunnels, VLANs."""

from __future__ import annotations

from random import Random

from rule_sets import MACS, Case, Maker

# -- headers upon headers ------------------------------------------------------------------------------

NSH_SETS = ("set_field:0x1234->nsh_spi", "set_field:7->nsh_c1", "set_field:0x5/0xff->nsh_c2",
            "set_field:9->nsh_ttl",
            "set_field:1->nsh_flags", "set_field:3->nsh_si", "dec_nsh_ttl",
            "move:NXM_NX_REG0[]->OXM_OF_METADATA[0..31]")
WRAPS = ("encap(nsh)", "encap(nsh(md_type=1))", "encap(nsh(md_type=2,tlv(0x1000,10,0x12345678)))",
         "encap(nsh(md_type=2))", "encap(mpls)", "encap(mpls_mc)", "encap(ethernet)")


def wrap_list(random: Random) -> str:
    """Headers put on and taken off.  No decap follows a new MPLS header: the reference ends itself."""
    out, labelled = [], False
    for _ in range(random.randint(1, 5)):
        kind = random.random()
        if kind < 0.45:
            out.append(random.choice(WRAPS))
            labelled = labelled or "mpls" in out[-1]
            if "nsh" in out[-1] and random.random() < 0.5:
                out += random.sample(NSH_SETS, 2)
            if random.random() < 0.6:
                out.append("encap(ethernet)")
        elif kind < 0.65 and not labelled:
            out.append(random.choice(("decap()", "decap()", "decap(packet_type(ns=1,type=0x800))")))
        else:
            out.append(random.choice(("output:2", "output:3", "output:1", "resubmit(,1)", "set_field:5->reg0",
                                      "clone(encap(nsh),encap(ethernet),output:3)", "dec_nsh_ttl",
                                      "output:2")))
    return ",".join([*out, "output:2"])


def wrapped_case(seed: int, n_packets: int) -> Case:
    """Packets with and without service headers and labels."""
    random = Random(seed)
    rules, packets = [], []
    for table in (0, 1):
        for priority, match in enumerate(("ip", "dl_type=0x894f", "mpls", "dl_type=0x894f,nsh_spi=1", "ipv6",
                                          "in_port=2,ip"), 1):
            actions = wrap_list(random)
            actions = actions.replace("resubmit(,1)", "output:1") if table else actions
            if "nsh" not in match and random.random() < 0.9:
                actions = actions.replace("dec_nsh_ttl", "output:3")
            rules.append(f"table={table},priority={priority},{match} actions={actions}")
    for _ in range(n_packets):
        kind = random.choice(("tcp,nw_ttl=9", "udp6,nw_tos=32", "icmp,dl_vlan=5",
                              "mpls,mpls_label=5,mpls_bos=1",
                              "mpls,mpls_label=3,mpls_bos=0", "nsh", "nsh"))
        if kind == "nsh":
            kind = (f"dl_type=0x894f,nsh_spi={random.randint(0, 2)},nsh_mdtype={random.choice((1, 1, 2))},"
                    f"nsh_np={random.choice((1, 2, 3, 4, 9))},nsh_ttl={random.choice((0, 1, 2, 63))},"
                    "nsh_c1=5")
        packets.append(f"in_port={random.randint(1, 3)},{kind}")
    return Case(seed, "OpenFlow15", tuple(rules), tuple(packets))


def stack_list(random: Random, labelled: bool) -> list[str]:
    """Tags and labels pushed and popped, deeper than a datapath goes."""
    out, n_tags, n_labels = [], 0, int(labelled)
    for _ in range(random.randint(2, 7)):
        if n_labels:
            choices = ["push_mpls:0x8847", "push_mpls:0x8848", "set_field:7->mpls_label",
                       "set_field:2->mpls_tc",
                       "dec_mpls_ttl", "set_mpls_ttl(9)"]
            choices += ["pop_mpls:0x8847"] * (n_labels > 1) + ["pop_mpls:0x0800"] * (n_labels == 1)
        else:
            choices = ["push_vlan:0x8100", "push_vlan:0x88a8", "push_mpls:0x8847"]
            choices += ["pop_vlan", "set_field:4105->vlan_vid", "set_field:5->vlan_pcp"] * (n_tags > 0)
        action = random.choice(choices)
        n_labels += action.startswith("push_mpls") - action.startswith("pop_mpls")
        n_tags += action.startswith("push_vlan") - (action == "pop_vlan")
        if n_tags > 2 or (action.startswith("push_mpls") and n_tags):
            break
        out.append(action)
        if random.random() < 0.3:
            out.append(random.choice(("output:2", "output:3", "CONTROLLER:77", "set_field:1->reg0")))
    return out


def stack_case(seed: int, n_packets: int) -> Case:
    """Three tables of deep stacks."""
    random, maker = Random(seed), Maker(seed)
    rules = []
    for table in range(3):
        for priority, match in enumerate(("vlan_tci=0/0x1fff", "mpls", "vlan_tci=0/0x1fff,ip",
                                          "mpls,mpls_label=5",
                                          "vlan_tci=0/0x1fff,tcp"), 1):
            actions = stack_list(random, "mpls" in match)
            last = random.choice(("output:2", "output:3", "in_port", "output:LOCAL"))
            if table < 2:
                last = random.choice((last, f"resubmit(,{table + 1}),output:1", f"goto_table:{table + 1}"))
            rules.append(f"table={table},priority={priority},{match} actions={','.join([*actions, last])}")
    return Case(seed, "OpenFlow13", tuple(rules), tuple(
        random.choice((maker.packet(), f"in_port=1,mpls,mpls_label={random.choice((0, 5, 7))},mpls_ttl=3,"
                       f"mpls_bos={random.randint(0, 1)}")) for _ in range(n_packets)))


# -- lists within lists --------------------------------------------------------------------------------

LEAVES = ("output:1", "output:2", "output:3", "push_vlan:0x8100", "set_field:1->reg0", "dec_ttl", "note:01",
          "set_field:00:00:00:00:00:05->eth_src", "mod_nw_dst:9.9.9.9",
          "sample(probability=100,collector_set_id=1)",
          "ct(commit)", "ct_clear", "push:NXM_NX_REG0[]", "pop:NXM_NX_REG1[]", "resubmit(,4)", "set_queue:3",
          "CONTROLLER:40", "exit", "output(port=2,max_len=64)", "set_field:0x7->metadata",
          "move:NXM_OF_IP_SRC[]->NXM_NX_REG3[]", "IN_PORT", "FLOOD", "set_field:5->tun_id")


def nested_list(random: Random, depth: int, n: int = 3) -> str:
    """Clones and length checks within clones."""
    out = []
    for _ in range(random.randint(1, n)):
        if depth and random.random() < 0.45:
            out.append(f"clone({nested_list(random, depth - 1)})")
        elif random.random() < 0.15:
            out.append(f"check_pkt_larger({random.choice((64, 1500))})->NXM_NX_REG0[{random.randint(0, 3)}]")
        else:
            out.append(random.choice(LEAVES))
    return ",".join(out)


def nested_case(seed: int, n_packets: int) -> Case:
    """Chains of goto_table with metadata, lists within lists on the way, an action set at the end."""
    random = Random(seed)
    rules = []
    for table in range(4):
        for priority, match in enumerate(("ip", "tcp", "ip,metadata=0x5/0xf", "ip,reg0=1/1", "ip,in_port=2",
                                          "tcp,metadata=0x7", "ip,reg0=0x2/0x2"), 1):
            if random.random() < 0.3:
                continue
            parts = [nested_list(random, 3)]
            written = f"output:{random.randint(1, 3)}"
            if "ct(" not in parts[0] and random.random() < 0.3:
                more = random.choice(("", "", "dec_ttl,", "push_vlan:0x8100,", "set_queue:4,"))
                parts.append(f"write_actions({more}{written})")
            if random.random() < 0.6:
                parts.append(f"write_metadata:{random.choice(('0x5', '0x5/0xf', '0x7', '0x70/0xf0', '0'))}")
            if table < 3 and random.random() < 0.7:
                parts.append(f"goto_table:{random.randint(table + 1, 3)}")
            rules.append(f"table={table},priority={priority},{match} actions={','.join(parts)}")
    if any("ct(" in rule for rule in rules):            # a forking ct and an action set: not together
        rules = [rule.replace("write_actions(", "clone(") for rule in rules]
    rules.append("table=4,priority=1,ip actions=output:3")
    return Case(seed, "OpenFlow15", tuple(rules), tuple(
        f"in_port={random.randint(1, 3)},{random.choice(('tcp', 'udp', 'tcp,dl_vlan=5', 'icmp'))},nw_ttl="
        f"{random.choice((1, 2, 64))},nw_src=10.0.0.{random.randint(1, 2)},"
        f"metadata={random.choice((0, 5, 7))}"
        for _ in range(n_packets)))


# -- tunnels -------------------------------------------------------------------------------------------

TUNNELS: tuple[tuple[str, str, int, dict[str, str]], ...] = (
    ("t1", "geneve", 11, {"remote_ip": "1.1.1.1"}),
    ("t2", "geneve", 12, {"remote_ip": "flow", "key": "flow"}),
    ("t3", "vxlan", 13, {"remote_ip": "1.1.1.3", "local_ip": "2.2.2.2", "key": "77", "tos": "inherit",
                         "ttl": "inherit"}),
    ("t4", "gre", 14, {"remote_ip": "flow", "local_ip": "flow", "out_key": "flow", "in_key": "5",
                       "tos": "0x28", "ttl": "7", "df_default": "false", "csum": "true"}),
    ("t5", "vxlan", 15, {"remote_ip": "fe80::9", "key": "flow", "dst_port": "9999"}),
    ("t6", "geneve", 16, {"remote_ip": "1.1.1.6", "key": "0"}),
    ("t7", "erspan", 17, {"remote_ip": "1.1.1.7", "key": "7", "erspan_ver": "1", "erspan_idx": "1f"}),
    ("t8", "erspan", 18, {"remote_ip": "1.1.1.8", "key": "flow", "erspan_ver": "flow"}),
    ("t9", "erspan", 19, {"remote_ip": "1.1.1.9", "key": "9", "erspan_ver": "2", "erspan_dir": "1",
                          "erspan_hwid": "4"}),
    ("t10", "ip6erspan", 20, {"remote_ip": "fe80::a", "key": "3", "erspan_ver": "1", "erspan_idx": "7"}),
)
TUNNEL_SETS = ("set_field:5->tun_id", "set_field:0x123456->tun_id", "set_tunnel:7",
               "set_tunnel64:0x100000007",
               "set_field:9.9.9.9->tun_dst", "set_field:8.8.8.8->tun_src", "set_field:0.0.0.0->tun_dst",
               "set_field:fe80::7->tun_ipv6_dst", "set_field:fe80::8->tun_ipv6_src",
               "set_field:oam->tun_flags",
               "load:1->NXM_NX_TUN_FLAGS[]", "move:NXM_NX_TUN_ID[0..31]->NXM_NX_REG0[]",
               "move:NXM_NX_REG0[]->NXM_NX_TUN_ID[0..31]",
               "move:NXM_NX_TUN_IPV4_SRC[]->NXM_NX_TUN_IPV4_DST[]",
               "load:0x33->NXM_NX_TUN_ID[8..15]", "set_field:4->tun_gbp_id", "set_field:0x8->tun_gbp_flags",
               "set_field:0x5/0xf->tun_gbp_id", "set_field:2->tun_erspan_ver",
               "set_field:0x12->tun_erspan_idx",
               "set_field:1->tun_erspan_dir", "set_field:0x3->tun_erspan_hwid",
               "move:NXM_NX_TUN_GBP_ID[]->NXM_NX_REG2[0..15]")
TUNNEL_MATCHES = ("", "ip", "tun_id=5", "tun_src=1.0.0.0/8", "tun_dst=3.3.3.3,ip", "tun_flags=+oam",
                  "tun_flags=-oam",
                  "tun_id=0x4/0xc", "tun_ipv6_src=fe80::/16", "in_port=12", "tun_gbp_id=4",
                  "tun_gbp_flags=8/8",
                  "tun_erspan_idx=0x12", "reg0=5", "tun_ipv6_dst=::,ip", "in_port=11,udp")
OUTS = ("output:11", "output:12", "output:13", "output:14", "output:15", "output:16", "output:2", "in_port",
        "output:17", "output:18", "output:19", "output:20",
        "output:12", "dec_ttl,output:13", "set_field:44->nw_tos,output:13")


def tunnel_case(seed: int, n_packets: int) -> Case:
    """Rules that set, move and match what a tunnel header says, and packets out of tunnels."""
    random = Random(seed)
    rules = []
    for table in (0, 1):
        for priority, match in enumerate(random.sample(TUNNEL_MATCHES, 5), 1):
            actions: list[str] = []
            for _ in range(random.randint(1, 4)):
                actions += [random.choice(TUNNEL_SETS) for _ in range(random.randint(0, 2))]
                actions.append(random.choice(OUTS if {"ip", "udp"} & set(match.split(",")) else OUTS[:11]))
                if not table and random.random() < 0.3:
                    actions.append("resubmit(,1)")
            head = f"table={table},priority={priority}{',' if match else ''}{match}"
            rules.append(f"{head} actions={','.join(actions)}")
    return Case(seed, "OpenFlow15", tuple(rules), tuple(_tunnelled(random) for _ in range(n_packets)))


def _tunnelled(random: Random) -> str:
    terms = [f"in_port={random.choice((1, 2, 3, 'LOCAL', 11, 12, 12, 13))}",
             random.choice(("tcp", "udp6", "arp", "udp"))]
    if terms[1] != "arp":
        terms += [f"nw_tos={random.choice((0, 32, 252))}", f"nw_ecn={random.choice((0, 1, 3))}",
                  f"nw_ttl={random.choice((1, 2, 9))}"]
    if random.random() < 0.6:
        if random.random() < 0.3:
            terms += [f"tun_ipv6_src={random.choice(('fe80::1', '2001::1'))}", "tun_ipv6_dst=fe80::9"]
        else:
            terms += [f"tun_src=1.1.1.{random.randint(1, 3)}",
                      f"tun_dst={random.choice(('1.1.1.1', '3.3.3.3'))}"]
        terms += [f"tun_id={random.randint(4, 6)}", f"tun_tos={random.choice((0, 3, 5))}"]
        terms += random.choice(([], [], ["tun_flags=oam"], ["tun_gbp_id=4"],
                                ["tun_gbp_flags=0x8,tun_gbp_id=5"],
                                ["tun_erspan_ver=2,tun_erspan_dir=1,tun_erspan_hwid=0x3"],
                                ["tun_erspan_ver=1,tun_erspan_idx=0x12"]))
    return ",".join(terms)


# -- VLANs of ports ------------------------------------------------------------------------------------

# Ports of a bridge: what ours is told, what ovs-vsctl is told.
VLAN_PORTS: tuple[tuple[dict[str, object], tuple[str, ...]], ...] = (
    ({"tag": 5}, ("tag=5",)),
    ({"trunks": (5, 9)}, ("trunks=5,9",)),
    ({"tag": 9, "trunks": (5, 9)}, ("vlan_mode=native-tagged", "tag=9", "trunks=5,9")),
    ({"vlan_mode": "native-untagged", "tag": 9, "priority_tags": "if-nonzero"},
     ("vlan_mode=native-untagged", "tag=9", "other_config:priority-tags=if-nonzero")),
    ({"vlan_mode": "dot1q-tunnel", "tag": 9, "cvlans": (0, 5), "qinq_ethtype": 0x8100},
     ("vlan_mode=dot1q-tunnel", "tag=9", "cvlans=0,5", "other_config:qinq-ethtype=802.1q")),
    ({"vlan_mode": "dot1q-tunnel", "tag": 5}, ("vlan_mode=dot1q-tunnel", "tag=5")),
    ({"protected": True}, ("protected=true",)),
)
AROUND_NORMAL = ("NORMAL", "NORMAL", "NORMAL,output:2", "push_vlan:0x8100,set_field:4105->vlan_vid,NORMAL",
                 "push_vlan:0x88a8,NORMAL", "set_field:00:00:00:00:00:02->eth_dst,NORMAL", "resubmit(2,1)",
                 "clone(push_vlan:0x8100,set_field:4101->vlan_vid,NORMAL),output:1", "resubmit(,1),NORMAL",
                 "learn(table=2,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),NORMAL")


def vlan_case(seed: int, n_packets: int) -> Case:
    """NORMAL among ports of every VLAN mode, from stations that are learned."""
    random = Random(seed)
    rules = [f"table={table},priority={priority},{match}actions={random.choice(AROUND_NORMAL)}"
             for table, priority, match in ((0, 1, ""), (0, 2, "dl_vlan=5 "), (0, 3, "in_port=3 "))]
    rules.append("table=1 actions=NORMAL")
    return Case(seed, "OpenFlow13", tuple(rules), tuple(_of_station(random) for _ in range(n_packets)))


def _of_station(random: Random) -> str:
    tag = random.choice(("", "", ",dl_vlan=0", ",dl_vlan=5", ",dl_vlan=9,dl_vlan_pcp=3", ",dl_vlan=7"))
    kind = random.choice(("tcp", "arp", "ipv6", "icmp"))
    return (f"in_port={random.randint(1, len(VLAN_PORTS))}{tag},{kind},"
            f"dl_src=00:00:00:00:00:0{random.randint(1, 4)},"
            f"dl_dst={random.choice((*MACS[:2], *MACS, '00:00:00:00:00:03'))}")

