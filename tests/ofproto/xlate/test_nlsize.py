"""Bytes of actions as netlink attributes, counted by hand from the structs of openvswitch.h."""

from __future__ import annotations

import random

import pytest

from fastpath.dpif.odptext import parse_actions
from fastpath.ofproto.xlate.nlsize import Emitted, netlink_size


@pytest.mark.parametrize(("text", "size"), [
    ("drop", 0), ("2", 8), ("pop_vlan", 4), ("push_vlan(vid=1,pcp=0),2", 16), ("recirc(0x1)", 8),
    ("hash(l4(0))", 12),
    ("set(eth(dst=00:00:00:00:00:01))", 32), ("set(ipv4(ttl=3))", 32), ("set(tcp(src=1))", 16),
    ("set(skb_mark(0x1))", 16), ("set(icmp(type=1))", 12),
    ("clone(2,3)", 20), ("sample(sample=50.0%,actions(2))", 24), ("check_pkt_len(size=9,gt(2),le(3))", 36),
    ("ct(commit,zone=5)", 16), ("ct(zone=5,mark=0x1/0xf,label=0x1,helper=ftp,nat)", 72),
    ("ct(commit,nat(src=1.1.1.1-1.1.1.9:5-9,random))", 60),
    ("userspace(pid=0,slow_path(action))", 64),
])
def test_sizes(text: str, size: int) -> None:
    assert netlink_size(parse_actions(text)) == size


def test_a_list_knows_its_size_whatever_is_done_to_it() -> None:
    rng = random.Random(5)
    some = parse_actions("1,2,pop_vlan,set(ipv4(ttl=3)),clone(2,3),ct(commit,zone=5)")
    for outer in (0, 40):
        emitted = Emitted(outer)
        for _ in range(2000):
            match rng.randrange(8):
                case 0 | 1 | 2:
                    emitted.append(rng.choice(some))
                case 3:
                    emitted.extend(rng.sample(some, 3))
                case 4:
                    emitted.fold(rng.randint(0, len(emitted)))
                case 5 if not rng.randrange(8):
                    emitted.clear()
                case _:
                    assert emitted.size() == outer + netlink_size(emitted)
