"""Random rule sets and packets for comparing translations: everything translation covers, small values.

Values come from small pools, so that rules match packets, prefixes nest and rewrites sometimes change
nothing.  Priorities within a table are distinct: with equal ones the reference's mask depends on the
order in which it happens to keep its subtables.  A rule set is reproducible from its seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

MACS = ("00:00:00:00:00:01", "00:00:00:00:00:02", "02:00:00:00:10:01", "ff:ff:ff:ff:ff:ff",
        "01:00:5e:00:00:05", "01:80:c2:00:00:0e")
MAC_MASKS = ("01:00:00:00:00:00/01:00:00:00:00:00", "02:00:00:00:00:00/ff:00:00:00:00:00")
IPS = ("10.0.0.1", "10.0.0.2", "10.0.1.1", "10.1.0.1", "192.168.1.1", "0.0.0.0")
IP_MASKS = ("10.0.0.0/8", "10.0.0.0/24", "10.0.0.0/30", "192.0.0.0/7", "10.0.0.1/255.0.0.255", "0.0.0.0/1")
IP6S = ("fe80::1", "2001:db8::1", "2001:db8:0:1::2", "::")
IP6_MASKS = ("fe80::/10", "2001:db8::/32", "2001:db8::/64", "::1/::ff")
PORTS = ("53", "80", "443", "4660")
PORT_MASKS = ("0x1000/0xf000", "80/0xfff0", "0/1")
PROTOS = ("ip", "tcp", "udp", "sctp", "icmp", "ipv6", "tcp6", "udp6", "icmp6", "arp", "rarp", "mpls", "mplsm",
          "")
V4, V6 = frozenset(("ip", "tcp", "udp", "sctp", "icmp")), frozenset(("ipv6", "tcp6", "udp6", "icmp6"))
L4 = {"tcp": "tcp", "udp": "udp", "sctp": "sctp", "tcp6": "tcp", "udp6": "udp"}
N_TABLES = 5


@dataclass(frozen=True)
class Case:
    """Rules, the OpenFlow version to install them with, and packets to trace."""

    seed: int
    version: str
    rules: tuple[str, ...]
    packets: tuple[str, ...]


class Maker:
    """Makes the rules and packets of one seed."""

    def __init__(self, seed: int, *, n_ports: int = 3) -> None:
        self.random = Random(seed)
        self.seed = seed
        self.version = self.random.choice(("OpenFlow10", "OpenFlow13", "OpenFlow13", "OpenFlow15"))
        self.ports = [*map(str, range(1, n_ports + 1)), "LOCAL"]
        self.normal = self.random.random() < 0.3

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def case(self, n_packets: int = 6) -> Case:
        rules = [rule for table in range(N_TABLES) for rule in self.table(table)]
        return Case(self.seed, self.version, tuple(rules), tuple(self.packet() for _ in range(n_packets)))

    def table(self, number: int) -> list[str]:
        n = self.random.randint(1, 7)
        priorities = self.random.sample(range(1, 200), n)
        rules = [self.rule(number, p) for p in priorities]
        if self.chance(0.6):
            rules.append(f"table={number},priority=0 actions={self.actions('', number, False)}")
        return rules

    def rule(self, table: int, priority: int) -> str:
        proto = self.pick(*PROTOS, "ip", "ip", "tcp", "udp", "")
        terms = [f"table={table},priority={priority}"]
        if self.chance(0.1):
            terms.append(f"cookie={self.random.randint(1, 99):#x}")
        tagged = self.chance(0.2)
        if tagged:
            terms.append(self.pick("dl_vlan=5", "dl_vlan=0", "vlan_tci=0x1000/0x1000",
                                   "dl_vlan=9,dl_vlan_pcp=3"))
        elif self.chance(0.1):
            terms.append("vlan_tci=0/0x1fff")
        if proto:
            terms.append(proto)
        terms += self.fields(proto, masked=True, share=0.25)
        return f"{','.join(terms)} actions={self.actions(proto, table, tagged)}"

    # -- matches and packets ------------------------------------------------------------------------

    def fields(self, proto: str, *, masked: bool, share: float) -> list[str]:
        """Terms for some of the fields *proto* has."""
        out: list[str] = []

        def maybe(name: str, exact: tuple[str, ...], masks: tuple[str, ...] = (), *,
                  weight: float = 1.0) -> None:
            if self.chance(share * weight):
                out.append(f"{name}={self.pick(*exact, *(masks if masked else ()))}")

        if masked:
            maybe("in_port", tuple(self.ports), weight=1.2)
            maybe("metadata", ("0", "0x5"), ("0x5/0xf",), weight=0.3)
        maybe("reg0", ("0", "1", "2"), ("1/1",), weight=0.5)
        maybe("reg3", ("0", "7"), ("0/0xff",), weight=0.3)
        maybe("dl_src", MACS[:3], MAC_MASKS, weight=0.6)
        maybe("dl_dst", MACS, MAC_MASKS)
        if not proto:
            maybe("dl_type", ("0x88cc", "0x1234"), weight=0.3)
        if proto in V4:
            maybe("nw_src", IPS, IP_MASKS)
            maybe("nw_dst", IPS, IP_MASKS)
        if proto in V6:
            maybe("ipv6_src", IP6S, IP6_MASKS)
            maybe("ipv6_dst", IP6S, IP6_MASKS)
            maybe("ipv6_label", ("0", "0x7"), weight=0.2)
        if proto in V4 | V6:
            maybe("nw_ttl", ("0", "1", "2", "64"), weight=0.6)
            maybe("nw_tos", ("0", "8", "252"), weight=0.3)
            maybe("nw_ecn", ("0", "1"), weight=0.2)
            if proto in ("ip", "ipv6"):
                maybe("nw_frag", ("no", "first", "later"), ("yes", "not_later"), weight=0.3)
            else:       # a later fragment has no ports to ask for
                maybe("nw_frag", ("no", "first"), ("not_later",), weight=0.3)
        if proto in ("ip", "ipv6"):
            maybe("nw_proto", ("0", "47"), weight=0.3)
        if proto in L4:
            maybe(f"{L4[proto]}_src", PORTS, PORT_MASKS)
            maybe(f"{L4[proto]}_dst", PORTS, PORT_MASKS)
        if L4.get(proto) == "tcp":
            maybe("tcp_flags", ("+syn-ack",) if masked else ("syn", "syn|ack"), weight=0.3)
        if proto == "icmp":
            maybe("icmp_type", ("0", "8"))
            maybe("icmp_code", ("0", "3"), weight=0.5)
        if proto == "icmp6":
            out.extend(self.icmp6_fields(share))
        if proto in ("arp", "rarp"):
            maybe("arp_op", ("1", "2"))
            maybe("arp_spa", IPS, IP_MASKS)
            maybe("arp_tpa", IPS, IP_MASKS)
            maybe("arp_sha", MACS[:3], weight=0.5)
        if proto in ("mpls", "mplsm"):
            maybe("mpls_label", ("0", "5", "100"))
            maybe("mpls_tc", ("0", "3"), weight=0.4)
            maybe("mpls_bos", ("0", "1"))
            maybe("mpls_ttl", ("0", "1", "64"), weight=0.4)
        return out

    def icmp6_fields(self, share: float) -> list[str]:
        if self.chance(share):
            which, link = self.random.choice((("135", "nd_sll"), ("136", "nd_tll")))
            out = [f"icmpv6_type={which}", "icmpv6_code=0"]
            if self.chance(0.5):
                out.append(f"nd_target={self.pick(*IP6S)}")
            if self.chance(0.5):
                out.append(f"{link}={self.pick(*MACS[:3])}")
            return out
        return [f"icmpv6_type={self.pick('1', '128')}"] if self.chance(share) else []

    def packet(self) -> str:
        proto = self.pick(*PROTOS, "ip", "tcp", "udp", "tcp", "icmp")
        terms = [f"in_port={self.pick(*self.ports)}"]
        if self.chance(0.3):
            terms.append(self.pick("dl_vlan=5", "dl_vlan=0", "dl_vlan=9,dl_vlan_pcp=3"))
        if proto:
            terms.append(proto)
        return ",".join([*terms, *self.fields(proto, masked=False, share=0.75)])

    # -- actions ------------------------------------------------------------------------------------

    def actions(self, proto: str, table: int, tagged: bool) -> str:
        out: list[str] = []
        state = _State(proto, tagged, n_pushed=int(tagged))
        for _ in range(self.random.choice((0, 1, 1, 2, 2, 3, 4, 6))):
            out.append(self.action(state, table))
            if self.chance(0.4):
                out.append(self.output())
        tail = []
        if self.version != "OpenFlow10":
            if self.chance(0.05):
                tail.append("clear_actions")
            if self.chance(0.12):
                tail.append(f"write_actions({self.action_set(state)})")
            if self.chance(0.1):
                tail.append(f"write_metadata:{self.pick('0x5', '0x5/0xf', '0')}")
            if table + 1 < N_TABLES and self.chance(0.3):
                tail.append(f"goto_table:{self.random.randint(table + 1, N_TABLES - 1)}")
        return ",".join([*out, *tail]) or "drop"

    def action_set(self, state: _State) -> str:
        out = []
        if self.chance(0.5):
            out.append(self.set_field(state))
        if self.chance(0.3) and state.proto in V4 | V6:
            out.append("dec_ttl")
        if self.chance(0.8):
            out.append(f"output:{self.pick(*self.ports)}")
        return ",".join(out) or f"output:{self.pick(*self.ports)}"

    def output(self) -> str:
        if self.normal and self.chance(0.4):
            return "NORMAL"
        return self.pick(*(f"output:{p}" for p in self.ports), "output:1", "output:2", "IN_PORT", "FLOOD",
                         "ALL", "CONTROLLER:128", "controller(max_len=64,id=3)", "output:NXM_NX_REG0[0..15]",
                         "output:NXM_NX_REG3[]", "output(port=2,max_len=100)", "output:77")

    def action(self, state: _State, table: int) -> str:
        makers: list[Callable[[], str]] = [
            lambda: self.set_field(state), lambda: self.set_field(state), lambda: self.set_field(state),
            self.register, self.register, lambda: self.jump(table), lambda: self.jump(table),
            lambda: self.tag(state), lambda: self.label(state),
            lambda: self.pick("note:01.02", "exit") if self.chance(0.3) else self.output(),
        ]
        if state.proto in V4 | V6:
            makers += [lambda: "dec_ttl", lambda: "dec_ttl(2,3)"]
        if state.proto not in ("mpls", "mplsm") and self.version != "OpenFlow10":
            makers.append(lambda: f"clone({self.set_field(state)},{self.output()})")
        return self.random.choice(makers)()

    def jump(self, table: int) -> str:
        # Mostly forward: a loop ends at the bounds, which takes long and shows little.
        to = self.random.randint(table + 1, N_TABLES) if self.chance(0.97) else table
        port = self.pick("", "", "", *self.ports)
        return f"resubmit({port},{to})"

    def register(self) -> str:
        return self.pick(
            "set_field:1->reg0", "set_field:0x2/0xf->reg0", "set_field:7->reg3", "push:NXM_NX_REG0[0..15]",
            "push:NXM_OF_ETH_SRC[]", "pop:NXM_NX_REG3[]", "pop:NXM_NX_REG1[0..7]", "pop:NXM_OF_ETH_DST[]",
            "move:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]", "move:NXM_NX_REG0[]->NXM_NX_REG1[]",
            "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]", "move:NXM_NX_REG0[0..7]->NXM_OF_ETH_DST[8..15]",
            "load:3->NXM_NX_REG2[4..9]", "load:2->NXM_OF_IN_PORT[]", "set_field:3->in_port",
            "set_field:0x9->pkt_mark", "load:0x123->NXM_NX_PKT_MARK[0..11]", "set_field:0x55->tun_id",
            "set_field:0x100000002->xreg1", "set_field:0x5/0xff->metadata")

    def set_field(self, state: _State) -> str:
        choices = [f"set_field:{self.pick(*MACS[:3])}->eth_{self.pick('src', 'dst')}",
                   f"mod_dl_{self.pick('src', 'dst')}:{self.pick(*MACS[:3])}",
                   "set_field:02:00:00:00:00:00/ff:00:00:00:00:00->eth_src"]
        if self.version == "OpenFlow10":
            choices.pop()
        proto = state.proto
        if proto in V4:
            choices += [f"set_field:{self.pick(*IPS)}->ip_{self.pick('src', 'dst')}",
                        f"mod_nw_{self.pick('src', 'dst')}:{self.pick(*IPS)}",
                        "move:NXM_OF_IP_SRC[]->NXM_OF_IP_DST[]", "load:5->NXM_OF_IP_SRC[0..7]"]
        if proto in V6:
            choices += [f"set_field:{self.pick(*IP6S)}->ipv6_{self.pick('src', 'dst')}",
                        "move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[]", "set_field:0x7->ipv6_label"]
        if proto in V4 | V6:
            choices += [f"mod_nw_tos:{self.pick('0', '8', '252')}", "set_field:5->ip_dscp",
                        "set_field:1->nw_ecn", f"set_field:{self.pick('0', '1', '64')}->nw_ttl",
                        "move:NXM_NX_IP_TTL[]->NXM_NX_REG0[0..7]"]
        if proto in L4:
            choices += [f"set_field:{self.pick(*PORTS)}->{L4[proto]}_{self.pick('src', 'dst')}",
                        f"mod_tp_{self.pick('src', 'dst')}:{self.pick(*PORTS)}"]
        if proto == "icmp":
            choices += [f"set_field:{self.pick('0', '8')}->icmp_type", "set_field:3->icmp_code"]
        if proto == "arp":
            choices += ["set_field:2->arp_op", f"set_field:{self.pick(*IPS)}->arp_spa",
                        "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]", "set_field:00:00:00:00:00:02->arp_sha",
                        "load:2->NXM_OF_ARP_OP[]"]
        if proto in ("mpls", "mplsm"):
            choices += ["set_field:5->mpls_label", "set_field:3->mpls_tc"]
        if state.tagged:
            choices += ["set_field:4101->vlan_vid", "set_field:3->vlan_pcp",
                        "move:NXM_OF_VLAN_TCI[0..11]->NXM_NX_REG0[0..11]"]
        return self.pick(*choices)

    def tag(self, state: _State) -> str:
        if state.proto in ("mpls", "mplsm"):
            return self.output()
        if self.version == "OpenFlow10":
            return self.pick("mod_vlan_vid:5", "mod_vlan_pcp:3", "strip_vlan", "mod_vlan_vid:9")
        if state.tagged and self.chance(0.5):
            state.tagged = False
            return "pop_vlan"
        if state.n_pushed >= 2:
            return self.output()
        state.tagged, state.n_pushed = True, state.n_pushed + 1
        return "push_vlan:" + self.pick("0x8100", "0x8100", "0x88a8")

    def label(self, state: _State) -> str:
        if self.version == "OpenFlow10" or state.tagged:
            return self.register()
        if state.proto in ("mpls", "mplsm"):
            choice = self.pick("push", "pop", "ttl", "ttl")
            if choice == "pop":
                proto, ethertype = self.random.choice((("ip", "0x0800"), ("ipv6", "0x86dd"),
                                                       ("mpls", "0x8847")))
                state.proto = proto
                return f"pop_mpls:{ethertype}"
            if choice == "ttl":
                return self.pick("dec_mpls_ttl", "set_mpls_ttl(0)", "set_mpls_ttl(64)")
        if state.n_labels >= 3:
            return self.register()
        state.n_labels += 1
        state.proto = self.pick("mpls", "mplsm")
        return "push_mpls:" + ("0x8847" if state.proto == "mpls" else "0x8848")


@dataclass
class _State:
    """What the packet is known to be after the actions so far."""

    proto: str
    tagged: bool
    n_pushed: int = 0
    n_labels: int = 0
