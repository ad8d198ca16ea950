"""The classifier equals a linear search, and its masks cover every packet they let through."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from model.few_values import FIELDS, TYPES
from model.linear import NEVER, LinearClassifier

from fastpath._classifier import DEFAULT_PREFIXES, PREFIX_FIELDS, VERSION_MAX, Classifier
from fastpath._flow import FlowKey

LATEST = VERSION_MAX

@st.composite
def keys(draw: st.DrawFn) -> FlowKey:
    return FlowKey(dl_type=draw(st.sampled_from(TYPES)),
                   **{name: draw(st.sampled_from(values)) for name, (values, _) in FIELDS.items()})


@st.composite
def masks(draw: st.DrawFn) -> FlowKey:
    names = draw(st.sets(st.sampled_from(sorted(FIELDS)), max_size=3))
    mask = FlowKey(**{name: draw(st.sampled_from(FIELDS[name][1])) for name in sorted(names)})
    if draw(st.booleans()):
        mask.dl_type = 0xffff
    return mask


priorities = st.integers(0, 3)


def flipped_outside(key: FlowKey, wc: FlowKey, rng: random.Random) -> FlowKey:
    """*key* with random bits where *wc* has none."""
    noise = rng.randbytes(len(bytes(key)))
    return FlowKey.from_bytes(bytes(k ^ (n & ~w & 0xff)
                                    for k, n, w in zip(bytes(key), noise, bytes(wc), strict=True)))


def check_sound(cls: Classifier[object], key: FlowKey, rng: random.Random, version: int = LATEST) -> None:
    """What a lookup un-wildcards decides it: the same answer for any packet that agrees there."""
    wc = FlowKey()
    found = cls.lookup(key, wc, version)
    assert found is cls.lookup(key, None, version)
    for _ in range(3):
        assert cls.lookup(flipped_outside(key, wc, rng), None, version) is found


class AgainstLinear(RuleBasedStateMachine):
    """Inserts, replacements, removals, in versions and at once: always the answers of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.model = LinearClassifier()
        self.version = 1
        self.oldest = 1
        self.n = 0
        self.rng = random.Random(1)

    @initialize(prefixes=st.sampled_from([DEFAULT_PREFIXES, (), PREFIX_FIELDS[:8],
                                          ("nw_src", "ipv6_dst", "tun_id")]),
                seed=st.integers(0, 2 ** 64 - 1))
    def make(self, prefixes: tuple[str, ...], seed: int) -> None:
        self.cls: Classifier[object] = Classifier(prefixes=prefixes, seed=seed)

    def known(self, data: st.DataObject) -> tuple[FlowKey, FlowKey, int]:
        """Mostly a rule that is there, else any."""
        known: bool = data.draw(st.booleans())
        if known and self.model.rules:
            r = self.model.rules[data.draw(st.integers(0, len(self.model.rules) - 1))]
            return r.key, r.mask, r.priority
        return data.draw(keys()), data.draw(masks()), data.draw(priorities)

    @rule(key=keys(), mask=masks(), priority=priorities)
    def insert(self, key: FlowKey, mask: FlowKey, priority: int) -> None:
        self.n += 1
        if self.model.find_exact(key, mask, priority, LATEST):
            with pytest.raises(ValueError, match="is there"):
                self.cls.insert(key, mask, priority, self.n, self.version)
        else:
            self.cls.insert(key, mask, priority, self.n, self.version)
            self.model.insert(key, mask, priority, self.n, self.version)

    @rule(data=st.data(), at_once=st.booleans())
    def replace(self, data: st.DataObject, at_once: bool) -> None:
        key, mask, priority = self.known(data)
        self.n += 1
        version = None if at_once else self.version
        old = self.model.find_exact(key, mask, priority, LATEST)
        assert self.cls.replace(key, mask, priority, self.n, version) == (old.obj if old else None)
        if at_once and old:
            old.obj = self.n
            return
        if old:
            self.model.end(old, version)
        self.model.insert(key, mask, priority, self.n, 0 if at_once else self.version)

    @rule(data=st.data(), at_once=st.booleans())
    def remove(self, data: st.DataObject, at_once: bool) -> None:
        key, mask, priority = self.known(data)
        version = None if at_once else self.version
        old = self.model.find_exact(key, mask, priority, LATEST)
        assert self.cls.remove(key, mask, priority, version) == (old.obj if old else None)
        if old:
            self.model.end(old, version)

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """A removal in the version that is being made may be undone, if nobody took the place."""
        gone = [r for r in self.model.rules if r.removed == self.version]
        if not gone:
            return
        r = gone[data.draw(st.integers(0, len(gone) - 1))]
        if self.model.find_exact(r.key, r.mask, r.priority, LATEST):
            with pytest.raises(ValueError, match="waits to be removed"):
                self.cls.restore(r.key, r.mask, r.priority, r.obj, self.version)
        else:
            self.cls.restore(r.key, r.mask, r.priority, r.obj, self.version)
            r.removed = NEVER

    @rule()
    def next_version(self) -> None:
        self.version += 1

    @rule(data=st.data())
    def purge(self, data: st.DataObject) -> None:
        self.oldest = data.draw(st.integers(self.oldest, self.version))
        before = len(self.model.rules)
        self.model.purge(self.oldest)
        assert self.cls.purge(self.oldest) == before - len(self.model.rules)

    @rule(data=st.data())
    def queries(self, data: st.DataObject) -> None:
        key, mask, priority = self.known(data)
        version = data.draw(st.integers(self.oldest, self.version))
        exact = self.model.find_exact(key, mask, priority, version)
        assert self.cls.find_exact(key, mask, priority, version) == (exact.obj if exact else None)
        overlapping = self.model.overlapping(key, mask, priority, version)
        found = self.cls.overlaps(key, mask, priority, version)
        assert found in overlapping if overlapping else found is None
        assert set(self.cls.within(key, mask, version)) == set(self.model.within(key, mask, version))

    @rule(key=keys(), data=st.data())
    def lookup(self, key: FlowKey, data: st.DataObject) -> None:
        version = data.draw(st.integers(self.oldest, self.version))
        expected = self.model.lookup(key, version)
        found = self.cls.lookup(key, None, version)
        assert found in expected if expected else found is None
        check_sound(self.cls, key, self.rng, version)

    @invariant()
    def same_rules(self) -> None:
        live = [r for r in self.model.rules if r.removed == NEVER]
        assert len(self.cls) == len(live)
        assert set(self.cls) == {(r.key, r.mask, r.priority, r.obj) for r in live}


