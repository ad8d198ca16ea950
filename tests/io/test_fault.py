"""FaultInjector: what it does to packets, how much of it, and that a seed repeats it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.errors import ConfigError
from fastpath.io._memory import MemoryPort
from fastpath.io.fault import FaultInjector

N = 2000
FRAMES = [i.to_bytes(4, "big") * 16 for i in range(N)]


def sent(frames: list[bytes] = FRAMES, now: float = 0.0,
         **faults: float | str) -> tuple[FaultInjector, list[bytes]]:
    """What is behind a faulty port after *frames* were sent through it."""
    inner = MemoryPort("p1")
    port = FaultInjector(inner, **faults)  # type: ignore[arg-type]
    port.send(frames, now=now)
    return port, inner.take()


def received(frames: list[bytes] = FRAMES, **faults: float | str) -> tuple[FaultInjector, list[bytes]]:
    """What a switch gets of *frames* through a faulty port."""
    inner = MemoryPort("p1")
    port = FaultInjector(inner, **faults)  # type: ignore[arg-type]
    inner.inject_many(frames)
    out: list[bytes] = []
    for tick in range(len(frames) // 32 + 200):
        out += [frame for frame, _ in port.recv(now=tick * 0.01)]
    return port, out


@pytest.mark.parametrize("way", [sent, received])
def test_without_faults_all_pass_in_order(way) -> None:  # type: ignore[no-untyped-def]
    assert way()[1] == FRAMES


@pytest.mark.parametrize(("way", "side"), [(sent, "tx"), (received, "rx")])
def test_drops_are_as_many_as_asked_and_counted(way, side: str) -> None:  # type: ignore[no-untyped-def]
    port, out = way(drop=0.25)
    assert port.faults(side)["dropped"] == N - len(out)
    assert 0.2 < 1 - len(out) / N < 0.3
    assert out == [f for f in FRAMES if f in set(out)]      # the rest in order
    assert way(drop=1.0)[1] == []


@pytest.mark.parametrize(("way", "side"), [(sent, "tx"), (received, "rx")])
def test_duplicates_follow_their_original(way, side: str) -> None:  # type: ignore[no-untyped-def]
    port, out = way(duplicate=0.25)
    extra = port.faults(side)["duplicated"]
    assert 0.2 < extra / N < 0.3
    assert len(out) == N + extra
    assert sorted(set(out)) == FRAMES
    assert out == sorted(out)
    assert way(duplicate=1.0)[1] == [f for f in FRAMES for _ in range(2)]


@pytest.mark.parametrize("way", [sent, received])
def test_corruption_flips_one_bit(way) -> None:  # type: ignore[no-untyped-def]
    port, out = way(corrupt=0.25)
    flipped = [(int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()
               for a, b in zip(FRAMES, out, strict=True)]
    assert set(flipped) == {0, 1}
    assert 0.2 < sum(flipped) / N < 0.3
    assert sum(flipped) == port.faults("tx")["corrupted"] + port.faults("rx")["corrupted"]


@pytest.mark.parametrize("way", [sent, received])
def test_a_reordered_packet_comes_after_the_next(way) -> None:  # type: ignore[no-untyped-def]
    port, out = way(reorder=0.2)
    n = port.faults("tx")["reordered"] + port.faults("rx")["reordered"]
    assert sorted(out) == FRAMES[:len(out)] or len(out) == N - 1    # the last may wait for a next one
    assert 0.1 < n / N < 0.25
    swaps = sum(a > b for a, b in pairwise(out))
    assert abs(swaps - n) <= 1


def test_a_reordered_packet_does_not_wait_forever() -> None:
    inner = MemoryPort("p1")
    port = FaultInjector(inner, reorder=1.0)
    port.send([b"a" * 60], now=1.0)
    assert inner.take() == []
    port.recv(now=1.2)
    assert inner.take() == [b"a" * 60]


def test_delayed_packets_leave_when_their_time_has_come() -> None:
    inner = MemoryPort("p1")
    port = FaultInjector(inner, delay=0.5)
    inner.inject(b"in")
    port.send([b"a"], now=1.0)
    port.send([b"b"], now=1.2)
    assert (inner.take(), port.recv(now=1.0)) == ([], [])
    assert port.recv(now=1.49) == []
    assert inner.take() == []
    assert [f for f, _ in port.recv(now=1.5)] == [b"in"]
    assert inner.take() == [b"a"]
    port.recv(now=2.0)
    assert inner.take() == [b"b"]
    assert port.held == (0, 0)
    assert port.fileno() == -1      # time alone makes packets ready


def test_what_is_kept_back_leaves_at_close() -> None:
    inner = MemoryPort("p1")
    port = FaultInjector(inner, delay=10, limit=3)
    port.send([b"a", b"b", b"c", b"d"], now=1.0)
    assert port.held == (0, 3)
    assert port.faults("tx")["overflowed"] == 1
    port.close()
    assert inner.take() == [b"a", b"b", b"c"]


@given(st.integers(0, 2**64 - 1))
def test_a_seed_repeats_the_run(seed: int) -> None:
    faults = {"drop": 0.1, "duplicate": 0.1, "corrupt": 0.1, "reorder": 0.1, "seed": seed}
    assert sent(FRAMES[:100], **faults)[1] == sent(FRAMES[:100], **faults)[1]


def test_seeds_differ_and_so_do_directions() -> None:
    assert sent(drop=0.5, seed=1)[1] != sent(drop=0.5, seed=2)[1]
    assert sent(drop=0.5, seed=1)[1] != received(drop=0.5, seed=1)[1]


@given(st.lists(st.integers(0, 40), max_size=20), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.02))
def test_every_packet_is_accounted_for(sizes: list[int], drop: float, duplicate: float, delay: float) -> None:
    inner = MemoryPort("p1")
    port = FaultInjector(inner, drop=drop, duplicate=duplicate, delay=delay, reorder=0.3)
    for tick, size in enumerate(sizes):
        port.send([b"x" * 60] * size, now=tick * 0.01)
    port.close()
    n = port.faults("tx")
    assert len(inner.take()) == sum(sizes) - n["dropped"] + n["duplicated"]


def test_one_direction_alone() -> None:
    assert sent(drop=1.0, direction="rx")[1] == FRAMES
    assert received(drop=1.0, direction="rx")[1] == []


@pytest.mark.parametrize("faults", [{"drop": 2}, {"corrupt": -0.1}, {"delay": -1}, {"direction": "up"}])
def test_bad_settings_are_refused(faults: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"expected|probability"):
        FaultInjector(MemoryPort("p1"), **faults)  # type: ignore[arg-type]
