"""A controller of our own drives ``fastpath run`` in namespaces, by options and by a file: a bundle that is
refused and one that is not, a meter, a group that fails over, and what is left when the controller goes."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from faucet import ROOT, until
from netns import Lab

ENV = {**os.environ, "PYTHONPATH": str(ROOT)}
TOML = """
[bridges.br0]
controllers = ["tcp:127.0.0.1:6653"]
listen = ["ptcp:6634"]
protocols = ["OpenFlow15"]
dpid = "4d"
fail_mode = "standalone"
[bridges.br0.ports]
p1 = {number = 1}
p2 = {number = 2}
p3 = {number = 3}
"""
OPTIONS = ("--port", "p1", "--port", "p2", "--port", "p3", "--controller", "tcp:127.0.0.1:6653",
           "--protocols", "OpenFlow13", "--dpid", "4d", "--fail-mode", "secure", "--listen", "ptcp:6634")


class Site:
    """Host h1 at p1; h2 and h3, which have one address, at p2 and p3; a controller and a switch."""

    def __init__(self, lab: Lab, version: int, options: tuple[str, ...]) -> None:
        self.lab, self.version = lab, version
        self.sw, self.h1 = lab.netns("sw"), lab.netns("h1")
        lab.run(self.sw, "ip", "link", "set", "lo", "up")
        lab.veth(self.h1, "eth0", self.sw, "p1", address="10.0.0.1/24")
        for n in (2, 3):
            lab.veth(lab.netns(f"h{n}"), "eth0", self.sw, f"p{n}", address="10.0.0.2/24",
                     mac="02:00:00:00:00:02")
        self.controller = lab.spawn(self.sw, sys.executable, str(ROOT / "tests/netns/failover_controller.py"),
                                    str(version), env=ENV)
        self.told: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()
        until(lambda: "ready" in self.told, "the controller")
        self.switch = lab.spawn(self.sw, sys.executable, "-m", "fastpath", "run", "--quiet", *options,
                                env=ENV)

    def _listen(self) -> None:
        assert self.controller.stdout is not None
        for line in self.controller.stdout:
            self.told.append(line.strip())

    def hears(self, line: str) -> None:
        """Wait until the controller said *line*."""
        until(lambda: line in self.told, f"{line!r} among {self.told}")

    def ofctl(self, *words: str) -> str:
        """What ovs-ofctl prints of the switch."""
        verb, *args = words
        return self.lab.run(self.sw, "ovs-ofctl", "-O", f"OpenFlow1{self.version - 1}", verb,
                            "tcp:127.0.0.1:6634", *args)

    def pings(self) -> bool:
        """Whether h1 has an answer of the address behind p2 and p3."""
        process = self.lab.spawn(self.h1, "ping", "-n", "-c1", "-W1", "10.0.0.2")
        process.communicate(timeout=30)
        return process.returncode == 0


@pytest.mark.parametrize("version", [4, 6], ids=["options", "file"])
def test_a_bundle_a_meter_and_a_group_that_fails_over(root: None, ovs_ofctl: str, tmp_path: Path, version: int
                                                      ) -> None:
    (tmp_path / "lab.toml").write_text(TOML)
    with Lab() as lab:
        site = Site(lab, version, OPTIONS if version == 4 else ("--config", str(tmp_path / "lab.toml")))
        site.hears(f"switch 4d version {version}")
        site.hears("refused True")
        site.hears("bundle True")
        assert site.ofctl("dump-flows").count("actions=") == 5          # and none of the bundle refused
        assert "type=ff" in site.ofctl("dump-groups") and "meter=1 pktps" in site.ofctl("dump-meters")
        until(site.pings, "an answer by way of p2")
        lab.run(site.sw, "ip", "link", "set", "p2", "down")
        site.hears("port 2 down")
        until(site.pings, "an answer by way of p3")
        lab.run(site.sw, "ip", "link", "set", "p2", "up")
        site.hears("port 2 up")
        until(site.pings, "an answer by way of p2 again")
        stats = site.ofctl("meter-stats", "meter=1")
        assert "packet_in_count:" in stats and "packet_in_count:0 " not in stats

        site.controller.kill()
        if version == 4:                # secure: rules stay as they are
            assert site.pings() and site.ofctl("dump-flows").count("actions=") == 5
        else:                           # standalone: after a while it switches by itself
            site.ofctl("del-flows")
            until(site.pings, "an answer without a controller and rules")
        site.switch.terminate()
        assert site.switch.communicate(timeout=60)[0] == ""
