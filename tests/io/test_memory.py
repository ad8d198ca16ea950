"""MemoryPort: what goes in comes out, in order, bounded and counted, from any thread."""

from __future__ import annotations

import select
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.errors import FormatError
from fastpath.io._memory import MemoryPort

VNET_TCP4 = bytes([1, 1]) + (66).to_bytes(2, "little") + (1448).to_bytes(2, "little") + \
    (34).to_bytes(2, "little") + (16).to_bytes(2, "little")


def drain(port: MemoryPort) -> list[tuple[bytes, bytes]]:
    """Receive batch after batch until one is empty."""
    out: list[tuple[bytes, bytes]] = []
    while batch := port.recv():
        out += batch
    return out


@given(st.lists(st.binary(max_size=300), max_size=200))
def test_frames_arrive_in_order_and_unchanged(frames: list[bytes]) -> None:
    port = MemoryPort("p1")
    assert port.inject_many(frames) == len(frames)
    assert [frame for frame, _ in drain(port)] == frames
    assert port.stats()["rx_packets"] == len(frames)
    assert port.stats()["rx_bytes"] == sum(map(len, frames))
    port.close()


@given(st.lists(st.binary(max_size=300), max_size=200))
def test_sent_frames_wait_for_take(frames: list[bytes]) -> None:
    port = MemoryPort("p1")
    assert port.send(frames) == len(frames)
    assert port.take() == frames
    assert port.take() == []
    port.close()


def test_a_batch_is_at_most_32_frames() -> None:
    port = MemoryPort("p1")
    port.inject_many([b"x" * 60] * 33)
    assert [len(port.recv()), len(port.recv()), len(port.recv())] == [32, 1, 0]


def test_vnet_header_travels_with_its_frame_both_ways() -> None:
    port = MemoryPort("p1", vnet=True)
    big = bytes(range(256)) * 255
    port.inject(big, VNET_TCP4)
    port.inject(b"y" * 60)
    assert port.recv() == [(big, VNET_TCP4), (b"y" * 60, b"")]
    port.send([big, b"z"], [VNET_TCP4, b""])
    assert port.take_with_vnet() == [(big, VNET_TCP4), (b"z", b"")]


def test_a_vnet_header_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="vnet header is 3 bytes, expected 10"):
        MemoryPort("p1").inject(b"x" * 60, b"abc")


def test_only_a_port_made_for_it_takes_unfinished_frames() -> None:
    assert MemoryPort("p1").caps == 0
    assert MemoryPort("p1", vnet=True).caps == 1


def test_a_full_queue_drops_and_counts() -> None:
    port = MemoryPort("p1", capacity=100)
    assert port.inject_many([b"a"] * 150) == 100
    assert not port.inject(b"b")
    assert port.stats()["rx_dropped"] == 51
    assert port.send([b"c"] * 130) == 100
    assert port.stats()["tx_dropped"] == 30
    assert len(port.take()) == 100
    assert port.send([b"d"]) == 1
    assert port.pending == (100, 1)


def test_a_frame_larger_than_a_packet_is_refused() -> None:
    with pytest.raises(ValueError, match="frame is 65601 bytes"):
        MemoryPort("p1").inject(bytes(65601))
    assert MemoryPort("p1").inject(bytes(65600))


def readable(port: MemoryPort) -> bool:
    return bool(select.select([port.fileno()], [], [], 0)[0])


def test_descriptor_is_readable_exactly_while_frames_wait() -> None:
    port = MemoryPort("p1")
    assert not readable(port)
    port.inject_many([b"a"] * 40)
    assert readable(port)
    port.recv()
    assert readable(port)
    port.recv()
    assert not readable(port)
    port.inject(b"b")
    assert readable(port)


def test_closed_port_takes_nothing_and_keeps_what_was_sent() -> None:
    port = MemoryPort("p1")
    port.send([b"kept"])
    port.inject(b"lost")
    assert port.link_up()
    port.close()
    port.close()
    assert not port.link_up()
    assert not port.inject(b"late")
    assert port.send([b"late"]) == 0
    assert port.recv() == []
    assert port.take() == [b"kept"]


def test_wait_sees_frames_sent_by_another_thread() -> None:
    port = MemoryPort("p1")
    assert not port.wait(1, timeout_s=0.001)
    sender = threading.Thread(target=port.send, args=([b"a", b"b"],))
    sender.start()
    assert port.wait(2, timeout_s=10)
    sender.join()


def test_injecting_while_another_thread_receives_loses_nothing(more: int) -> None:
    port = MemoryPort("p1")
    n = 20_000 * more
    got: list[bytes] = []

    def receive() -> None:
        while len(got) < n and select.select([port.fileno()], [], [], 10)[0]:
            got.extend(frame for frame, _ in port.recv())

    receiver = threading.Thread(target=receive)
    receiver.start()
    frames = [i.to_bytes(8, "big") for i in range(n)]
    taken = 0
    while taken < n:
        taken += port.inject_many(frames[taken:taken + 1000])
    receiver.join()
    assert got == frames


@given(st.integers(0, 150), st.integers(0, 90), st.integers(1, 200))
def test_rows_of_an_array_arrive_as_frames(n: int, size: int, capacity: int) -> None:
    port = MemoryPort("p1", capacity=capacity)
    rows = np.arange(n * size, dtype=np.uint32).astype(np.uint8).reshape(n, size)
    assert port.inject_many(rows) == min(n, capacity)
    assert [frame for frame, _ in drain(port)] == [row.tobytes() for row in rows[:capacity]]
    assert port.stats()["rx_dropped"] == max(0, n - capacity)
    port.close()


@pytest.mark.parametrize("array", [b"one frame", np.zeros((2, 60), np.uint16),
                                   np.zeros((2, 2, 60), np.uint8)])
def test_an_array_of_another_shape_is_refused(array: bytes) -> None:
    with pytest.raises(FormatError, match="an array of frames has two dimensions of bytes"):
        MemoryPort("p1").inject_many(array)


@given(st.integers(0, 200))
def test_frames_before_one_that_is_refused_arrive(n: int) -> None:
    port = MemoryPort("p1")
    with pytest.raises(FormatError, match="a packet holds at most"):
        port.inject_many([b"a frame"] * n + [bytes(70000), b"never"])
    assert drain(port) == [(b"a frame", b"")] * n
    port.close()


@given(st.integers(1, 100), st.integers(1, 64))
def test_what_take_has_no_room_for_is_counted(n: int, capacity: int) -> None:
    port = MemoryPort("p1", capacity=capacity)
    frames = [bytes([i]) * (i + 1) for i in range(n)]
    assert port.send(frames) == min(n, capacity)
    stats = port.stats()
    assert port.take() == frames[:capacity]
    assert (stats["tx_packets"], stats["tx_dropped"]) == (min(n, capacity), max(0, n - capacity))
    assert stats["tx_bytes"] == sum(map(len, frames[:capacity]))
    port.close()


def test_frames_longer_than_the_mtu_are_dropped_and_counted() -> None:
    port = MemoryPort("p", mtu=100)
    tagged, twice = b"\x81\0\0\1", b"\x88\xa8\0\1"
    fits = [bytes(114), bytes(12) + tagged + bytes(102)]
    port.send([*fits, bytes(115), bytes(12) + tagged + bytes(103), bytes(12) + twice + bytes(102)])
    assert port.take() == fits
    assert port.stats()["tx_packets"] == 2 and port.stats()["tx_dropped"] == 3
    port.mtu = 101
    port.send([bytes(115)])
    assert port.take() == [bytes(115)] and port.mtu == 101
