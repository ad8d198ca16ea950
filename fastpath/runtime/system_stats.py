"""What the host and the daemons on it take, in the words of the database's ``statistics`` (``man
ovs-vswitchd.conf.db``, Open_vSwitch table).

A thread gathers it, as a file system may take long to answer.  Memory is told in kB, time in ms.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

INTERVAL_S = 5.0
_MEMORY = ("MemTotal", "MemFree", "Buffers", "Cached", "SwapTotal", "SwapFree")
_UTIME, _STIME, _START, _VSIZE, _RSS, _CORE, _PPID = 14, 15, 22, 23, 24, 39, 4     # of /proc/PID/stat, from 1
_FLOCK = struct.Struct("hhqqi4x")       # struct flock
_CRASHES = re.compile(rb"\((\d+) crashes?")


def gather(rundir: Path, proc: Path = Path("/proc"), mounts: Path = Path("/etc/mtab")) -> dict[str, str]:
    """All there is to tell now; the daemons are those with a locked pidfile in *rundir*."""
    told = {"cpu": str(os.cpu_count() or 1), "load_average": ",".join(f"{x:.2f}" for x in os.getloadavg()),
            "memory": _memory(proc), "file_systems": " ".join(_file_systems(mounts))}
    for path in sorted(rundir.glob("*.pid")):
        pid = _locked_by(path)
        if pid is not None:
            told[f"process_{path.stem}"] = _process(pid, proc)
    return {name: text for name, text in told.items() if text or name.startswith("process_")}


def _memory(proc: Path) -> str:
    try:
        lines = (line.partition(":") for line in (proc / "meminfo").read_text().splitlines())
        found = {name: int(rest.split()[0]) for name, _, rest in lines if name in _MEMORY}
    except (OSError, ValueError, IndexError):
        return ""
    total, free, buffers, cached, swap, swap_free = (found.get(name, 0) for name in _MEMORY)
    return f"{total},{total - free},{buffers + cached},{swap},{swap - swap_free}"


def _file_systems(mounts: Path) -> Iterator[str]:
    """Those of local disks that can be written to: where, size, used."""
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return
    for words in map(str.split, lines):
        if len(words) < 4 or not words[0].startswith("/dev") or "rw" not in words[3]:
            continue
        where = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), words[1])
        try:
            vfs = os.statvfs(where)
        except OSError:
            continue
        if not vfs.f_flag & os.ST_RDONLY:
            total, free = (vfs.f_frsize * n // 1024 for n in (vfs.f_blocks, vfs.f_bfree))
            yield f"{re.sub('[ ,]', '_', where)},{total},{total - free}"


def _own_files() -> Iterator[tuple[int, int]]:
    """The files this process has open, as device and inode."""
    for fd in os.listdir("/proc/self/fd"):
        try:
            found = os.stat(f"/proc/self/fd/{fd}")
        except OSError:                 # the list's own
            continue
        yield found.st_dev, found.st_ino


def _locked_by(path: Path) -> int | None:
    """The process a pidfile names, if one has locked it."""
    try:
        found = path.stat()
        if (found.st_dev, found.st_ino) in set(_own_files()):
            return os.getpid()          # to open and close it would give up our lock
        with path.open("rb") as file:   # asked only: who is about to lock it shall find it free
            held = fcntl.fcntl(file, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
            return None if _FLOCK.unpack(held)[0] == fcntl.F_UNLCK else int(file.read())
    except (OSError, ValueError):
        return None


def _process(pid: int, proc: Path) -> str:
    """Sizes, processor time, crashes, how long since it was started and since it runs, and its core."""
    own = _stat(pid, proc)
    if own is None:
        return ""
    name, words = own
    age = booted = _age_ms(words, proc)
    crashes = 0
    parent = _stat(int(words[_PPID]), proc)
    if parent is not None and parent[0] == name:        # which watches over it
        booted = _age_ms(parent[1], proc)
        found = _CRASHES.search(_read(proc / words[_PPID] / "cmdline"))
        crashes = int(found[1]) if found is not None else 0
    tick_ms, page = 1000 // os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    return (f"{int(words[_VSIZE]) // 1024},{int(words[_RSS]) * page // 1024},"
            f"{(int(words[_UTIME]) + int(words[_STIME])) * tick_ms},{crashes},{booted},{age},{words[_CORE]}")


def _stat(pid: int, proc: Path) -> tuple[str, list[str]] | None:
    """Name of a process and the words of its state, by their number."""
    text = _read(proc / str(pid) / "stat").decode(errors="replace")
    name, closed, rest = text.partition("(")[2].rpartition(")")
    words = ["", str(pid), name, *rest.split()]
    return (name, words) if closed and len(words) > _CORE else None


def _age_ms(words: list[str], proc: Path) -> int:
    up = float(_read(proc / "uptime").split()[0])
    return max(0, round(1000 * (up - int(words[_START]) / os.sysconf("SC_CLK_TCK"))))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


class SystemStats:
    """Gathers in a thread while it is wanted.  For one thread of callers."""

    def __init__(self, rundir: Path, gather: Callable[[Path], dict[str, str]] = gather) -> None:
        self._rundir, self._gather = rundir, gather
        self._stop: threading.Event | None = None
        self._found: dict[str, str] | None = None

    def want(self, wanted: bool) -> None:
        """Begin, or end."""
        if wanted and self._stop is None:
            self._stop = threading.Event()
            threading.Thread(target=self._run, args=(self._stop,), name="system_stats", daemon=True).start()
        elif not wanted and self._stop is not None:
            self._stop.set()
            self._stop = self._found = None

    def take(self) -> dict[str, str] | None:
        """What was found since the last time, None for nothing new."""
        found, self._found = self._found, None
        return found

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            found = self._gather(self._rundir)
            if not stop.is_set():
                self._found = found
            stop.wait(INTERVAL_S)
