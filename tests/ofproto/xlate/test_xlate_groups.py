"""Groups in translation: masks that are sound, limits that hold, and the reason a controller is told."""

from __future__ import annotations

from random import Random

import pytest
from group_sets import GroupMaker
from mutation import mutate
from views import Bridge

from fastpath.dpif import actions as odp
from fastpath.ofproto.group_text import parse_group_mod
from fastpath.ofproto.match import Match
from fastpath.ofproto.xlate.context import GroupHit, XlateError


def bridge_with(*groups: str, flows: tuple[str, ...] = ("actions=group:1",)) -> Bridge:
    bridge = Bridge()
    for group in groups:
        bridge.groups.apply(parse_group_mod(group), 0)
    bridge.add_flows(*flows)
    return bridge


def actions(bridge: Bridge, flow: str) -> odp.OdpActions:
    return bridge.xlate(flow, side_effects=False).actions


@pytest.mark.parametrize("chunk", range(2))
def test_every_packet_a_mask_covers_goes_through_the_same_buckets(chunk: int, more: int) -> None:
    n_covered = 0
    for seed in range(20_000 + chunk, 20_000 + 120 * more, 2):
        made, random = GroupMaker(seed).case(), Random(seed)
        bridge = bridge_with(*made.groups, flows=())
        bridge.add_valid_flows(*made.case.rules)
        for packet in made.case.packets:
            key = Match.parse(packet).key
            first = bridge.xlate(key, side_effects=False)
            for _ in range(20):
                other = mutate(key, random)
                if key.dp_hash:
                    other.dp_hash = random.getrandbits(32) or 1
                if other.matches(key, first.mask):
                    n_covered += 1
                    again = bridge.xlate(other, side_effects=False)
                    assert (again.actions, again.slow, again.effects) == (
                        first.actions, first.slow, first.effects), (seed, packet, other)
    assert n_covered > 1000 * more


@pytest.mark.parametrize("groups", [
    ("group_id=1,type=indirect,bucket=group:1",),
    ("group_id=1,type=all,bucket=group:2,bucket=output:2", "group_id=2,type=all,bucket=group:1,bucket=drop"),
    ("group_id=1,type=ff,bucket=watch_port=2,group:1",),
    ("group_id=1,type=indirect,bucket=resubmit(,0)",),
    ("group_id=1,type=all," + ",".join(["bucket=resubmit(,0)"] * 9),),
])
def test_chains_without_an_end_are_given_up(groups: tuple[str, ...]) -> None:
    """As CVE-2019-25076 taught: what rules can make long must have a bound."""
    out = bridge_with(*groups).xlate("in_port=1", side_effects=False)
    assert out.error in (XlateError.RECURSION_TOO_DEEP, XlateError.TOO_MANY_RESUBMITS) and out.actions == ()


def test_watching_in_circles_is_dead() -> None:
    bridge = bridge_with("group_id=1,type=ff,bucket=watch_group=2,output:2,bucket=watch_port=3,output:3",
                         "group_id=2,type=ff,bucket=watch_group=2,output:1")
    assert actions(bridge, "in_port=1") == (odp.Output(3),)


def test_a_bucket_s_changes_are_its_own() -> None:
    bridge = bridge_with(
        "group_id=1,type=all,bucket=set_field:1->reg0,dec_ttl,push_vlan:0x8100,output:2,bucket=resubmit(,1)",
        flows=("actions=group:1,output:3", "table=1,reg0=0,actions=exit", "table=1,reg0=1,actions=output:1"))
    sent = actions(bridge, "in_port=1,tcp,nw_ttl=9")
    assert [a for a in sent if isinstance(a, odp.Output)] == [odp.Output(2), odp.Output(3)]
    assert odp.PopVlan() in sent and sent[-1] == odp.Output(3)


def test_the_controller_is_told_that_a_group_sent_the_packet() -> None:
    bridge = bridge_with("group_id=1,type=all,bucket=CONTROLLER:9,bucket=resubmit(,1)",
                         flows=("priority=1,actions=group:1", "table=1,priority=1,actions=CONTROLLER:9"))
    reasons = [a.userdata.reason for a in actions(bridge, "in_port=1")
               if isinstance(a, odp.Userspace) and isinstance(a.userdata, odp.ToController)]
    assert reasons == [4, 1]


def test_packets_count_on_the_bucket_they_went_through() -> None:
    bridge = bridge_with("group_id=1,type=ff,bucket=watch_port=2,group:2,bucket=watch_port=3,output:3",
                         "group_id=2,type=all,bucket=output:2,bucket=output:3")
    hits = [e for e in bridge.xlate("in_port=1", side_effects=False).effects if isinstance(e, GroupHit)]
    assert [(h.group.group_id, h.bucket and h.bucket.bucket_id) for h in hits] == [(2, None), (1, 0)]
