"""The law of translation for packets that conntrack sends back: every pass is told as the reference does.

Both sides are told the same states for conntrack to find (``--ct-next``), and follow every copy.
"""

from __future__ import annotations

import pytest
from ct_rules import CtMaker
from pair import Pair, set_rules
from reference import Refused
from rule_sets import Case

from fastpath.errors import ParseError
from fastpath.ofproto.xlate.retrace import parse_ct_state

N_CASES, CHUNKS = 80, 2


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_generated_rules_with_conntrack(pair: Pair, more: int, chunk: int) -> None:
    pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3}, 100)
    seeds = range(chunk, N_CASES * more, CHUNKS)
    n_taken = 0
    for seed in seeds:
        made = CtMaker(seed).ct_case()
        case = Case(seed, made.version, made.rules, ())
        if not pair.compare("br0", case):
            with pytest.raises(ParseError):
                set_rules(pair.switch["br0"], case)
            continue
        n_taken += 1
        for packet, ct_next in made.packets:
            pair.agree("br0", packet, made.rules, ct_next)
    assert n_taken >= 0.7 * len(seeds)


def test_conntrack_beyond_a_patch(pair: Pair, more: int) -> None:
    pair.add_patched_bridges()
    n_taken = 0
    for seed in range(7000, 7000 + 15 * more):
        far, near = CtMaker(seed).ct_case(), CtMaker(seed + 100_000).ct_case()
        if not pair.compare("br1", Case(seed, far.version, far.rules, ())):
            continue
        if pair.compare("br0", Case(seed, near.version, near.rules, ())):
            n_taken += 1
            for packet, ct_next in near.packets:
                pair.agree("br0", packet, (*near.rules, "-- br1", *far.rules), ct_next)
    assert n_taken >= 6 * more


@pytest.mark.parametrize("flags", ["trk,inv,est", "trk,new,est", "est,new,rpl", "new,rpl", "foo", "trk|a"])
def test_states_no_packet_has_are_refused_alike(pair: Pair, flags: str) -> None:
    pair.add_bridge("br0", {"p1": 1}, 100)
    with pytest.raises(Refused) as theirs:
        pair.ref.trace("br0", "in_port=1", "--ct-next", flags)
    with pytest.raises(ParseError) as ours:
        parse_ct_state(flags)
    assert str(ours.value) == str(theirs.value)
