"""Megaflow table: equal to a linear search under puts and deletes, disjoint, capped."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fastpath import _megaflow
from fastpath._flow import FlowKey
from fastpath._megaflow import MegaflowTable
from fastpath.errors import ExistsError, NotFoundError, TableFull

ALL32 = 0xFFFFFFFF
BITS = {"nw_src": [0, 0xFF000000, 0xFFFFFF00, ALL32], "tp_dst": [0, 0xFF00, 0xFFFF], "nw_proto": [0, 0xFF],
        "ipv6_src": [0, 1 << 127, 3], "dl_dst": [0, 0xFFFFFFFFFFFF], "tun_id": [0, 0xF], "ct_mark": [0, 1],
        "nd_target": [0, 7], "mpls_lse0": [0, 0xFFFFF000], "ct_label": [0, 5]}
VALUES = {"nw_src": [0x0A000001, 0x0A000002, 0x0A000101, 0x0B000001], "tp_dst": [80, 81, 0x1150],
          "nw_proto": [6, 17], "ipv6_src": [0, 1 << 127, 2],
          "dl_dst": [1, 2], "tun_id": [0, 5], "ct_mark": [0, 1],
          "nd_target": [0, 3], "mpls_lse0": [0, 0x1000], "ct_label": [0, 4]}
masks = st.fixed_dictionaries({name: st.sampled_from(bits) for name, bits in BITS.items()}).map(
    lambda d: FlowKey(**d))
keys = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()}
                             | {"in_port": st.sampled_from([0, 1, 2, _megaflow.PORT_NONE]),
                                "recirc_id": st.sampled_from([0, 9])}).map(lambda d: FlowKey(**d))


def exact_metadata(mask: FlowKey) -> FlowKey:
    """*mask* as put() widens it."""
    out = mask.copy()
    out.in_port = out.recirc_id = ALL32
    return out


class AgainstLinearSearch(RuleBasedStateMachine):
    """Whatever is put and deleted, the table answers what going through all flows answers."""

    @initialize(seed=st.integers(0, 2**64 - 1))
    def start(self, seed: int) -> None:
        self.table = MegaflowTable(seed=seed)
        self.model: dict[int, tuple[FlowKey, FlowKey, bytes]] = {}

    def linear(self, key: FlowKey) -> set[int]:
        return {h for h, (k, m, _) in self.model.items() if key.matches(k, m)}

    @rule(key=keys, mask=masks, program=st.binary(max_size=40))
    def put(self, key: FlowKey, mask: FlowKey, program: bytes) -> None:
        if self.linear(key):
            with pytest.raises(ExistsError):
                self.table.put(key, mask, program)
            return
        handle = self.table.put(key, mask, program)
        assert handle not in self.model
        self.model[handle] = (key.copy(), exact_metadata(mask), program)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data: Any) -> None:
        handle = data.draw(st.sampled_from(sorted(self.model)))
        del self.model[handle]
        assert self.table.delete([handle]) == [(0, 0, 0, 0)]
        assert self.table.delete([handle]) == [None]
        assert self.table.get(handle) is None and self.table.stats(handle) is None

    @precondition(lambda self: self.model)
    @rule(data=st.data(), program=st.binary(max_size=20))
    def replace(self, data: Any, program: bytes) -> None:
        handle = data.draw(st.sampled_from(sorted(self.model)))
        self.table.replace(handle, program)
        self.model[handle] = (*self.model[handle][:2], program)

    @rule(key=keys)
    def lookup(self, key: FlowKey) -> None:
        found = self.table.find(key)
        expected = self.linear(key)
        assert (found in expected) if expected else found is None

    @rule(batch=st.lists(keys, max_size=32), port=st.sampled_from([0, 1]))
    def lookup_batch(self, batch: list[FlowKey], port: int) -> None:
        for key in batch:
            key.in_port = port
        for key, found in zip(batch, self.table.find_many(batch), strict=True):
            expected = self.linear(key)
            assert (found in expected) if expected else found is None

    @rule()
    def rank(self) -> None:
        self.table.rank()

    @rule()
    def flush(self) -> None:
        assert self.table.flush() == len(self.model)
        self.model.clear()

    @invariant()
    def dump_equals_model(self) -> None:
        if hasattr(self, "table"):
            assert len(self.table) == len(self.model)
            assert sorted(self.table.handles()) == sorted(self.model)
            for handle, (key, mask, program) in self.model.items():
                got = self.table.get(handle)
                assert got is not None and got[:3] == (key.masked(mask), mask, program)
            ports = {key.in_port for key, _, _ in self.model.values()}
            shapes = {(key.in_port, bytes(mask)) for key, mask, _ in self.model.values()}
            assert self.table.n_masks == len(shapes) == sum(len(self.table.masks(port)) for port in ports)


AgainstLinearSearch.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAgainstLinearSearch = AgainstLinearSearch.TestCase


def test_thousands_of_flows_under_one_mask_are_all_found(more: int) -> None:
    table = MegaflowTable(seed=1, flow_limit=10**6)
    mask = FlowKey(nw_src=ALL32)
    handles = {n: table.put(FlowKey(in_port=1, nw_src=n), mask, b"x") for n in range(20_000 * more)}
    rng = random.Random(1)
    gone = set(rng.sample(sorted(handles), len(handles) // 2))
    table.delete([handles[n] for n in gone])
    for n, handle in handles.items():
        assert table.find(FlowKey(in_port=1, nw_src=n, nw_ttl=9)) == (None if n in gone else handle)
    again = [table.put(FlowKey(in_port=1, nw_src=n), mask, b"y") for n in gone]
    assert not set(again) & set(handles.values())
    assert len(table) == len(handles)


def test_the_flow_limit_refuses_and_changes_nothing() -> None:
    table = MegaflowTable(seed=1, flow_limit=3)
    for n in range(3):
        table.put(FlowKey(nw_src=n), FlowKey(nw_src=ALL32), b"")
    with pytest.raises(TableFull, match="3 flows installed, the limit is 3"):
        table.put(FlowKey(nw_src=9), FlowKey(nw_src=ALL32), b"")
    assert len(table) == 3 and table.n_masks == 1


@given(st.lists(st.tuples(keys, masks), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_past_the_mask_cap_flows_are_exact_and_still_right(flows: list[tuple[FlowKey, FlowKey]]) -> None:
    table = MegaflowTable(seed=3, mask_cap=2)
    for key, mask in flows:
        if table.find(key) is not None:
            continue
        got = table.get(table.put(key, mask, b""))
        assert got is not None
        assert got[1].covers(exact_metadata(mask)), "a flow covers more than was asked for"
        assert key.matches(got[0], got[1])
    for port in (0, 1, 2, _megaflow.PORT_NONE):
        assert len(table.masks(port)) <= 2 + 2      # exact with and without tunnel words


def test_ranking_puts_the_busy_mask_first() -> None:
    table = MegaflowTable(seed=1)
    for bits in range(1, 9):
        key = FlowKey(in_port=1, tp_dst=1 << bits, nw_src=bits)
        table.put(key, FlowKey(tp_dst=0xFFFF, nw_src=(1 << bits) - 1), b"")
    busy = FlowKey(in_port=1, tp_dst=1 << 8, nw_src=8)
    for _ in range(5):
        table.find_many([busy] * 32)
    assert table.masks(1)[0][0].nw_src == 1
    table.rank()
    assert table.masks(1)[0][0].nw_src == 0xFF
    assert len(table.masks(1)) == 8
    assert table.find(busy) is not None


def test_equal_programs_are_shared_and_replaced_ones_forgotten() -> None:
    table = MegaflowTable(seed=1)
    first = table.put(FlowKey(nw_src=1), FlowKey(nw_src=ALL32), b"one")
    second = table.put(FlowKey(nw_src=2), FlowKey(nw_src=ALL32), b"one")
    assert table.n_programs == 1
    table.replace(first, b"two")
    assert table.n_programs == 2
    table.delete([second])
    assert table.n_programs == 1
    with pytest.raises(NotFoundError):
        table.replace(second, b"three")


def test_a_port_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="in_port 70000"):
        MegaflowTable(seed=1).put(FlowKey(in_port=70000), FlowKey(), b"")


@given(st.lists(st.integers(0, 3), min_size=8, max_size=8), st.integers(1, 3))
def test_simd_and_scalar_signature_search_agree(sigs: list[int], wanted: int) -> None:
    simd, scalar = _megaflow.same_ways(sigs, wanted)
    assert simd == scalar == sum(1 << 2 * way for way, sig in enumerate(sigs) if sig == wanted)
