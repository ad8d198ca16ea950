"""The recorded tables of an OVN deployment, and packets made of the values they speak of.

``Chassis.read(folder, 1)`` is one chassis: its flows as they were dumped and as they can be added again,
and its groups and meters.  ``Packets`` draws flows for a trace from the addresses, protocols and
ports that the rules match, so that many of them get far.
"""

from __future__ import annotations

import lzma
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from random import Random

# What a dump tells of a rule's life, as opposed to the rule.
LIFE = re.compile(r"\b(?:duration|n_packets|n_bytes|idle_age|hard_age)=[^, ]*, ")
N_PORTS = 5
TLV_MAP = "{class=0x102,type=0x80,len=4}->tun_metadata0"        # logical ports travel in this option
CT_STATES = ("trk,new", "trk,est", "trk,est,rpl", "trk,rel", "trk,rel,rpl", "trk,inv", "trk,est,snat",
             "trk,est,dnat,rpl")
# A field comes after what it is a field of.
_ORDER = ("in_port", "tun_id", "tun_metadata0", "tun_dst", "dl_vlan", "dl_src", "dl_dst", "", "arp_op",
          "arp_tpa", "arp_spa", "arp_sha", "nw_src", "nw_dst", "ipv6_src", "ipv6_dst", "nw_ttl",
          "icmp_type", "icmpv6_type", "icmpv6_code", "nd_target", "nd_sll", "nd_tll", "tcp_src", "tcp_dst",
          "udp_src", "udp_dst")
_ND = {"nd_target": ("135", "136"), "nd_sll": ("135",), "nd_tll": ("136",)}     # ICMPv6 types that have them
_COMMON = {"ip": 4, "tcp": 4, "udp": 3, "icmp": 3, "arp": 4, "icmp6": 5, "tcp6": 3, "udp6": 2, "rarp": 1,
           "sctp": 1}


@dataclass(frozen=True)
class Chassis:
    """One chassis.  *dumped* are the lines of its dump without what a rule's life left in them."""

    dumped: tuple[str, ...]
    groups: tuple[str, ...]
    meters: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path, number: int) -> Chassis:
        """The chassis *number* of the recording in *folder*."""
        with lzma.open(folder / f"br-int.{number}.flows.xz", "rt") as file:
            dumped = tuple(LIFE.sub("", line.strip()) for line in file if "actions=" in line)
        groups = (folder / f"br-int.{number}.groups").read_text().splitlines()[1:]
        meters = re.sub(r"\n(?=type)", "", (folder / f"br-int.{number}.meters").read_text()).splitlines()
        return cls(dumped, tuple(line.strip() for line in groups),
                   tuple(line.replace(" ", ",") for line in meters if line.startswith("meter=")))

    def loadable(self) -> list[str]:
        """The flows as both sides take and translate them.

        ovs-ofctl does not read the masked set_field of a whole ip_dscp that it printed.
        """
        return [line.replace("46/0x3f->ip_dscp", "46->ip_dscp") for line in self.dumped]

    def values(self) -> dict[str, list[str]]:
        """The values each field is matched against, masks left out, sorted."""
        found: dict[str, set[str]] = defaultdict(set)
        for line in self.dumped:
            for term in line.split(" actions=")[0].split(","):
                name, _, value = term.strip().partition("=")
                if value:
                    found[name].add(value.partition("/")[0])
        return {name: sorted(values) for name, values in found.items()}


class Packets:
    """Draws packets as flow text, each with what conntrack would say of it, pass by pass.

    Most packets of random values are dropped in the first tables.  Told how far each one got (``got``), later
    ones take after those that got far.
    """

    def __init__(self, chassis: Chassis, seed: int) -> None:
        self._random, self._values = Random(seed), chassis.values()
        self._far: list[tuple[int, dict[str, str]]] = []
        self._last: dict[str, str] = {}

    def draw(self) -> tuple[str, tuple[str, ...]]:
        """The next packet."""
        r = self._random
        if self._far and r.random() < 0.8:
            parent = max(r.choices(self._far, k=4), key=lambda one: one[0])[1]
            child = _packet(r, self._values, parent[""], int(parent["in_port"]))
            kept = {name: value for name, value in parent.items() if name in child or r.random() < 0.8}
            self._last = {**child, **{name: value for name, value in kept.items() if r.random() < 0.85}}
        else:
            proto = r.choices(list(_COMMON), list(_COMMON.values()))[0]
            self._last = _packet(r, self._values, proto, r.randint(1, N_PORTS))
        kind = self._last.get("icmpv6_type", "")
        self._last = {name: value for name, value in self._last.items() if kind in _ND.get(name, (kind,))}
        terms = sorted(self._last.items(), key=lambda term: _ORDER.index(term[0]))
        text = ",".join(f"{name}={value}" if name else value for name, value in terms)
        return text, tuple(r.choices(CT_STATES, k=r.randrange(4)))

    def got(self, n_steps: int) -> None:
        """The packet drawn last went through *n_steps* tables."""
        self._far = sorted([*self._far, (n_steps, self._last)], key=lambda one: -one[0])[:200]


def _packet(r: Random, values: dict[str, list[str]], proto: str, port: int) -> dict[str, str]:
    """Terms of a flow by name; "" is the protocol's."""
    terms = {"in_port": str(port), "": proto}
    if port == 1:
        terms["tun_id"] = hex(r.randrange(12))
        terms["tun_metadata0"] = hex(r.randrange(6) << 16 | r.choice((1, 2, 3, 4, 5, 0x8000, 0x8001, 0x8004)))
        if r.random() < 0.5:            # others can match what it says, but their masks do not tell
            terms["tun_dst"] = "10.9.8.7"
    elif port == 2 and r.random() < 0.3:
        terms["dl_vlan"] = "5"

    def maybe(share: float, *names: str, like: str = "") -> None:
        for name in names:
            if r.random() < share:
                terms[name] = r.choice(values[like or name])

    maybe(0.9, "dl_src", "dl_dst")
    if proto in ("arp", "rarp"):
        maybe(0.9, "arp_op", "arp_tpa", "arp_spa")
        maybe(0.5, "arp_sha")
        return terms
    maybe(0.9, *(("ipv6_src", "ipv6_dst") if proto.endswith("6") else ("nw_src", "nw_dst")))
    terms["nw_ttl"] = str(r.choice((0, 1, 2, 64, 255)))
    if proto == "icmp6":
        kind = r.choice((128, 129, 133, 135, 135, 136, 136, 143))
        terms["icmpv6_type"] = str(kind)
        if kind in (135, 136):
            terms["icmpv6_code"] = "0"
            maybe(0.8, "nd_target", "nd_sll" if kind == 135 else "nd_tll")
    elif proto == "icmp":
        terms["icmp_type"] = str(r.choice((0, 3, 8)))
    elif proto[:3] in ("tcp", "udp"):
        for end in ("src", "dst"):          # a trace wants the protocol's own names
            maybe(0.8, f"{proto[:3]}_{end}", like=f"tp_{end}")
    return terms
