"""Datapath threads: they forward what inline turns forward, while flows and ports come and go."""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Callable

import pytest

from fastpath._flow import FlowKey
from fastpath.dpif.actions import Output, Recirc
from fastpath.dpif.provider import Execute, FlowDel, FlowPut, FlowStats
from fastpath.dpif.userspace import UserspaceDpif
from fastpath.errors import ConfigError
from fastpath.io._bench import BenchPort
from fastpath.io._memory import MemoryPort
from fastpath.runtime.threads import DatapathThreads

ALL32 = 0xFFFFFFFF
IP = FlowKey(dl_type=0xFFFF, nw_src=ALL32)


def frame(n: int) -> bytes:
    """A 64-byte UDP frame from 10.1.0.0 + n."""
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 50, 0, 0, 64, 17, 0, 0x0A010000 + n, 0x0A020000)
    udp = struct.pack(">HHHH", n & 0xFFFF, 9, 30, 0)
    return bytes.fromhex("020000000002 020000000001 0800") + ip + udp.ljust(30, b"\0")


def key(n: int, in_port: int = 1, recirc_id: int = 0) -> FlowKey:
    return FlowKey(in_port=in_port, recirc_id=recirc_id, dl_type=0x0800, nw_src=0x0A010000 + n)


def until(what: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.0005)


def answer_with(dpif: UserspaceDpif, *actions: Output) -> int:
    """Do what ofproto does with misses; returns how many there were."""
    misses = dpif.recv(256)
    ops: list[FlowPut | FlowDel | Execute] = []
    for miss in misses:
        assert miss.userdata is None
        ops += [FlowPut(miss.key, IP, actions), Execute(miss.packet, miss.key, actions, miss.vnet)]
    dpif.operate(ops)
    return len(misses)


@pytest.fixture
def dpif() -> UserspaceDpif:
    return UserspaceDpif(seed=3)


@pytest.mark.parametrize("poll_us", [0, 50, 1_000_000])
def test_threads_come_and_go_however_long_they_look_for_packets(poll_us: int) -> None:
    dpif = UserspaceDpif(seed=1, poll_us=poll_us)
    source, sink = BenchPort("in", [frame(0)]), BenchPort("out")
    port, out = dpif.port_add(source), dpif.port_add(sink)
    dpif.operate([FlowPut(FlowKey(in_port=port), FlowKey(in_port=ALL32), (Output(out),))])
    for n in range(1, 9):
        with DatapathThreads(dpif, 1 + n % 2):
            source.budget = 100
            until(lambda n=n: sink.stats()["tx_packets"] == 100 * n)
            dpif.poll_us = poll_us
        assert dpif.n_threads == 0 and dpif.n_held() == 0
    assert dpif.poll_us == poll_us


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_all_packets_arrive_and_every_flow_counts_its_own(dpif: UserspaceDpif, n_threads: int) -> None:
    sources = [BenchPort(f"in{i}", [frame(64 * i + j) for j in range(64)]) for i in range(3)]
    sink = BenchPort("out")
    numbers = [dpif.port_add(port) for port in sources]
    out = dpif.port_add(sink)
    with DatapathThreads(dpif, n_threads):
        for source in sources:
            source.budget = 64 * 200
        while sink.stats()["tx_packets"] + sum(dpif.stats().drops.values()) < 3 * 64 * 200:
            answer_with(dpif, Output(out))
            dpif.wait(0.01)
    while answer_with(dpif, Output(out)):
        pass
    stats = dpif.stats()
    lost = sum(stats.drops.values())
    assert set(stats.drops) <= {"upcall_quota", "upcall_queue_full"}
    assert sink.stats()["tx_packets"] == 3 * 64 * 200 - lost
    assert stats.n_hit + stats.n_missed == 3 * 64 * 200
    flows = list(dpif.flow_dump())
    assert len(flows) == 3 * 64 and {f.key.in_port for f in flows} == set(numbers)
    assert sum(f.stats.n_packets for f in flows) == stats.n_hit
    assert sum(f.stats.n_bytes for f in flows) == 64 * stats.n_hit


def test_a_deleted_flow_answers_nothing_once_the_call_returns(dpif: UserspaceDpif) -> None:
    source, sink = BenchPort("in", [frame(1)]), BenchPort("out")
    dpif.port_add(source)
    dpif.port_add(sink)
    with DatapathThreads(dpif):
        source.budget = 1 << 40
        for _ in range(50):
            (ufid,) = dpif.operate([FlowPut(key(1), IP, (Output(2),))])
            assert isinstance(ufid, int)
            until(lambda: dpif.flow_stats([ufid])[0].n_packets > 1000)     # type: ignore[union-attr]  # noqa: B023
            (final,) = dpif.operate([FlowDel(ufid)])
            assert isinstance(final, FlowStats)
            hits = dpif.stats().n_hit
            dpif.recv(1000)
            assert dpif.stats().n_hit == hits, "a packet was answered by a flow that is gone"
        source.budget = 0
        until(lambda: dpif.stats().n_hit == sink.stats()["tx_packets"])


