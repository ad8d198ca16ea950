"""How fast does a controller change and read many rules, over the wire?

    python3 benches/bench_wire.py [--flows 100000] [--rounds 1] [--forward veth] [--pps 10000] [--json]
    python3 -m pytest benches/bench_wire.py

The real ovs-ofctl adds the rules of bench_flowmod.py through a Unix socket: each by itself ("plain"), in
one bundle ("bundle"), and reads them all back ("dump"); those of the first way it changes and removes, each
by itself too ("modify_strict", "delete_strict").  It does so to a switch of ours, which runs in a
process of its own, and to a private ovs-vswitchd, round by round.  Meanwhile packets of 16 established flows
go through the tables that fill, of which ours may lose none: between veth devices, through either switch
(--forward veth, as root), or through ours alone (wire_traffic.py says how else).  ovs-ofctl reads the text
while the switch takes what it sends, so on two cores the slower of them counts; "cpu" is what the switch's
process itself took, forwarding too, in microseconds a rule.  "session" is our switch alone, fed the same
bytes by hand, and "commit" the milliseconds that nothing else was served at the end of its bundle.  The
counts are checked.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parent / "tests" / "interop"),
                str(HERE.parent / "tests" / "netns")]

import bench_flowmod  # noqa: E402
from netns import Lab  # noqa: E402
from reference import Reference, available  # noqa: E402
from wire_traffic import FLOWS, IN, OUT, WAYS, Veth, serve  # noqa: E402

from fastpath.io import link  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Seconds of CPU that process *pid* has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def edit(kind: str, rule: str) -> str:
    """The line that gives a rule other actions, or removes it."""
    match, _, actions = rule.partition(",actions=")
    return f"{kind} {match}" + (f",actions=dec_ttl,{actions}" if kind.startswith("modify") else "") + "\n"


def ofctl(*args: str) -> str:
    command = ["ovs-ofctl", *args]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout


EDITS = ("modify_strict", "delete_strict")
OURS = "tcp"                        # what all rules of this bench match; those of established flows do not


def n_rules(target: str) -> int:
    reply = ofctl("dump-aggregate", target, OURS)
    return int(reply.rpartition("flow_count=")[2].split()[0])


def measure_switch(target: str, pid: int, n: int, flows: Path) -> dict[str, float]:
    """Rules a second by kind of work, and microseconds of the switch's CPU a rule."""
    out: dict[str, float] = {}

    def timed(kind: str, *args: str) -> str:
        before, start = cpu_s(pid), time.perf_counter()
        reply = ofctl(*args)
        out[f"{kind}_per_s"] = round(n / (time.perf_counter() - start))
        out[f"{kind}_cpu_us"] = round((cpu_s(pid) - before) / n * 1e6, 1)
        return reply
    timed("plain", "add-flows", target, str(flows))
    assert n_rules(target) == n
    reply = timed("dump", "dump-flows", target, OURS)
    assert reply.count("actions=") == n
    out["dump_s"] = round(n / out["dump_per_s"], 2)
    for kind in EDITS:
        timed(kind, "add-flows", target, str(flows.with_suffix(f".{kind}")))
    assert n_rules(target) == 0
    timed("bundle", "--bundle", "add-flows", target, str(flows))
    assert n_rules(target) == n
    ofctl("del-flows", target, OURS)
    return out


def measure_ours(n: int, flows: Path, folder: Path, bed: Veth | None, args: argparse.Namespace
                 ) -> dict[str, float]:
    sock = folder / "br0.mgmt"
    command = [sys.executable, __file__, "--serve", str(sock), "--forward", args.forward,
               "--pps", str(args.pps)]
    with link.in_netns(None if bed is None else bed.switch):
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None and child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        with nullcontext({}) if bed is None else bed.traffic(args.pps) as told:
            out = measure_switch(f"unix:{sock}", child.pid, n, flows)
        child.stdin.close()
        out |= told | json.loads(child.stdout.readline())
        assert args.forward == "none" or (not out["lost"] and out["sent"] > 100), \
            f"established flows lost {out['lost']} of {out['sent']} packets"
    finally:
        child.stdin.close()
        child.wait(timeout=60)
        child.stdout.close()
    return out


def measure_reference(n: int, flows: Path, bed: Veth | None, args: argparse.Namespace) -> dict[str, float]:
    with link.in_netns(None if bed is None else bed.switch):
        ref = Reference(override=bed is None)
    with ref:
        if bed is None:
            ref.add_bridge("br0")
            return measure_switch(ref.bridge_target("br0"), ref.pid, n, flows)
        ref.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath-type=netdev", "fail-mode=secure",
                  *(word for name, number in (("p1", IN), ("p2", OUT)) for word in (
                      "--", "add-port", "br0", name, "--", "set", "interface", name,
                      f"ofport_request={number}")))
        ref.ofctl("add-flows", ref.bridge_target("br0"), "-", text="\n".join(FLOWS))
        with bed.traffic(args.pps) as told:
            out = measure_switch(ref.bridge_target("br0"), ref.pid, n, flows)
        return out | told