TestAgainstLinear = AgainstLinear.TestCase
TestAgainstLinear.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_every_key_of_a_toy_header() -> None:
    """All 2^8 packets over 8 bits, against the model and the mask's whole equivalence class."""
    rng = random.Random(5)

    def toy(bits: int) -> FlowKey:
        return FlowKey(dl_type=0x0800, nw_src=(bits & 7) << 29, nw_dst=(bits >> 3 & 3) << 30,
                       tp_src=(bits >> 5 & 1) << 15, tp_dst=(bits >> 6 & 1), in_port=bits >> 7)

    prefix = [0, 4, 6, 7]
    for _ in range(12):
        cls: Classifier[int] = Classifier(seed=rng.getrandbits(32))
        model = LinearClassifier()
        for i in range(rng.randrange(1, 14)):
            mask = toy(rng.choice(prefix) | rng.choice([0, 2, 3]) << 3 | rng.getrandbits(3) << 5)
            mask.dl_type = 0
            key, priority = toy(rng.getrandbits(8)), rng.randrange(4)
            if cls.find_exact(key, mask, priority) is None:
                cls.insert(key, mask, priority, i)
                model.insert(key, mask, priority, i, 0)
        answers = []
        for bits in range(256):
            wc = FlowKey()
            found = cls.lookup(toy(bits), wc)
            expected = model.lookup(toy(bits), 0)
            assert found in expected if expected else found is None
            answers.append((toy(bits), wc, found))
        for (key, wc, found), (other, _, other_found) in itertools.product(answers, repeat=2):
            if other.matches(key, wc):
                assert found == other_found


