"""The datapath as its owner drives it: ports, queues and refusals."""

from __future__ import annotations

import gc
import struct
from typing import Any

import pytest
from model.frames import Frame

from fastpath._datapath import Datapath
from fastpath._flow import FlowKey
from fastpath.dpif.actions import OdpActions, Output, Recirc, Trunc
from fastpath.dpif.program import compile_actions
from fastpath.errors import ExistsError, NotFoundError
from fastpath.io._bench import BenchPort
from fastpath.io._memory import MemoryPort
from fastpath.io._python import PythonPort

ALL32 = 0xFFFFFFFF


def frame(src: int, number: int, size: int = 60) -> bytes:
    """A UDP frame from 10.0.0.*src* that carries its own *number*."""
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, size - 14, 0, 0, 64, 17, 0, 0x0A000000 + src, 0x0A000100)
    udp = struct.pack(">HHHHI", 5, 7, size - 34, 0, number)
    return (bytes.fromhex("020000000002 020000000001 0800") + ip + udp).ljust(size, b"\0")


def number_of(data: bytes) -> int:
    return int.from_bytes(data[42:46], "big")


def put(dp: Datapath, port: int, src: int, actions: OdpActions, recirc_id: int = 0) -> int:
    key = FlowKey(in_port=port, recirc_id=recirc_id, dl_type=0x0800, nw_src=0x0A000000 + src)
    return dp.flows.put(key, FlowKey(dl_type=0xFFFF, nw_src=ALL32), compile_actions(actions))


def test_a_full_ring_counts_what_it_could_not_hold() -> None:
    dp = Datapath(seed=1, ring_bytes=4096)
    source = MemoryPort("in")
    dp.add_port(source)
    source.inject_many([frame(1, i) for i in range(30)])
    dp.turn()
    asked = dp.recv(100)
    assert 0 < len(asked) < 30 and dp.drops() == {"upcall_queue_full": 30 - len(asked)}
    assert [number_of(f) for _, f, _, _, _ in asked] == list(range(len(asked))), "the oldest were not kept"


class Meddler(PythonPort):
    """A port that calls back into the datapath from within a turn."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.dp: Datapath | None = None
        self.errors: list[str] = []

    def tx(self, frames: Any) -> None:
        assert self.dp is not None
        dp = self.dp
        for call in (dp.turn, lambda: dp.delete([1]), lambda: dp.del_port(0)):
            try:
                call()
            except RuntimeError as error:
                self.errors.append(str(error))


def test_calls_from_within_a_turn_are_refused() -> None:
    dp = Datapath(seed=1)
    source, meddler = MemoryPort("in"), Meddler("out")
    dp.add_port(source)
    dp.add_port(meddler)
    meddler.dp = dp
    put(dp, 0, 1, (Output(1),))
    source.inject(frame(1, 1))
    dp.turn()
    assert meddler.errors == ["called from within a turn, by a port's receive or send"] * 3
    meddler.dp = None


def test_a_thousand_ports_and_their_removal() -> None:
    dp = Datapath(seed=1)
    source = MemoryPort("in")
    dp.add_port(source)
    sinks = [BenchPort(f"p{n}") for n in range(1000)]
    numbers = [dp.add_port(port) for port in sinks]
    assert numbers == list(range(1, 1001)) and dp.numbers() == list(range(1001))
    put(dp, 0, 1, tuple(Output(n) for n in numbers))
    source.inject(frame(1, 1))
    dp.turn()
    assert all(port.stats()["tx_packets"] == 1 for port in sinks)
    for n in numbers:
        assert dp.del_port(n) is sinks[n - 1]
    source.inject(frame(1, 1))
    dp.turn()
    assert dp.drops() == {"invalid_port": 1000}


def test_ports_are_kept_alive_and_let_go() -> None:
    dp = Datapath(seed=1)
    dp.add_port(BenchPort("p", [frame(1, 1)]))
    gc.collect()
    port = dp.port(0)
    assert isinstance(port, BenchPort)
    port.budget = 5
    assert dp.turn() == 5
    with pytest.raises(ExistsError):
        dp.add_port(port)
    with pytest.raises(NotFoundError):
        dp.port(1)
    with pytest.raises(ValueError, match="odp_port 70000 is out of range"):
        dp.add_port(BenchPort("q"), 70000)
    with pytest.raises(ValueError, match="ring_bytes is 1000, expected a power of two"):
        Datapath(seed=1, ring_bytes=1000)


def test_a_cut_that_waits_over_a_recirculation_finishes_the_checksum() -> None:
    sent = []
    whole = Frame(payload=b"payload." * 4, nw_src=0x0A000001, owed=True)
    for way in (Output(1),), (Output(1), Output(9)):    # one output alone has a way of its own
        dp = Datapath(seed=1)
        source, sink = MemoryPort("in", vnet=True), MemoryPort("out", vnet=True)
        dp.add_port(source)
        dp.add_port(sink)
        put(dp, 0, 1, (Trunc(50), Recirc(1)))
        put(dp, 0, 1, way, recirc_id=1)
        source.inject(whole.build(), whole.vnet())
        dp.turn()
        sent += sink.take_with_vnet()
    assert sent == [(whole.with_(owed=False).build()[:50], b"")] * 2
