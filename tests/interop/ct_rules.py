"""Random rule sets that send packets through conntrack, and what conntrack is to find.

A ``rule_sets.Maker`` that knows ct, nat, ct_clear and resubmit(,N,ct), and matches the fields conntrack
fills in.  Tables follow each other, so that every walk ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rule_sets import IPS, L4, N_TABLES, V4, Maker, _State

STATES = ("-trk", "+trk", "+trk+new", "+trk+est-rel", "+trk-new", "+trk+rpl", "+inv+trk", "+snat",
          "-dnat+trk", "trk|new", "0")
VALID = ("+trk+new", "+trk+est-rel", "+trk+rpl", "+trk-inv")
NEXT = ("trk,new", "trk,est", "trk,est,rpl", "trk,rel,new", "trk,inv", "trk")
ZONES = ("", "zone=1", "zone=65535", "zone=NXM_NX_REG0[0..15]", "zone=NXM_NX_REG1[16..31]",
         "zone=NXM_OF_IN_PORT[]", "zone=NXM_NX_CT_ZONE[]", "zone=OXM_OF_METADATA[0..15]")
SETS = ("set_field:1->ct_mark", "set_field:0x10/0xf0->ct_mark", "set_field:0x5->ct_label",
        "set_field:0x7000000000000000000000000/0xf000000000000000000000000->ct_label",
        "move:NXM_NX_REG0[]->NXM_NX_CT_MARK[]", "load:3->NXM_NX_CT_MARK[4..9]",
        "move:NXM_NX_REG1[]->NXM_NX_CT_LABEL[32..63]", "move:NXM_NX_CT_MARK[]->NXM_NX_CT_LABEL[0..31]")
NAT4 = ("nat(src)", "nat(dst=10.0.0.1)", "nat(src=10.0.0.1-10.0.0.9)", "nat(src=10.0.1.1:1000-2000,random)",
        "nat(dst=10.0.0.2-10.0.0.5:80,persistent,hash)")
NAT6 = ("nat(dst)", "nat(src=fe80::1)", "nat(dst=[2001:db8::1]:80)", "nat(src=[fe80::1]-[fe80::9]:5-9,hash)")
# The reference ends itself (an assertion) when a packet is forked that has actions in its action set.
_ACTION_SET = re.compile(r",?write_actions\((?:[^()]|\([^()]*\))*\)")


@dataclass(frozen=True)
class CtCase:
    """Rules, the OpenFlow version to install them with, and packets with the states they are found in."""

    version: str
    rules: tuple[str, ...]
    packets: tuple[tuple[str, tuple[str, ...]], ...]


class CtMaker(Maker):
    """Makes the rules and packets of one seed."""

    def ct_case(self, n_packets: int = 4) -> CtCase:
        made = self.case(n_packets)
        rules = tuple(_ACTION_SET.sub("", rule).replace("actions=,", "actions=") for rule in made.rules)
        return CtCase(made.version, rules, tuple(
            (packet, tuple(self.pick(*NEXT) for _ in range(self.random.randint(0, 3))))
            for packet in made.packets))

    def rule(self, table: int, priority: int) -> str:
        proto = self.pick("ip", "tcp", "udp", "ipv6", "tcp6", "icmp", "")
        valid = bool(proto) and self.chance(0.5)
        terms = [f"table={table},priority={priority}"]
        if self.chance(0.2):
            terms.append(f"cookie={self.random.randint(1, 99):#x}")
        if proto:
            terms.append(proto)
        if valid or self.chance(0.4):
            terms.append(f"ct_state={self.pick(*(VALID if valid else STATES))}")
        if self.chance(0.15):
            terms.append(self.pick("ct_mark=1", "ct_mark=0x10/0xf0", "ct_zone=1", "ct_label=0x5", "ct_zone=0",
                                   "ct_label=0x5/0xf"))
        if valid and self.chance(0.3):
            terms.append(self.pick("ct_nw_proto=6", "ct_nw_proto=17,ct_tp_dst=80"))
            if proto in V4:
                terms.append(f"ct_nw_{self.pick('src', 'dst')}={self.pick(*IPS, '10.0.0.0/24')}")
        terms += self.fields(proto, masked=True, share=0.15)
        return f"{','.join(terms)} actions={self.tracked_actions(proto, table, valid)}"

    def packet(self) -> str:
        packet = super().packet()
        return f"{packet},reg1={self.pick('1', '0x50000')}" if self.chance(0.5) else packet

    def tracked_actions(self, proto: str, table: int, valid: bool) -> str:
        out, state = list[str](), _State(proto, False)
        for _ in range(self.random.choice((1, 1, 2, 3, 4))):
            kinds = [self.output, self.register, lambda: "ct_clear", lambda: self.set_field(state)]
            if proto:
                kinds += [lambda: self.ct(proto, table)] * 4
            if valid:
                kinds.append(lambda: f"resubmit(,{self.random.randint(table + 1, N_TABLES)},ct)")
            if self.version != "OpenFlow10" and proto:
                kinds.append(lambda: f"clone({self.ct(proto, table)},{self.output()})")
            kinds.append(lambda: self.jump(table))
            out.append(self.random.choice(kinds)())
        return ",".join(out)

    def ct(self, proto: str, table: int) -> str:
        parts = [self.pick(*ZONES)]
        commit = self.chance(0.5)
        if commit:
            parts.append(self.pick("commit", "commit", "commit,force"))
        if self.chance(0.6):
            parts.append(f"table={self.random.randint(table + 1, N_TABLES)}")
        if self.chance(0.4):
            nats = NAT4 if proto in V4 else NAT6
            parts.append(self.pick("nat", *nats) if commit else "nat")
        if commit and self.chance(0.5):
            parts.append(f"exec({','.join(self.random.sample(SETS, self.random.randint(1, 3)))})")
        if L4.get(proto) == "tcp" and self.chance(0.2):
            parts.append("alg=ftp")
        self.random.shuffle(parts)
        return f"ct({','.join(p for p in parts if p)})"
