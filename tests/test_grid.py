"""A table that was worked out answers as its subtables do, and goes back to these when it changes."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
import pytest
from model.few_values import FIELDS
from model.few_values import some_key as key_of_few_values
from model.linear import LinearClassifier
from model.prefixes import prefix, some_key

from fastpath._classifier import Classifier
from fastpath._flow import FlowKey

Keys = npt.NDArray[np.uint64]


def rows(keys: list[FlowKey]) -> Keys:
    return np.frombuffer(b"".join(map(bytes, keys)), np.uint64).reshape(len(keys), -1)


def worked_out(cls: Classifier[int], keys: Keys) -> bool:
    """Have *cls* worked out if it can be; return whether it was."""
    cls.patience = 0
    cls.lookup_many(keys)
    return cls.is_worked_out()


def access_list(rng: random.Random, n_rules: int) -> list[tuple[FlowKey, FlowKey, int]]:
    """Rules on networks, protocols and ports that overlap in every way, few of equal priority."""
    out = []
    for _ in range(n_rules):
        mask = FlowKey(dl_type=0xffff, nw_src=prefix(rng), nw_dst=prefix(rng), nw_proto=rng.choice([0, 0xff]),
                       nw_tos=rng.choice([0, 0, 0xfc, 0x24]), tp_src=rng.choice([0, 0, 0xffff]),
                       tp_dst=rng.choice([0, 0xffff, 0xff00, 0x0101]))
        out.append((some_key(rng), mask, rng.randrange(3 * n_rules)))
    return out


def same_as_linear(cls: Classifier[int], model: LinearClassifier, keys: list[FlowKey], version: int) -> None:
    ids = cls.lookup_many(rows(keys), version=version)
    masked, _ = cls.lookup_many(rows(keys), wc=True, version=version)
    assert (ids == masked).all()
    for key, obj in zip(keys, cls.objects(ids), strict=True):
        assert obj in (model.lookup(key, version) or [None])


@pytest.mark.parametrize("n_rules", [6, 40, 200])
def test_answers_are_those_of_a_linear_search(n_rules: int, more: int) -> None:
    for seed in range(4 * more):
        rng = random.Random(seed)
        cls: Classifier[int] = Classifier(seed=2)
        model = LinearClassifier()
        for number, (key, mask, priority) in enumerate(access_list(rng, n_rules)):
            if cls.find_exact(key, mask, priority) is None:
                cls.insert(key, mask, priority, number)
                model.insert(key, mask, priority, number, 0)
        keys = [some_key(rng) for _ in range(250)]
        assert worked_out(cls, rows(keys)) or n_rules > 100
        same_as_linear(cls, model, keys, 0)


def test_masks_of_any_bits_of_any_word(more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    for seed in range(10 * more):
        both: list[Classifier[int]] = []
        for plain in "01":
            monkeypatch.setenv("FASTPATH_PLAIN", plain)
            both.append(Classifier(seed=3))
        rng = random.Random(seed)
        names = rng.sample(sorted(FIELDS), 4)
        for number in range(rng.randrange(8, 40)):
            mask = FlowKey(**{name: rng.choice(FIELDS[name][1]) for name in rng.sample(names, 3)})
            key, priority = key_of_few_values(rng), rng.randrange(9)
            for cls in both:
                cls.replace(key, mask, priority, number)
        keys = rows([key_of_few_values(rng) for _ in range(300)])
        made += worked_out(both[0], keys)
        assert (both[0].lookup_many(keys) == both[1].lookup_many(keys)).all()
    assert made >= 5 * more


def test_a_change_is_seen_at_once_and_older_versions_stay() -> None:
    rng = random.Random(8)
    cls: Classifier[int] = Classifier(seed=2)
    model = LinearClassifier()
    rules = access_list(rng, 34)
    keys = [some_key(rng) for _ in range(150)]
    for number, (key, mask, priority) in enumerate(rules[:16]):
        if cls.replace(key, mask, priority, number) is None:
            model.insert(key, mask, priority, number, 0)
    for version, (key, mask, priority) in enumerate(rules[16:], 1):
        assert worked_out(cls, rows(keys))
        old = model.find_exact(key, mask, priority, version)
        if old is not None:
            model.end(old, version)
        model.insert(key, mask, priority, 1000 + version, version)
        cls.replace(key, mask, priority, 1000 + version, version)
        same_as_linear(cls, model, keys, version)
        same_as_linear(cls, model, keys, version - 1)
        assert worked_out(cls, rows(keys))
        gone = rng.choice([r for r in model.rules if r.visible(version)])
        assert cls.remove(gone.key, gone.mask, gone.priority, version + 1) == gone.obj
        model.end(gone, version + 1)
        same_as_linear(cls, model, keys, version)       # the grid knows rules of all versions
        same_as_linear(cls, model, keys, version + 1)
        if version % 3 == 0:
            cls.purge(version + 1)
            model.purge(version + 1)
            same_as_linear(cls, model, keys, version + 1)


def test_it_is_worked_out_after_many_lookups_and_not_after_a_change() -> None:
    rng = random.Random(5)
    cls: Classifier[int] = Classifier(seed=2)
    rules = access_list(rng, 20)
    for number, (key, mask, priority) in enumerate(rules):
        cls.replace(key, mask, priority, number)
    cls.patience = 10
    keys = rows([some_key(rng) for _ in range(len(cls) + 256)])
    for _ in range(9):
        cls.lookup_many(keys)
    assert not cls.is_worked_out()
    cls.lookup_many(keys, wc=True)              # which a grid does not serve
    assert not cls.is_worked_out()
    cls.lookup_many(keys)
    assert cls.is_worked_out()
    key, mask, priority = rules[0]
    cls.replace(key, mask, priority, 99)
    assert not cls.is_worked_out()


@pytest.mark.parametrize("why", ["conjunction", "too many values", "few masks"])
def test_a_table_that_cannot_have_one_answers_all_the_same(why: str) -> None:
    rng = random.Random(4)
    cls: Classifier[int] = Classifier(seed=2)
    for number, (key, mask, priority) in enumerate(access_list(rng, 3 if why == "few masks" else 40)):
        cls.replace(key, mask, priority, number)
    if why == "conjunction":
        cls.insert(FlowKey(in_port=3), FlowKey(in_port=0xffffffff), 1000, 0, conj=[(1, 0, 2)])
    if why == "too many values":
        for i in range(500):
            cls.replace(FlowKey(dl_src=rng.getrandbits(48), dl_dst=rng.getrandbits(48)),
                        FlowKey(dl_src=0xffffffffffff, dl_dst=0xffffffffffff), 1, i)
    keys = rows([some_key(rng) for _ in range(200)])
    before = cls.lookup_many(keys)
    assert not worked_out(cls, keys)
    assert (cls.lookup_many(keys) == before).all()
