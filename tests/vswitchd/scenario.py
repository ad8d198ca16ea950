"""Scenarios: shell lines that both daemons should answer alike, and what each did.

A file holds sections, ``== name`` before each; lines before the first section begin every section.  ``#``
begins a comment; a line that ends in a backslash goes on in the next.  ``words.sh`` has the words they share.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from stack import Stack

HERE = Path(__file__).parent / "scenarios"
# Root tables, whose rows stay when nobody refers to them (others go with the bridges), and the log's levels.
CLEAR = ("ovs-vsctl clear open_vswitch . bridges manager_options ssl other_config external_ids"
         " && ovs-vsctl --all destroy qos -- --all destroy queue -- --all destroy flow_sample_collector_set"
         " && ovs-appctl vlog/set ANY:file:info")
RESTART = "restart"             # a line that ends the daemon and starts it again
# Lines of load; of features that one of both has not (controllers in band, collectors); of what the other's
# datapath and TLS library have words of their own for; and of a signal, from whichever thread it met.
_LOAD = re.compile(r"^(timeval|poll_loop|ovs_rcu|fatal_signal|in_band|collectors|sflow|stream_ssl|odp_util)\b"
                   r"|bad IP address|internal error parsing flow key|failed to put\[create\]"
                   r"|DPIF meter|Dropped \d+ log messages|ofproto_dpif_upcall.*Spent an")
_BAD = ("WARN", "ERR", "EMER")


@dataclass(frozen=True)
class Scenario:
    """Lines of shell, and where they stand."""

    name: str
    lines: tuple[str, ...]


def read(path: Path) -> list[Scenario]:
    """The scenarios of a file."""
    begin: list[str] = []
    sections: list[tuple[str, list[str]]] = []
    lines = begin
    for line in map(str.strip, path.read_text().replace("\\\n", " ").splitlines()):
        if line.startswith("== "):
            lines = []
            sections.append((line[3:], lines))
        elif line and not line.startswith("#"):
            lines.append(line)
    if not sections:
        return [Scenario(path.stem, tuple(begin))]
    return [Scenario(f"{path.stem}: {name}", (*begin, *found)) for name, found in sections]


def every() -> list[Scenario]:
    """All scenarios."""
    return [scenario for path in sorted(HERE.glob("*.txt")) for scenario in read(path)]


def warnings(log: str) -> set[str]:
    """What a daemon warned of, in a log that was made alike: module, level and text."""
    parts = [line.split("|", 2) for line in log.splitlines() if not _LOAD.search(line)]
    return {"|".join(part) for part in parts if len(part) == 3 and part[1] in _BAD}


def play(scenario: Scenario, stack: Stack) -> list[str]:
    """What each line printed, and last what the daemon warned of; begins without bridges."""
    if wrong := stack.run(CLEAR):
        raise RuntimeError(f"what came before {scenario.name} stays: {wrong}")
    size = len(stack.log)
    said = [f"$ {line}\n{_do(line, stack)}" for line in scenario.lines]
    stack.run("ovs-appctl vlog/reopen")         # the reference writes its log in the background
    log = stack.normal(stack.log[size:])
    return [*said, "".join(f"warned: {line}\n" for line in sorted(warnings(log)))]


def _do(line: str, stack: Stack) -> str:
    if line == RESTART:
        stack.restart()
        return ""
    return stack.run(line)


def play_both(scenario: Scenario, stacks: tuple[Stack, Stack]) -> tuple[list[str], list[str]]:
    """The same with both daemons, at one time."""
    with ThreadPoolExecutor(2) as pool:
        ours, theirs = pool.map(lambda stack: play(scenario, stack), stacks)
    return ours, theirs
