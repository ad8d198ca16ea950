"""Un-wildcarding all subtables of a sieve at once takes the bits that asking one after the other takes."""

from __future__ import annotations

import random

import pytest
from model.prefixes import prefix, some_key, some_mask, twins

from fastpath._classifier import Classifier
from fastpath._flow import FlowKey

pytestmark = pytest.mark.usefixtures("unwildcard_form")


def already(rng: random.Random) -> FlowKey:
    """What tables before may have un-wildcarded: nothing, prefixes, or any bits."""
    kind = rng.randrange(4)
    if kind < 2:
        return FlowKey()
    if kind == 2:
        return FlowKey(nw_src=prefix(rng), nw_dst=prefix(rng))
    return FlowKey(nw_src=rng.getrandbits(32), nw_dst=rng.getrandbits(32) & rng.getrandbits(32))


def compare(rng: random.Random, n_masks: int, odd: bool, n_keys: int, patch: pytest.MonkeyPatch) -> None:
    both: list[Classifier[int]] = []
    for plain in "01":
        patch.setenv("FASTPATH_PLAIN", plain)
        both.append(Classifier(seed=5))
    twins(rng, n_masks, both)
    if odd:
        mask = some_mask(rng)
        mask.nw_src = rng.getrandbits(32) & ~1
        key, priority = some_key(rng), rng.randrange(60)
        for cls in both:
            cls.replace(key, mask, priority, -1)
    for cls in both:
        for _ in range(len(cls)):
            cls.lookup(FlowKey())               # until the sieve is there
    for _ in range(n_keys):
        key, before = some_key(rng), already(rng)
        masks = [before.copy(), before.copy()]
        assert both[0].lookup(key, masks[0]) == both[1].lookup(key, masks[1])
        assert masks[0] == masks[1]


@pytest.mark.parametrize("odd", [False, True], ids=["prefixes", "masks-that-are-none"])
@pytest.mark.parametrize("n_masks", [2, 5, 20, 150])
def test_the_bits_are_those_of_one_after_the_other(n_masks: int, odd: bool, more: int,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(more * (60 if n_masks < 10 else 12)):
        compare(random.Random(seed), n_masks, odd, 40, monkeypatch)


def wide(key: FlowKey) -> FlowKey:
    """The IPv4 addresses of *key* as the beginnings of IPv6 ones, at a place where they cross 32 bits."""
    out = FlowKey(dl_type=key.dl_type and 0x86dd, nw_proto=key.nw_proto, tp_dst=key.tp_dst)
    out.ipv6_src, out.ipv6_dst = key.nw_src << 84, key.nw_dst << 53
    return out


def wide_mask(rng: random.Random) -> FlowKey:
    mask = FlowKey(dl_type=0xffff, nw_proto=rng.choice([0, 0xff]), tp_dst=rng.choice([0, 0xffff]))
    for name, shift in (("ipv6_src", 84), ("ipv6_dst", 53)):
        length = prefix(rng).bit_count()
        if length:
            setattr(mask, name, (1 << 128) - (1 << (32 - length + shift)))
    return mask


def test_the_bits_of_addresses_of_128(more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(20 * more):
        rng = random.Random(seed)
        both: list[Classifier[int]] = []
        for plain in "01":
            monkeypatch.setenv("FASTPATH_PLAIN", plain)
            both.append(Classifier(prefixes=("ipv6_src", "ipv6_dst"), seed=5))
        masks = [wide_mask(rng) for _ in range(rng.randrange(2, 30))]
        for number in range(100):
            key, mask, priority = wide(some_key(rng)), rng.choice(masks), rng.randrange(60)
            for cls in both:
                cls.replace(key, mask, priority, number)
        for cls in both:
            for _ in range(len(cls)):
                cls.lookup(FlowKey())
        for _ in range(40):
            key = wide(some_key(rng))
            before = FlowKey()
            if rng.random() < .5:
                before = FlowKey(ipv6_src=rng.getrandbits(128), ipv6_dst=0xff << 120)
            got = [before.copy(), before.copy()]
            assert both[0].lookup(key, got[0]) == both[1].lookup(key, got[1])
            assert got[0] == got[1]


@pytest.mark.parametrize(("first", "second", "expected"), [(24, 8, 0xffffff00), (8, 24, 0xffffff00)])
def test_a_long_answer_of_a_trie(first: int, second: int, expected: int) -> None:
    """The trie knows by 24 bits that 10.1.3.0/24 has no rule.  The subtable of /8 would not take as many by
    itself, and is spared its protocol only behind that of /24, which does."""
    cls: Classifier[int] = Classifier(prefixes=("nw_src",), seed=1)
    for priority, length in ((2, first), (1, second)):
        mask = FlowKey(nw_src=0xffffffff << (32 - length) & 0xffffffff, nw_proto=0xff)
        cls.insert(FlowKey(nw_src=0x0a010200 if length == 24 else 0x30000000), mask, priority, length)
    for _ in range(3):
        wc = FlowKey()
        assert cls.lookup(FlowKey(dl_type=0x0800, nw_src=0x0a010300), wc) is None
    assert wc.nw_src == expected
    assert wc.nw_proto == (0 if first == 24 else 0xff)
