"""A mininet switch class: each switch of the network is a ``fastpath run`` of its own, and needs nothing of
Open vSwitch to be installed.

    mn --custom PATH/TO/fastpath/mininet.py --switch fastpath --topo tree,2,3 --test pingall

or, in a script, ``Mininet(switch=FastpathSwitch)``.  mininet runs in the interpreter of the distribution,
fastpath often in another: this module imports nothing of the package, and starts the command that the
environment variable FASTPATH names, by default the one of its own interpreter or else that on the PATH.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from mininet.node import Switch

START_S = 20                    # how long a switch may take until it serves


def command() -> str:
    """The command line that starts fastpath, quoted for a shell."""
    given = os.environ.get("FASTPATH")
    if given:
        return given
    if find_spec("fastpath") is not None:
        return f"{shlex.quote(sys.executable)} -m fastpath"
    found = shutil.which("fastpath")
    if found is None:
        raise OSError("fastpath: no such command, expected it on the PATH or in FASTPATH")
    return shlex.quote(found)


class FastpathSwitch(Switch):  # type: ignore[misc]
    """A switch; arguments beside those of ``mininet.node.Switch`` as OVSSwitch has them:

    *failMode* is "secure" or "standalone" (without a controller it learns in any case); *protocols* are the
    versions to speak, such as "OpenFlow13" or "OpenFlow10,OpenFlow13"; *threads* move packets.
    """

    def __init__(self, name: str, failMode: str = "secure", protocols: str | None = None,
                 threads: int = 1, **params: Any) -> None:
        super().__init__(name, **params)
        self.fail_mode, self.protocols, self.threads = failMode, protocols, threads
        self._dir = ""
        self._n_controllers = 0
        self._daemon = 0

    # -- what mininet calls --------------------------------------------------------------------------------

    def start(self, controllers: Iterable[Any]) -> None:
        """Start the switch; ``batchStartup`` and whatever asks it something wait until it serves."""
        self._dir = tempfile.mkdtemp(prefix=f"fastpath-{self.name}-")
        with open(self._path("toml"), "w") as file:
            file.write(self._config(controllers))
        self.cmd(f"{command()} run --config {self._path('toml')} --quiet {self.opts} "
                 f"> {self._path('log')} 2>&1 < /dev/null &")
        self._daemon = int(self.cmd("echo $!"))

    @classmethod
    def batchStartup(cls, switches: Iterable[FastpathSwitch], **_options: Any) -> list[FastpathSwitch]:
        """Wait for all: they start side by side."""
        for switch in switches:
            switch.await_start()
        return list(switches)

    def stop(self, deleteIntfs: bool = True) -> None:
        """End the switch, and wait for its end."""
        if self._daemon:
            self.cmd(f"kill {self._daemon}; wait {self._daemon}")
            self._daemon = 0
            shutil.rmtree(self._dir, ignore_errors=True)
        super().stop(deleteIntfs)

    def dpctl(self, *args: str) -> str:
        """Run ``fastpath ofctl VERB SWITCH ...``, which knows the verbs of ovs-ofctl."""
        self.await_start()
        verb, *rest = args
        return str(self.cmd(f"{command()} ofctl", verb, f"unix:{self._path('mgmt')}", *rest))

    def connected(self) -> bool:
        """Whether a controller is connected; one that has none need not wait for any."""
        return not self._n_controllers or "(connected" in self._ask("controllers")

    def attach(self, intf: Any) -> None:
        """Add a port while the switch runs."""
        self.cmd("ip link set dev", intf, "up")
        said = self._ask(f"add-port {intf} --number {self.ports[intf]}")
        if said.strip():
            raise ValueError(f"{self.name}: {said.strip()}")

    def detach(self, intf: Any) -> None:
        """Remove a port while the switch runs."""
        said = self._ask(f"del-port {intf}")
        if said.strip():
            raise ValueError(f"{self.name}: {said.strip()}")

    # -- the process ---------------------------------------------------------------------------------------

    def await_start(self) -> None:
        """Return once the switch serves.  Raises OSError with its last words if it does not."""
        ready, gone = f"[ -S {self._path('mgmt')} ]", f"! kill -0 {self._daemon} 2> /dev/null"
        self.cmd(f"for i in $(seq {START_S * 20}); do {ready} && break; {gone} && break; sleep 0.05; done")
        if not os.path.exists(self._path("mgmt")):
            with open(self._path("log")) as log:
                raise OSError(f"{self.name}: {log.read().strip() or 'not started in time'}")

    def _ask(self, view: str) -> str:
        self.await_start()
        return str(self.cmd(f"{command()} {view} --socket {self._path('sock')}"))

    def _path(self, kind: str) -> str:
        return os.path.join(self._dir, f"{self.name}.{kind}")

    def _config(self, controllers: Iterable[Any]) -> str:
        """The file for ``fastpath run``; its strings are written as JSON writes them, which TOML reads."""
        targets = [f"tcp:{c.IP()}:{c.port}" for c in controllers]
        bridge = f"bridges.{json.dumps(self.name)}"
        self._n_controllers = len(targets)
        lines = ["[switch]", f"threads = {self.threads}", f"socket = {json.dumps(self._path('sock'))}",
                 f"rundir = {json.dumps(self._dir)}", f"[{bridge}]", f"dpid = {json.dumps(self.dpid)}"]
        if targets:
            lines += [f"controllers = {json.dumps(targets)}", f"fail_mode = {json.dumps(self.fail_mode)}"]
        if self.protocols:
            lines.append(f"protocols = {json.dumps(self.protocols.split(','))}")
        if self.listenPort:
            lines.append(f'listen = ["ptcp:{self.listenPort}"]')
        for intf in self.intfList():
            if self.ports[intf] and not intf.IP():
                lines += [f"[{bridge}.ports.{json.dumps(intf.name)}]", f"number = {self.ports[intf]}"]
        return "\n".join(lines) + "\n"


switches = {"fastpath": FastpathSwitch}     # what mn --custom looks for