def messages(n: int, version: int, *, bundle: bool = False) -> bytes:
    """The rules as flow mods of *version*, as ovs-ofctl sends them."""
    from fastpath.ofproto.flow_mod import Command
    from fastpath.ofproto.flow_reader import FlowReader
    from fastpath.openflow.messages.bundle import BundleAdd, BundleControl, BundleType
    from fastpath.openflow.messages.flow import NxFlowMod
    from fastpath.openflow.messages.table import encode
    reader = FlowReader()
    mods: list[Any] = [reader.read(line, Command.ADD) for line in bench_flowmod.rules(n)]
    if version == 1:
        mods = [NxFlowMod(mod) for mod in mods]
    whole = [encode(mod, version, i) for i, mod in enumerate(mods)]
    if bundle:
        whole = [encode(BundleAdd(1, 3, message), version, i) for i, message in enumerate(whole)]
        for kind in (BundleType.CLOSE_REQUEST, BundleType.COMMIT_REQUEST):
            whole.append(encode(BundleControl(1, kind, 3), version, n))
    return b"".join(whole)


def session_s(data: bytes, version: int, n: int) -> tuple[float, float]:
    """Seconds of CPU that a session took for *data*, in pieces as they come from a socket; and for the piece
    that took longest."""
    from fastpath.controllers import Control
    from fastpath.openflow.messages import basic
    from fastpath.openflow.messages.table import encode
    from fastpath.openflow.service import Session
    with bench_flowmod.empty_bridge() as bridge:
        session = Session(Control(bridge, None), (version,))
        session.received(encode(basic.Hello(frozenset((version,))), version, 1))
        if version == 1:
            session.received(encode(basic.FlowModTableId(1), version, 2))
        times = [time.thread_time()]
        for at in range(0, len(data), 1 << 16):
            session.received(data[at:at + (1 << 16)])
            times.append(time.thread_time())
        assert len(bridge.ofproto.tables) == n
        return times[-1] - times[0], max(b - a for a, b in pairwise(times))


def measure_session(n: int, rounds: int) -> dict[str, float]:
    """Microseconds of CPU a rule, by kind of message."""
    kinds: dict[str, Callable[[], tuple[bytes, int]]] = {
        "nxm": lambda: (messages(n, 1), 1), "oxm": lambda: (messages(n, 5), 5),
        "bundle": lambda: (messages(n, 5, bundle=True), 5)}
    out = {}
    for kind, make in kinds.items():
        data, version = make()
        taken = [session_s(data, version, n) for _ in range(rounds)]
        out[f"session_{kind}_us"] = round(min(taken)[0] / n * 1e6, 1)
        if kind == "bundle":
            out["session_commit_ms"] = round(min(taken)[1] * 1e3, 1)
    return out


def measure(args: argparse.Namespace) -> dict[str, Any]:
    n = args.flows
    result: dict[str, Any] = {"flows": n, **measure_session(n, args.rounds)}
    if not available():
        return result
    taken: dict[str, list[dict[str, float]]] = {"ours": [], "reference": []}
    with tempfile.TemporaryDirectory(prefix="wire-") as name, Lab() as lab:
        folder = Path(name)
        flows = folder / "flows"
        rules = bench_flowmod.rules(n)
        flows.write_text("\n".join(rules) + "\n", encoding="ascii")
        for kind in EDITS:
            flows.with_suffix(f".{kind}").write_text("".join(edit(kind, rule) for rule in rules))
        beds = [Veth(lab, label) if args.forward == "veth" else None for label in ("o", "r")]
        for _ in range(args.rounds):
            taken["ours"].append(measure_ours(n, flows, folder, beds[0], args))
            taken["reference"].append(measure_reference(n, flows, beds[1], args))
    for who, rounds in taken.items():
        result[who] = {kind: statistics.median(t[kind] for t in rounds) for kind in rounds[0]}
    return result


def test_wire(benchmark: Any) -> None:
    data = messages(1000, 5)
    assert benchmark(lambda: session_s(data, 5, 1000))[0] > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--forward", choices=WAYS, default="veth" if os.geteuid() == 0 else "generator",
                        help="what forwards meanwhile (default: veth for root, else generator)")
    parser.add_argument("--pps", type=int, default=10_000, help="packets a second that are forwarded")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.forward, args.pps)
        return
    result = measure(args)
    if args.json:
        print(json.dumps(result))
        return
    for name, figures in result.items():
        for kind, figure in figures.items() if isinstance(figures, dict) else (("", figures),):
            print(f"{name:20s} {kind:16s} {figure:12,}")


if __name__ == "__main__":
    main()
