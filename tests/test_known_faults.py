"""Faults that switches of this kind had and were known for: what each was, and that it is not here.

Each test sends packets through a Switch, megaflows and all, in the order that brought the fault about.
"""

from __future__ import annotations

import random
import struct

import pytest
from model.linear import LinearClassifier

import fastpath
from fastpath._classifier import Classifier
from fastpath._flow import WINDOWS, FlowKey
from fastpath.errors import FastpathError
from fastpath.testing import checksum, frame


@pytest.fixture
def bridge() -> fastpath.Bridge:
    with fastpath.Switch(seed=3) as switch:
        br = switch.add_bridge("br0")
        for name in ("p1", "p2", "p3"):
            br.add_port(name)
        yield br


def sent(bridge: fastpath.Bridge, packet: bytes) -> dict[str, list[bytes]]:
    """What comes out when *packet* comes in by p1, by name of port."""
    return {port.name: frames for port, frames in bridge.inject("p1", packet).items()}


def ipv4_of(proto: int, payload: bytes = bytes(20)) -> bytes:
    """A frame from 0.0.0.1 to 0.0.0.2 of any IP protocol, which ``testing.frame`` has no word for."""
    header = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0, 1, 2)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return bytes.fromhex("0000000000020000000000010800") + header + payload


@pytest.mark.parametrize("spoiler", [
    "table=254,priority=1 actions=drop",                # refused by the tables
    "priority=5,ip actions=group:77",                   # names a group there is none of
    "priority=5,ip,check_overlap actions=drop",         # overlaps what the same bundle added
])
def test_cve_2018_17205_a_bundle_that_fails_is_taken_back(bridge: fastpath.Bridge, spoiler: str) -> None:
    """Reverting a failed bundle met a rule that was not inserted yet, and an assertion ended the switch."""
    bridge.add_flows("priority=5,ip,nw_dst=10.0.0.1 actions=output:2\npriority=1 actions=NORMAL\n"
                     "table=3,cookie=7,priority=9,tcp actions=output:3")
    sent(bridge, frame("udp"))
    before = bridge.dump_flows()
    with pytest.raises(FastpathError), bridge.bundle() as bundle:
        bundle.add_flow("priority=1 actions=drop")              # replaces one
        bundle.add_flow("priority=5,tcp actions=output:3")      # a new one
        bundle.mod_flows("table=3,tcp actions=output:2")
        bundle.del_flows("ip,nw_dst=10.0.0.1")
        bundle.add_flow(spoiler)
    assert bridge.dump_flows() == before
    assert set(sent(bridge, frame("udp", ip_dst="10.0.0.1"))) == {"p2"}


@pytest.mark.parametrize("first", [0, 17])
def test_cve_2023_1668_ip_protocol_0_is_a_protocol(bridge: fastpath.Bridge, first: int) -> None:
    """A packet of IP protocol 0 installed a flow without the rewrite of the IP header, and without its
    protocol in the mask: later packets of any protocol went out as they were.  Those of protocol 0 still do,
    as in the reference; no other may."""
    bridge.add_flow("ip actions=mod_nw_dst:9.9.9.9,dec_ttl,output:2")
    for proto in (first, 17 - first, 0, 6, 17, 1):
        (packet,) = sent(bridge, ipv4_of(proto))["p2"]
        rewritten = (packet[22], packet[30:34]) == (63, bytes((9, 9, 9, 9)))
        assert (packet[23], rewritten) == (proto, proto != 0)
        assert checksum(packet[14:34]) == 0


def test_cve_2023_1668_a_rule_for_another_protocol_stays_apart(bridge: fastpath.Bridge) -> None:
    bridge.add_flows("priority=2,ip,nw_proto=0 actions=output:3\npriority=1,ip actions=output:2")
    for proto in (0, 6, 0, 17):
        assert set(sent(bridge, ipv4_of(proto))) == {"p2" if proto else "p3"}


def advert(target: str) -> bytes:
    """A neighbour advertisement for *target* with its target link-layer address."""
    body = bytes(4) + fastpath.text.parse_ipv6(target).to_bytes(16, "big") + bytes((2, 1, 2, 0, 0, 0, 0, 1))
    return frame("icmp6", sport=136, dport=0, payload=body[4:], size=0)


