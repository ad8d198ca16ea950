"""The cores of the host and the NUMA nodes they are on, or those that ``--dummy-numa`` makes up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

NODES = Path("/sys/devices/system/node")


def numas(told: str | None, nodes: Path = NODES) -> tuple[int, ...]:
    """The NUMA node of each core, as *told* (``0,0,1``) or as the host has it."""
    if told:
        return tuple(int(part) for part in told.split(",") if part.strip().isdecimal())
    found = {int(core.name[3:]): int(node.name[4:]) for node in nodes.glob("node[0-9]*")
             for core in node.glob("cpu[0-9]*")}
    return tuple(found.get(core, 0) for core in range(max(found) + 1)) if found else (0,)


def lines(found: Sequence[int]) -> Iterator[str]:
    """What is logged of them at the start."""
    by_node = Counter(found)
    for node, n in sorted(by_node.items()):
        yield f"Discovered {n} CPU cores on NUMA node {node}"
    yield f"Discovered {len(by_node)} NUMA nodes and {len(found)} CPU cores"
