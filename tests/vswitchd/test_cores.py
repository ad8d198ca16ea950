"""Cores and their NUMA nodes."""

from __future__ import annotations

from pathlib import Path

from fastpath.vswitchd.cores import lines, numas


def test_cores_of_a_host(tmp_path: Path) -> None:
    for path in ("node0/cpu0", "node1/cpu1", "node0/cpu2", "node0/cpulist"):
        (tmp_path / path).mkdir(parents=True)
    assert numas(None, tmp_path) == (0, 1, 0)


def test_made_up_cores_are_told_of() -> None:
    assert list(lines(numas("0,0,8"))) == [
        "Discovered 2 CPU cores on NUMA node 0", "Discovered 1 CPU cores on NUMA node 8",
        "Discovered 2 NUMA nodes and 3 CPU cores"]
