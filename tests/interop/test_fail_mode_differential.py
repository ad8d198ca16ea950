"""Fail modes as in the reference: bridge/dump-flows to the letter, but for the order of lines, while modes
and controllers come and go, rules change and seconds pass; and the counts of what matches nothing."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator

import pytest
from pair import Pair
from reference import Reference, available

import fastpath
from fastpath.ofproto.fail_open import FAIL_OPEN_PRIORITY
from fastpath.testing import frame

N_CASES, N_STEPS = 4, 40
NOBODY = ("tcp:127.0.0.1:1", "tcp:127.0.0.1:2")         # refuse connections
RULES = ("priority=65535,actions=output:1", "table=3,priority=5,tcp,actions=resubmit(,4)", "udp,actions=drop",
         "priority=0,actions=output:1", "actions=drop", "table=200,cookie=7,actions=set_field:1->reg0")


@pytest.fixture
def stopped() -> Iterator[Pair]:
    """A pair whose reference's clock moves when told."""
    if not available():
        pytest.skip("the reference switch is not installed")
    with Reference() as reference, fastpath.Switch(seed=1) as switch:
        reference.appctl("time/stop")
        yield Pair(reference, switch, {})


# The daemon finds its controllers gone when it next looks, up to a second late.
SINCE = re.compile(f"duration=[0-9]+s, (?=.*priority={FAIL_OPEN_PRIORITY},)")


class Run:
    """One random history."""

    def __init__(self, pair: Pair, seed: int) -> None:
        self.ref, self.switch, self.r = pair.ref, pair.switch, random.Random(seed)
        self.br = pair.add_bridge("br0", {"p1": 1}, 100)
        # In-band control has hidden rules of its own.
        self.ref.vsctl("set", "bridge", "br0", "other_config:disable-in-band=true")
        self.history = [f"seed {seed}"]
        self.n_open = 0

    def mode(self) -> None:
        mode = self.r.choice(("standalone", "standalone", "secure"))
        self.history.append(mode)
        self.br.set_fail_mode(mode)
        self.ref.vsctl("set-fail-mode", "br0", mode)

    def controllers(self) -> None:
        """Have some controllers where there were none, or none any more."""
        n = 0 if self.br.ofproto.failing.n_controllers else self.r.choice((1, 2))
        probe_s = self.r.choice((5, 8))
        self.history.append(f"{n} controllers, {probe_s} s")
        self.br.set_controllers(n, probe_interval=probe_s)
        if not n:
            self.ref.vsctl("del-controller", "br0")
            return
        command: list[str] = []
        for i, target in enumerate(NOBODY[:n]):
            command += ["--", f"--id=@c{i}", "create", "controller", f'target="{target}"',
                        f"inactivity_probe={1000 * probe_s}"]
        self.ref.vsctl(*command, "--", "set", "bridge", "br0",
                       f"controller=[{','.join(f'@c{i}' for i in range(n))}]")

    def flow(self) -> None:
        rule = self.r.choice(RULES)
        self.history.append(rule)
        self.br.add_flow(rule)
        self.ref.ofctl("add-flow", self.ref.bridge_target("br0"), rule)

    def delete(self) -> None:
        self.history.append("delete")
        self.br.del_flows()
        self.ref.ofctl("del-flows", self.ref.bridge_target("br0"))

    def wait(self) -> None:
        seconds = self.r.choice((1, 4, 7))
        self.history.append(f"wait {seconds}")
        self.switch.advance(seconds)
        for _ in range(seconds):
            self.ref.appctl("time/warp", "1000")
            time.sleep(0.005)
        deadline = time.monotonic() + 20    # the daemon looks at its connections when it is done answering
        while self.br.is_fail_open and time.monotonic() < deadline \
                and str(FAIL_OPEN_PRIORITY) not in self.ref.appctl("bridge/dump-flows", "br0"):
            time.sleep(0.01)

    def step(self) -> None:
        self.r.choices((self.mode, self.controllers, self.flow, self.delete, self.wait), (3, 2, 5, 1, 6))[0]()
        self.n_open += self.br.is_fail_open
        ours, theirs = (sorted(SINCE.sub("", line) for line in text.splitlines()) for text in (
            self.br.dump_flows(hidden=True), self.ref.appctl("bridge/dump-flows", "br0")))
        Pair.assert_equal(ours, theirs, "bridge/dump-flows", tuple(self.history))
        visible = self.ref.ofctl("--no-stats", "dump-flows", self.ref.bridge_target("br0"))
        assert self.br.dump_flows().count("actions=") == visible.count("actions=")


def test_the_same_history_leaves_the_same_rules(stopped: Pair, more: int) -> None:
    n_open = 0
    for seed in range(N_CASES * more):
        run = Run(stopped, seed)
        for _ in range(N_STEPS):
            run.step()
        n_open += run.n_open
        stopped.ref.vsctl("del-br", "br0")
        stopped.switch.del_bridge("br0")
        stopped.numbers.clear()
    assert n_open > 3


def test_packets_that_match_nothing_are_counted_alike(pair: Pair) -> None:
    bridge = pair.add_bridge("br0", {"p1": 1, "p2": 2}, 100)
    for rule in ("ip,actions=goto_table:1", "arp,actions=resubmit(,7)", "table=1,udp,actions=output:2"):
        bridge.add_flow(rule)
        pair.ref.ofctl("add-flow", pair.ref.bridge_target("br0"), rule)
    bridge.ofproto.set_frag_handling("drop")
    pair.ref._run("ovs-ofctl", "set-frags", pair.ref.bridge_target("br0"), "drop")
    for data in (*[frame("eth")] * 2, *map(frame, ("udp", "tcp", "arp")), frame("udp", frag=0x2000)):
        bridge.inject("p1", data)
        pair.ref.appctl("netdev-dummy/receive", "p1", data.hex())
    ours = sorted(line.split("s, ", 1)[1] for line in bridge.dump_flows(hidden=True).splitlines())
    deadline = time.monotonic() + 10        # the reference counts when it revalidates
    theirs: list[str] = []
    while theirs != ours and time.monotonic() < deadline:
        time.sleep(0.1)
        told = pair.ref.appctl("bridge/dump-flows", "br0").splitlines()
        theirs = sorted(line.split("s, ", 1)[1] for line in told)
    assert ours == theirs
    assert sum("n_packets=3" in line and "reg0=0x2" in line for line in ours) == 1
