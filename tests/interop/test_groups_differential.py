"""Groups equal those of the reference: what they make of packets, what their text says, what is refused.

Both switches get the same generated groups and rules; traces agree to the letter: liveness, scores of
buckets, the bucket chosen, masks, odp actions.  Packets with a ``dp_hash`` are traced, too.
"""

from __future__ import annotations

import re
import time

import pytest
from group_sets import GroupCase, GroupMaker
from pair import Pair, lines, set_groups
from reference import Reference, Refused
from rule_sets import Case

import fastpath
from fastpath.dpif import actions as odp
from fastpath.errors import FastpathError
from fastpath.ofproto.actions.versions import OF10, OF13, OF15
from fastpath.ofproto.group_text import parse_group_mod
from fastpath.ofproto.match import Match
from fastpath.ofproto.xlate import translate
from fastpath.ofproto.xlate.context import XlateIn
from fastpath.ofproto.xlate.trace import Trace

PORTS = {"p1": 1, "p2": 2, "p3": 3}
N_SETS, CHUNKS = 60, 4


def compare(pair: Pair, bridge: str, case: GroupCase) -> bool:
    set_groups(pair, bridge, case.groups)
    return pair.compare(bridge, case.case)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_generated_groups_and_packets(pair: Pair, more: int, chunk: int) -> None:
    pair.add_bridge("br0", PORTS, 100)
    for seed in range(chunk, N_SETS * more, CHUNKS):
        assert compare(pair, "br0", GroupMaker(seed).case())


# -- links -------------------------------------------------------------------------------------------------

CASCADE = (
    "group_id=1,type=ff,bucket=watch_port=1,output:1,bucket=watch_group=2,output:2,"
    "bucket=watch_port=3,output:3",
    "group_id=2,type=ff,bucket=watch_port=2,output:2",
    "group_id=3,type=select,selection_method=hash,fields(tcp_src),bucket=watch_port=1,output:1,"
    "bucket=watch_group=2,weight=3,output:2,bucket=watch_port=3,watch_group=1,output:3",
    "group_id=4,type=select,bucket=watch_port=1,output:1,bucket=watch_port=2,weight=3,output:2,"
    "bucket=watch_group=4,output:3",
    "group_id=5,type=ff,bucket=watch_group=6,output:1",
    "group_id=6,type=ff,bucket=watch_group=5,output:2,bucket=watch_port=3,output:3",
)
LIVELY = Case(0, "OpenFlow15", tuple(f"priority={i},in_port=LOCAL,metadata={i} actions=group:{i}"
                                     for i in range(1, 7)), ())


def test_liveness_follows_links_through_cascades(pair: Pair) -> None:
    bridge = pair.add_bridge("br0", PORTS, 100)
    set_groups(pair, "br0", CASCADE)
    assert pair.compare("br0", LIVELY)
    for down in (["p1"], ["p2"], ["p1", "p2"], ["p3"], ["p1", "p2", "p3"]):
        for port in PORTS:
            is_up = port not in down
            pair.ref.ofctl("mod-port", pair.ref.bridge_target("br0"), port, "up" if is_up else "down")
            bridge.port(port).set(link_up=is_up)
        for packet in ("tcp,tcp_src=1", "tcp,tcp_src=99", "dp_hash=0x7,udp", "dp_hash=0x1234567,udp"):
            for i in range(1, 7):
                pair.agree("br0", f"in_port=LOCAL,metadata={i},{packet}", CASCADE)


# -- the datapath's hash -----------------------------------------------------------------------------------

