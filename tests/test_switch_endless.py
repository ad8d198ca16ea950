"""Endless replays beside a Switch under virtual time: served, and never for ever."""

from __future__ import annotations

from pathlib import Path

import fastpath
from fastpath.io._pcap import PcapPort
from fastpath.io.pcapfile import PcapWriter
from fastpath.testing import frame


def replay(folder: Path) -> PcapPort:
    path = folder / "one.pcap"
    with PcapWriter(path) as out:
        out.write(frame("udp", src=1, dst=2))
    return PcapPort("replay", read=path, loop=True)


def test_an_endless_replay_gets_turns_and_lets_the_call_return(tmp_path: Path) -> None:
    with fastpath.Switch(seed=0) as sw:
        br = sw.add_bridge("br0")
        port = br.add_port("replay", replay(tmp_path))
        a, sink = br.add_port("a"), br.add_port("sink")
        br.add_flow("in_port=replay,actions=drop")
        br.add_flow("in_port=a,actions=output:sink")
        sw.forward()
        first = port.io.stats()["rx_packets"]       # type: ignore[union-attr]
        assert first > 0
        assert br.inject(a, frame()) == {sink: [frame()]}
        sw.run(5)
        assert sw.now >= 6
        assert port.io.stats()["rx_packets"] > first        # type: ignore[union-attr]


def test_all_of_a_long_queue_passes_beside_an_endless_replay(tmp_path: Path) -> None:
    with fastpath.Switch(seed=0) as sw:
        br = sw.add_bridge("br0")
        a = br.add_port("a")
        br.add_port("sink")
        br.add_port("replay", replay(tmp_path))
        br.add_flow("in_port=a,actions=output:sink")
        a.io.inject_many([frame()] * 1000)      # type: ignore[union-attr]
        sw.forward()
        assert len(br.port("sink").io.take()) == 1000   # type: ignore[union-attr]
