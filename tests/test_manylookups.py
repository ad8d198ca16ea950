"""Lookups that go together find the rules and un-wildcard the bits that each finds by itself."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model.prefixes import address, prefix

from fastpath._classifier import Classifier
from fastpath._flow import FlowKey

Rule = tuple[FlowKey, FlowKey, int, int]
EXACT = {"in_port": 0xffffffff, "dl_src": 0xffffffffffff, "dl_dst": 0xffffffffffff, "nw_proto": 0xff,
         "tp_src": 0xffff, "tp_dst": 0xffff}
PREFIXES = (("nw_dst", "nw_src"), ("nw_dst", "nw_src"), ("tun_dst", "nw_src", "nw_dst", "tun_src"),
            ("nw_src",), ())
ID = 9                          # of a conjunction


pytestmark = pytest.mark.usefixtures("unwildcard_form")


def any_address(rng: random.Random) -> int:
    return address(rng) if rng.random() < .5 else rng.getrandbits(32)


def any_key(rng: random.Random, n_values: int) -> FlowKey:
    """Fields of so many values each, but for addresses, which have any."""
    exact = {name: rng.randrange(n_values) & ones for name, ones in EXACT.items()}
    return FlowKey(dl_type=rng.choice([0x0800, 0x0800, 0x0800, 0x0806]), nw_src=any_address(rng),
                   nw_dst=any_address(rng), tun_src=any_address(rng), tun_dst=any_address(rng), **exact)


def any_mask(rng: random.Random) -> FlowKey:
    exact = {name: ones for name, ones in EXACT.items() if rng.random() < .3}
    tunnel = {name: prefix(rng) for name in ("tun_src", "tun_dst") if rng.random() < .1}
    return FlowKey(dl_type=0xffff, nw_src=prefix(rng), nw_dst=prefix(rng), **exact, **tunnel)


class Twins:
    """A table and its plain twin, with keys that they may be asked for."""

    def __init__(self, rng: random.Random, n_masks: int, n_values: int) -> None:
        self.rng, self.n_values = rng, n_values
        self.masks = [any_mask(rng) for _ in range(n_masks)]
        self.rules: list[Rule] = []
        prefixes = rng.choice(PREFIXES)
        with pytest.MonkeyPatch.context() as patch:
            self.both: list[Classifier[int]] = []
            for plain in "01":
                patch.setenv("FASTPATH_PLAIN", plain)
                self.both.append(Classifier(prefixes=prefixes, seed=7))
        for _ in range(3 * n_masks):
            self.add()

    def add(self) -> None:
        key, mask = any_key(self.rng, self.n_values), self.rng.choice(self.masks)
        rule = key, mask, self.rng.randrange(-2, 60), self.rng.randrange(1 << 20)
        self.rules.append(rule)
        for cls in self.both:
            cls.replace(*rule)

    def add_parts(self) -> None:
        """Two clauses of a conjunction, of a rule's key, and the rule that it stands for."""
        key, _, _, number = self.rng.choice(self.rules)
        for cls in self.both:
            for clause, mask in enumerate((FlowKey(nw_src=0xffffffff), FlowKey(tp_dst=0xffff))):
                cls.replace(key, mask, 60, number, conj=[(ID, clause, 2)])
            cls.replace(FlowKey(conj_id=ID), FlowKey(conj_id=0xffffffff), 60, number)

    def remove(self) -> None:
        key, mask, priority, _ = self.rules.pop(self.rng.randrange(len(self.rules)))
        for cls in self.both:
            if cls.find_exact(key, mask, priority) is not None:
                cls.remove(key, mask, priority)

    def keys(self, n: int) -> npt.NDArray[np.uint64]:
        rng = self.rng
        some = [rng.choice(self.rules)[0] if self.rules and rng.random() < .5 else any_key(rng, self.n_values)
                for _ in range(n)]
        return np.frombuffer(b"".join(map(bytes, some)), np.uint64).reshape(n, -1)

    def compare(self, n: int) -> None:
        keys = self.keys(n)
        ids, masks = self.both[0].lookup_many(keys, wc=True)
        plain_ids, plain_masks = self.both[1].lookup_many(keys, wc=True)
        assert ids.tolist() == plain_ids.tolist()
        for key, row, mask, plain_mask in zip(keys, ids, masks, plain_masks, strict=True):
            alone = FlowKey()
            found = self.both[0].lookup(FlowKey.from_bytes(key.tobytes()), alone)
            assert found == self.both[0].rule_of(row)
            assert bytes(alone) == mask.tobytes() == plain_mask.tobytes()


@given(seed=st.integers(0, 1 << 32), n_masks=st.integers(1, 70),
       n_values=st.sampled_from([2, 5, 40, 1 << 16]),
       steps=st.lists(st.sampled_from(["add", "remove", "add_parts", "look", "look"]), max_size=12))
def test_together_and_alone(seed: int, n_masks: int, n_values: int, steps: list[str]) -> None:
    rng = random.Random(seed)
    table = Twins(rng, n_masks, n_values)
    table.compare(100)
    for step in steps:
        if step == "look":
            table.compare(rng.randrange(1, 70))
        elif step == "add" or table.rules:
            getattr(table, step)()
    table.compare(64)


@given(seed=st.integers(0, 1 << 32), version=st.integers(0, 4))
def test_each_version_by_itself(seed: int, version: int) -> None:
    rng = random.Random(seed)
    table = Twins(rng, 12, 1 << 16)
    for later in range(1, 4):
        for key, mask, priority, _ in rng.sample(table.rules, 6):
            for cls in table.both:
                if cls.find_exact(key, mask, priority) is not None:
                    cls.remove(key, mask, priority, later)
    for _ in range(2):
        keys = table.keys(48)
        ids, masks = table.both[0].lookup_many(keys, wc=True, version=version)
        plain_ids, plain_masks = table.both[1].lookup_many(keys, wc=True, version=version)
        assert ids.tolist() == plain_ids.tolist() and (masks == plain_masks).all()


def test_masks_of_earlier_calls_are_forgotten() -> None:
    table = Twins(random.Random(3), 10, 1 << 16)
    table.compare(100)
    keys = table.keys(40)
    _, expected = table.both[0].lookup_many(keys, wc=True)
    again = np.full_like(keys, 0x5555)
    table.both[0].lookup_many(keys, wc=again)
    assert (again == expected).all()
