"""Meters equal those of the reference: text, refusals, dumps and what translation makes of them."""

from __future__ import annotations

import re

import pytest
from pair import Pair
from reference import Reference, Refused
from rule_sets import Case

import fastpath
from fastpath.errors import FastpathError
from fastpath.ofproto.meter_text import parse_meter_mod

PORTS = {"p1": 1, "p2": 2, "p3": 3}
DURATION = re.compile(r"duration:[\d.]+s")


def refusal(call: object, *args: object) -> str:
    """What *call* is refused with, or "taken"."""
    try:
        call(*args)                 # type: ignore[operator]
    except (Refused, FastpathError) as error:
        return str(error)
    return "taken"


WRONG = (
    "", "meter=1", "meter=1,pktps", "meter=1,pktps,band", "meter=1,pktps,band=",
    "pktps,band=type=drop,rate=1",
    "meter=1,band=type=drop,rate=1", "meter=0,pktps,band=type=drop,rate=1",
    "meter=x,pktps,band=type=drop,rate=1",
    "meter=0xffff0001,pktps,band=type=drop,rate=1", "meter=1,pktps,foo=1,band=type=drop,rate=1",
    "meter=1,pktps,foo", "meter=1,pktps,band=rate=1", "meter=1,pktps,band=type=slow,rate=1",
    "meter=1,pktps,band=type=drop", "meter=1,pktps,band=type=drop,rate=",
    "meter=1,pktps,band=type=drop,rate=0",
    "meter=1,pktps,band=type=drop,rate=-x", "meter=1,pktps,band=type=drop,rate=1,burst_size=2",
    "meter=1,pktps,burst,band=type=drop,rate=1", "meter=1,pktps,band=type=drop,rate=1,prec_level=1",
    "meter=1,pktps,band=type=dscp_remark,rate=1", "meter=1,pktps,band=type=dscp_remark,rate=1,prec_level=256",
    "meter=1,pktps,band=type=drop,rate=1,color=red", "meter=1,pktps,band=type=drop,rate==1",
    "meter=1 pktps bands=type=drop rate=1", "meter=1,stats,band=type=drop,rate=1",
    "meter,pktps,band=type=drop",
)


def test_what_is_wrong_is_said_in_the_reference_s_words(pair: Pair) -> None:
    pair.add_bridge("br0", PORTS, 100)
    for text in WRONG:
        theirs = refusal(pair.ref._run, "ovs-ofctl", "-O", "OpenFlow13", "add-meter",
                         pair.ref.bridge_target("br0"), text)
        expected = "taken" if "OFPT_ERROR" in theirs else theirs.removeprefix("ovs-ofctl: ")
        assert refusal(parse_meter_mod, text) == expected, text


STEPS = (
    ("add-meter", "meter=1,kbps,pktps,band=type=drop,rate=5"),
    ("add-meter", "meter=1,burst,band=type=drop,rate=5,burst_size=5"),
    ("add-meter", "meter=1,pktps,band=type=drop,rate=5"),
    ("add-meter", "meter=1,pktps,band=type=drop,rate=5"),
    ("add-meter",
    "meter=9,kbps,burst,stats,band=type=drop,rate=1000,burst_size=200,type=drop,rate=5,burst_size=1"),
    ("mod-meter", "meter=2,pktps,band=type=drop,rate=5"), ("mod-meter",
    "meter=all,pktps,band=type=drop,rate=5"),
    ("add-meter", "meter=all,pktps,band=type=drop,rate=5"),
    ("add-meter", "meter=3,pktps,bands=" + ",".join(f"type=drop,rate={i}" for i in range(1, 10))),
    ("add-meter", "meter=3,pktps,bands=" + ",".join(f"type=drop,rate={i}" for i in range(1, 9))),
    ("add-meter", "meter=4,pktps,band=type=dscp_remark,rate=5,prec_level=1"),
    ("add-meter", "meter=controller,pktps,band=type=drop,rate=7"),
    ("add-meter", "meter=slowpath,kbps,band=type=drop,rate=8"),
    ("mod-meter", "meter=1,kbps,band=type=drop,rate=50"),
    ("add-flow", "actions=meter:7,output:1"), ("add-flow", "actions=meter:1,output:1"),
    ("add-flow", "priority=2,actions=meter:9,output:1"), ("add-flow", "priority=3,actions=output:1"),
    ("del-meters", "meter=8"), ("del-meters", "meter=1"), ("add-meter", "meter=1,kbps,band=type=drop,rate=6"),
    ("add-flow", "priority=4,actions=meter:1"), ("del-meters", "meter=controller"), ("del-meters", ""),
)


