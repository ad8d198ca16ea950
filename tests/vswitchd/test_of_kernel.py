"""Commands of the daemon about connections go to the kernel where the datapath is the kernel's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from model.kernel import FakeKernel
from test_datapaths import opener

from fastpath.dpif.netlink.connection import Connection, Tuple
from fastpath.runtime.clock import WarpClock
from fastpath.vswitchd.commands import COMMANDS
from fastpath.vswitchd.commands.command import CommandError
from fastpath.vswitchd.datapaths import Datapaths

DNS = Connection(Tuple("10.0.0.1", "10.0.0.2", 17, (9, 53)), Tuple("10.0.0.2", "10.0.0.1", 17, (53, 9)),
                 zone=3)
BY_NAME = {command.name: command for command in COMMANDS}


def test_the_kernel_is_asked_for_its_own_datapath_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastpath.switch.open_datapath", opener(FakeKernel()))
    monkeypatch.setattr("fastpath.dpif.netlink.conntrack.dump",
                        lambda zone: [DNS] if zone in (None, 3) else [])
    daemon: Any = SimpleNamespace(datapaths=Datapaths(clock=WarpClock()))

    def do(line: str) -> str | None:
        verb, *args = line.split()
        try:
            return BY_NAME[f"dpctl/{verb}"].answer(daemon, args)
        except CommandError as error:
            return f"error: {error}"

    try:
        daemon.datapaths.use("system")
        told = do("dump-conntrack")
        assert told is not None and told.startswith("udp,orig=(src=10.0.0.1,") and told.endswith(",zone=3\n")
        assert do("dump-conntrack ovs-system") == do("dump-conntrack system@ovs-system zone=3") == told
        assert do("dump-conntrack -s") == told.replace("zone=3", "zone=3,timeout=0")
        assert do("dump-conntrack zone=4") == ""
        assert do("ct-get-maxconns") == (
            "error: ovs-vswitchd: maxconns could not be retrieved (Operation not supported)\n")
        assert do("ct-get-nconns nosuch") == "error: ovs-vswitchd: datapath not found (Invalid argument)\n"
        daemon.datapaths.use("netdev")          # now there are two, of which one must be named
        assert do("dump-conntrack ovs-system") == told and do("dump-conntrack ovs-netdev") == ""
        assert do("ct-get-nconns ovs-netdev") == "0"
        several = do("dump-conntrack")
        assert several is not None and "multiple datapaths, specify one" in several
    finally:
        daemon.datapaths.close()