def test_a_packet_that_comes_back_with_its_hash_goes_on_alike(pair: Pair) -> None:
    """Both freeze, are resumed with the same made-up hashes, and choose the same buckets."""
    bridge = pair.add_bridge("br0", PORTS, 100)
    set_groups(pair, "br0", (
        "group_id=1,type=select,bucket=weight=3,set_field:5->reg1,output:2,bucket=weight=9,output:3,"
        "bucket=bucket_id=7,group:2",
        "group_id=2,type=select,selection_method=dp_hash,bucket=output:2,bucket=output:3"))
    case = Case(0, "OpenFlow15", (
        "table=0,in_port=1 actions=set_field:7->reg2,set_field:00:00:00:00:00:09->eth_src,"
        "resubmit(,1),output:1",
        "table=1,ip,in_port=1 actions=group:1,dec_ttl,output:3"), ())
    assert pair.compare("br0", case)
    frame = bytes.fromhex("0000000000020000000000010800" "45000020000100000911" "0000" "0a0000010a000002"
                          "00350050000c000061626364")
    pair.ref.appctl("netdev-dummy/receive", "p1", frame.hex())
    deadline = time.monotonic() + 60
    while not (ids := re.findall(r"recirc\((0x[0-9a-f]+)\)", pair.ref.appctl("dpctl/dump-flows"))):
        assert time.monotonic() < deadline, "the reference installed no flow"
        time.sleep(0.02)
    first = translate(XlateIn(bridge.ofproto, fastpath.extract(frame, in_port=1), side_effects=False))
    recirc = first.actions[-1]
    assert isinstance(recirc, odp.Recirc) and odp.Hash("sym_l4", 0) in first.actions
    frozen = bridge.ofproto.recirc.get(recirc.recirc_id)
    for dp_hash in (1, 0x10, 0x2B, 0x3F, 0x7A, 0xFFFFFFFF):
        theirs = lines(pair.ref.appctl("ofproto/trace", (
            f"recirc_id({ids[-1]}),dp_hash({dp_hash:#x}),in_port(1),eth(src=00:00:00:00:00:09,"
            "dst=00:00:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=9,"
            "frag=no),udp(src=53,dst=80)")))
        key = Match.parse("in_port=1,udp,dl_src=00:00:00:00:00:09,dl_dst=00:00:00:00:00:02,"
                          "nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=9,udp_src=53,udp_dst=80,"
                          f"dp_hash={dp_hash:#x}").key
        key.recirc_id = recirc.recirc_id
        trace = Trace()
        translate(XlateIn(bridge.ofproto, key, side_effects=False, trace=trace, frozen=frozen))
        assert pair.text(trace) == theirs


# -- text ----------------------------------------------------------------------------------------------------

def dumped(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.startswith(" group_id")}


def test_dumps_in_every_version(pair: Pair, more: int) -> None:
    bridge = pair.add_bridge("br0", PORTS, 100)
    target = pair.ref.bridge_target("br0")
    for seed in range(9000, 9000 + 8 * more):
        maker = GroupMaker(seed)
        groups = tuple(maker.group(number) for number in range(1, 15))
        set_groups(pair, "br0", groups)
        for version, name in ((OF10, "OpenFlow10"), (OF13, "OpenFlow13"), (OF15, "OpenFlow15")):
            theirs = dumped(pair.ref._run("ovs-ofctl", "-O", name, "dump-groups", target))
            assert set(bridge.dump_groups(version=version).splitlines()) == theirs
        assert all(parse_group_mod(line) for line in bridge.dump_groups().splitlines())
    features = pair.ref._run("ovs-ofctl", "-O", "OpenFlow15", "dump-group-features", target)
    assert bridge.dump_group_features() == features.partition("\n")[2].strip("\n")