def blocks(text: str) -> set[str]:
    """Meters of a dump, whose order is the reference's secret."""
    return {DURATION.sub("", block).strip() for block in text.split("\n\n") if block.strip()}


def test_meter_mods_change_and_refuse_alike(reference: Reference) -> None:
    target = reference.bridge_target("br0")

    def theirs(command: str, *args: str) -> str:
        return reference._run("ovs-ofctl", "-O", "OpenFlow13", *command.split(), target, *args)

    with fastpath.Switch(seed=1, strict=True) as switch:
        reference.add_bridge("br0", *PORTS)
        try:
            bridge = switch.add_bridge("br0")
            calls = {"add-meter": bridge.add_meter, "mod-meter": bridge.mod_meter,
                     "add-flow": bridge.add_flow,
                     "del-meters": lambda text: bridge.del_meters(text or "meter=all")}
            for command, text in STEPS:
                said = refusal(theirs, command, *([text] if text else []))
                code = re.search(r"OFPT_ERROR .*: (OFP\w+)", said)
                assert refusal(calls[command], text).partition(":")[0] == (code[1] if code else said), text
                for command, ours in (("dump-meters", bridge.dump_meters()),
                                      ("meter-stats", bridge.dump_meter_stats())):
                    assert blocks(ours) == blocks(theirs(command).partition("\n")[2]), text
                flows = theirs("--no-stats dump-flows")
                assert {line.strip() for line in flows.splitlines() if "actions=" in line} == set(
                    bridge.dump_flows(stats=False).splitlines()), text
            assert bridge.dump_meter_features() == theirs("meter-features").partition("\n")[2].strip()
        finally:
            reference.vsctl("del-br", "br0")


RULES = (
    "ip,in_port=1,actions=meter:1,dec_ttl,output:2",
    "in_port=2,actions=meter:2,output:3,CONTROLLER:64,goto_table:1",
    "in_port=3,actions=controller(max_len=99,meter_id=2),set_field:00:00:00:00:00:01->eth_src,resubmit(,1)",
    "in_port=LOCAL,actions=group:1,output:1,group:2",
    "table=1,actions=meter:1,CONTROLLER:9,output:1",
)
PACKETS = tuple(f"in_port={port},{proto}" for port in ("1", "2", "3", "LOCAL")
                for proto in ("tcp,nw_ttl=9", "tcp,nw_ttl=1", "arp", "ipv6,nw_ttl=3"))


@pytest.mark.parametrize("controller", [False, True], ids=["plain", "controller-meter"])
def test_translations_go_through_meters_alike(pair: Pair, controller: bool) -> None:
    bridge = pair.add_bridge("br0", PORTS, 100)
    target = pair.ref.bridge_target("br0")
    meters = ["meter=5,pktps,band=type=drop,rate=5", "meter=1,pktps,band=type=drop,rate=9",
              "meter=2,kbps,band=type=drop,rate=7"]
    if controller:
        meters.insert(1, "meter=controller,pktps,band=type=drop,rate=3")
    for meter in meters:
        pair.ref._run("ovs-ofctl", "-O", "OpenFlow13", "add-meter", target, meter)
        bridge.add_meter(meter)
    for group in ("group_id=1,type=all,bucket=CONTROLLER:5,bucket=output:2",
                  "group_id=2,type=indirect,bucket=meter:1,output:3"):
        pair.ref._run("ovs-ofctl", "-O", "OpenFlow15", "add-group", target, group)
        bridge.add_group(group)
    assert pair.compare("br0", Case(0, "OpenFlow13", RULES, PACKETS))
