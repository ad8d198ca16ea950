"""Medleys of tables: both daemons say and do the same with every packet, and a difference would be seen."""

from __future__ import annotations

from collections.abc import Iterator

import medley
import pytest
from medley_side import told, unordered
from medley_tables import draw
from reference import available

N_SETS = 8
FIRST = 1000                        # the sets of plain runs; --more goes on from there
FLOW = ("recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4({}frag=no), packets:{}, "
        "bytes:9, actions:{}")


@pytest.fixture(scope="module")
def pair() -> Iterator[medley.Pair]:
    if not available():
        pytest.skip("the reference switch is not installed")
    pair = medley.Pair()
    yield pair
    pair.close()


def test_both_daemons_treat_packets_alike(more: int) -> None:
    if not available():
        pytest.skip("the reference switch is not installed")
    tally = medley.run(FIRST, N_SETS * more)
    assert not tally.differences, "\n\n".join(tally.differences[:5])
    assert tally.compared["traces"] > 10 * N_SETS * more
    assert tally.compared["frames"] > 4 * N_SETS * more
    assert tally.compared["counters"] and tally.compared["megaflows"] and tally.compared["messages"]
    assert "**0 differences**" in medley.page(tally)


def test_a_difference_is_noticed(pair: medley.Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: a port that is down on one side is one."""
    monkeypatch.setattr(medley, "PATIENCE_S", 0.02)
    tally = medley.Tally()
    pair.sides[0].stack.run("ovs-ofctl mod-port br0 p2 down")
    for seed in range(FIRST, FIRST + 3):
        medley.Set(pair, seed, tally).compare()
    assert {text.split()[0] for text in tally.differences} >= {"traces", "frames"}


def test_the_same_seed_draws_the_same_set() -> None:
    assert draw(FIRST) == draw(FIRST) != draw(FIRST + 1)


def test_narrower_megaflows_are_covered_if_they_do_the_same() -> None:
    wide = FLOW.format("", 3, 2)
    narrow = [FLOW.format(f"dst=10.0.0.{i},", 1, 2) for i in (1, 2)]
    assert medley.uncovered(narrow, [wide]) == ([], [])
    assert medley.uncovered([wide], narrow) == ([wide], narrow)             # wider is wrong
    assert medley.uncovered(narrow[:1], [wide]) == ([f"1 packets of {wide}"], [wide])
    other = FLOW.format("dst=10.0.0.1,", 1, 3)
    assert medley.uncovered([other, narrow[1]], [wide])[0][0] == other
    assert medley.uncovered([], [wide]) == ([], [wide])


def test_the_order_of_floods_is_left_out() -> None:
    floods = [f"    NORMAL\n     -> no learned MAC for destination, flooding\nDatapath actions: {actions}\n"
              for actions in ("1,push_vlan(vid=20,pcp=0),3,5", "5,push_vlan(vid=20,pcp=0),3,pop_vlan,1",
                              "5,push_vlan(vid=20,pcp=0),3")]
    assert told(floods[0]) == told(floods[1]) != told(floods[2])
    assert told("Datapath actions: 1,2\n") != told("Datapath actions: 2,1\n")
    assert unordered("2,set(eth(src=1)),1") != unordered("2,1")
