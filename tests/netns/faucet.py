"""Faucet and ``fastpath run`` in namespaces of their own, with hosts around: what tests of controllers use.

    with Site(lab, folder, faucet, CONFIG, {"h1": ("p1", "10.0.0.1/24"), ...}) as site:
        site.pings("h1", "10.0.0.2")
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from netns import Lab

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 40.0


def until(done: Callable[[], object], what: str) -> None:
    """Return once *done*; fail, saying *what* was waited for, when it takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


class Site:
    """Faucet at work on a switch with *hosts*: name to the switch's device and the host's address."""

    def __init__(self, lab: Lab, folder: Path, controllers: Path, faucet: str, switch: str,
                 hosts: dict[str, tuple[str, str]]) -> None:
        self.folder, self._lab = folder, lab
        self.netns = lab.netns("sw")
        lab.run(self.netns, "ip", "link", "set", "lo", "up")
        self.hosts: dict[str, str] = {}
        for name, (device, address) in hosts.items():
            self.hosts[name] = lab.netns(name)
            lab.veth(self.hosts[name], "eth0", self.netns, device, address=address)
        self.configure(faucet)
        (folder / "switch.toml").write_text(switch.replace("DIR", str(folder)))
        self._controllers = controllers

    def configure(self, faucet: str) -> None:
        """Write Faucet's configuration."""
        (self.folder / "faucet.yaml").write_text(faucet)

    def __enter__(self) -> Site:
        programs = self._controllers / "bin"
        env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "FAUCET_PROMETHEUS_PORT": "9302",
               "FAUCET_CONFIG": str(self.folder / "faucet.yaml"), "FAUCET_EVENT_SOCK": "",
               "FAUCET_LOG": str(self.folder / "log"), "FAUCET_EXCEPTION_LOG": str(self.folder / "faults")}
        self.faucet = self._lab.spawn(self.netns, str(programs / "faucet"), "--ryu-ofp-tcp-listen-port=6653",
                                      "--ryu-ofp-listen-host=127.0.0.1", env=env)
        self.switch = self._lab.spawn(
            self.netns, sys.executable, "-m", "fastpath", "run", "--quiet",
            "--config", str(self.folder / "switch.toml"),
            env={**os.environ, "PYTHONPATH": str(ROOT)})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for process in (self.switch, self.faucet):
            process.terminate()
        told = [process.communicate(timeout=30)[0] for process in (self.switch, self.faucet)]
        if error is not None:
            print(*told, self.log[-4000:], sep="\n----\n")
            return
        assert told[0] == ""
        assert not (self.folder / "faults").exists() or not (self.folder / "faults").read_text()

    @property
    def log(self) -> str:
        """What Faucet says."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def reload(self, faucet: str) -> None:
        """Have Faucet read another configuration."""
        self.configure(faucet)
        self.faucet.send_signal(signal.SIGHUP)

    def rules(self, bridge: str, match: str = "") -> list[str]:
        """Rules of a bridge, as ovs-ofctl prints them."""
        done = subprocess.run(["ovs-ofctl", "-O", "OpenFlow13", "dump-flows",
                               f"unix:{self.folder / bridge}.mgmt", match], capture_output=True, text=True,
                              timeout=30)
        return done.stdout.splitlines()[1:]

    def _answers(self, host: str, address: str, tries: int, wait_s: int) -> bool:
        command = ("ping", "-n", "-c1", f"-W{wait_s}", address)
        for _ in range(tries):
            process = self._lab.spawn(self.hosts[host], *command)
            process.communicate(timeout=30)
            if process.returncode == 0:
                return True
        return False

    def pings(self, host: str, address: str) -> bool:
        """Whether *host* comes to have answers of *address*: the first may be lost while Faucet learns."""
        return self._answers(host, address, 20, 1)

    def is_refused(self, host: str, address: str) -> bool:
        """Whether *host* has no answer of *address*."""
        return not self._answers(host, address, 2, 1)
