"""Both daemons hear the same of hosts and routers, with ports of all kinds: they know the same of groups, and
send packets of groups to the same ports."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from scenario import Scenario, play_both
from stack import Stack

BEGIN = (
    "switch br0 1 2 3 4",
    "bridge br1 -- add-port br1 p9 -- set interface p9 type=dummy ofport_request=9"
    " -- add-port br0 q -- set interface q type=patch options:peer=qq ofport_request=5"
    " -- add-port br1 qq -- set interface qq type=patch options:peer=q ofport_request=6",
    "ovs-ofctl add-flow br0 actions=normal; ovs-ofctl add-flow br1 actions=normal")
PORTS = ("p1", "p2", "p3", "p4", "q")
PORT_SETTINGS = ("tag=10", "tag=20", "trunks=10,20", "vlan_mode=native-untagged tag=10", "protected=true",
                 "vlan_mode=native-tagged tag=20 trunks=10,20", "other_config:mcast-snooping-flood=true",
                 "other_config:mcast-snooping-flood-reports=true")
GROUPS, TAGS = ("ef010101", "ef010102"), ("", "", "000a", "0014", "6014")
GROUP6 = "ff050000000000000000000000010003"
TOLD = "ovs-appctl mdb/show br0; ovs-appctl mdb/show br1"
PACKETS = ("udp,{}nw_dst=239.1.1.1", "udp,{}nw_dst=239.1.1.2", "udp,{}nw_dst=239.1.1.3",
           "udp,{}nw_dst=224.0.0.5", "udp6,{}ipv6_dst=ff05::1:3", "icmp6,{}icmp_type=130,ipv6_dst=ff05::1:3",
           "icmp6,{}icmp_type=131,ipv6_dst=ff05::1:3", "icmp6,{}icmp_type=128,ipv6_dst=ff05::1:3")


def settings(rng: Random) -> Iterator[str]:
    """How bridges and ports are set up."""
    yes = ("true", "false")
    yield (f"ovs-vsctl set bridge br0 mcast_snooping_enable=true other_config:mcast-snooping-disable-flood-"
           f"unregistered={rng.choice(yes)} -- set bridge br1 mcast_snooping_enable={rng.choice(yes)}")
    for port in PORTS:
        if rng.random() < 0.4:
            yield f"ovs-vsctl set port {port} {rng.choice(PORT_SETTINGS)}"


def message(rng: Random) -> str:
    """Something that a host or a router says."""
    port, group, tag = rng.choice((1, 2, 3, 4, 9)), rng.choice(GROUPS), rng.choice(TAGS)
    src = f"0{rng.randint(1, 9)}"
    kind = rng.choice(("igmp", "igmp", "igmp", "query", "igmp3", "mld"))
    if kind == "igmp":
        return f"igmp {port} {rng.choice(('1600', '1200', '1700'))}----{group} {group} {src} {tag}"
    if kind == "query":
        return f"igmp {port} 1164----00000000 e0000001 {src} {tag}"
    if kind == "igmp3":
        record = f"0{rng.randint(1, 6)}00000{rng.randint(0, 1)}{group}0a000001"
        return f"igmp {port} 2200----00000001{record} e0000016 {src} {tag}"
    return f"mld {port} {rng.choice(('8300', '8400'))}----00000000{GROUP6} {GROUP6} {src}"


def packet(rng: Random) -> str:
    """A trace of a packet of a group."""
    port, tag = rng.choice((1, 2, 3, 4, 9)), rng.choice(("", "", "dl_vlan=10,", "dl_vlan=20,"))
    what = rng.choice(PACKETS)
    to = "33:33:00:00:00:01" if "6" in what.partition(",")[0] else "01:00:5e:01:01:01"
    bridge, src = "br1" if port == 9 else "br0", f"50:54:00:00:00:0{rng.randint(1, 9)}"
    return f"trace {bridge} 'in_port={port},dl_src={src},dl_dst={to},{what.format(tag)}'"


def lines(rng: Random, n: int) -> Iterator[str]:
    """The lines of one life."""
    yield from BEGIN
    yield from settings(rng)
    for _ in range(n):
        kind = rng.random()
        if kind < 0.5:
            yield message(rng)
        elif kind < 0.6:
            yield f"warp {rng.choice((1000, 5000, 60000))} 1000"
        elif kind < 0.7:
            yield next(settings(rng))
        else:
            yield packet(rng)
    yield TOLD
    yield from (packet(rng) for _ in range(5))


@pytest.mark.parametrize("seed", range(3))
def test_both_daemons_know_the_same_of_groups(seed: int, stacks: tuple[Stack, Stack], more: int) -> None:
    for part in range(more):
        rng = Random(1000 * seed + part)
        ours, theirs = play_both(Scenario(f"multicast {seed}.{part}", tuple(lines(rng, 25))), stacks)
        assert "\n".join(ours) == "\n".join(theirs)
