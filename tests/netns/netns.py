"""Network namespaces for tests and benches: made with unique names, gone afterwards.

    with Lab() as lab:
        h1, sw = lab.netns("h1"), lab.netns("sw")
        lab.veth(h1, "eth0", sw, "p1", address="10.0.0.1/24")
        lab.run(h1, "ping", "-c1", "10.0.0.2")

Nothing outside the lab's own namespaces is touched.  Namespaces of a run that was killed are swept up by the
next one: their names carry the process id.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from types import TracebackType

from fastpath.errors import PortError
from fastpath.io import link

PREFIX = "fpt"


class Lab:
    """Owner of namespaces and processes of one test; a context manager that ends them all."""

    _serial = 0

    def __init__(self) -> None:
        Lab._serial += 1
        self._base = f"{PREFIX}-{os.getpid()}-{Lab._serial}-"
        self._namespaces: list[str] = []
        self._processes: list[subprocess.Popen[str]] = []
        sweep()

    def netns(self, label: str) -> str:
        """Make a namespace, loopback up, IPv6 chatter off; return its full name."""
        name = self._base + label
        link.add_netns(name)
        self._namespaces.append(name)
        with link.in_netns(name):
            for kind in ("all", "default"):     # no router solicitations or MLD among the test's frames
                with open(f"/proc/sys/net/ipv6/conf/{kind}/disable_ipv6", "w") as file:
                    file.write("1")
        return name

    def veth(self, ns: str, name: str, peer_ns: str, peer: str, *, address: str | None = None,
             mac: str | None = None, peer_mac: str | None = None) -> None:
        """Connect device *name* of *ns*, which gets *address*, with device *peer* of *peer_ns*; both up."""
        link.add_veth(name, peer, netns=ns, peer_netns=peer_ns, up=False)
        for where, device, hw in ((ns, name, mac), (peer_ns, peer, peer_mac)):
            with link.in_netns(where):
                link.configure(device, mac=hw, up=True)
        if address:
            link.add_address(name, address, netns=ns)

    def spawn(self, ns: str, *argv: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a program in a namespace; it is ended with the lab."""
        with link.in_netns(ns):         # children inherit the namespace of the thread that starts them
            process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                       env=env)
        self._processes.append(process)
        return process

    def run(self, ns: str, *argv: str, timeout: float = 30) -> str:
        """Run a program in a namespace; return what it printed.  Raises CalledProcessError."""
        process = self.spawn(ns, *argv)
        out, _ = process.communicate(timeout=timeout)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, argv, output=out)
        return out

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait(timeout=10)
            if process.stdout:
                process.stdout.close()
        for name in self._namespaces:
            link.delete_netns(name)


def sweep() -> None:
    """Delete namespaces of labs whose process is gone."""
    for name in link.namespaces():
        parts = name.split("-")
        if parts[0] == PREFIX and len(parts) == 4 and not os.path.exists(f"/proc/{parts[1]}"):
            with suppress(PortError):   # another run may have swept it up
                link.delete_netns(name)