WRONG = (
    "", "group_id=1", "type=all", "group_id=1,type=foo", "group_id=x,type=all",
    "group_id=0xffffff01,type=all",
    "group_id=1,type=all,bucket=", "group_id=1,type=all,bucket=weight=1", "foo=1,group_id=1,type=all",
    "group_id=1,type=ff,bucket=output:1", "group_id=1,type=all,bucket=weight=2,output:1",
    "group_id=1,type=indirect,bucket=output:1,bucket=output:2", "group_id=1,type=all,bucket=foo:1",
    "group_id=1,type=ff,bucket=watch_port=nowhere,output:1",
    "group_id=1,type=ff,bucket=watch_port=LOCAL,output:1",
    "group_id=1,type=ff,bucket=watch_group=0xfffffffc,output:1",
    "group_id=1,type=all,bucket=bucket_id=-1,output:1",
    "group_id=1,type=select,bucket=weight=70000,output:1", "group_id=1,type=select,bucket=weight=,output:1",
    "group_id=1,type=select,selection_method=much_too_long_a_name",
    "group_id=1,type=select,fields(eth_src)",
    "group_id=1,type=select,selection_method_param=1",
    "group_id=1,type=select,selection_method=hash,fields(bar)",
    "group_id=1,type=select,selection_method=hash,fields(eth_src,eth_src)",
    "group_id=1,type=select,selection_method=hash,fields(ip_src=0.0.0.0)",
    "group_id=1,type=select,selection_method=hash,fields(ip_src=1.2.3.4/24)",
    "group_id=1,type=select,selection_method=hash,fields(nw_proto=6)",
    "group_id=1,type=select,selection_method=hash,selection_method_param=z",
    "group_id=1,type=all,command_bucket_id=1", "group_id=1,type=all,bucket=goto_table:1",
    "group_id=1,type=all,bucket=write_metadata:1,output:1", "group_id=1,type=all,bucket=output:1,meter:1",
    "group_id=1,type=all,bucket=clear_actions", "group_id=1,type=all,bucket=drop,output:1",
)
WRONG_BUCKETS = ("group_id=1", "group_id=1,type=all,command_bucket_id=1",
                 "group_id=1,command_bucket_id=all,bucket=1", "group_id=1,command_bucket_id=x",
                 "group_id=1,command_bucket_id=0xffffff01",
                 "group_id=1,fields(eth_src)", "group_id=1,selection_method=hash")


def refusal(call: object, *args: object) -> str:
    """What *call* is refused with, or "taken"."""
    try:
        call(*args)                 # type: ignore[operator]
    except (Refused, FastpathError) as error:
        return str(error)
    return "taken"


def test_what_is_wrong_is_said_in_the_reference_s_words(pair: Pair) -> None:
    pair.add_bridge("br0", PORTS, 100)
    target = pair.ref.bridge_target("br0")
    for command, ours, texts in (
            ("add-group", "add", WRONG), ("insert-buckets", "insert_bucket", WRONG_BUCKETS),
            ("remove-buckets", "remove_bucket", (*WRONG_BUCKETS, "group_id=1,command_bucket_id=1,bucket=1"))):
        for text in texts:
            theirs = refusal(pair.ref._run, "ovs-ofctl", "-O", "OpenFlow15", command, target, text)
            expected = "taken" if "OFPT_ERROR" in theirs else theirs.removeprefix("ovs-ofctl: ")
            assert refusal(parse_group_mod, text, ours) == expected, text