def test_final_counters_lack_no_packet_that_was_in_flight(dpif: UserspaceDpif) -> None:
    source, sink = BenchPort("in", [frame(1)]), BenchPort("out")
    dpif.port_add(source)
    dpif.port_add(sink)
    counted = rounds = 0
    deadline = time.monotonic() + 60        # a busy machine may not let the thread hit at all for a while
    with DatapathThreads(dpif):
        source.budget = 1 << 40
        while rounds < 50 or (not counted and time.monotonic() < deadline):
            rounds += 1
            (ufid,) = dpif.operate([FlowPut(key(1), IP, (Output(2),))])
            time.sleep(0.0005)
            (final,) = dpif.operate([FlowDel(ufid)])                    # type: ignore[arg-type]
            assert isinstance(final, FlowStats)
            counted += final.n_packets
            dpif.recv(10000)
        source.budget = 0
    assert counted == dpif.stats().n_hit == sink.stats()["tx_packets"] > 0


def test_ports_come_and_go_while_threads_run(dpif: UserspaceDpif) -> None:
    source, sink = BenchPort("in", [frame(1)]), BenchPort("out")
    dpif.port_add(source)
    dpif.port_add(sink)
    dpif.operate([FlowPut(key(1), IP, (Output(2), Output(3)))])
    with DatapathThreads(dpif, 2):
        source.budget = 1 << 40
        for _ in range(20):
            extra = BenchPort("extra")
            assert dpif.port_add(extra, 3) == 3
            until(lambda: extra.stats()["tx_packets"] > 100)           # noqa: B023
            dpif.port_del(3)
            count = extra.stats()["tx_packets"]
            time.sleep(0.001)
            assert extra.stats()["tx_packets"] == count, "sent to a port that is gone"
        source.budget = 0
    assert set(dpif.stats().drops) <= {"invalid_port"}


def test_the_owner_may_execute_and_recirculate_beside_the_threads(dpif: UserspaceDpif) -> None:
    source, sink = BenchPort("in", [frame(1)]), BenchPort("out")
    dpif.port_add(source)
    dpif.port_add(sink)
    (first, second) = dpif.operate([FlowPut(key(1), IP, (Recirc(7),)),
                                    FlowPut(key(1, recirc_id=7), IP, (Output(2),))])
    with DatapathThreads(dpif):
        source.budget = 20_000
        for _ in range(300):
            dpif.operate([Execute(frame(1), FlowKey(in_port=1), (Recirc(7),))])
        until(lambda: sink.stats()["tx_packets"] == 20_300)
    stats = dpif.flow_stats([first, second])                            # type: ignore[list-item]
    assert [s.n_packets for s in stats if s] == [20_000, 20_300]


def test_stop_takes_milliseconds_and_leaves_nothing_running(dpif: UserspaceDpif) -> None:
    port = MemoryPort("p1")
    dpif.port_add(port)
    took = []
    for _ in range(5):
        dpif.start_threads(2)
        time.sleep(0.005)               # long enough to fall asleep
        before = time.monotonic()
        dpif.stop_threads()
        took.append(time.monotonic() - before)
        assert dpif.n_threads == 0
    assert min(took) < 0.1
    port.inject(frame(1))
    assert dpif.turn() == 1, "inline turns go on where threads left off"


def test_a_sleeping_thread_wakes_for_a_packet_and_the_waiter_for_its_upcall(dpif: UserspaceDpif) -> None:
    port = MemoryPort("p1")
    dpif.port_add(port)
    with DatapathThreads(dpif):
        for n in range(20):
            time.sleep(0.002)
            port.inject(frame(n))
            assert dpif.wait(10.0)
            assert [u.packet for u in dpif.recv(9)] == [frame(n)]


def test_an_idle_thread_uses_little_of_a_core(dpif: UserspaceDpif) -> None:
    dpif.port_add(MemoryPort("p1"))
    dpif.port_add(BenchPort("polled"))
    with DatapathThreads(dpif):
        used, deadline = 1.0, time.monotonic() + 30     # a busy machine disturbs its sleep
        while used >= 0.1 and time.monotonic() < deadline:
            time.sleep(0.05)
            before, wall = time.process_time(), time.monotonic()
            time.sleep(0.5)
            used = (time.process_time() - before) / (time.monotonic() - wall)
    assert used < 0.1                   # a spinning thread would use all of it; the aim is below 0.01


def test_inline_turns_and_second_starts_are_refused_while_threads_run(dpif: UserspaceDpif) -> None:
    with DatapathThreads(dpif):
        with pytest.raises(RuntimeError, match="threads are running"):
            dpif.turn()
        with pytest.raises(RuntimeError, match="1 datapath threads are running"):
            dpif.start_threads(1)
    with pytest.raises(ConfigError):
        DatapathThreads(dpif, 0)


def test_the_switch_interval_is_shortened_and_put_back(dpif: UserspaceDpif) -> None:
    before = sys.getswitchinterval()
    with DatapathThreads(dpif) as threads:
        assert sys.getswitchinterval() < before
        calls: list[int] = []
        threads.serve(lambda: calls.append(1), until=lambda: len(calls) == 3, timeout_s=0.001)
    assert sys.getswitchinterval() == before


def test_a_datapath_dropped_with_its_threads_running_stops_them() -> None:
    dpif = UserspaceDpif(seed=1)
    dpif.port_add(BenchPort("in", [frame(1)]))
    dpif.start_threads(2)
    del dpif
