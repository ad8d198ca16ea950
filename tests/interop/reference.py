"""The reference switch in private: its own directories, its own database server, dummy ports.

``with Reference() as ref:`` starts ovsdb-server and ovs-vswitchd (dummy datapath, no system access) in a
temporary directory and stops both by process id, touching nothing outside.  Commands go over the
daemon's control socket (JSON-RPC 1.0), which takes a fraction of a millisecond where starting
ovs-appctl takes ten.  Dummy devices number their datapath port by the digits of their name: p3 is 3.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import pytest

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
START_S = 20.0
VERSIONS = "OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15"


def available() -> bool:
    """Whether the reference is installed."""
    return all(map(shutil.which, ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl"))) \
        and SCHEMA.exists()


class Refused(Exception):
    """The reference refused a command; the message is its own."""


class Control:
    """One connection to a daemon's control socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(30)
        self._socket.connect(str(path))
        self._decoder, self._buffer = json.JSONDecoder(), ""

    def __call__(self, command: str, *args: str) -> str:
        """Reply to *command*.  Raises Refused with the daemon's words when it refuses."""
        self._socket.sendall(json.dumps({"id": 0, "method": command, "params": list(args)}).encode())
        while True:
            try:
                reply, end = self._decoder.raw_decode(self._buffer)
                break
            except ValueError:
                data = self._socket.recv(1 << 20)
                if not data:
                    raise ConnectionError(f"the reference hung up on {command}") from None
                self._buffer += data.decode()
        self._buffer = self._buffer[end:].lstrip()
        if reply.get("error"):
            raise Refused(reply["error"].strip())
        return str(reply["result"])

    def close(self) -> None:
        self._socket.close()


class Reference:
    """A private reference switch.  ``ref.appctl(...)``, ``ref.vsctl(...)``, ``ref.ofctl(...)``.

    Unless *override* is false every type of port is a dummy, tunnels too.
    """

    def __init__(self, *, override: bool = True) -> None:
        self._dummy = "--enable-dummy=override" if override else "--enable-dummy"
        self.dir = Path(tempfile.mkdtemp(prefix="ref-"))
        folders = ("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR")
        self.env = dict(os.environ, **dict.fromkeys(folders, str(self.dir)))
        self._children: list[subprocess.Popen[bytes]] = []
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        db, sock = self.dir / "conf.db", self.dir / "db.sock"
        self._run("ovsdb-tool", "create", str(db), str(SCHEMA))
        self._daemon("ovsdb-server", str(db), f"--remote=punix:{sock}", f"--unixctl={self.dir}/ovsdb.ctl",
                     "--log-file=" + str(self.dir / "ovsdb.log"), "-vconsole:off")
        self._wait(sock)
        self._run("ovs-vsctl", f"--db=unix:{sock}", "--no-wait", "init")
        self._daemon("ovs-vswitchd", f"unix:{sock}", self._dummy, "--disable-system",
                     f"--unixctl={self.dir}/vswitchd.ctl", "--log-file=" + str(self.dir / "vswitchd.log"),
                     "-vconsole:off")
        self._wait(self.dir / "vswitchd.ctl")
        self.appctl = self._connect(self.dir / "vswitchd.ctl")

    def _daemon(self, *command: str) -> None:
        null = subprocess.DEVNULL
        self._children.append(subprocess.Popen(command, env=self.env, cwd=self.dir, stdin=null, stdout=null,
                                               stderr=null))

    def _wait(self, path: Path) -> None:
        deadline = time.monotonic() + START_S
        while not path.exists():
            if time.monotonic() > deadline or any(c.poll() is not None for c in self._children):
                raise RuntimeError(f"the reference did not start: no {path.name}")
            time.sleep(0.02)

    @staticmethod
    def _connect(path: Path) -> Control:
        """A connection; the socket is there a moment before anybody listens."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                return Control(path)
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _run(self, *command: str, text: str | None = None) -> str:
        done = subprocess.run(command, env=self.env, input=text, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise Refused(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def vsctl(self, *args: str) -> str:
        """Run ovs-vsctl and wait until the daemon has done what it says."""
        return self._run("ovs-vsctl", f"--db=unix:{self.dir / 'db.sock'}", "-t", "30", *args)

    def ofctl(self, *args: str, text: str | None = None) -> str:
        """Run ovs-ofctl, speaking every OpenFlow version; *text* is its standard input."""
        return self._run("ovs-ofctl", "-O", VERSIONS, *args, text=text)

    def add_bridge(self, name: str, *ports: str, fail_mode: str = "secure") -> None:
        """Add a bridge with dummy ports numbered 1, 2, ... in the order given."""
        args = ["add-br", name, "--", "set", "bridge", name, "datapath-type=dummy", f"fail-mode={fail_mode}",
                f"protocols=[{VERSIONS}]"]
        self.vsctl(*args)
        for number, port in enumerate(ports, 1):
            self.vsctl("add-port", name, port, "--", "set", "interface", port, "type=dummy",
                       f"ofport_request={number}")

    def bridge_target(self, bridge: str) -> str:
        """How ovs-ofctl is told of *bridge*."""
        return f"unix:{self.dir / (bridge + '.mgmt')}"

    def set_flows(self, bridge: str, flows: list[str], version: str = "OpenFlow15") -> None:
        """Replace all flows of *bridge*: in one bundle, or one by one in versions that have none."""
        target = self.bridge_target(bridge)
        if version < "OpenFlow13":
            self._run("ovs-ofctl", "-O", version, "del-flows", target)
            self._run("ovs-ofctl", "-O", version, "add-flows", target, "-", text="\n".join(flows) + "\n")
            return
        lines = ["delete", *(f"add {flow}" for flow in flows)]
        self._run("ovs-ofctl", "-O", version, "--bundle", "add-flows", target, "-",
                  text="\n".join(lines) + "\n")

    @property
    def pid(self) -> int:
        """Process id of ovs-vswitchd."""
        return self._children[1].pid

    def trace(self, bridge: str, flow: str, *args: str) -> str:
        """``ofproto/trace`` of *flow*."""
        return self.appctl("ofproto/trace", bridge, flow, *args)

    def close(self) -> None:
        """Stop both daemons, by their process ids, and remove their directory."""
        control = getattr(self, "appctl", None)
        if control is not None:
            control.close()
        for child in reversed(self._children):
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(10)
        self._children.clear()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:
        self.close()


@pytest.fixture(scope="session")
def reference() -> object:
    """A running private reference switch; skips where it is not installed."""
    if not available():
        pytest.skip("the reference switch is not installed")
    with Reference() as ref:
        yield ref