STEPS = (
    ("add-group", "group_id=1,type=select,bucket=output:1,bucket=bucket_id=9,weight=4,output:2"),
    ("add-group", "group_id=1,type=all,bucket=output:1"),
    ("insert-buckets", "group_id=1,command_bucket_id=last,bucket=bucket_id=3,output:3"),
    ("insert-buckets", "group_id=1,command_bucket_id=0,bucket=bucket_id=4,output:3,bucket=bucket_id=5,ALL"),
    ("insert-buckets", "group_id=1,command_bucket_id=first,bucket=output:3"),
    ("insert-buckets", "group_id=1,command_bucket_id=first,bucket=bucket_id=7,weight=4,output:3"),
    ("insert-buckets", "group_id=1,command_bucket_id=first,bucket=bucket_id=8,watch_port=1,output:3"),
    ("insert-buckets", "group_id=1,command_bucket_id=77,bucket=bucket_id=8,output:3"),
    ("insert-buckets", "group_id=2,command_bucket_id=first,bucket=output:3"),
    ("remove-buckets", "group_id=1,command_bucket_id=first"),
    ("remove-buckets", "group_id=1,command_bucket_id=77"),
    ("remove-buckets", "group_id=1,command_bucket_id=4"),
    ("remove-buckets", "group_id=1,command_bucket_id=last"),
    ("remove-buckets", "group_id=1,command_bucket_id=all"),
    ("remove-buckets", "group_id=1,command_bucket_id=last"),
    ("mod-group", "group_id=1,type=ff,bucket=watch_port:2,output:1"),
    ("insert-buckets", "group_id=1,command_bucket_id=last,bucket=bucket_id=3,output:3"),
    ("mod-group", "group_id=2,type=ff,bucket=watch_port:2,output:1"),
    ("add-group", "group_id=3,type=indirect"), ("add-group", "group_id=3,type=all"),
    ("add-group", "group_id=4,type=all,selection_method=hash,bucket=output:1"),
    ("add-group", "group_id=4,type=select,selection_method=foo,bucket=output:1"),
    ("add-group", "group_id=4,type=select,bucket=bucket_id=1,output:1,bucket=bucket_id=1,output:1"),
    ("add-group", "group_id=4,type=select,bucket=bucket_id=0,output:1,bucket=output:1"),
    ("add-group", "group_id=4,type=all,bucket=bucket_id=2,ALL,bucket=output:1,bucket=bucket_id=1,drop,"
     "bucket=drop"),
    ("add-group", "group_id=all,type=all,bucket=output:1"), ("del-groups", "group_id=999"),
    ("add-group", "group_id=5,type=all,bucket=watch_port=1,output:1"),
    ("add-group", "group_id=5,type=select,bucket=output:1,bucket=bucket_id=0,output:1,bucket=output:2"),
    ("add-group", "group_id=4294967040,type=indirect,bucket=group:4294967040"),
    ("add-flow", "actions=group:6"), ("add-flow", "actions=write_actions(group:6)"),
    ("add-flow", "actions=clone(group:6)"), ("add-flow", "actions=group:5"),
    ("mod-flows", "actions=group:6"), ("mod-flows", "cookie=1/1,actions=group:6"),
    ("add-flow", "priority=2,actions=write_actions(group:5,output:2)"),
    ("add-flow", "priority=3,actions=clone(group:1),output:1"), ("add-flow", "priority=4,actions=output:1"),
    ("del-groups", "group_id=5"), ("add-flow", "priority=3,actions=group:3"), ("del-groups", ""),
)


REFS = re.compile(r"group_id=(\d+).*ref_count=(\d+)")


def test_group_mods_change_and_refuse_alike(reference: Reference) -> None:
    target = reference.bridge_target("br0")
    with fastpath.Switch(seed=1, strict=True) as switch:
        reference.add_bridge("br0", *PORTS)
        try:
            bridge = switch.add_bridge("br0")
            calls = {"add-group": bridge.add_group, "mod-group": bridge.mod_group,
                     "add-flow": bridge.add_flow, "insert-buckets": bridge.insert_buckets,
                     "remove-buckets": bridge.remove_buckets,
                     "del-groups": bridge.del_groups, "mod-flows": bridge.mod_flows}
            for command, text in STEPS:
                args = (command, target, text) if text else (command, target)
                theirs = refusal(reference._run, "ovs-ofctl", "-O", "OpenFlow15", *args)
                code = re.search(r"OFPT_ERROR .*: (OFP\w+)", theirs)
                assert refusal(calls[command], text).partition(":")[0] == (code[1] if code else theirs), text
                assert set(bridge.dump_groups().splitlines()) == dumped(
                    reference._run("ovs-ofctl", "-O", "OpenFlow15", "dump-groups", target)), text
                flows = reference._run("ovs-ofctl", "-O", "OpenFlow15", "--no-stats", "dump-flows", target)
                assert {line.strip() for line in flows.splitlines() if "actions=" in line} == set(
                    bridge.dump_flows(stats=False).splitlines()), text
                refs = reference._run("ovs-ofctl", "-O", "OpenFlow15", "dump-group-stats", target)
                assert dict(REFS.findall(refs)) == dict(REFS.findall(bridge.dump_group_stats())), text
        finally:
            reference.vsctl("del-br", "br0")
