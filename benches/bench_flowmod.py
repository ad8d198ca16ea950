"""How long does it take to fill, change and empty a table of many rules?

    python3 benches/bench_flowmod.py [--flows 20000] [--rounds 3] [--json]
    python3 -m pytest benches/bench_flowmod.py

The rules are an access list: each has addresses and a port of its own, 64 lists of actions are shared
("plain"), or each sets a register to a value of its own ("own actions"), which nothing can share.  "text" is
``add_flows`` from lines, "objects" the same from FlowMods read before, "one by one" a FlowMod a call, as a
controller sends them.  "modify" and "delete" change and remove all rules with one flow mod, "refused" fills a
bundle whose last flow is refused and takes all of it back.  "trace" is the translation of one packet, told,
through the filled table.  Figures are medians over the rounds, in microseconds a rule (for the trace: in
all); the counts are checked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import fastpath
from fastpath.errors import OpenFlowError
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.flow_reader import FlowReader

N_PORTS = 64


def rules(n: int, *, start: int = 0, own_actions: bool = False) -> list[str]:
    """Lines *start* to *n* of flow text; the same ones each time."""
    return [f"table={i % 4},priority={100 + i % 50},tcp,in_port={i % N_PORTS},"
            f"nw_src=10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255},nw_dst=192.168.{i * 7 % 256}.0/24,"
            f"tp_dst={i * 31 % 65536},actions=mod_dl_dst:02:00:00:00:00:{i % N_PORTS:02x},"
            + (f"load:{i}->NXM_NX_REG0[]," if own_actions else "") + f"output:{i % N_PORTS}"
            for i in range(start, n)]


@contextmanager
def empty_bridge() -> Iterator[fastpath.Bridge]:
    with fastpath.Switch(seed=1) as switch:
        yield switch.add_bridge("br0")


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def refuse(bridge: fastpath.Bridge, mods: list[FlowMod]) -> None:
    try:
        with bridge.bundle() as bundle:
            for mod in mods:
                bundle.add_flow(mod)
            bundle.add_flow("check_overlap,priority=100,table=0,tcp,actions=drop")
    except OpenFlowError:
        return
    raise AssertionError("the bundle was to be refused")


def one_round(n: int) -> dict[str, float]:
    """Seconds that each kind of work took."""
    lines, seconds = rules(n), {}
    reader = FlowReader()
    mods = [reader.read(line, Command.ADD) for line in lines]
    with empty_bridge() as bridge:
        seconds["text"] = timed(lambda: bridge.add_flows(lines))
        assert len(bridge.ofproto.tables) == n
        seconds["trace"] = timed(lambda: bridge.trace("tcp,in_port=1,nw_src=10.0.0.1,nw_dst=192.168.7.9")) * n
        seconds["modify"] = timed(lambda: bridge.mod_flows("actions=drop"))
        seconds["delete"] = timed(bridge.del_flows)
        assert len(bridge.ofproto.tables) == 0
        seconds["objects"] = timed(lambda: bridge.add_flows(mods))
        bridge.del_flows()
        seconds["one by one"] = timed(lambda: [bridge.add_flow(mod) for mod in mods])
        assert len(bridge.ofproto.tables) == n
    with empty_bridge() as bridge:
        seconds["refused"] = timed(lambda: refuse(bridge, mods))
        assert len(bridge.ofproto.tables) == 0
    with empty_bridge() as bridge:
        own = rules(n, own_actions=True)
        seconds["text, own actions"] = timed(lambda: bridge.add_flows(own))
    return seconds


def measure(n: int, rounds: int) -> dict[str, Any]:
    """Microseconds a rule by kind of work, with the spread."""
    taken = [one_round(n) for _ in range(rounds)]
    out: dict[str, Any] = {"flows": n}
    for work in taken[0]:
        us = sorted(t[work] / n * 1e6 for t in taken)
        out[work] = {"us": round(statistics.median(us), 2), "least": round(us[0], 2),
                     "most": round(us[-1], 2)}
    out["flow_mods_per_s"] = round(1e6 / out["one by one"]["us"])
    out["bundled_per_s"] = round(1e6 / out["objects"]["us"])
    return out


def test_flowmod(benchmark: Any) -> None:
    lines = rules(2000)

    def load() -> int:
        with empty_bridge() as bridge:
            return bridge.add_flows(lines)
    assert benchmark(load) == 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result = measure(args.flows, args.rounds)
    if args.json:
        print(json.dumps(result))
        return
    for work, figure in result.items():
        if isinstance(figure, dict):
            print(f"{work:20s} {figure['us']:8.2f} us  ({figure['least']} to {figure['most']})")
    print(f"{result['flow_mods_per_s']} flow mods/s one by one, {result['bundled_per_s']} in one change")


if __name__ == "__main__":
    main()
