"""The rooms of a turn: packets are conserved and keep their order, for any mix of flows and packets."""

from __future__ import annotations

import struct
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from model.packets import mutated

from fastpath._datapath import Datapath
from fastpath._extract import extract
from fastpath._flow import FlowKey
from fastpath.dpif.actions import Drop, OdpActions, Output, Recirc, SlowPath, Trunc, Userspace
from fastpath.dpif.program import compile_actions
from fastpath.io._bench import BenchPort
from fastpath.io._memory import MemoryPort

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


# What the flow of each source does; what comes out of ports 3 and 4 follows from it.
PROGRAMS: list[OdpActions] = [(Output(3),), (Output(4),), (Output(3), Output(4)), (), (Drop(1),),
                              (Recirc(1),), (Output(99),)]


@given(st.dictionaries(st.integers(0, 9), st.sampled_from(PROGRAMS)),
       st.lists(st.tuples(st.integers(1, 2), st.integers(0, 9), st.integers(60, 1500)), max_size=150))
@settings(max_examples=60, deadline=None)
def test_packets_and_bytes_are_conserved_and_flows_keep_their_order(
        flows: dict[int, OdpActions], packets: list[tuple[int, int, int]]) -> None:
    dp = Datapath(seed=9, upcall_quota=10**6, upcalls_per_turn=10**6)
    ports = {n: MemoryPort(f"p{n}") for n in (1, 2, 3, 4)}
    for n, port in ports.items():
        dp.add_port(port, n)
    for src, actions in flows.items():
        put(dp, 1, src, actions)
        put(dp, 1, src, (Output(4),), recirc_id=1)
    sent: dict[tuple[int, int], list[bytes]] = {}
    for i, (port, src, size) in enumerate(packets):
        data = frame(src, i, size)
        ports[port].inject(data)
        sent.setdefault((port, src), []).append(data)
    while dp.turn():
        pass
    taken = {n: ports[n].take() for n in (3, 4)}
    asked = [frame for _, frame, _, _, _ in dp.recv(10**6)]
    expected_drops: dict[str, int] = {}
    reason = {(): "action_drop", (Drop(1),): "explicit_drop", (Output(99),): "invalid_port"}
    for (port, src), frames in sent.items():
        actions = flows.get(src) if port == 1 else None
        if actions is None:
            assert [f for f in asked if f in frames] == frames
        elif actions in reason:
            expected_drops[reason[actions]] = expected_drops.get(reason[actions], 0) + len(frames)
        outs = [4] if actions == (Recirc(1),) else [a.port for a in actions or () if isinstance(a, Output)]
        for out in (3, 4):
            assert [f for f in taken[out] if f in frames] == (frames if out in outs else [])
    assert dp.drops() == expected_drops
    counters = dp.counters()
    again = {src for src, actions in flows.items() if actions == (Recirc(1),)}
    recirculated = sum(len(f) for (port, src), f in sent.items() if port == 1 and src in again)
    assert counters["hit"] + counters["missed"] == len(packets) + recirculated
    assert counters["missed"] == len(asked) and counters["lost"] == 0
    stats = [dp.flows.stats(h) for h in dp.flows.handles()]
    assert sum(s[0] for s in stats if s) == counters["hit"]
    assert sum(s[1] for s in stats if s) == sum(
        len(f) * (1 + (src in again)) for (port, src), fs in sent.items() if port == 1 and src in flows
        for f in fs)


def test_a_cut_is_made_for_one_output_alone() -> None:
    dp = Datapath(seed=1)
    ports = [MemoryPort(f"p{n}") for n in range(3)]
    for port in ports:
        dp.add_port(port)
    put(dp, 0, 1, (Trunc(50), Output(1), Output(2)))
    ports[0].inject(frame(1, 7, 100))
    dp.turn()
    assert ports[1].take() == [frame(1, 7, 100)[:50]] and ports[2].take() == [frame(1, 7, 100)]


def test_more_packets_than_a_batch_leave_in_order() -> None:
    dp = Datapath(seed=1)
    source, sink = MemoryPort("in"), MemoryPort("out")
    dp.add_port(source)
    dp.add_port(sink)
    put(dp, 0, 1, (Output(1), Output(1), Output(1)))        # 96 packets wait where 32 have room
    source.inject_many([frame(1, i) for i in range(32)])
    dp.turn()
    assert sorted(map(number_of, sink.take())) == sorted(list(range(32)) * 3)