def test_an_empty_classifier_un_wildcards_nothing() -> None:
    wc = FlowKey()
    assert Classifier(seed=1).lookup(FlowKey(nw_src=1, dl_type=0x0800), wc) is None
    assert wc.is_zero()


def test_first_of_equal_priority_wins_and_order_follows_priority() -> None:
    cls: Classifier[str] = Classifier(seed=1)
    cls.insert(FlowKey(nw_src=1), FlowKey(nw_src=0xffffffff), 5, "a")
    cls.insert(FlowKey(tp_src=1), FlowKey(tp_src=0xffff), 5, "b")
    key = FlowKey(dl_type=0x0800, nw_src=1, tp_src=1)
    assert cls.lookup(key) == "a"
    cls.insert(FlowKey(tp_src=2), FlowKey(tp_src=0xffff), 9, "c")       # b's subtable comes first now
    assert cls.lookup(key) == "b"
    assert cls.values() == ["b", "c", "a"]
    cls.remove(FlowKey(tp_src=2), FlowKey(tp_src=0xffff), 9)            # and stays first among equals
    assert cls.lookup(key) == "b"


def test_versions_see_what_they_should() -> None:
    cls: Classifier[str] = Classifier(seed=1)
    key, mask = FlowKey(in_port=1), FlowKey(in_port=0xffffffff)
    cls.insert(key, mask, 1, "one", version=2)
    assert cls.replace(key, mask, 1, "two", version=3) == "one"
    assert cls.remove(key, mask, 1, version=5) == "two"
    assert [cls.lookup(key, None, v) for v in range(1, 6)] == [None, "one", "two", "two", None]
    assert len(cls) == 0 and list(cls) == []
    assert cls.purge(3) == 1 and cls.lookup(key, None, 4) == "two"
    assert cls.purge(5) == 1 and cls.subtables_info() == []


# Parts of (id, clause); a rule has one part of an id at most, as the reference assumes.
conj_parts = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 1)), max_size=2,
                      unique_by=lambda part: part[0])
conj_rules = st.lists(st.tuples(keys(), masks(), priorities, conj_parts), max_size=14)


