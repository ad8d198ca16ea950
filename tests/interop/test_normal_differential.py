"""NORMAL as in the reference while it learns: random ports, stations that talk, move and ask for each other.

Each packet is translated by both with its side effects; megaflow, datapath actions and the table of learned
addresses must agree after every one.  The order in which ports are flooded to is each side's own.
"""

from __future__ import annotations

import random
import re

from pair import Pair, lines, renumbered
from rule_sets import Case

import fastpath
from fastpath.flowtext import format_flow
from fastpath.ofproto.xlate import translate
from fastpath.ofproto.xlate.context import XlateIn
from fastpath.ofproto.xlate.packet import is_reserved
from fastpath.ofproto.xlate.trace import Trace
from fastpath.testing import frame

N_CASES, N_PACKETS, N_PORTS = 12, 40, 5
STATIONS = [f"02:00:00:00:00:0{i}" for i in range(1, 5)]
GROUPS = ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "01:80:c2:00:00:0e", "01:00:0c:cc:cc:cc",
          "33:33:00:00:00:01"]
# What our port is told, what ovs-vsctl is told.
SETTINGS: tuple[tuple[dict[str, object], tuple[str, ...]], ...] = (
    ({}, ()),
    ({"tag": 0}, ("tag=0",)),
    ({"tag": 5}, ("tag=5",)),
    ({"trunks": (5, 9)}, ("trunks=5,9",)),
    ({"trunks": (0, 5)}, ("trunks=0,5",)),
    ({"tag": 9, "trunks": (5, 9)}, ("vlan_mode=native-tagged", "tag=9", "trunks=5,9")),
    ({"vlan_mode": "native-untagged", "tag": 9}, ("vlan_mode=native-untagged", "tag=9")),
    ({"vlan_mode": "native-untagged", "tag": 5, "priority_tags": "always"},
     ("vlan_mode=native-untagged", "tag=5", "other_config:priority-tags=always")),
    ({"tag": 9, "priority_tags": "if-nonzero"}, ("tag=9", "other_config:priority-tags=if-nonzero")),
    ({"protected": True}, ("protected=true",)),
    ({"vlan_mode": "dot1q-tunnel", "tag": 5}, ("vlan_mode=dot1q-tunnel", "tag=5")),
    ({"vlan_mode": "dot1q-tunnel", "tag": 9, "cvlans": (0, 5), "qinq_ethtype": 0x8100},
     ("vlan_mode=dot1q-tunnel", "tag=9", "cvlans=0,5", "other_config:qinq-ethtype=802.1q")),
)
RULES = ("actions=NORMAL", "actions=NORMAL", "actions=NORMAL,output:2", "actions=output:1,NORMAL",
         "actions=push_vlan:0x8100,set_field:4105->vlan_vid,NORMAL",
         "vlan_tci=0x1000/0x1000,actions=pop_vlan,NORMAL", "actions=FLOOD", "actions=ALL")


def make_bridge(pair: Pair, r: random.Random) -> fastpath.Bridge:
    """A bridge whose ports have random settings, one of them no_flood or none."""
    ports = {f"p{i}": i for i in range(1, N_PORTS + 1)}
    bridge = pair.add_bridge("br0", ports, 100)
    for name in ports:
        ours, theirs = r.choice(SETTINGS)
        bridge.port(name).set(**ours)       # type: ignore[arg-type]
        if theirs:
            pair.ref.vsctl("set", "port", name, *theirs)
    quiet = r.choice((None, 1, 3))
    if quiet is not None:
        bridge.port(quiet).set(no_flood=True)
        # Only OpenFlow 1.0 has the flag.
        pair.ref._run("ovs-ofctl", "-O", "OpenFlow10", "mod-port", pair.ref.bridge_target("br0"), f"p{quiet}",
                      "no-flood")
    return bridge


def draw_frame(r: random.Random) -> bytes:
    kind = r.choice(("ip", "arp", "arp", "ip6", "eth", "rarp"))
    ends = {"ip_src": "10.0.0.9", "ip_dst": r.choice(("10.0.0.8", "10.0.0.9"))}
    if kind not in ("arp", "ip"):
        ends.clear()
    return frame(kind, src=r.choice(STATIONS), dst=r.choice(STATIONS + GROUPS), pcp=r.choice((0, 0, 3)),
                 vlan=r.choice((None, None, 0, 5, 9, 7, 4095)), op=r.choice((1, 2)),
                 **ends)                    # type: ignore[arg-type]


def verdict(text: str) -> tuple[str, list[str]]:
    """Megaflow and datapath actions of a trace, the actions in no order."""
    found = dict(line.split(": ", 1) for line in lines(text) if re.match("Megaflow|Datapath actions", line))
    return found["Megaflow"], sorted(found["Datapath actions"].split(","))


def addresses(fdb: str) -> list[list[str]]:
    """Port, VLAN and address of each line of ``fdb/show``."""
    return sorted(line.split()[:3] for line in fdb.splitlines()[1:])


def test_stations_that_talk_and_move(pair: Pair, more: int) -> None:
    for seed in range(N_CASES * more):
        r = random.Random(seed)
        bridge = make_bridge(pair, r)
        case = Case(0, "OpenFlow15", (r.choice(RULES),), ())
        assert pair.compare("br0", case)
        for step in range(N_PACKETS):
            packet = draw_frame(r)
            key = fastpath.extract(packet, in_port=r.randrange(1, N_PORTS + 1))
            trace = Trace()
            # The reference prints of a flow without a second tag what it does not read back.
            flow = format_flow(key).replace(",vlan_tci1=0x0000", "")
            theirs = pair.ref.trace("br0", flow, "-generate")
            translate(XlateIn(bridge.ofproto, key, now=pair.switch.now, trace=trace, packet=packet))
            trace.actions = renumbered(trace.actions, pair.numbers)
            assert verdict(str(trace)) == verdict(theirs), f"seed {seed}, step {step}, {case.rules}: {flow}"
            assert addresses(bridge.dump_fdb()) == addresses(pair.ref.appctl("fdb/show", "br0")), \
                f"seed {seed}, step {step}, {case.rules}: {flow}"
        pair.ref.vsctl("del-br", "br0")
        pair.switch.del_bridge("br0")
        pair.numbers.clear()


def test_addresses_that_are_never_forwarded(pair: Pair) -> None:
    pair.add_bridge("br0", {"p1": 1, "p2": 2}, 100)
    case = Case(0, "OpenFlow13", ("actions=NORMAL",), ())
    assert pair.compare("br0", case)
    bases = (0x0180C2000000, 0x00E02B000000, 0x01000C000000, 0x01000CCCCCC0, 0x01000CCDCDC8)
    for mac in (base + low for base in bases for low in range(-1, 17)):
        text = ":".join(f"{mac:012x}"[i:i + 2] for i in range(0, 12, 2))
        dropped = "reserved" in pair.ref.trace("br0", f"in_port=1,dl_dst={text}")
        assert is_reserved(mac) is dropped, text
        pair.agree("br0", f"in_port=1,dl_dst={text}", case.rules)

