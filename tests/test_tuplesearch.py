"""The search that shares hashes and folds between subtables tells what one without such means tells."""

from __future__ import annotations

import random

import numpy as np
import pytest
from model.few_values import FIELDS, some_key

from fastpath._classifier import Classifier
from fastpath._flow import FlowKey


def some_table(rng: random.Random, n_masks: int, plain: bool, patch: pytest.MonkeyPatch) -> Classifier[int]:
    """*n_masks* masks of any words, few rules each; the same for the same *rng*, be it *plain* or not."""
    patch.setenv("FASTPATH_PLAIN", str(int(plain)))
    cls: Classifier[int] = Classifier(prefixes=("nw_dst", "nw_src", "tun_id", "ipv6_dst"), seed=4)
    for number in range(n_masks):
        names = rng.sample(sorted(FIELDS), rng.randrange(1, 7))
        mask = FlowKey(**{name: rng.choice(FIELDS[name][1]) for name in names})
        if rng.random() < 0.3:
            holes = rng.randbytes(len(bytes(mask)))
            mask = FlowKey.from_bytes(bytes(m & n for m, n in zip(bytes(mask), holes, strict=True)))
        for _ in range(rng.randrange(1, 4)):
            cls.replace(some_key(rng), mask, rng.randrange(40), number)
    return cls


@pytest.mark.parametrize("n_masks", [1, 9, 60, 900])      # 900: more than a lookup shares words and folds of
def test_the_plain_twin_tells_the_same(n_masks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(6):
        fast, plain = (some_table(random.Random(seed), n_masks, way, monkeypatch) for way in (False, True))
        rng = random.Random(seed + 100)
        array = np.frombuffer(b"".join(bytes(some_key(rng)) for _ in range(200)), np.uint64).reshape(200, -1)
        ids, found_masks = fast.lookup_many(array, wc=True)
        plain_ids, plain_masks = plain.lookup_many(array, wc=True)
        assert (ids == plain_ids).all() and (found_masks == plain_masks).all()
        assert (fast.lookup_many(array) == ids).all() and (plain.lookup_many(array) == ids).all()


def test_a_max_priority_noted_in_place_keeps_the_order() -> None:
    cls: Classifier[str] = Classifier(seed=1)
    masks = [FlowKey(nw_src=0xffffffff), FlowKey(tp_src=0xffff), FlowKey(in_port=0xffffffff)]
    for i, mask in enumerate(masks):
        cls.insert(FlowKey(), mask, 10 * i, f"low {i}")
    for priority in range(21, 40):          # the first in line already: no entry moves
        cls.insert(FlowKey(in_port=priority), masks[2], priority, "up")
        cls.insert(FlowKey(tp_src=priority), masks[1], priority - 20, "between")
        assert cls.lookup(FlowKey(in_port=priority, tp_src=priority)) == "up"
        assert cls.lookup(FlowKey(in_port=1, nw_src=1, tp_src=priority)) == "between"
        ordered = [(mask, top) for mask, top, _ in cls.subtables_info()]
        assert ordered == [(masks[2], priority), (masks[1], max(10, priority - 20)), (masks[0], 0)]
