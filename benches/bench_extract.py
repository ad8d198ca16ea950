"""How long does it take to turn a packet into a flow key?

    python3 benches/bench_extract.py [--rounds N] [--json]
    python3 -m pytest benches/bench_extract.py

Batches of 32 packets, each a private copy in a buffer of its own, keys reused from batch to batch, as
the datapath does it; figures are nanoseconds of processor time a packet, the best and the median of the
rounds (the best is what the code costs, the median what this machine gave).  "fresh" is the form that
clears the whole key.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from fastpath._extract import extract
from fastpath._extract_batch import Reader, extract_many

BATCH = 32


def ethernet(i: int, dl_type: int, payload: bytes) -> bytes:
    return struct.pack(">6sHIH", b"\x02\0\0\0\0\1", 0x0200, i, dl_type) + payload


def tcp4(i: int) -> bytes:
    """IPv4/TCP, 64 bytes with the frame check sequence: 60 here."""
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 46, 0, 0, 64, 6, 0, 0x0A000000 + i, 0x0A000001)
    return ethernet(i, 0x0800, ip + struct.pack(">HHIIHHHH", 1000 + i, 80, 0, 0, 0x5010, 0, 0, 0) + bytes(6))


def udp4_tagged(i: int) -> bytes:
    frame = tcp4(i)
    return frame[:12] + b"\x81\0\0\5" + frame[12:23] + b"\x11" + frame[24:]


def tcp6(i: int) -> bytes:
    ip = struct.pack(">IHBB", 6 << 28, 20, 6, 64) + Random(i).randbytes(32)
    return ethernet(i, 0x86DD, ip + struct.pack(">HHIIHHHH", 1000 + i, 80, 0, 0, 0x5010, 0, 0, 0))


def arp(i: int) -> bytes:
    return ethernet(
        i, 0x0806, struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + Random(i).randbytes(20) + bytes(18)
    )


MIXES: dict[str, Callable[[int], bytes]] = {
    "ipv4_tcp_64": tcp4,
    "vlan_ipv4_udp": udp4_tagged,
    "ipv6_tcp": tcp6,
    "arp": arp,
    "mixed": lambda i: (tcp4, udp4_tagged, tcp6, arp)[i * 7 % 4](i),
}


def measure(name: str, rounds: int, *, reuse: bool = True) -> dict[str, float]:
    frames = [MIXES[name](i) for i in range(BATCH)]
    times = [Reader().repeat(frames, 5000, reuse=reuse) for _ in range(rounds)]
    return {"best_ns": round(min(times), 2), "median_ns": round(statistics.median(times), 2)}


@pytest.mark.parametrize("name", MIXES)
def test_engine(benchmark: Any, name: str) -> None:
    frames = [MIXES[name](i) for i in range(BATCH)]
    benchmark(Reader().repeat, frames, 1000)


def test_one_frame_from_python(benchmark: Any) -> None:
    benchmark(extract, tcp4(1), in_port=1)


def test_numpy_batch(benchmark: Any) -> None:
    benchmark(extract_many, [tcp4(i) for i in range(1000)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=31, help="rounds of 160,000 packets (default 31)")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    args = parser.parse_args()
    figures = {name: measure(name, args.rounds) for name in MIXES}
    figures["ipv4_tcp_64 fresh"] = measure("ipv4_tcp_64", args.rounds, reuse=False)
    if args.json:
        print(json.dumps(figures))
        return
    for name, row in figures.items():
        print(f"{name:20} {row['best_ns']:7.2f} ns best {row['median_ns']:7.2f} ns median")


if __name__ == "__main__":
    main()
