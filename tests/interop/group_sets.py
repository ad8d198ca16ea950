"""Random groups, rules that use them and packets, all from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from rule_sets import Case, Maker

N_GROUPS = 6
METHODS = ("", "", "selection_method=hash,", "selection_method=hash,fields({fields}),",
           "selection_method=hash,selection_method_param={param},fields({fields}),",
           "selection_method=dp_hash,", "selection_method=dp_hash,selection_method_param={param},")
PARAMS = (1, 7, 0x100000005, 0x200000005, 0xFFFFFFFFFFFFFFFF)
FIELDS = ("eth_src", "eth_dst=ff:00:00:00:00:ff", "ip_src=255.255.0.255", "ip_dst", "nw_proto", "tcp_src",
          "tcp_dst=0xff", "udp_dst", "in_port", "ipv6_src=ffff::", "ipv6_dst", "nw_ttl", "nw_ecn",
          "vlan_tci=0x1fff", "vlan_vid", "vlan_pcp", "eth_type", "mpls_label", "mpls_tc", "arp_op",
          "arp_spa", "reg0", "metadata=0xf", "xreg1", "icmp_type", "icmpv6_type", "nd_target", "sctp_src",
          "tcp_flags=0x2", "ip_frag", "tun_id", "ipv6_label", "ip_dscp", "pkt_mark", "ct_mark",
          "in_port_oxm", "nd_sll")
REWRITES = ("set_field:00:00:00:00:00:0{n}->eth_src", "set_field:{n}->reg0", "push_vlan:0x8100", "pop_vlan",
            "dec_ttl", "mod_nw_dst:10.0.0.{n}", "mod_tp_dst:{n}", "set_field:{n}->vlan_pcp",
            "push_mpls:0x8847", "pop_mpls:0x0800", "dec_mpls_ttl", "set_queue:{n}",
            "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]", "load:{n}->NXM_NX_REG1[4..9]",
            "set_field:{n}->metadata", "set_field:{n}->ip_dscp", "set_mpls_ttl({n})",
            "set_field:{n}->ipv6_label", "set_field:{n}->nw_ttl", "note:01.02",
            "set_field:0x{n}/0xf->pkt_mark")
ANY_PACKET = ("set_field:00:00:00:00:00:0{n}->eth_src", "set_field:{n}->reg0", "push_vlan:0x8100",
              "set_field:{n}->metadata", "push_mpls:0x8847", "set_queue:{n}")
OUTPUTS = ("output:1", "output:2", "output:3", "IN_PORT", "CONTROLLER:99", "resubmit(,1)", "resubmit(,2)",
           "NORMAL", "FLOOD", "output:9", "drop", "LOCAL")


@dataclass(frozen=True)
class GroupCase:
    """Groups, and a case of rules and packets."""

    groups: tuple[str, ...]
    case: Case


class GroupMaker:
    """Makes the groups of one seed."""

    def __init__(self, seed: int) -> None:
        self.random, self.maker = Random(seed), Maker(seed)
        self.seed = seed

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def rewrite(self, choices: tuple[str, ...] = REWRITES) -> str:
        return self.pick(*choices).format(n=self.random.randint(1, 3))

    def bucket(self, kind: str, number: int) -> str:
        keys = []
        if kind == "ff" or (kind == "select" and self.chance(0.3)):
            if self.chance(0.8):
                keys.append(f"watch_port={self.pick('1', '2', '3', '9')}")
            if not keys or self.chance(0.3):
                keys.append(f"watch_group={self.random.randint(1, N_GROUPS + 1)}")
        if kind == "select" and self.chance(0.7):
            keys.append(f"weight={self.pick('0', '1', '2', '3', '5', '17', '300')}")
        actions = [self.rewrite() for _ in range(self.random.choice((0, 0, 1, 2)))]
        # Groups name later ones, mostly: loops end at a bound, which shows little.
        later = self.random.randint(number + 1, max(number, N_GROUPS) + 1)
        target = later if self.chance(0.97) else number
        output = f"group:{target}" if self.chance(0.25) else self.pick(*OUTPUTS)
        if output == "drop":
            return ",".join([*keys, "actions=drop"])
        return ",".join([*keys, "actions=" + ",".join([*actions, output])])

    def group(self, number: int) -> str:
        kind = self.pick("all", "all", "indirect", "ff", "ff", "select", "select", "select")
        method = ""
        if kind == "select":
            fields = self.random.sample(FIELDS, self.random.randint(1, 4))
            method = self.pick(*METHODS).format(fields=",".join(fields), param=self.random.choice(PARAMS))
        n_buckets = 1 if kind == "indirect" else self.random.randint(0 if self.chance(0.1) else 1, 4)
        buckets = "".join(f",bucket={self.bucket(kind, number)}" for _ in range(n_buckets))
        return f"group_id={number},type={kind},{method.rstrip(',')}{buckets}".replace(",,", ",")

    def use(self, table: int) -> str:
        group = f"group:{self.random.randint(1, N_GROUPS)}"
        before = [self.rewrite(ANY_PACKET) for _ in range(self.random.choice((0, 0, 1)))]
        after = [self.pick("output:2", "output:3", "set_field:7->reg0,output:1", group)
                 for _ in range(self.random.choice((0, 1, 1)))]
        body = [*before, group, *after]
        where = self.pick("list", "list", "list", "set", "clone")
        if where == "set":
            return f"{','.join([*before, 'output:3'])},write_actions({group},output:1)"
        return f"clone({','.join(body)}),output:1" if where == "clone" else ",".join(body)

    def rules(self) -> list[str]:
        out = []
        for table in range(3):
            for priority in self.random.sample(range(1, 100), 3):
                match = self.pick("", "ip,", "tcp,", "mpls,", "in_port=1,", "ipv6,", "dl_vlan=5,", "reg0=1,")
                out.append(f"table={table},{match}priority={priority} actions={self.use(table)}")
            out.append(f"table={table},priority=0 actions={self.use(table)}")
        return out

    def case(self, n_packets: int = 5) -> GroupCase:
        groups = tuple(self.group(number) for number in range(1, N_GROUPS + 1))
        packets = [self.maker.packet() for _ in range(n_packets)]
        packets += [f"dp_hash={self.random.getrandbits(32):#x},{packet}" for packet in packets[:2]]
        return GroupCase(groups, Case(self.seed, "OpenFlow15", tuple(self.rules()), tuple(packets)))
