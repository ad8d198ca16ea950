"""Bounds of translation: where the reference ends, and what it then says and does."""

from __future__ import annotations

import pytest
from pair import Pair
from rule_sets import Case

# Actions of the last of ten tables, each of the others looking the next one up twice.
LEAVES = {
    "outputs": "ip actions=" + ",".join(["output:2", "output:3"] * 8),
    "few outputs": "ip actions=" + ",".join(["output:2", "output:3"] * 7),
    "sets": "tcp actions=set_field:1.1.1.1->ip_dst,output:2,set_field:1->tcp_src,set_field:2.2.2.2->ip_dst,"
            "output:2,CONTROLLER,push_vlan:0x8100,output:3,pop_vlan,set_field:2->tcp_src,mod_nw_tos:8,output:2,"
            "mod_nw_tos:16",
    "tracked": "tcp actions=ct(commit,zone=5,exec(set_field:1->ct_mark),nat(src=1.1.1.1-1.1.1.3:5-6)),"
               "output:2",
    "cloned": "tcp actions=clone(ct(commit),output:3),output:2,push_mpls:0x8847,output:3",
    "wrapped": "tcp actions=set_field:00:00:00:00:00:05->eth_dst,output:2,encap(nsh),output:3",
}


@pytest.mark.parametrize("levels", [6, 9])
@pytest.mark.parametrize("leaf", LEAVES.values(), ids=list(LEAVES))
def test_too_many_actions_end_a_translation_alike(pair: Pair, leaf: str, levels: int) -> None:
    pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3}, 100)
    rules = [f"table={i} actions=resubmit(,{i + 1}),resubmit(,{i + 1})" for i in range(levels)]
    assert pair.compare("br0", Case(0, "OpenFlow15", (*rules, f"table={levels},{leaf}"), ("in_port=1,tcp",)))


# What table 0 does with the tree of lookups below it: the list the actions go to is inside another.
AROUND = {
    "in a clone": "clone(ct(commit),resubmit(,1)),resubmit(,1)",
    "in a clone after others": "resubmit(,1),clone(ct(commit),resubmit(,1)),output:3",
    "in a clone in a clone": "clone(ct(commit),resubmit(,2),clone(ct(commit),resubmit(,1)),output:3)",
    "for long packets": "resubmit(,1),check_pkt_larger(100)->reg0[0],resubmit(,2)",
    "for long packets twice": "resubmit(,2),check_pkt_larger(100)->reg0[0],resubmit(,1)",
}


# Left out is what the reference ends itself at (an assertion): a clone that alone is over the bound.
@pytest.mark.parametrize(("around", "leaf"), [
    (AROUND[around], leaf) for leaf in ("outputs", "sets") for around in AROUND
    if (around, leaf) != ("in a clone in a clone", "sets")])
def test_lists_inside_others_count_towards_one_bound(pair: Pair, around: str, leaf: str) -> None:
    pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3}, 100)
    rules = [f"table={i} actions=resubmit(,{i + 1}),resubmit(,{i + 1})" for i in range(1, 9)]
    assert pair.compare("br0", Case(0, "OpenFlow15", (
        f"table=0,tcp actions={around}", *rules, f"table=9,{LEAVES[leaf]}"), ("in_port=1,tcp",)))
