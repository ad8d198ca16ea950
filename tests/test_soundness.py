"""The law the switch stands on: no cached decision covers a packet that translation would treat otherwise.

Random tables over a small universe of values, so that rules, prefixes and packets meet; random packets
through upcall, installation and revalidation over the model datapath.  Then, for every installed flow:

* packets that agree with it in the bits of its mask, whatever their other bits, get the same actions
  from translation, and credit the same rules and learned addresses;
* two flows that cover one packet have the same actions;
* what was done with each packet is what translation says of it alone;

and all of that again after the tables changed under the installed flows.
"""

from __future__ import annotations

import random

import pytest
from model.dpif import World

from fastpath._flow import FlowKey
from fastpath.dpif.actions import OdpActions, SlowPath, Userspace
from fastpath.fields import MEMBERS
from fastpath.ofproto.bridge import Ofproto
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.port import OfPort, vlan_config
from fastpath.ofproto.revalidate import Ukey
from fastpath.ofproto.xlate.context import Effect, XlateIn
from fastpath.ofproto.xlate.pipeline import translate

N_PORTS = 4
MACS = (0x020000000001, 0x020000000002, 0x020000000003, 0xffffffffffff, 0x01005e000001)
IPS = ("10.0.0.1", "10.0.0.2", "10.0.1.1", "10.128.0.1", "192.168.0.1")
IP6S = (0xfd000000000000000000000000000001, 0xfd000000000000000000000000000002, 0xfd010000 << 96)
PORTS = (0, 1, 2, 53, 80, 0x8050, 8080)
VIDS = (0, 10, 20)
ND_TYPES = (128, 135, 135, 136)
VLAN_TYPES = (0x8100, 0x88a8)
IP, IPV6, ARP, MPLS = 0x0800, 0x86dd, 0x0806, 0x8847
ANY = ((IP, IP, IP, IPV6, ARP, MPLS, 0x88b5),
       ("", "ip", "ip", "tcp", "udp", "udp", "icmp", "ipv6", "tcp6", "udp6", "arp", "mpls", "icmp6"))
THEMES = (ANY, ANY, ANY, ((MPLS,), ("", "mpls")), ((IPV6,), ("icmp6", "icmp6", "ipv6")),
          ((ARP, ARP, IP), ("", "arp")))


def ip(text: str) -> int:
    a, b, c, d = map(int, text.split("."))
    return a << 24 | b << 16 | c << 8 | d


def mac(value: int) -> str:
    return ":".join(f"{value >> shift & 255:02x}" for shift in range(40, -8, -8))


