"""Stage groups: sharing a stage with others changes neither what is found nor what is un-wildcarded."""

from __future__ import annotations

from random import Random

import pytest

from fastpath._classifier import Classifier
from fastpath._flow import FlowKey

MAC = 0xFFFFFFFFFFFF
# Fronts that many masks share, and one more word of L3 to tell the masks apart.
FRONTS = [{}, {"in_port": 0xFFFFFFFF}, {"dl_src": MAC}, {"dl_src": MAC, "dl_dst": MAC},
          {"in_port": 0xFFFFFFFF, "dl_type": 0xFFFF}]


def masks(n: int, rng: Random) -> list[FlowKey]:
    """*n* different masks over the fronts, and over *n* / 8 fronts of their own."""
    out: dict[FlowKey, None] = {}
    while len(out) < n:
        front = rng.choice(FRONTS) if rng.random() < 7 / 8 else {"dl_dst": rng.getrandbits(48) | 1}
        out[FlowKey(nw_src=rng.getrandbits(32) | 1 << 31, **front)] = None
    return list(out)


def some_key(rng: Random) -> FlowKey:
    return FlowKey(in_port=rng.randrange(3), dl_src=rng.randrange(3), dl_dst=rng.randrange(3),
                   dl_type=0x0800, nw_src=rng.choice([0, 1 << 31, rng.getrandbits(32)]))


def alone(key: FlowKey, rules: list[FlowKey], mask: FlowKey) -> FlowKey:
    """What a classifier of this mask alone un-wildcards."""
    cls: Classifier[int] = Classifier(prefixes=(), seed=3)
    for i, rule in enumerate(rules):
        cls.replace(rule, mask, 1, i)
    wc = FlowKey()
    cls.lookup(key, wc)
    return wc


@pytest.mark.parametrize("n_masks", [3, 60, 700])     # 700: groups that are full, and more than are noted
def test_a_shared_stage_tells_what_each_would(n_masks: int, more: int) -> None:
    rng = Random(n_masks)
    cls: Classifier[int] = Classifier(prefixes=(), seed=3)
    rules = {mask: [some_key(rng) for _ in range(rng.randrange(1, 4))] for mask in masks(n_masks, rng)}
    for mask, keys in rules.items():
        for i, key in enumerate(keys):
            cls.replace(key, mask, 1, i)
    missed = 0
    for _ in range(30 * more):
        key, wc = some_key(rng), FlowKey()
        hit = any(key.matches(rule.masked(mask), mask) for mask, keys in rules.items() for rule in keys)
        assert (cls.lookup(key, wc) is not None) == (cls.lookup(key) is not None) == hit
        if hit:
            continue
        missed += 1
        expected = FlowKey()
        for mask, keys in rules.items():
            expected.fold(alone(key, keys, mask))
        assert wc == expected
    assert missed or n_masks > 100


def test_groups_come_and_go_with_their_subtables() -> None:
    rng, live = Random(5), {}
    cls: Classifier[int] = Classifier(prefixes=(), seed=3)
    pool = masks(200, rng)
    for step in range(4000):
        mask, key = rng.choice(pool), some_key(rng).masked(rng.choice(pool))
        key = key.masked(mask)
        if (key, mask) in live and rng.random() < 0.6:
            assert cls.remove(key, mask, 1) == live.pop((key, mask))
        else:
            cls.replace(key, mask, 1, step)
            live[key, mask] = step
        if step % 50 == 0:
            probe = some_key(rng)
            assert (cls.lookup(probe) is not None) == any(probe.matches(k, m) for k, m in live)
    for key, mask in list(live):
        cls.remove(key, mask, 1)
    assert len(cls) == cls.memory() == 0
