"""Signature cache: whatever happens to the table, the cache answers what the table answers."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath._flow import FlowKey
from fastpath._megaflow import MegaflowTable
from fastpath._sigcache import SignatureCache

ALL32 = 0xFFFFFFFF
# Disjoint by construction, as translation makes them: nw_proto chooses the mask.  The other fields are not
# hashed, so what decides is the comparison; ct_mark lies beyond the line.
MASKS = [FlowKey(nw_proto=0xFF, nw_ttl=0xFF), FlowKey(nw_proto=0xFF, nw_tos=0xFF),
         FlowKey(nw_proto=0xFF, nw_ttl=0xF0, tcp_flags=0xFFF, ct_mark=ALL32),
         FlowKey(nw_proto=0xFF, ct_mark=ALL32)]


def key_of(proto: int, number: int, noise: int, port: int) -> FlowKey:
    return FlowKey(in_port=port, nw_proto=proto, nw_ttl=number << 4 if proto == 2 else number,
                   nw_tos=number if proto == 1 else noise, tcp_flags=number if proto == 2 else noise,
                   ct_mark=number & 1 if proto > 1 else 0)


steps = st.lists(st.tuples(st.sampled_from(["packet", "packet", "packet", "put", "delete"]),
                           st.integers(0, 3), st.integers(0, 5), st.integers(0, 3),
                           st.integers(1, 2), st.integers(0, 2)),
                 max_size=120)


@given(steps)
@settings(max_examples=200, deadline=None)
def test_cache_answers_what_the_table_answers(steps: list[tuple[str, int, int, int, int, int]]) -> None:
    table = MegaflowTable(seed=5)
    cache = SignatureCache(table, max_buckets=1)        # everything collides, records are reused
    for what, proto, number, noise, port, packet_hash in steps:
        key = key_of(proto, number, noise, port)
        handle = table.find(key)
        if what == "packet":
            plain = key.ct_mark == 0 and packet_hash != 1
            assert cache.find(key, 0 if plain else packet_hash, plain=plain)[0] == handle
        elif what == "put" and handle is None:
            table.put(key, MASKS[proto], b"")
        elif what == "delete" and handle is not None:
            table.delete([handle])


def test_what_the_table_answered_once_the_cache_answers_next() -> None:
    table = MegaflowTable(seed=5)
    cache = SignatureCache(table)
    handle = table.put(key_of(1, 7, 0, 1), MASKS[1], b"")
    assert cache.find(key_of(1, 7, 3, 1), 99) == (handle, False)
    assert cache.find(key_of(1, 7, 3, 1), 99) == (handle, True)
    assert cache.find(key_of(1, 7, 3, 2), 99) == (None, False)


def test_a_deleted_flow_is_not_answered_even_when_its_record_serves_another() -> None:
    table = MegaflowTable(seed=5)
    cache = SignatureCache(table)
    first = table.put(key_of(1, 7, 0, 1), MASKS[1], b"")
    cache.find(key_of(1, 7, 0, 1), 99)
    table.delete([first])
    second = table.put(key_of(1, 8, 0, 1), MASKS[1], b"")
    assert first & ALL32 == second & ALL32, "the record was not reused: the test tests nothing"
    assert cache.find(key_of(1, 7, 0, 1), 99) == (None, False)
    assert cache.find(key_of(1, 8, 0, 1), 99) == (second, True)     # the hint is good for the new flow


def test_a_cache_that_keeps_evicting_grows_until_it_holds_its_flows() -> None:
    table = MegaflowTable(seed=5)
    cache = SignatureCache(table, max_buckets=4096)
    table.put(key_of(1, 7, 0, 1), MASKS[1], b"")
    rng = random.Random(5)
    hashes = [rng.randrange(1, 2**32) for _ in range(8000)]
    small = cache.n_buckets
    for _ in range(30):
        known = sum(cache.find(key_of(1, 7, 0, 1), h)[1] for h in hashes)
    assert cache.n_buckets > small
    assert known > 7800
