"""Flow mods of each version, by real ovs-ofctl: the same rules in ours as in the reference.

What a modify does that finds nothing, which cookies change, what each flag means and which are known: it
differs from version to version.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from ofctl_pair import ofctl, our_bridge, reference_bridge

N_STEPS = 18
MATCHES = ("in_port=1", "in_port=2", "tcp,tp_dst=80", "ip", "arp")
FLAGS = ("", "", "send_flow_rem", "check_overlap", "reset_counts", "no_packet_counts", "no_byte_counts")


@pytest.fixture(scope="module")
def theirs() -> Iterator[str]:
    with reference_bridge() as target:
        yield target


def step(r: random.Random, version: int) -> tuple[str, ...]:
    """One command of ovs-ofctl."""
    match, verb = r.choice(MATCHES), r.choice(("add-flow", "add-flow", "mod-flows", "mod-flows", "del-flows"))
    table = r.choice(("", "table=1,")) if version else ""
    if verb == "del-flows":
        return verb, f"{table}{match}" + r.choice(("", ",cookie=1/1", ",cookie=2/-1"))
    cookie = r.choice(("", "cookie=1,", "cookie=2,"))
    if verb == "mod-flows" and r.random() < 0.4:
        cookie += r.choice(("cookie=1/1,", "cookie=2/-1,"))
    flag = r.choice(FLAGS)
    flow = f"{table}{cookie}{match},{flag + ',' if flag else ''}actions=output:{r.randint(1, 3)}"
    return (*(("--strict",) if verb == "mod-flows" and r.random() < 0.5 else ()), verb, flow)


@pytest.mark.parametrize("version", range(6))
def test_flow_mods_do_the_same(theirs: str, tmp_path: Path, version: int, more: int) -> None:
    with our_bridge(tmp_path) as (ours, _bridge):
        for seed in range(more):
            told = []
            for target in (ours, theirs):
                ofctl(target, 5, ("del-flows",))
            r = random.Random(100 * version + seed)
            for _ in range(N_STEPS):
                command = step(r, version)
                told.append(command)
                assert ofctl(ours, version, command) == ofctl(theirs, version, command), told
            assert ofctl(ours, 5, ("dump-flows",)) == ofctl(theirs, 5, ("dump-flows",)), told
