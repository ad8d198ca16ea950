"""Bench ports: every frame in its turn, a private copy each time, all counted."""

from __future__ import annotations

import pytest

from fastpath.io._bench import BenchPort


def test_frames_come_in_a_cycle_while_the_budget_lasts() -> None:
    port = BenchPort("in", [b"a" * 60, b"b" * 64, b"c" * 1500])
    port.budget = 5
    assert [f for f, _ in port.recv()] == [b"a" * 60, b"b" * 64, b"c" * 1500, b"a" * 60, b"b" * 64]
    assert port.recv() == [] and port.budget == 0
    port.budget = 1
    assert port.recv() == [(b"c" * 1500, b"")]
    assert port.stats()["rx_packets"] == 6 and port.stats()["rx_bytes"] == 2 * (60 + 64 + 1500)


def test_the_sink_counts_and_the_floor_moves_all() -> None:
    source, sink = BenchPort("in", [b"a" * 60]), BenchPort("out")
    assert sink.send([b"x" * 100]) == 1
    source.floor(sink, 1000)
    assert sink.stats()["tx_packets"] == 1001 and sink.stats()["tx_bytes"] == 100 + 60 * 1000


def test_a_port_without_frames_has_nothing_to_hand_in() -> None:
    with pytest.raises(ValueError, match="no frames"):
        BenchPort("in").budget = 1
