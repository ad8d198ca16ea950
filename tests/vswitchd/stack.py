"""A database server and a switch daemon in private, ours or the reference, driven by the reference's clients.

``with Stack(OURS) as stack: stack.run("ovs-vsctl add-br br0")`` answers what was printed, and how it ended.
Everything lies in one temporary directory; processes are ended by their ids.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from alike import alike
from reference import SCHEMA

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = (sys.executable, "-m", "fastpath.vswitchd.main")
THEIRS = ("ovs-vswitchd",)
START_S = 60.0
WORDS = Path(__file__).resolve().parent / "scenarios" / "words.sh"
DUMMIES = ("--enable-dummy=override", "--disable-system", "--disable-system-route")


class DatabaseServer:
    """A database server in a directory of its own, which is in the environment of what ``run`` runs."""

    def __init__(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="stack-"))
        folders = ("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR")
        self.env = {**os.environ, **dict.fromkeys(folders, str(self.dir)), "OVS_SYSLOG_METHOD": "null",
                    "PYTHONPATH": str(ROOT), "OVS_CTL_TIMEOUT": "30", "BASH_ENV": str(WORDS)}
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)       # or each start compiles all modules anew
        try:
            self.begin()
        except BaseException:
            self.close()
            raise

    def begin(self) -> None:
        """Start what there is to start."""
        self.start_database()

    def start_database(self, *, init: bool = True) -> None:
        """Make an empty database unless there is one, and serve it; *init*: as ovs-ctl does, with its row."""
        db = self.dir / "conf.db"
        if not db.exists():
            self._must("ovsdb-tool", "create", str(db), str(SCHEMA))
        self._must("ovsdb-server", str(db), f"--remote=punix:{self.dir}/db.sock", "--detach", "--no-chdir",
                   "--pidfile", "--log-file", "-vconsole:off")
        if init:
            self._must("ovs-vsctl", "--no-wait", "init")

    def _must(self, *command: str) -> None:
        done = subprocess.run(command, env=self.env, cwd=self.dir, capture_output=True, text=True,
                              timeout=START_S)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}{done.stdout}")

    def run(self, line: str) -> str:
        """Run a line of shell; what it printed, on both channels, and how it ended if not well."""
        done = subprocess.run(["bash", "-c", line], env=self.env, cwd=self.dir, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        text = done.stdout + (f"\n[exit {done.returncode}]\n" if done.returncode else "")
        return self.normal(text)

    def normal(self, text: str) -> str:
        """*text* without what differs between two runs of one switch."""
        return alike(text.replace(str(self.dir), "DIR"))

    def pid(self, program: str = "ovs-vswitchd") -> int | None:
        """Process id of a daemon, by its file."""
        with suppress(FileNotFoundError):       # it goes with the daemon
            return int((self.dir / f"{program}.pid").read_text())
        return None

    def stop(self, program: str = "ovs-vswitchd", how: signal.Signals = signal.SIGTERM) -> None:
        """End a daemon by a signal and wait until it is gone."""
        pid = self.pid(program)
        if pid is None:
            return
        deadline = time.monotonic() + 60
        try:
            os.kill(pid, how)
            while time.monotonic() < deadline:
                os.kill(pid, 0)
                if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                    break
                time.sleep(0.01)
            else:
                os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError):
            pass
        (self.dir / f"{program}.pid").unlink(missing_ok=True)

    def close(self) -> None:
        """End both daemons and remove all they left."""
        self.stop("ovs-vswitchd")
        self.stop("ovsdb-server")
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:
        self.close()


class Stack(DatabaseServer):
    """A database server and the switch daemon *program*; *options* are more arguments of the latter."""

    def __init__(self, program: tuple[str, ...], *options: str) -> None:
        self._program, self._options = program, options
        super().__init__()

    def begin(self) -> None:
        """Start both."""
        self.start_database()
        self.start()

    def restart(self) -> None:
        """End the switch daemon and start it again, in stopped time."""
        self.run("ovs-appctl exit")
        self.stop()
        self.start()
        self.run("ovs-appctl time/stop; ovs-appctl vlog/disable-rate-limit")

    def start(self) -> None:
        """Start the switch daemon; it serves once this returns."""
        self._must(*self._program, *self._options, "--detach", "--no-chdir", "--pidfile", "--log-file",
                   "-vconsole:off")

    @property
    def log(self) -> str:
        """The log of the switch daemon."""
        path = self.dir / "ovs-vswitchd.log"
        return path.read_text() if path.exists() else ""