@given(rules=conj_rules, ids=st.lists(st.tuples(st.integers(1, 3), priorities), max_size=3),
       probes=st.lists(keys(), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_conjunctions(rules: list[tuple[FlowKey, FlowKey, int, list[tuple[int, int]]]],
                      ids: list[tuple[int, int]], probes: list[FlowKey]) -> None:
    """A conjunction is met where one part of each clause matches at one priority, the highest there."""
    cls: Classifier[object] = Classifier(seed=7)
    model: list[tuple[FlowKey, FlowKey, int, list[tuple[int, int]], object]] = []
    for i, (key, mask, priority, parts) in enumerate(rules):
        if cls.find_exact(key, mask, priority) is None:
            cls.insert(key, mask, priority, i, conj=[(ident, clause, 2) for ident, clause in parts])
            model.append((key.masked(mask), mask, priority, parts, i))
    for ident, priority in ids:
        key, mask = FlowKey(conj_id=ident), FlowKey(conj_id=0xffffffff)
        if cls.find_exact(key, mask, priority) is None:
            cls.insert(key, mask, priority, ("conj", ident, priority))
            model.append((key, mask, priority, [], ("conj", ident, priority)))
    for probe in probes:
        expected = conjunctive_answers(model, probe)
        assert cls.lookup(probe) in (expected or [None])
        check_sound(cls, probe, random.Random(3))


def hidden(model: list[tuple[FlowKey, FlowKey, int, list[tuple[int, int]], object]],
           rule: tuple[FlowKey, FlowKey, int, list[tuple[int, int]], object]) -> bool:
    """Whether a part of a conjunction has the same match at a higher priority: the lookup that follows a
    met conjunction does not look below such a part, in the reference neither."""
    return any(r[3] and r[:2] == rule[:2] and r[2] > rule[2] for r in model)


def conjunctive_answers(model: list[tuple[FlowKey, FlowKey, int, list[tuple[int, int]], object]],
                        key: FlowKey) -> list[object]:
    """All right answers: from the highest priority down, an ordinary rule, or a met conjunction whose
    id then finds an ordinary rule of any priority that is not hidden."""
    hits = [r for r in model if key.matches(r[0], r[1])]
    for priority in sorted({r[2] for r in hits}, reverse=True):
        here = [r for r in hits if r[2] == priority]
        plain = [r[4] for r in here if not r[3]]
        if plain:
            return plain
        clauses = {part for r in here for part in r[3]}
        answers = []
        for ident in {ident for ident, _ in clauses if {(ident, 0), (ident, 1)} <= clauses}:
            with_id = key.copy()
            with_id.conj_id = ident
            again = [r for r in model if not r[3] and with_id.matches(r[0], r[1]) and not hidden(model, r)]
            best = max((r[2] for r in again), default=None)
            answers += [r[4] for r in again if r[2] == best]
        if answers:
            return answers
    return []


def test_lookup_many_is_many_lookups() -> None:
    rng = random.Random(2)
    cls: Classifier[int] = Classifier(seed=1)
    for i in range(200):
        mask = FlowKey(nw_src=rng.choice([0xffffffff, 0xffff0000]), in_port=rng.choice([0, 0xffffffff]))
        cls.replace(FlowKey(nw_src=rng.getrandbits(2) << 16 | rng.getrandbits(2), in_port=rng.getrandbits(1)),
                    mask, rng.randrange(9), i)
    probes = [FlowKey(dl_type=0x0800, nw_src=rng.getrandbits(3) << 16 | rng.getrandbits(3),
                      in_port=rng.getrandbits(2)) for _ in range(100)]
    array = np.frombuffer(b"".join(map(bytes, probes)), np.uint64).reshape(100, -1)
    ids, found_masks = cls.lookup_many(array, wc=True)
    assert (cls.lookup_many(array) == ids).all()
    assert (cls.lookup_many(array.view([("w", np.uint64, array.shape[1])])) == ids).all()
    for key, ident, row in zip(probes, ids, found_masks, strict=True):
        wc = FlowKey()
        assert cls.rule_of(ident) == cls.lookup(key, wc)
        assert row.tobytes() == bytes(wc)
    assert {-1} < set(ids.tolist())
    again = np.full_like(array, 7)
    assert cls.lookup_many(array, wc=again)[1] is again and (again == found_masks).all()
    with pytest.raises(ValueError, match="masks of 664 bytes"):
        cls.lookup_many(array, wc=again[:1])
    assert cls.lookup_many(array[:0]).shape == (0,)
    with pytest.raises(ValueError, match="rows of 656 bytes"):
        cls.lookup_many(np.ascontiguousarray(array[:, 1:]))
    with pytest.raises(ValueError, match="rows of 656 bytes"):
        cls.lookup_many(array[:, 1:])
    for step in (3, -1):
        assert (cls.lookup_many(array[::step]) == ids[::step]).all()
    assert (cls.lookup_many(np.asfortranarray(array)) == ids).all()
    for wrong in (array.astype(float), array.astype(">u8"), array.astype(object), list(array), None):
        with pytest.raises(TypeError, match="expected "):
            cls.lookup_many(wrong)                                  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="masks: an array of <f8"):
        cls.lookup_many(array, wc=np.zeros(array.shape))
    assert Classifier[int] is not None                              # as annotations have it


def test_arguments_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="'tp_src' has no prefix trie"):
        Classifier(prefixes=("tp_src",))
    with pytest.raises(ValueError, match="clause 2 of 2"):
        cls: Classifier[str] = Classifier()
        cls.insert(FlowKey(), FlowKey(), 1, "x", conj=[(1, 2, 2)])
    with pytest.raises(TypeError):
        cls.lookup(None)  # type: ignore[arg-type]
    assert len(cls) == 0 and cls.lookup(FlowKey()) is None
