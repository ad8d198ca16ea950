"""Random set_field, load, move, push and pop over every field that may be written or read."""

from __future__ import annotations

from random import Random

from rule_sets import Case

from fastpath.fields import BEYOND, FIELDS, Field, Prereq
from fastpath.ofproto.actions.check import check_actions
from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.match import Match
from fastpath.ofproto.subfield import Subfield
from fastpath.ofproto.values import format_value

# What rules match, and what packets have besides.
KINDS = (
    ("", "dl_type=0x1234"),
    ("arp", "arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.2,arp_sha=00:00:00:00:00:05"), ("rarp", "arp_op=3"),
    ("ip", "nw_proto=47,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=64"),
    ("tcp", "nw_src=10.0.0.1,tcp_src=80,tcp_dst=443"), ("tcp6", "tcp_dst=80"),
    ("udp", "nw_dst=10.0.0.1,udp_src=80,nw_tos=8,nw_ecn=1"), ("sctp", "sctp_src=5,nw_frag=first"),
    ("icmp", "icmp_type=8,nw_src=10.0.0.1"), ("ipv6", "ipv6_src=fe80::1,ipv6_label=5"),
    ("udp6", "udp_dst=80,ipv6_dst=fe80::2,nw_ttl=1"), ("icmp6", "icmpv6_type=128"),
    ("icmp6,icmpv6_type=135,icmpv6_code=0", "nd_target=fe80::5,nd_sll=00:00:00:00:00:03"),
    ("icmp6,icmpv6_type=136,icmpv6_code=0", "nd_target=fe80::5,nd_tll=00:00:00:00:00:03"),
    ("mpls", "mpls_label=5,mpls_bos=1,mpls_ttl=9"), ("mplsm", "mpls_tc=3,mpls_bos=0"),
    ("ip", "nw_frag=later"))
# nd_ext prints nd_reserved even where it is not set, so its text does not say what the action does.
LEFT_OUT = ("tun_metadata", "ct_", "nsh_", "tun_erspan", "recirc_id", "conj_id", "packet_type", "nd_reserved",
            "nd_options_type")
READABLE = [f for f in FIELDS if f.ids and f.name not in BEYOND and not f.name.startswith(LEFT_OUT)
            and f.prereq is not Prereq.CT]
WRITABLE = [f for f in READABLE if f.writable]


def _value(random: Random, bits: int) -> int:
    return random.choice((0, 1, (1 << bits) - 1, random.getrandbits(bits), random.getrandbits(bits)))


def _part(random: Random, f: Field, n_bits: int | None = None) -> Subfield:
    if n_bits is None:
        n_bits = random.choice((f.bits, f.bits, random.randint(1, f.bits)))
    return Subfield(f, random.randint(0, f.bits - n_bits), n_bits)


def _set_field(random: Random) -> str:
    f = random.choice(WRITABLE)
    value = _value(random, f.bits)
    if not f.maskable or random.random() < 0.5:
        return f"set_field:{format_value(f, value)}->{f.name}"
    mask = _value(random, f.bits) or 1
    if f.bits == 128 and not f.name.startswith("xxreg"):
        mask = (1 << 128) - (1 << random.randint(0, 127))       # ovs-ofctl takes no other of IPv6
    return f"set_field:{format_value(f, value & mask)}/{format_value(f, mask)}->{f.name}"


def _load(random: Random) -> str:
    part = _part(random, random.choice(WRITABLE))
    return f"load:{_value(random, part.n_bits):#x}->{part}" if part.n_bits <= 64 else _set_field(random)


def _move(random: Random) -> str:
    source = _part(random, random.choice(READABLE))
    wide = [f for f in WRITABLE if f.bits >= source.n_bits]
    return f"move:{source}->{_part(random, random.choice(wide), source.n_bits)}" if wide else _load(random)


def _stack(random: Random) -> str:
    if random.random() < 0.5:
        return f"push:{_part(random, random.choice(READABLE))}"
    return f"pop:{_part(random, random.choice(WRITABLE))}"


def _fitting(random: Random, match: str) -> str:
    """An action that may stand with *match*."""
    while True:
        action = random.choice((_set_field, _set_field, _load, _move, _move, _stack))(random)
        try:
            check_actions(parse_actions(action), Match.parse(match))
        except ValueError:
            continue
        return action


def case(seed: int) -> Case:
    """One rule of a kind, and a few packets of it."""
    random = Random(seed)
    match, fields = random.choice(KINDS)
    tag = random.choice(("", "", "dl_vlan=5", "vlan_tci=0x1000/0x1000"))
    head = ",".join(term for term in (tag, match) if term)
    actions = []
    for _ in range(random.randint(1, 7)):
        actions += [_fitting(random, head), *random.choice(((), (), ("output:2",), ("resubmit(,1)",)))]
    first = f"{head}{',' if head else ''}priority=1 actions={','.join(actions)},output:3"
    packets = []
    for port, more in ((1, ""), (1, fields), (2, f"{fields},dl_src=00:00:00:00:00:0{random.randint(1, 9)}"),
                       (1, f"{fields},reg0={random.getrandbits(32):#x},reg1=7,metadata=0x5,pkt_mark=3")):
        terms = (f"in_port={port}", tag and "dl_vlan=5", match, more)
        packets.append(",".join(term for term in terms if term))
    rules = (first, "table=1 actions=output:1,output:2")
    return Case(seed, random.choice(("OpenFlow13", "OpenFlow15")), rules, tuple(packets))
