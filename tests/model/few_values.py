"""Keys and masks of few values, so that rules collide and every stage, trie and shape of mask is met."""

from __future__ import annotations

import random

from fastpath._flow import FlowKey

# field -> (values, masks)
FIELDS = {
    "metadata": ([0, 1], [0xffffffffffffffff]),
    "in_port": ([0, 1, 2], [0xffffffff]),
    "dl_dst": ([0, 0x010000000000, 0x0a0000000001], [0xffffffffffff, 0x010000000000]),
    "nw_src": ([0, 0x0a000001, 0x0a000081, 0x0a010001, 0xc0a80001],
               [0xffffffff, 0xffffff80, 0xff000000, 0x80000000, 0x000000ff]),
    "nw_dst": ([0, 0x0a000001, 0x0a0000c1, 0xffffffff], [0xffffffff, 0xffffff00, 0xe0000000]),
    "nw_proto": ([6, 17], [0xff]),
    "ipv6_dst": ([1, 1 << 127, (1 << 127) + (1 << 64)], [(1 << 128) - 1, 1 << 127, (1 << 128) - (1 << 60)]),
    "tp_src": ([0, 1, 80, 0x8050], [0xffff, 0xfff0, 0x8000]),
    "tp_dst": ([0, 22, 80, 0xffff], [0xffff, 0xff00]),
    "ct_tp_dst": ([0, 5], [0xffff]),
    "tun_id": ([0, 7], [0xffffffffffffffff, 0xffffffffffff0000]),
}
TYPES = [0x0800, 0x86dd, 0x0806]


def some_key(rng: random.Random) -> FlowKey:
    """A key that rules of the same values may match."""
    return FlowKey(dl_type=rng.choice(TYPES),
                   **{name: rng.choice(values) for name, (values, _) in FIELDS.items()})
