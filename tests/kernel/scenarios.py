"""What a bridge is to do with frames, the same on every provider: rules, frames by port, what comes out.

A scenario runs on memory ports first; what comes out there, and what its rules have counted, must come out of
the kernel's datapath as well.
"""

from __future__ import annotations

from collections.abc import Callable

from model.frames import ICMP, TCP, UDP, Frame

from fastpath.bridge import Bridge
from fastpath.switch import Switch
from fastpath.value import field, value

Frames = tuple[tuple[int, bytes], ...]


def frame(src: int, dst: int, proto: int = UDP, tags: tuple[tuple[int, int], ...] = ()) -> bytes:
    """A frame from the host behind one port to the one behind another; 0 is broadcast.  The addresses are
    none of the devices', whose namespaces would answer otherwise."""
    data = Frame(proto=proto, tags=tags).build()
    to = b"\xff" * 6 if not dst else bytes([2, 0, 0, 0, 1, dst])
    return to + bytes([2, 0, 0, 0, 1, src]) + data[12:]


@value
class Scenario:
    """One bridge with ports v1 to v4, or two joined by patch ports, of two each."""

    name: str
    flows: tuple[str, ...]
    frames: Frames
    groups: tuple[str, ...] = ()
    more: Callable[[Bridge], None] | None = None
    other: tuple[str, ...] = field(default_factory=tuple)       # rules of a second bridge with v3 and v4


def _vlans(bridge: Bridge) -> None:
    bridge.port("v1").set(tag=10)
    bridge.port("v2").set(tag=10)
    bridge.port("v3").set(tag=20)


_LEARN = ((1, frame(1, 2)), (2, frame(2, 1)), (1, frame(1, 2)), (2, frame(2, 1)), (3, frame(3, 0)),
          (1, frame(1, 3)), (2, frame(2, 3)), (4, frame(4, 1)), (1, frame(1, 4)), (1, frame(1, 4)))
_ALL_KINDS = tuple((i, frame(i, 5 - i, proto)) for proto in (UDP, TCP, ICMP, UDP, TCP) for i in (1, 2, 3, 4))
_TAGGED = tuple((i, frame(i, 5 - i, tags=tags)) for _ in range(2)
                for tags in ((), ((0x8100, 10),), ((0x8100, 20),), ((0x88A8, 7), (0x8100, 10)))
                for i in (1, 2, 3, 4))
NORMAL = ("priority=0,actions=NORMAL",)

SCENARIOS = (
    Scenario("learning switch", NORMAL, _LEARN),
    Scenario("VLANs of ports", NORMAL, _TAGGED, more=_vlans),
    Scenario("ACL", ("priority=30,tcp,actions=drop", "priority=20,icmp,in_port=1,actions=output:4,IN_PORT",
                     "priority=10,udp,in_port=1,tp_dst=0x0/0x1,actions=output:2,output:3",
                     "priority=0,actions=output:4"), _ALL_KINDS),
    Scenario("headers changed", ("udp,in_port=1,actions=mod_nw_dst:10.9.9.9,mod_tp_dst:99,dec_ttl,"
                                 "mod_dl_src:0e:00:00:00:00:01,output:2",
                                 "tcp,actions=mod_nw_tos:32,output:3",
                                 "icmp,actions=set_field:1->icmp_type,output:4",
                                 "priority=0,actions=output:1"), _ALL_KINDS),
    Scenario("tags pushed and popped", ("in_port=1,vlan_tci=0,actions=push_vlan:0x8100,"
                                        "set_field:4105->vlan_vid,output:2",
                                        "in_port=2,dl_vlan=10,actions=pop_vlan,output:3",
                                        "in_port=3,actions=mod_vlan_vid:30,output:4",
                                        "priority=0,actions=output:1"), _TAGGED),
    Scenario("groups", ("ip,in_port=1,actions=group:1", "ip,in_port=2,actions=group:2", "actions=drop"),
             _ALL_KINDS, groups=("group_id=1,type=all,bucket=mod_dl_dst:02:00:00:00:00:77,output:3,"
                                 "bucket=output:2,bucket=push_vlan:0x8100,set_field:4100->vlan_vid,output:4",
                                 "group_id=2,type=indirect,bucket=output:1")),
    Scenario("patch ports", NORMAL, _LEARN, other=NORMAL),
    Scenario("recirculation", ("table=0,ip,in_port=1,actions=push_mpls:0x8847,set_field:18->mpls_label,"
                               "output:2,pop_mpls:0x0800,dec_ttl,resubmit(,1)",
                               "table=1,udp,actions=mod_tp_src:7,output:3", "table=1,ip,actions=output:4",
                               "table=0,priority=0,actions=drop"), _ALL_KINDS),
    Scenario("tables, registers and learning", (
        "table=0,priority=9,in_port=1,actions=learn(table=1,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
        "output:NXM_OF_IN_PORT[]),move:NXM_OF_ETH_SRC[0..15]->NXM_NX_REG0[0..15],resubmit(,2)",
        "table=0,priority=0,actions=resubmit(,1)", "table=1,priority=0,actions=drop",
        "table=2,reg0=0x101,actions=output:2,output:3", "table=2,priority=0,actions=drop"), _LEARN),
)


def build(scenario: Scenario, switch: Switch, port: Callable[[Bridge, str], object]) -> list[Bridge]:
    """The scenario's bridges on *switch*; *port* adds a port by name."""
    bridge = switch.add_bridge("br0")
    bridges = [bridge]
    own = ("v1", "v2") if scenario.other else ("v1", "v2", "v3", "v4")
    for name in own:
        port(bridge, name)
    if scenario.other:
        other = switch.add_bridge("br1")
        bridges.append(other)
        for name in ("v3", "v4"):
            port(other, name)
        switch.connect(bridge, other)
        other.add_flows(scenario.other)
    if scenario.more is not None:
        scenario.more(bridge)
    for group in scenario.groups:
        bridge.add_group(group)
    bridge.add_flows(scenario.flows)
    return bridges


def counted(bridges: list[Bridge]) -> list[list[str]]:
    """What rules have counted: packets and bytes, in the order of a dump."""
    told = ("n_packets", "n_bytes")
    return [[" ".join(word for word in line.replace(",", " ").split() if word.startswith(told))
             for line in bridge.dump_flows().splitlines()] for bridge in bridges]


def in_memory(scenario: Scenario) -> tuple[list[dict[int, list[bytes]]], list[list[str]]]:
    """What comes out for each frame, by port, and what the rules have counted."""
    with Switch(seed=0) as sw:
        bridges = build(scenario, sw, lambda bridge, name: bridge.add_port(name))
        by_name = {port.name: port for bridge in bridges for port in bridge.ports}
        out = []
        for number, data in scenario.frames:
            came_in = by_name[f"v{number}"]
            came_in.inject(data)
            sw.run()
            sent = {int(name[1:]): port.take() for name, port in by_name.items() if name.startswith("v")}
            out.append({i: sorted(frames) for i, frames in sent.items() if frames})
        sw.push_stats()
        return out, counted(bridges)