class Universe:
    """Draws rules and packets that have much to do with each other, now and then all of one protocol."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.dl_types, self.kinds = self.rng.choice(THEMES)

    def packet(self) -> FlowKey:
        r = self.rng
        key = FlowKey(in_port=r.randint(1, N_PORTS), dl_src=r.choice(MACS[:3]), dl_dst=r.choice(MACS),
                      dl_type=r.choice(self.dl_types))
        if key.dl_dst == key.dl_src:
            # NORMAL learns before it looks up: a packet to itself after a move is told apart from what a
            # translation without learning, which is the law's yardstick, says of it.
            key.dl_dst = MACS[3]
        for i in range(r.choice((0, 0, 0, 1, 1, 2))):
            setattr(key, ("vlan_tpid", "vlan1_tpid")[i], r.choice(VLAN_TYPES))
            setattr(key, ("vlan_tci", "vlan1_tci")[i], 0x1000 | r.choice((0, 3)) << 13 | r.choice(VIDS))
        if key.dl_type == MPLS:
            n = r.randint(1, 3)
            deep = n == 3 and r.random() < 0.3      # the stack goes on where the key ends
            for i in range(n):
                setattr(key, f"mpls_lse{i}", r.choice((16, 17)) << 12 | (i == n - 1 and not deep) << 8 | 64)
        elif key.dl_type == ARP:
            key.nw_proto, key.nw_src, key.nw_dst = r.randint(1, 2), ip(r.choice(IPS)), ip(r.choice(IPS))
            key.arp_sha, key.arp_tha = key.dl_src, r.choice(MACS)
        elif key.dl_type in (IP, IPV6):
            self._ip(key)
        return key

    def _ip(self, key: FlowKey) -> None:
        r = self.rng
        if key.dl_type == IP:
            key.nw_src, key.nw_dst = ip(r.choice(IPS)), ip(r.choice(IPS))
            key.nw_frag = r.choice((0, 0, 0, 1, 3))
        else:
            key.ipv6_src, key.ipv6_dst = r.choice(IP6S), r.choice(IP6S)
        key.nw_proto, key.nw_ttl = r.choice((1 if key.dl_type == IP else 58, 6, 17)), r.choice((1, 2, 64))
        key.nw_tos = r.choice((0, 0x28, 0x29))
        if not key.nw_frag & 2:
            limit = 0xff if key.nw_proto in (1, 58) else 0xffff
            key.tp_src, key.tp_dst = r.choice(PORTS) & limit, r.choice(PORTS) & limit
            if key.nw_proto == 6:
                key.tcp_flags = r.choice((2, 0x10, 0x12))
            elif key.nw_proto == 58:
                self._nd(key)

    def _nd(self, key: FlowKey) -> None:
        r = self.rng
        key.tp_src, key.tp_dst = r.choice(ND_TYPES), r.choice((0, 0, 0, 1))
        if is_nd(key):
            key.nd_target, key.arp_sha, key.arp_tha = r.choice(IP6S), key.dl_src, r.choice((0, MACS[0]))

    def match(self) -> str:
        r = self.rng
        items = []
        if r.random() < 0.4:
            items.append(f"in_port={r.randint(1, N_PORTS)}")
        if r.random() < 0.2:
            items.append(f"dl_src={mac(r.choice(MACS[:3]))}")
        if r.random() < 0.2:
            items.append(f"dl_dst={mac(r.choice(MACS))}" if r.random() < 0.7 else
                         "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00")
        if r.random() < 0.25:
            items.append(r.choice(("dl_vlan=10", "dl_vlan=20", "vlan_tci=0", "vlan_tci=0x1000/0x1000",
                                   "dl_vlan_pcp=3")))
        if r.random() < 0.1:
            items.append(f"reg0={r.randint(0, 2)}")
        return ",".join(items + self._protocol())

    def _protocol(self) -> list[str]:
        r = self.rng
        kind = r.choice(self.kinds)
        items = [kind] if kind else []
        if kind in ("ip", "tcp", "udp", "icmp"):
            for name in ("nw_src", "nw_dst"):
                if r.random() < 0.5:
                    items.append(f"{name}={r.choice(IPS)}/{r.choice((32, 32, 24, 16, 9, 8, 1))}")
            if r.random() < 0.15:
                items.append(r.choice(("nw_tos=40", "nw_ttl=1", "ip_frag=no", "ip_frag=later",
                                       "ip_frag=yes")))
        if kind in ("ipv6", "tcp6", "udp6") and r.random() < 0.6:
            items.append(f"ipv6_dst=fd0{r.randint(0, 1)}::{r.randint(0, 2)}/{r.choice((128, 64, 16, 15))}")
        if kind[:3] in ("tcp", "udp"):
            for name in ("tp_src", "tp_dst"):
                if r.random() < 0.4:
                    items.append(f"{name}={r.choice(PORTS)}" + r.choice(("", "", "/0xff00", "/0x8000")))
        if kind == "icmp" and r.random() < 0.5:
            items.append(f"icmp_type={r.choice((0, 1, 53))}")
        if kind == "tcp" and r.random() < 0.3:
            items.append(r.choice(("tcp_flags=+syn", "tcp_flags=-ack", "tcp_flags=2")))
        if kind == "icmp6" and r.random() < 0.8:
            items.append(f"icmp_type={r.choice((128, 135, 135, 136))},icmp_code=0")
            if items[-1][10:13] != "128" and r.random() < 0.6:
                items.append(r.choice(("nd_target=fd00::1", f"nd_sll={mac(MACS[0])}", "nd_target=fd00::/16")))
        if kind == "arp" and r.random() < 0.5:
            items.append(r.choice((f"arp_tpa={r.choice(IPS)}", "arp_op=1", f"arp_spa={r.choice(IPS)}/24")))
        if kind == "mpls" and r.random() < 0.6:
            items.append(r.choice(("mpls_label=16", "mpls_bos=1")))
        return items

    def actions(self, table: int) -> str:
        r = self.rng
        out = [self._action(table) for _ in range(r.choice((1, 1, 2, 3)))]
        if table < 2 and r.random() < 0.4:
            out.append(f"goto_table:{r.randint(table + 1, 3)}")
        elif r.random() < 0.7:
            out.append(r.choice((f"output:{r.randint(1, N_PORTS)}", "NORMAL", "FLOOD", "ALL", "IN_PORT")))
        return ",".join(out)

    def _action(self, table: int) -> str:
        r = self.rng
        return r.choice((
            f"output:{r.randint(1, N_PORTS)}", f"mod_dl_dst:{mac(r.choice(MACS[:3]))}",
            f"mod_dl_src:{mac(r.choice(MACS[:3]))}", f"mod_vlan_vid:{r.choice(VIDS)}", "strip_vlan",
            "mod_vlan_pcp:3", "set_field:fd00::9->nd_target", f"set_field:{mac(MACS[2])}->nd_sll",
            f"set_field:{r.choice(IPS)}->arp_spa", "set_mpls_label:17", "dec_mpls_ttl", "pop_mpls:0x8847",
            "mod_nw_ecn:1", "set_field:fd00::9->ipv6_dst", "move:NXM_OF_IP_SRC[]->NXM_OF_IP_DST[]",
            "move:NXM_OF_UDP_SRC[0..3]->NXM_NX_REG0[0..3]", "move:NXM_OF_ARP_OP[0..2]->NXM_NX_REG0[0..2]",
            f"mod_nw_dst:{r.choice(IPS)}", f"mod_tp_dst:{r.choice(PORTS)}", "mod_nw_tos:40", "dec_ttl",
            f"load:{r.randint(0, 2)}->NXM_NX_REG0[0..3]", "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
            "move:NXM_OF_VLAN_TCI[0..11]->NXM_NX_REG0[0..11]", "push_vlan:0x8100,set_field:4116->vlan_vid",
            "push_mpls:0x8847", "pop_mpls:0x0800", f"resubmit(,{r.randint(1, 3)})",
            f"resubmit({r.randint(1, 4)},)",
            "push:NXM_OF_IN_PORT[],pop:NXM_NX_REG1[]", "output:NXM_NX_REG0[]", "controller(max_len=64)",
            f"write_actions(output:{r.randint(1, N_PORTS)})", "clear_actions",
            "clone(mod_nw_ttl:9,output:4)", "drop"))

    def rule(self, table: int) -> str:
        return (f"table={table},priority={self.rng.choice((1, 10, 100))},{self.match()},"
                f"actions={self.actions(table)}")

    def add_rules(self, w: World, bridge: Ofproto, n: int) -> int:
        """Add *n* rules; those that flow text refuses (a field without its protocol) are drawn again."""
        added = 0
        while added < n:
            try:
                mod = parse_flow(self.rule(self.rng.choice((0, 0, 0, 1, 2, 3))))
            except Exception:       # refused by the rules of flow text, which other tests are about
                continue
            bridge.apply(mod, w.now)
            added += 1
        return added


# -- the laws -----------------------------------------------------------------------------------------

def ask(w: World, key: FlowKey) -> tuple[OdpActions, frozenset[str], list[Effect]]:
    """What translation says of a packet, without side effects: actions, slow-path reasons, and what its
    count is credited to: rules, tables, patch ports, learned addresses."""
    where = w.backer.where(key)
    assert where is not None
    bridge, port, frozen = where
    flow = key.copy()
    flow.in_port = port.ofp_port
    out = translate(XlateIn(bridge=bridge, flow=flow, now=w.now, side_effects=False, frozen=frozen))
    w.backer.recirc.release(out.recirc_ids)
    return out.actions, out.slow, list(out.effects)


def is_nd(key: FlowKey) -> bool:
    return key.dl_type == IPV6 and key.nw_proto == 58 and key.tp_src in ND_TYPES[1:] and not key.tp_dst


def possible(key: FlowKey) -> None:
    """Make *key* one that extraction could give: no bits of headers that are not there."""
    if key.vlan_tpid not in VLAN_TYPES or not key.vlan_tci & 0x1000:
        key.vlan_tpid = key.vlan_tci = key.vlan1_tpid = key.vlan1_tci = 0
    if key.vlan1_tpid not in VLAN_TYPES or not key.vlan1_tci & 0x1000:
        key.vlan1_tpid = key.vlan1_tci = 0
    if key.dl_type != MPLS:
        key.mpls_lse0 = key.mpls_lse1 = key.mpls_lse2 = 0
    if key.mpls_lse0 & 0x100:
        key.mpls_lse1 = 0
    if (key.mpls_lse0 | key.mpls_lse1) & 0x100:
        key.mpls_lse2 = 0
    if key.dl_type not in (IP, IPV6):
        key.nw_frag = 0
    if key.nw_frag & 2:
        key.nw_frag, key.tp_src, key.tp_dst, key.tcp_flags = 3, 0, 0, 0
    elif key.nw_proto in (1, 58):
        key.tp_src, key.tp_dst = key.tp_src & 0xff, key.tp_dst & 0xff
    if key.dl_type != ARP and not is_nd(key):
        key.arp_sha = key.arp_tha = key.nd_target = 0


def lookalike(ukey: Ukey, other: FlowKey, rng: random.Random) -> FlowKey | None:
    """A packet that *ukey* covers and that is like *other*, or random, in all else; None if none came."""
    key = ukey.key.copy()
    for member in MEMBERS:
        if member.name.startswith(("tun_", "pad", "reg", "metadata", "conj", "actset", "ct_")):
            continue
        mask, own = getattr(ukey.mask, member.name), getattr(ukey.key, member.name)
        new = getattr(other, member.name) if rng.random() < 0.8 else rng.getrandbits(member.size * 8)
        setattr(key, member.name, own & mask | new & ~mask)
    possible(key)
    return key if key.matches(ukey.key, ukey.mask) else None


def check_flows(w: World, u: Universe, n_lookalikes: int) -> int:
    """Check the laws of all installed flows; return how many packets were tried."""
    w.revalidator.settle(w.now)
    flows = list(w.revalidator)
    tried = 0
    for ukey in flows:
        for _ in range(n_lookalikes):
            key = lookalike(ukey, u.packet(), u.rng)
            if key is None:
                continue
            tried += 1
            where = f"{ukey.key!r} under {ukey.mask!r}: {key!r}"
            assert ask(w, key) == (ukey.answer, ukey.slow, list(ukey.effects)), where
    bits = [(number(f.key), number(f.mask), f.actions) for f in flows]
    for i, (key, mask, actions) in enumerate(bits):
        for other, other_mask, other_actions in bits[:i]:
            assert actions == other_actions or (key ^ other) & mask & other_mask, "flows disagree"
    return tried


def number(key: FlowKey) -> int:
    return int.from_bytes(bytes(key), "big")


def is_slow(actions: OdpActions) -> bool:
    """Whether *actions* leave all to the slow path."""
    return any(isinstance(action, Userspace) and isinstance(action.userdata, SlowPath) for action in actions)


def check_forwarding(w: World, u: Universe, n: int) -> None:
    """What is done with each of *n* packets, by flow or not, is what translation says of it alone."""
    for _ in range(n):
        key = u.packet()
        before = len(w.dpif.done)
        w.send(key)
        w.revalidator.push()        # a station that moves back is learned by the flow its packet hit
        w.revalidator.settle(w.now)
        answer = ask(w, key)
        # A flow of the slow path only sends the packet up; what is done with it comes after.
        done = [actions for _key, actions in w.dpif.done[before:] if not is_slow(actions)]
        assert (done[0] if done else ()) == answer[0], f"{key!r}"


@pytest.mark.parametrize("part", range(8))
def test_no_flow_covers_a_packet_translation_would_treat_otherwise(part: int, more: int) -> None:
    tried = 0
    for seed in range(part * 1000, part * 1000 + 5 * more):
        u = Universe(seed)
        w = World()
        bridge = w.bridge(ports=N_PORTS)
        u.add_rules(w, bridge, u.rng.choice((2, 6, 20)))
        check_forwarding(w, u, 25)
        tried += check_flows(w, u, 10)
        u.add_rules(w, bridge, 2)
        victim = u.rng.choice(list(bridge.tables.rules()))
        bridge.apply(parse_flow(f"table={victim.table_id},{victim.match}", "delete"), w.now)
        check_forwarding(w, u, 15)
        tried += check_flows(w, u, 5)
    assert tried > 200 * more


@pytest.mark.parametrize("seed", range(4))
def test_the_law_holds_for_vlans_learning_and_patch_ports(seed: int, more: int) -> None:
    for i in range(2 * more):
        u = Universe(seed * 1000 + i)
        w = World()
        left = w.bridge("actions=NORMAL", ports=N_PORTS)
        right = w.bridge("actions=NORMAL", ports=2, name="br1")
        left.add_port(OfPort(left, "l", 9, peer_name="r"))
        right.add_port(OfPort(right, "r", 9, peer_name="l"))
        for port in (*left.ports(), *right.ports()):
            left_or_right = port.bridge
            tag, trunks = u.rng.choice((None, 10, 20)), u.rng.choice((None, [10], [10, 20]))
            mode = u.rng.choice((None, "native-untagged")) if tag is not None and trunks else None
            left_or_right.set_port(port, vlan=vlan_config(tag=tag, trunks=trunks, mode=mode))
        check_forwarding(w, u, 40)
        check_flows(w, u, 10)
        u.add_rules(w, left, 4)
        right.macs.flush()
        check_forwarding(w, u, 20)
        check_flows(w, u, 10)


def test_a_mask_that_lacks_a_bit_is_found() -> None:
    """The law can fail: a flow that forgot a bit of its mask is caught."""
    w, u = World(), Universe(1)
    w.bridge("udp,tp_dst=53,actions=output:2", "priority=1,actions=output:3", ports=N_PORTS)
    key = FlowKey(in_port=1, dl_type=IP, nw_proto=17, tp_dst=53)
    w.send(key)
    (ukey,) = w.revalidator
    ukey.mask.tp_dst = 0
    with pytest.raises(AssertionError):
        check_flows(w, u, 200)
