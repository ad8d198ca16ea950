"""``fastpath replay``: send a capture through rules, and write what comes out of each port.

Time is that of the capture, so timeouts and address aging happen as they would have.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fastpath.bridge import Bridge, Port
from fastpath.cli import lab
from fastpath.cli.prelude import Prelude
from fastpath.errors import PortError
from fastpath.io.pcapfile import PcapWriter, read_pcap
from fastpath.ofproto.events import PacketIn
from fastpath.switch import Switch


class Replay:
    """One capture on its way through a bridge; *writers* makes a file for each port that puts out frames."""

    def __init__(self, bridge: Bridge, in_port: int, out: Path) -> None:
        self.bridge, self.in_port, self.out = bridge, bridge.port(in_port), out
        self.n_in = self.n_dropped = self.n_to_controller = 0
        self.n_out: dict[Port, int] = {}
        self._writers: dict[Port, PcapWriter] = {}
        self._told = 0
        bridge.on_packet_in(self._packet_in)

    def _packet_in(self, event: PacketIn) -> None:
        self.n_to_controller += 1

    def run(self, pcap: str) -> None:
        """Send all frames through.  Raises FormatError at a bad record, what came before being written."""
        switch, bridge = self.bridge.switch, self.bridge
        last = None
        try:
            for record in read_pcap(pcap):
                if last is not None and record.time_ns > last:
                    switch.advance((record.time_ns - last) / 1e9)
                last = record.time_ns if last is None else max(last, record.time_ns)
                self._put(bridge.inject(self.in_port, record.frame), record.time_ns)
        finally:
            for writer in self._writers.values():
                writer.close()

    def _put(self, outputs: dict[Port, list[bytes]], time_ns: int) -> None:
        self.n_in += 1
        if not outputs and self.n_to_controller == self._told:
            self.n_dropped += 1
        self._told = self.n_to_controller
        for port, frames in outputs.items():
            writer = self._writers.get(port)
            if writer is None:
                writer = self._writers[port] = PcapWriter(self.out / f"port-{port.number}.pcap")
            for frame in frames:
                writer.write(frame, time_ns=time_ns)
            self.n_out[port] = self.n_out.get(port, 0) + len(frames)

    def summary(self) -> str:
        """What happened, as text."""
        stats = self.bridge.switch.stats()
        lines = [f"{self.n_in} packets in by port {self.in_port.number}, {self.n_dropped} dropped, "
                 f"{self.n_to_controller} sent to the controller"]
        lines += [f"  port {port.number}: {n} packets in {self.out / f'port-{port.number}.pcap'}"
                  for port, n in sorted(self.n_out.items(), key=lambda item: item[0].number)]
        lines.append(f"{stats.upcalls.n_miss} translated, {stats.datapath.n_hit} answered by "
                     f"{stats.upcalls.n_installed} megaflows")
        rules = self.bridge.dump_flows()
        return "\n".join([*lines, "rules:", rules or "  (none)"])


def main(args: argparse.Namespace) -> int:
    """Replay, print the summary and write it beside the captures."""
    out = Path(args.out)
    with Switch(seed=0) as switch:
        bridge = lab.build(switch, args.flows, n_ports=args.ports, in_port=args.in_port,
                           prelude=Prelude.given(args))
        next(read_pcap(args.pcap), None)        # what is no capture is told before anything is written
        try:
            out.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise PortError(f"--out {args.out}: exists and is not a directory") from None
        replay = Replay(bridge, args.in_port, out)
        try:
            replay.run(args.pcap)
        finally:
            text = replay.summary()
            (out / "summary.txt").write_text(text + "\n", encoding="utf-8")
        print(text)
    return 0
