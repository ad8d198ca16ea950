"""Random actions of the kinds that ``rule_sets`` leaves out, one function a kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from rule_sets import Case, Maker

from fastpath.ofproto.actions.balance import BUNDLE_ALGORITHMS, HASH_FIELDS, MULTIPATH_ALGORITHMS

Make = Callable[[Random], str]
TARGETS = ("NXM_NX_REG0[]", "NXM_NX_REG1[4..20]", "NXM_NX_XXREG1[0..63]", "OXM_OF_METADATA[8..31]",
           "NXM_NX_REG7[0..15]")
MEMBERS = ("1", "2", "3", "1,2", "2,3", "3,2,1", "9,1", "9", "", "LOCAL,2,1,IN_PORT", "1,1,1,2,2,3", "NONE,2")


def multipath(random: Random) -> str:
    n_links = random.choice((1, 2, 3, 7, 64, 65, 1000, 65536))
    return (f"multipath({random.choice(HASH_FIELDS)},{random.choice((0, 1, 50, 65535))},"
            f"{random.choice(MULTIPATH_ALGORITHMS)},{n_links},{random.choice((0, 4, 8, 100, 200))},"
            f"{random.choice(TARGETS)})")


def bundle(random: Random) -> str:
    head = f"{random.choice(HASH_FIELDS)},{random.choice((0, 7))},{random.choice(BUNDLE_ALGORITHMS)},ofport"
    members = random.choice(MEMBERS)
    if random.random() < 0.5:
        return f"bundle({head},members:{members})"
    return f"bundle_load({head},{random.choice(TARGETS)},members:{members})"


def case(seed: int, kinds: Sequence[Make], n_packets: int = 6) -> Case:
    """Four rules of actions of *kinds* among rewrites, and packets."""
    random, maker = Random(seed), Maker(seed)
    rewrites = ("mod_dl_src:00:00:00:00:00:05", "push_vlan:0x8100", "load:3->NXM_NX_REG3[]")
    rules = []
    for priority in range(4):
        actions = [random.choice(kinds)(random) for _ in range(random.randint(1, 3))]
        actions.insert(random.randrange(len(actions)), random.choice(rewrites))
        match = random.choice(("", "in_port=1,", "ip,", "tcp,", "in_port=2,", "ipv6,", "dl_vlan=5,"))
        rules.append(f"{match}priority={priority} actions={','.join(actions)},output:NXM_NX_REG7[0..15]")
    return Case(seed, "OpenFlow13", tuple(rules), tuple(maker.packet() for _ in range(n_packets)))


def queue(random: Random) -> str:
    return random.choice(("set_queue:5", "set_queue:0", "pop_queue", "enqueue(2,7)", "enqueue(1,7)",
                          "enqueue(in_port,1)", "enqueue(9,1)"))


def sample(random: Random) -> str:
    terms = [f"probability={random.choice((1, 100, 32768, 65535))}"]
    port = random.choice(("1", "2", "9", "LOCAL"))
    terms += random.sample((f"collector_set_id={random.randint(0, 9)}", "obs_domain_id=5",
                            "obs_point_id=4294967295", f"sampling_port={port}"), random.randint(0, 3))
    return f"sample({','.join([*terms, *random.choice(([], [], ['ingress'], ['egress']))])})"


def truncated(random: Random) -> str:
    port = random.choice(("1", "2", "LOCAL", "9", "in_port"))
    return f"output(port={port},max_len={random.choice((14, 64, 1500, 65535))})"


def check_pkt_larger(random: Random) -> str:
    target = random.choice(("reg0[0]", "xxreg1[77]"))
    return f"check_pkt_larger({random.choice((0, 64, 1500, 65535))})->{target}"


def plain(random: Random) -> str:
    """Something between the others, for them to have an effect on."""
    return random.choice((
        "output:2", "output:1", "mod_dl_src:00:00:00:00:00:05", "resubmit(,1)", "resubmit(,1)", "note:01.02",
        "exit", "push_vlan:0x8100", "load:1->NXM_NX_REG0[0]", "LOCAL", "push:NXM_NX_REG0[]",
        "pop:NXM_NX_REG1[]", "CONTROLLER:60", "output:NXM_NX_REG0[0..3]",
        "clone(mod_dl_dst:00:00:00:00:00:07,output:2)"))


def mixed_case(seed: int, kinds: Sequence[Make], n_packets: int = 5) -> Case:
    """Two tables of actions of *kinds* among plain ones, with an action set now and then."""
    random, maker = Random(seed), Maker(seed)
    rules = []
    for table, priority in ((0, 1), (0, 2), (0, 3), (1, 1), (1, 2)):
        match = random.choice(("", "in_port=1,", "ip,", "reg0=1,", "in_port=2,", "tcp,"))
        actions = [random.choice((*kinds, plain))(random) for _ in range(random.randint(1, 5))]
        if table:
            actions = [a for a in actions if "resubmit" not in a] or ["output:3"]
        elif random.random() < 0.3:
            actions.append("write_actions(output:3)")
        if table == 0 and random.random() < 0.3:
            actions.append("goto_table:1")
        rules.append(f"table={table},{match}priority={priority} actions={','.join(actions)}")
    return Case(seed, "OpenFlow13", tuple(rules), tuple(maker.packet() for _ in range(n_packets)))


SET_MEMBERS = (
    "output:2", "output:3", "resubmit(,2)", "ct(commit)", "ct_clear", "ct(table=3)", "CONTROLLER:9",
    "dec_ttl",
    "push_vlan:0x8100", "pop_vlan", "set_queue:5", "set_field:1->reg0", "load:2->NXM_NX_REG0[0..3]",
    "move:NXM_NX_REG0[0..3]->NXM_NX_REG1[4..7]", "set_field:00:00:00:00:00:09->eth_src", "mod_nw_src:9.9.9.9",
    "set_field:64->nw_ttl", "push_mpls:0x8847", "LOCAL", "set_tunnel:5", "mod_nw_tos:8")


def action_set_case(seed: int) -> Case:
    """Actions written to the set, and cleared, by one table after the other."""
    random, maker = Random(seed), Maker(seed)
    rules = []
    for table in (0, 1):
        for priority, match in enumerate(("ip", "ip,in_port=1", "tcp,dl_vlan=5", "ip,dl_vlan=5"), 1):
            clear = ["clear_actions"] if random.random() < 0.15 else []
            members = random.sample(SET_MEMBERS, random.randint(1, 6))
            parts = [*random.choice(((), ("output:1",))), *clear, f"write_actions({','.join(members)})"]
            parts += ["goto_table:1"] if not table and random.random() < 0.8 else []
            rules.append(f"table={table},priority={priority},{match} actions={','.join(parts)}")
    rules += ["table=2 actions=output:1,output:3", "table=3,ct_state=+trk actions=output:3"]
    packets = [f"in_port={random.randint(1, 3)},{random.choice(('tcp', 'udp', 'tcp,dl_vlan=5'))},nw_ttl=9"
               for _ in range(4)]
    return Case(seed, "OpenFlow13", tuple(rules), (*packets, maker.packet()))


LEARN_MATCHES = (
    "NXM_OF_ETH_TYPE[]", "eth_type=0x800,NXM_OF_IP_DST[]=NXM_OF_IP_SRC[]", "NXM_OF_VLAN_TCI[0..11]",
    "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[]", "NXM_OF_ETH_SRC[]", "eth_type=0x800,nw_proto=6,NXM_OF_TCP_DST[]",
    "NXM_NX_REG0[0..3]=NXM_NX_REG3[4..7]", "in_port=1", "NXM_OF_IN_PORT[]", "dl_dst=00:00:00:00:00:02",
    "NXM_NX_REG1[3..6]=5", "eth_type=0x86dd,NXM_NX_IPV6_SRC[]", "OXM_OF_METADATA[16..31]=NXM_NX_REG0[0..15]",
    "eth_type=0x800,NXM_OF_IP_SRC[8..31]",
    "eth_type=0x806,NXM_OF_ARP_TPA[]=NXM_OF_ARP_SPA[]",  "vlan_tci=0x1005")
LEARN_LOADS = (
    "load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]", "load:0x7->NXM_NX_REG2[3..9]", "output:NXM_OF_IN_PORT[]",
    "load:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]", "output:NXM_NX_REG0[]", "load:0->NXM_NX_XXREG3[100..120]",
    "load:NXM_OF_VLAN_TCI[0..11]->NXM_OF_VLAN_TCI[0..11]", "output:NXM_NX_REG3[0..7]",
    "load:NXM_NX_TUN_ID[0..31]->NXM_NX_REG5[]")
LEARN_OPTIONS = (
    "idle_timeout=300", "hard_timeout=300", "priority=7", "priority=50000", "cookie=0x5", "send_flow_rem",
    "fin_idle_timeout=5", "fin_hard_timeout=9", "delete_learned", "result_dst=NXM_NX_REG5[3]", "limit=1",
    "limit=2,result_dst=OXM_OF_METADATA[63]")


def learn(random: Random) -> str:
    """With the sources of its matches as they come; some make no sense where they stand."""
    options = random.sample(LEARN_OPTIONS, random.randint(0, 3))
    specs = [*random.sample(LEARN_MATCHES, random.randint(1, 2)),
             *random.sample(LEARN_LOADS, random.randint(0, 3))]
    return f"learn(table={random.choice('1122')},{','.join([*options, *specs])})"
