"""Many flows at once are treated as one by one."""

from __future__ import annotations

import random

import pytest
from model.dpif import ModelDpif

from fastpath._flow import FlowKey
from fastpath._flowbulk import counters_of, delete_flows, put_flows
from fastpath._megaflow import MegaflowTable
from fastpath.dpif.actions import Output, PopMpls
from fastpath.dpif.program import compile_actions
from fastpath.dpif.provider import COUNTERS, UFID, FlowDel
from fastpath.dpif.userspace import UserspaceDpif
from fastpath.errors import ExistsError, TableFull
from fastpath.io._memory import MemoryPort
from fastpath.io._python import PythonPort
from fastpath.testing import frame

MASK = FlowKey(nw_dst=0xFFFFFFFF, dl_type=0xFFFF, nw_frag=3)


def key(i: int) -> FlowKey:
    return FlowKey(in_port=1, dl_type=0x0800, nw_dst=0x0A000000 + i)


def packed(*ufids: object) -> bytes:
    return b"".join(map(UFID.pack, ufids))


def told(counters: bytes) -> list[tuple[int, ...]]:
    return list(COUNTERS.iter_unpack(counters))


def test_put_answers_what_put_would() -> None:
    table = MegaflowTable(seed=1, flow_limit=2)
    program = compile_actions((Output(2),))
    handles = put_flows(table, [key(1), key(1), key(2), key(3)], [MASK] * 4, [program] * 4)
    assert [type(handle) for handle in handles] == [int, ExistsError, int, TableFull]
    assert sorted(table.handles()) == sorted(h for h in handles if isinstance(h, int))
    assert put_flows(table, [FlowKey(in_port=70000)], [MASK], [compile_actions((Output(9),))])[0].args
    assert table.n_programs == 1, "a program no flow has is forgotten"


def test_counters_and_removal_agree_with_those_of_single_flows() -> None:
    rng = random.Random(1)
    dpif = UserspaceDpif(seed=1)
    a, b = MemoryPort("a"), MemoryPort("b")
    dpif.port_add(a, 1)
    dpif.port_add(b, 2)
    dpif.set_now(3.5)
    ufids = [ufid for ufid in dpif.flow_install([key(i) for i in range(20)], [MASK] * 20, [(Output(2),)] * 20)
             if isinstance(ufid, int)]
    assert len(ufids) == 20
    for _ in range(50):
        a.inject(frame(ip_dst=rng.randrange(20), payload=bytes(rng.randrange(99))))
    while dpif.turn():
        pass
    gone = ufids.pop(3)
    (final,) = dpif.operate([FlowDel(gone)])
    single = dpif.flow_stats([*ufids, gone])
    many = told(dpif.flow_counters(packed(*ufids, gone)))
    assert many == [(s.n_packets, s.n_bytes, round((s.used or 0) * 1e6), s.tcp_flags) for s in single[:-1]
                    if s is not None] + [(0, 0, -1, 0)]
    assert sum(counters[0] for counters in many) + final.n_packets == 50
    assert told(dpif.flow_delete(packed(*ufids[:5], gone))) == [*many[:5], (0, 0, -1, 0)]
    assert dpif.flow_stats(ufids[:5]) == [None] * 5 and len(list(dpif.flow_dump())) == 14
    dpif.close()


def test_a_provider_without_its_own_way_gives_the_same() -> None:
    dpif = ModelDpif(flow_limit=2)
    one, same, two, full = dpif.flow_install([key(i) for i in (1, 1, 2, 3)], [MASK] * 4, [(Output(2),)] * 4)
    assert (type(same), type(full)) == (ExistsError, TableFull)
    dpif.set_now(2.5)
    dpif.receive(key(1))
    hit, gone = (1, 60, 2_500_000, 0), (0, 0, -1, 0)
    assert told(dpif.flow_counters(packed(one, two, 99))) == [hit, (0, 0, 0, 0), gone]
    assert told(dpif.flow_delete(packed(one, 99))) == [hit, gone]
    assert list(dpif.flows) == [two]


def test_an_answer_that_cannot_be_compiled_refuses_its_own_flow_only() -> None:
    dpif = UserspaceDpif(seed=1)
    results = dpif.flow_install([key(1), key(2)], [MASK] * 2, [(PopMpls(1 << 20),), (Output(2),)])
    assert isinstance(results[0], Exception) and isinstance(results[1], int)
    dpif.close()


def test_no_flow_is_deleted_from_within_a_turn() -> None:
    dpif = UserspaceDpif(seed=1)
    caught = []

    class Deleting(PythonPort):
        def rx(self, limit: int) -> list[bytes]:
            try:
                dpif.flow_delete(b"")
            except RuntimeError as error:
                caught.append(error)
            return []

    dpif.port_add(Deleting("x"), 1)
    dpif.turn()
    assert caught
    dpif.close()


@pytest.mark.parametrize("n", [0, 1, 33])
def test_execute_and_flows_of_one_program_share_it(n: int) -> None:
    table = MegaflowTable(seed=1)
    handles = put_flows(table, [key(i) for i in range(n)], [MASK] * n, [compile_actions((Output(2),))] * n)
    assert table.n_programs == min(n, 1)
    assert told(counters_of(table, packed(*handles))) == [(0, 0, 0, 0)] * n
    delete_flows(table, packed(*handles))
    assert (len(table), table.n_programs) == (0, 0)
