"""Tables of prefixes that nest, as access lists have them: keys share some bits with many."""

from __future__ import annotations

import random

from fastpath._classifier import Classifier
from fastpath._flow import FlowKey

HOSTS = [0x0a000001, 0x0a000002, 0x0a0000ff, 0x0a00ff01, 0x0aff0001, 0x0b000001, 0xc0a80101, 0xc0a80201]


def address(rng: random.Random) -> int:
    """One of few hosts, or one that leaves its network at some bit."""
    host = rng.choice(HOSTS)
    return host if rng.random() < .4 else host ^ 1 << rng.randrange(32)


def some_key(rng: random.Random) -> FlowKey:
    return FlowKey(in_port=rng.randrange(3), dl_type=rng.choice([0x0800, 0x0800, 0x0800, 0x0806]),
                   dl_dst=rng.randrange(40), nw_src=address(rng), nw_dst=address(rng),
                   nw_proto=rng.choice([6, 17]), tp_src=rng.randrange(50), tp_dst=rng.getrandbits(16))


def prefix(rng: random.Random) -> int:
    return 0xffffffff << (32 - rng.choice([0, 0, 1, 4, 7, 8, 9, 15, 16, 20, 24, 30, 32])) & 0xffffffff


def some_mask(rng: random.Random) -> FlowKey:
    mask = FlowKey(dl_type=0xffff, nw_src=prefix(rng), nw_dst=prefix(rng))
    for name, bits in (("in_port", 0xffffffff), ("dl_dst", 0xffffffffffff), ("nw_proto", 0xff),
                       ("tp_src", 0xffff), ("tp_dst", rng.choice([0xffff, 0xff00, 0x8000]))):
        if rng.random() < .3:
            mask = FlowKey.from_bytes(bytes(a | b for a, b in zip(
                bytes(mask), bytes(FlowKey(**{name: bits})), strict=True)))
    return mask


def twins(rng: random.Random, n_masks: int, classifiers: list[Classifier[int]]) -> list[FlowKey]:
    """Fill all *classifiers* with the same rules under *n_masks* masks, which are returned."""
    masks = [some_mask(rng) for _ in range(n_masks)]
    for number in range(4 * n_masks):
        key, mask, priority = some_key(rng), rng.choice(masks), rng.randrange(60)
        for cls in classifiers:
            cls.replace(key, mask, priority, number)
    return masks
