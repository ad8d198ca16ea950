"""What actions look at is in the mask; and known hash values of multipath and bundle."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import field_sets
import pytest
from action_sets import (
    bundle,
    case,
    check_pkt_larger,
    mixed_case,
    multipath,
    queue,
    sample,
    truncated,
)
from mutation import assert_sound
from rule_sets import Case
from views import Bridge

from fastpath._flow import FlowKey
from fastpath.ofproto.match import Match
from fastpath.ofproto.xlate.flow_hash import flow_hash, hash_2words, jhash


@pytest.mark.parametrize(("make", "n_cases", "least"), [
    (lambda seed: case(seed, (multipath, bundle)), 150, 500),
    (lambda seed: mixed_case(seed, (queue, sample, truncated, check_pkt_larger)), 60, 300),
    (field_sets.case, 150, 500)], ids=["hashes", "others", "fields"])
def test_every_packet_a_mask_covers_is_treated_alike(make: Callable[[int], Case], n_cases: int, least: int,
                                                     more: int) -> None:
    n_covered = 0
    for seed in range(n_cases * more):
        rules, bridge = make(seed), Bridge()
        bridge.exports_flows = True
        bridge.add_valid_flows(*rules.rules)
        n_covered += assert_sound(bridge, rules.packets, Random(seed), 15)
    assert n_covered > least * more


# As the self-test in lookup3.c prints them.
@pytest.mark.parametrize(("data", "basis", "value"), [
    (b"", 0, 0xDEADBEEF), (b"", 0xDEADBEEF, 0xBD5B7DDE), (b"Four score and seven years ago", 0, 0x17770551),
    (b"Four score and seven years ago", 1, 0xCD628161)])
def test_lookup3_gives_the_values_its_author_published(data: bytes, basis: int, value: int) -> None:
    assert jhash(data, basis) == value


def test_symmetric_hashes_do_not_tell_the_ends_apart() -> None:
    key = Match.parse("tcp,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02,nw_src=10.0.0.1,nw_dst=10.0.0.2,"
                      "tp_src=1,tp_dst=2").key
    turned = {"dl_src": 2, "dl_dst": 1, "nw_src": key.nw_dst, "nw_dst": key.nw_src, "tp_src": 2, "tp_dst": 1}
    back = FlowKey(**{**dict(key.items()), **turned})
    for fields in ("symmetric_l4", "symmetric_l3l4", "symmetric_l3l4+udp", "symmetric_l3"):
        assert flow_hash(key, fields, 5) == flow_hash(back, fields, 5)
    assert flow_hash(key, "nw_src", 5) != flow_hash(back, "nw_src", 5)


def test_links_of_hrw_are_spread_evenly() -> None:
    counts = [0] * 8
    for i in range(8000):
        counts[max(range(8), key=lambda link: hash_2words(i, link))] += 1
    assert all(850 < n < 1150 for n in counts)