@pytest.mark.parametrize("order", range(6))
def test_cve_2023_5366_neighbour_targets_are_told_apart(bridge: fastpath.Bridge, order: int) -> None:
    """The ports' prefix trie ended a lookup in the last stage before the fields of neighbour discovery were
    un-wildcarded: a flow for an allowed target passed spoofed ones."""
    rules = ["priority=20,icmp6,icmp_type=136,icmp_code=0,nd_target=fe80::1 actions=output:2",
             "priority=10,icmp6,icmp_type=136 actions=drop",
             "priority=30,tcp6,tp_dst=0x8000/0x8000 actions=drop", "priority=0 actions=output:3"]
    random.Random(order).shuffle(rules)
    bridge.add_flows(rules)
    targets = ["fe80::1", "fe80::2", "2001:db8::1", "fe80::1", "fe80::3"]
    random.Random(order).shuffle(targets)
    for target in targets:
        assert set(sent(bridge, advert(target))) == ({"p2"} if target == "fe80::1" else set()), target
    assert set(sent(bridge, frame("icmp6", sport=128))) == {"p3"}


@pytest.mark.parametrize("padding", [1, 46, 255, 256, 300, 1400])
def test_cve_2020_35498_padding_hides_no_ports(bridge: fastpath.Bridge, padding: int) -> None:
    """A frame padded by more than 255 bytes was read without its transport header: its flow matched too much,
    and packets of other ports went the same way."""
    bridge.add_flows("priority=9,tcp,tp_dst=80 actions=output:2\npriority=8,tcp,tp_dst=22 actions=output:3")
    for order in (80, 22, 443, 80):
        padded = frame("tcp", dport=order, size=0) + bytes(padding)
        assert fastpath.extract(padded).tp_dst == order
        assert set(sent(bridge, padded)) == {80: {"p2"}, 22: {"p3"}, 443: set()}[order]
        assert set(sent(bridge, frame("tcp", dport=order))) == {80: {"p2"}, 22: {"p3"}, 443: set()}[order]


def test_cve_2019_25076_masks_do_not_explode(bridge: fastpath.Bridge) -> None:
    """Packets made for it gave tuple space search one more mask each, until every lookup searched thousands.
    The number of masks is bounded here, and what is past it is still forwarded right."""
    bridge.add_flows("priority=9,tcp,nw_src=10.0.0.1 actions=output:2\n"
                     "priority=8,tcp,nw_dst=10.0.0.2 actions=output:3\n"
                     "priority=7,tcp,tp_dst=80 actions=output:2\npriority=6,tcp,tp_src=53 actions=output:3")
    r, src, dst = random.Random(1), 10 << 24 | 1, 10 << 24 | 2
    for _ in range(600):
        sent(bridge, frame("tcp", ip_src=src ^ 1 << r.randrange(32), ip_dst=dst ^ 1 << r.randrange(32),
                           dport=80 ^ 1 << r.randrange(16), sport=53 ^ 1 << r.randrange(16)))
    assert len(bridge.megaflows()) > 500
    assert 80 < bridge.switch.dpif.stats().n_masks <= 96 + 1      # its mask_cap, and exact match
    assert set(sent(bridge, frame("tcp", ip_src=src))) == {"p2"}
    assert set(sent(bridge, frame("tcp", ip_src=9, ip_dst=dst))) == {"p3"}
    assert set(sent(bridge, frame("tcp", ip_src=9, ip_dst=9, sport=53, dport=80))) == {"p2"}
    assert not sent(bridge, frame("tcp", ip_src=9, ip_dst=9, sport=54, dport=81))


def test_cve_2022_32166_masks_of_few_scattered_words(more: int) -> None:
    """Comparing two masks kept as lists of non-zero words read past the end of the shorter one when they had
    as many words at different places."""
    r = random.Random(5)
    members = [name for name in WINDOWS if name in ("nw_src", "nw_dst", "tp_src", "tp_dst", "reg0", "reg7",
                                                    "dl_src", "tun_id", "ipv6_src", "metadata", "ct_mark")]
    ours: Classifier[int] = Classifier(seed=1)
    model = LinearClassifier()
    for i in range(300 * more):
        key, mask = FlowKey(), FlowKey()
        for member in r.sample(members, r.randint(1, 4)):
            mask.set(WINDOWS[member], r.choice((1, 0xFF, 0xFFFF)))
            key.set(WINDOWS[member], r.choice((0, 1, 0xFF)))
        key = key.masked(mask)
        old = model.find_exact(key, mask, i % 3, 0)
        assert ours.find_exact(key, mask, i % 3) == (old.obj if old else None)
        if old is None:
            ours.insert(key, mask, i % 3, i)
            model.insert(key, mask, i % 3, i, 0)
        elif r.random() < 0.5:
            assert ours.remove(key, mask, i % 3) == old.obj
            model.end(old, None)
        probe = FlowKey()
        for member in members:
            probe.set(WINDOWS[member], r.choice((0, 1, 0xFF)))
        found, right = ours.lookup(probe), model.lookup(probe, 0)
        assert found in right if right else found is None
    assert len(ours) == len(model.rules)