def test_a_full_pool_loses_clones_and_says_so() -> None:
    dp = Datapath(seed=1, pool_limit=64)
    source, sink = BenchPort("in", [frame(1, 1)]), BenchPort("out")
    dp.add_port(source)
    dp.add_port(sink)
    put(dp, 0, 1, tuple([Output(1)] * 31))
    source.budget = 32 * 20
    while dp.turn():
        pass
    lost = dp.drops().get("no_memory", 0)
    assert sink.stats()["tx_packets"] + lost == 32 * 20 * 31


def inet_sum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_ports_without_offload_get_finished_checksums_and_others_the_debt() -> None:
    dp = Datapath(seed=1)
    source, plain, able = MemoryPort("in", vnet=True), MemoryPort("plain"), MemoryPort("able", vnet=True)
    for port in (source, plain, able):
        dp.add_port(port)
    put(dp, 0, 1, (Output(1), Output(2)))
    data = frame(1, 7)
    pseudo = data[26:34] + struct.pack(">HH", 17, len(data) - 34)
    owing = data[:40] + struct.pack(">H", inet_sum(pseudo)) + data[42:]
    vnet = struct.pack("=BBHHHH", 1, 0, 0, 0, 34, 6)
    source.inject(owing, vnet)
    dp.turn()
    assert able.take_with_vnet() == [(owing, vnet)]
    (sent, owed), = plain.take_with_vnet()
    assert owed == b"" and inet_sum(pseudo + sent[34:]) == 0xFFFF
    assert sent[:40] + sent[42:] == data[:40] + data[42:]


def test_large_segments_are_cut_for_ports_without_offload() -> None:
    dp = Datapath(seed=1)
    source, plain = MemoryPort("in", vnet=True), MemoryPort("plain")
    dp.add_port(source)
    dp.add_port(plain)
    put(dp, 0, 1, (Output(1),))
    payload = bytes(i & 0xFF for i in range(10_000))
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 40 + len(payload), 0, 0x4000, 64, 6, 0, 0x0A000001, 0x0A000100)
    tcp = struct.pack(">HHIIBBHHH", 5, 7, 1000, 0, 0x50, 0x10, 512, 0, 0)
    source.inject(bytes(12) + b"\x08\x00" + ip + tcp + payload,
                  struct.pack("=BBHHHH", 1, 1, 54, 1400, 34, 16))
    dp.turn()
    parts = plain.take()
    assert [len(p) - 54 for p in parts] == [1400] * 7 + [200]
    assert b"".join(p[54:] for p in parts) == payload
    assert [int.from_bytes(p[38:42], "big") for p in parts] == [1000 + 1400 * i for i in range(8)]


def test_lying_offload_headers_are_dropped_and_counted() -> None:
    dp = Datapath(seed=1)
    source, plain = MemoryPort("in", vnet=True), MemoryPort("plain")
    dp.add_port(source)
    dp.add_port(plain)
    put(dp, 0, 1, (Output(1),))
    source.inject(frame(1, 7), struct.pack("=BBHHHH", 1, 0, 0, 0, 5000, 6))
    dp.turn()
    assert plain.take() == [] and dp.drops() == {"cannot_segment": 1}


def test_a_truncated_upcall_has_the_bytes_that_were_left() -> None:
    dp = Datapath(seed=1)
    dp.add_port(MemoryPort("in"))
    dp.execute(frame(1, 7, 100), FlowKey(), compile_actions((Trunc(60), Userspace(SlowPath(("lldp",))))))
    (_, data, _, _, _), = dp.recv(9)
    assert data == frame(1, 7, 100)[:60]


def test_a_key_keeps_nothing_of_the_packet_before(more: int) -> None:
    rng = Random(4)
    frames = [f for f in mutated(rng, 3000 * more) if len(f) >= 14]
    plain = [frame(i % 10, i) for i in range(len(frames))]
    mixed = [f for pair in zip(frames, plain, strict=True) for f in pair]
    rng.shuffle(mixed)
    dp = Datapath(seed=9, upcall_quota=10**6, upcalls_per_turn=10**6)
    port = MemoryPort("p1")
    dp.add_port(port, 1)
    for start in range(0, len(mixed), 500):
        sent = mixed[start:start + 500]
        port.inject_many(sent)
        while dp.turn():
            pass
        asked = dp.recv(10**6)
        assert [data for _, data, _, _, _ in asked] == sent
        assert [key for key, _, _, _, _ in asked] == [extract(f, in_port=1) for f in sent]
