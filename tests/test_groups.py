"""Groups through the public API: packets, counters, events; how well a select group spreads."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import fastpath
from fastpath.errors import OpenFlowError, ParseError
from fastpath.ofproto.events import FlowRemoved
from fastpath.ofproto.rule import RemovedReason
from fastpath.ofproto.xlate.context import XlateIn
from fastpath.ofproto.xlate.group import select
from fastpath.ofproto.xlate.pipeline import begin


def udp(source: int = 1, src_ip: int = 0x0A000001, *, dst_ip: int = 0x0A000002) -> bytes:
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 46, 0, 0, 64, 17, 0, src_ip, dst_ip)
    ethernet = bytes.fromhex("0000000000020000000000010800")
    return ethernet + ip + struct.pack(">HHHH", source, 9, 26, 0) + bytes(18)


@pytest.fixture
def bridge() -> Iterator[fastpath.Bridge]:
    with fastpath.Switch(seed=7) as switch:
        br = switch.add_bridge("br0")
        for name in "abcd":
            br.add_port(name)
        yield br


def names(outputs: dict[fastpath.Port, list[bytes]]) -> dict[str, int]:
    return {port.name: len(frames) for port, frames in outputs.items()}


def test_all_copies_and_counts(bridge: fastpath.Bridge) -> None:
    bridge.add_group("group_id=1,type=all,bucket=output:b,bucket=set_field:00:00:00:00:00:09->eth_dst,output:c")
    bridge.add_flow("actions=group:1,output:d")
    out = bridge.inject("a", udp(), udp(), udp())
    assert names(out) == {"b": 3, "c": 3, "d": 3}
    assert out[bridge.port("c")][0][:6].hex() == "000000000009" and out[bridge.port("d")][0] == udp()
    bridge.switch.advance(1.25)
    assert bridge.dump_group_stats() == (
        "group_id=1,duration=1.250s,ref_count=1,packet_count=3,byte_count=180,"
        "bucket0:packet_count=3,byte_count=180,bucket1:packet_count=3,byte_count=180")


def test_failover_follows_the_link_with_flows_installed(bridge: fastpath.Bridge) -> None:
    bridge.add_group("group_id=1,type=ff,bucket=watch_port=b,output:b,bucket=watch_port=c,output:c")
    bridge.add_flow("in_port=a,actions=group:1")
    assert names(bridge.inject("a", udp(), udp())) == {"b": 2}
    bridge.port("b").set(link_up=False)
    assert names(bridge.inject("a", udp())) == {"c": 1}
    bridge.port("c").set(link_up=False)
    assert names(bridge.inject("a", udp())) == {}
    bridge.port("b").set(link_up=True)
    assert names(bridge.inject("a", udp())) == {"b": 1}
    (group,) = bridge.groups()
    assert [c.n_packets for c in group.bucket_counters.values()] == [3, 1] and group.counter.n_packets == 4


def test_a_modified_group_changes_installed_flows(bridge: fastpath.Bridge) -> None:
    bridge.add_group("group_id=5,type=indirect,bucket=output:b")
    bridge.add_flow("actions=group:5")
    assert names(bridge.inject("a", udp())) == {"b": 1}
    bridge.mod_group("group_id=5,type=all,bucket=output:c")
    assert names(bridge.inject("a", udp())) == {"c": 1}
    bridge.insert_buckets("group_id=5,command_bucket_id=last,bucket=output:d")
    assert names(bridge.inject("a", udp())) == {"c": 1, "d": 1}
    bridge.remove_buckets("group_id=5,command_bucket_id=first")
    assert names(bridge.inject("a", udp())) == {"d": 1}
    with pytest.raises(OpenFlowError, match="OFPGMFC_UNKNOWN_GROUP"):
        bridge.mod_group("group_id=6,type=all")
    assert bridge.mod_group("group_id=6,type=all", may_create=True).group_id == 6


def test_flows_chosen_by_the_datapath_s_hash_follow_the_group_and_links(bridge: fastpath.Bridge) -> None:
    bridge.add_group("group_id=1,type=select,bucket=watch_port=b,output:b,bucket=watch_port=c,output:c")
    bridge.add_flow("in_port=a,actions=group:1")
    frames = [udp(source) for source in range(200, 280)]

    def spread() -> dict[str, int]:
        return names(bridge.inject("a", *frames))
    both = spread()
    assert set(both) == {"b", "c"} and spread() == both and sum(both.values()) == 80
    bridge.port("b").set(link_up=False)
    assert spread() == {"c": 80}
    bridge.port("b").set(link_up=True)
    assert spread() == both, "a flow that came back has its old place"
    bridge.mod_group("group_id=1,type=select,bucket=output:d")
    assert spread() == {"d": 80}
    (group,) = bridge.groups()
    assert (group.counter.n_packets, group.bucket_counters[0].n_packets) == (80, 80)
    bridge.switch.advance(60)
    assert bridge.megaflows() == [] and len(bridge.switch.backer.recirc) == 0


def test_rules_go_with_their_group_and_say_so(bridge: fastpath.Bridge) -> None:
    gone: list[FlowRemoved] = []
    bridge.on_flow_removed(gone.append)
    bridge.add_groups("group_id=1,type=all,bucket=output:b\ngroup_id=2,type=all,bucket=output:c")
    bridge.add_flow("send_flow_rem,in_port=a,actions=group:1")
    bridge.add_flow("in_port=b,actions=write_actions(group:2)")
    bridge.inject("a", udp(), udp())
    assert [g.group_id for g in bridge.del_groups("group_id=1")] == [1]
    assert [(e.rule.n_packets, e.reason) for e in gone] == [(2, RemovedReason.GROUP_DELETE)]
    assert len(bridge.rules()) == 1 and names(bridge.inject("a", udp())) == {}
    bridge.del_groups()
    assert bridge.rules() == [] and bridge.groups() == []


def test_rules_and_packets_may_not_name_a_group_there_is_none_of(bridge: fastpath.Bridge) -> None:
    for actions in ("group:1", "clone(group:1)", "write_actions(group:1)"):
        with pytest.raises(OpenFlowError, match="OFPBAC_BAD_OUT_GROUP"):
            bridge.add_flow(f"actions={actions}")
    with pytest.raises(OpenFlowError, match="OFPBAC_BAD_OUT_GROUP"):
        bridge.packet_out(udp(), "group:1")
    assert bridge.mod_flows("cookie=1/1,actions=group:1") == [] and bridge.rules() == []


def test_files_of_groups_are_all_or_nothing_in_their_text(bridge: fastpath.Bridge, tmp_path: Path) -> None:
    path = tmp_path / "groups.txt"
    path.write_text("# two\ngroup_id=1,type=all,bucket=output:b\n\ngroup_id=2,type=foo\n")
    with pytest.raises(ParseError, match=r"groups\.txt:4: invalid group type foo"):
        bridge.add_groups(path)
    assert bridge.groups() == []
    path.write_text("add group_id=1,type=all,bucket=output:b\nmodify group_id=1,type=all,bucket=output:c\n")
    assert bridge.add_groups(path) == 2
    assert bridge.dump_groups(names=True) == "group_id=1,type=all,bucket=bucket_id:0,actions=output:c"
    with pytest.raises(TypeError, match="expected text or a GroupMod"):
        bridge.add_group(5)     # type: ignore[arg-type]


# -- spreading -----------------------------------------------------------------------------------------------

N_FLOWS = 65536
SELECTS = {                                 # text, weights
    "by the datapath's hash": ("group_id=1,type=select", (1, 2, 5)),
    "by a hash of L4":        ("group_id=1,type=select,selection_method=dp_hash", (3, 1, 4)),
    # Equal weights: with others the reference's scores favour the heavy, and ours are the same.
    "by a hash of fields":    ("group_id=1,type=select,selection_method=hash,fields(ip_src,udp_src)",
                               (2, 2, 2)),
    "by a hash in software":  ("group_id=1,type=select,selection_method=hash", (1, 1, 1)),
}


@pytest.mark.parametrize("how", SELECTS)
def test_a_select_group_spreads_flows_as_its_weights_say(bridge: fastpath.Bridge, how: str) -> None:
    """65,536 random flows, each bucket within 5 % of its share.  Where the datapath takes the hash, packets
    are sent through; otherwise each is translated, as each would be a megaflow."""
    text, weights = SELECTS[how]
    buckets = "".join(f",bucket=weight={w},output:{port}" for w, port in zip(weights, "bcd", strict=True))
    bridge.add_group(text + buckets)
    bridge.add_flow("in_port=a,actions=group:1")
    random = Random(5)
    frames = [udp(random.getrandbits(16), random.getrandbits(32), dst_ip=random.getrandbits(32))
              for _ in range(N_FLOWS)]
    counts = dict.fromkeys("bcd", 0)
    if "=hash" in text:
        group = bridge.groups()[0]
        for frame in frames:
            x = begin(XlateIn(bridge.ofproto, fastpath.extract(frame, in_port=1)))
            chosen = select(x, group)
            assert chosen is not None
            counts["bcd"[chosen.bucket_id]] += 1
    else:
        for at in range(0, N_FLOWS, 256):
            for frame in frames[at:at + 256]:
                bridge.port("a").inject(frame)
            bridge.switch.forward()
            for name in counts:
                counts[name] += len(bridge.port(name).take())
        assert len(bridge.megaflows()) <= 1 + 16, "one for all flows, and one for each slot"
    assert sum(counts.values()) == N_FLOWS
    for weight, n in zip(weights, counts.values(), strict=True):
        share = N_FLOWS * weight / sum(weights)
        assert abs(n - share) <= 0.05 * share, counts
