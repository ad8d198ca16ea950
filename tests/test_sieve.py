"""The sieve lets through what can match, whatever came and went since it was made."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
import pytest
from model.prefixes import some_key, twins

from fastpath._classifier import Classifier
from fastpath._flow import FlowKey


def pair(patch: pytest.MonkeyPatch) -> list[Classifier[int]]:
    """A classifier with sieves, and its plain twin."""
    out: list[Classifier[int]] = []
    for plain in "01":
        patch.setenv("FASTPATH_PLAIN", plain)
        out.append(Classifier(seed=9))
    return out


def some_keys(rng: random.Random, n: int) -> npt.NDArray[np.uint64]:
    return np.frombuffer(b"".join(bytes(some_key(rng)) for _ in range(n)), np.uint64).reshape(n, -1)


def same_answers(fast: Classifier[int], plain: Classifier[int], keys: npt.NDArray[np.uint64]) -> None:
    ids, masks = fast.lookup_many(keys, wc=True)
    plain_ids, plain_masks = plain.lookup_many(keys, wc=True)
    assert (ids == plain_ids).all() and (fast.lookup_many(keys) == ids).all()
    assert (masks == plain_masks).all()


@pytest.mark.parametrize("n_masks", [3, 40, 64, 65, 200])
def test_rules_that_come_and_go_are_known_to_it(n_masks: int, more: int,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(2 * more):
        rng = random.Random(seed)
        fast, plain = pair(monkeypatch)
        masks = twins(rng, n_masks, [fast, plain])
        for _ in range(12):
            same_answers(fast, plain, some_keys(rng, 60))
            there = list(fast)
            for number in range(rng.randrange(20)):
                if rng.random() < .5 and there:
                    key, mask, priority, _ = there.pop(rng.randrange(len(there)))
                    assert fast.remove(key, mask, priority) == plain.remove(key, mask, priority)
                else:
                    # Below most priorities, so that most arrays, and with them their sieves, stay.
                    key, mask, priority = some_key(rng), rng.choice(masks), rng.randrange(rng.choice([3, 60]))
                    assert (fast.replace(key, mask, priority, number)
                            == plain.replace(key, mask, priority, number))


def test_a_table_that_grows_gets_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    fast, plain = pair(monkeypatch)
    rng = random.Random(3)
    masks = twins(rng, 30, [fast, plain])
    for _ in range(6):
        same_answers(fast, plain, some_keys(rng, 300))
        for number in range(2 * len(fast)):
            key, mask = some_key(rng), rng.choice(masks)
            for cls in (fast, plain):
                cls.replace(key, mask, 1, number)


def test_it_is_made_after_some_lookups_and_goes_when_a_mask_comes() -> None:
    cls: Classifier[int] = Classifier(seed=1)
    twins(random.Random(1), 20, [cls])
    bare = cls.memory()
    for _ in range(len(cls) // 4 - 1):
        cls.lookup(FlowKey())
    assert cls.memory() == bare
    cls.lookup(FlowKey())
    assert cls.memory() > bare
    cls.insert(FlowKey(), FlowKey(recirc_id=1), 100, 0)
    with_mask = cls.memory()
    assert bare < with_mask < bare + 1000
    cls.lookup_many(np.zeros((len(cls), len(bytes(FlowKey())) // 8), np.uint64))
    assert cls.memory() > with_mask + 1000


def test_a_value_that_no_rule_had_is_found_when_it_comes() -> None:
    """A rule added to a subtable is found though every filter had been made without its values."""
    cls: Classifier[int] = Classifier(seed=1)
    masks = [FlowKey(dl_dst=0xffffffffffff, nw_src=0xffffffff << i & 0xffffffff) for i in range(1, 30)]
    for i, mask in enumerate(masks):
        for number in range(20):
            cls.insert(FlowKey(dl_dst=1000 * i + number, nw_src=number << 24), mask, 5, number)
    missing = [FlowKey(dl_dst=1000 * i + 500, nw_src=77 << 24) for i in range(len(masks))]
    for _ in range(len(cls)):
        assert cls.lookup(missing[0]) is None
    for i, (key, mask) in enumerate(zip(missing, masks, strict=True)):
        assert cls.lookup(key) is None
        cls.insert(key, mask, 5, -i)
        assert cls.lookup(key) == -i
        assert cls.remove(key, mask, 5) == -i
        assert cls.lookup(key) is None
