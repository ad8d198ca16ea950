"""What the host and its daemons take, as its kernel tells it; looking at pidfiles takes no lock away."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from wire import eventually

from fastpath.runtime import system_stats
from fastpath.runtime.system_stats import SystemStats, gather

_HOLD = """
import fcntl, sys, os, time
f = open(sys.argv[1], "w"); f.write(f"{os.getpid()}\\n"); f.flush(); fcntl.lockf(f, fcntl.LOCK_EX)
print("held", flush=True); sys.stdin.read()
"""


def _proc(folder: Path) -> Path:
    """A /proc: of process 7, which 6 watches over, and of 8, which nobody does."""
    (folder / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 300 kB\nBuffers: 20 kB\nCached: 30 kB\n"
                                    "Slab: 5 kB\nSwapTotal: 50 kB\nSwapFree: 40 kB\n")
    (folder / "uptime").write_text("1000.50 1.00\n")
    for pid, parent, name, start in ((6, 1, "d (x)", 10_000), (7, 6, "d (x)", 90_000), (8, 1, "e", 100_000)):
        (folder / str(pid)).mkdir()
        words = [str(parent), *["0"] * 9, "11", "22", *["0"] * 6, str(start), str(4096 * 1024), "10",
                 *["0"] * 14, "1", "0", "0"]
        (folder / str(pid) / "stat").write_text(f"{pid} ({name}) S {' '.join(words)}\n")
    (folder / "6" / "cmdline").write_bytes(b"d: monitoring pid 7 (3 crashes: pid 5 died, killed)\0")
    return folder


def test_a_watched_process_is_told_with_its_crashes(tmp_path: Path) -> None:
    proc, tick = _proc(tmp_path), os.sysconf("SC_CLK_TCK")
    page_kb = os.sysconf("SC_PAGE_SIZE") // 1024
    said = [system_stats._process(pid, proc) for pid in (7, 8, 9)]
    assert tick == 100
    assert said == [f"4096,{10 * page_kb},330,3,900500,100500,1", f"4096,{10 * page_kb},330,0,500,500,1", ""]


def test_memory_and_file_systems_are_told_in_kb(tmp_path: Path) -> None:
    mounts = tmp_path / "mtab"
    mounts.write_text(f"/dev/a {tmp_path} ext4 rw,relatime 0 0\n/dev/b /nowhere ext4 rw 0 0\n"
                      f"proc {tmp_path} proc rw 0 0\n/dev/c {tmp_path} ext4 ro 0 0\nshort\n")
    told = gather(tmp_path, _proc(tmp_path), mounts)
    assert told["memory"] == "1000,700,50,50,10" and told["cpu"] == str(os.cpu_count())
    where, size, used = told["file_systems"].rsplit(",", 2)
    assert where == str(tmp_path) and int(size) >= int(used) > 0
    assert "memory" not in gather(tmp_path, tmp_path / "none", mounts)


def test_daemons_are_those_that_lock_their_pidfiles(tmp_path: Path) -> None:
    (tmp_path / "stale.pid").write_text(f"{os.getpid()}\n")
    (tmp_path / "odd.pid").write_text("nonsense\n")
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path / "other.pid")], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as other, (tmp_path / "own.pid").open("w") as own:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        fcntl.lockf(own, fcntl.LOCK_EX)
        told = {name: text for name, text in gather(tmp_path).items() if name.startswith("process_")}
        assert set(told) == {"process_other", "process_own"}
        assert all(len(text.split(",")) == 7 for text in told.values())
        locked = subprocess.run([sys.executable, "-c", (
            "import fcntl, sys\ntry: fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
            "except OSError: sys.exit(3)"), str(tmp_path / "own.pid")], check=False)
        assert locked.returncode == 3           # by us, still
        assert other.stdin is not None
        other.stdin.close()


def test_it_is_gathered_while_it_is_wanted(tmp_path: Path) -> None:
    n = 0

    def count(_rundir: Path) -> dict[str, str]:
        nonlocal n
        n += 1
        return {"n": str(n)}

    stats = SystemStats(tmp_path, count)
    assert stats.take() is None
    stats.want(True)
    stats.want(True)
    assert eventually(lambda: n == 1) and eventually(lambda: stats.take() == {"n": "1"})
    assert stats.take() is None
    stats.want(False)
    assert stats.take() is None
    stats.want(True)
    assert eventually(lambda: n == 2)
    stats.want(False)
