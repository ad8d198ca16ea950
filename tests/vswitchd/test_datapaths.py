"""Datapaths of the daemon: of type system, the kernel's where there is one."""

from __future__ import annotations

from typing import Any

import pytest
from model.kernel import FakeKernel, FakeListener

from fastpath.dpif.choose import open_datapath
from fastpath.dpif.netlink.provider import NetlinkDpif
from fastpath.dpif.provider import Datapath
from fastpath.errors import ConfigError
from fastpath.io.vport import KernelPort
from fastpath.runtime.clock import WarpClock
from fastpath.vswitchd.datapaths import Datapaths
from fastpath.vswitchd.dummies import FOR_ALL


def opener(fake: FakeKernel | None) -> Any:
    """Opens datapaths as ``open_datapath`` does, where *fake* is the kernel, or there is no module."""
    def opened(datapath: str, **settings: Any) -> Datapath:
        if datapath != "system":
            return open_datapath(datapath, **settings)
        if fake is None:
            raise ConfigError("the kernel has no datapath")
        return NetlinkDpif("ovs-system", kernel=fake.kernel(), new_listener=lambda: FakeListener(fake))
    return opened


def test_the_kernel_serves_bridges_of_type_system(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, lines = FakeKernel(), []
    monkeypatch.setattr("fastpath.switch.open_datapath", opener(fake))
    monkeypatch.setattr("fastpath.io.link.configure", lambda name, **settings: None)
    datapaths = Datapaths(clock=WarpClock(), say=lines.append)
    found = datapaths.use("system")
    assert found.switch.is_kernel and found.name == "ovs-system" and not lines
    assert not datapaths.use("netdev").switch.is_kernel
    bridge = found.switch.add_bridge("br0")
    stays = KernelPort("br0", kind="internal")
    stays.persist(True)
    bridge.add_port("br0", stays)
    datapaths.close()
    state, = fake.dps.values()                  # for the next daemon
    assert {port["name"] for port in state["ports"].values()} == {"ovs-system", "br0"}


def test_without_a_module_this_process_serves_them_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr("fastpath.switch.open_datapath", opener(None))
    datapaths = Datapaths(clock=WarpClock(), say=lines.append)
    assert not datapaths.use("system").switch.is_kernel
    assert lines == ["the kernel has no datapath; bridges of datapath type system are served by this process"]
    datapaths.close()


def test_dummies_are_never_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastpath.switch.open_datapath", opener(FakeKernel()))
    datapaths = Datapaths(clock=WarpClock(), dummies=FOR_ALL)
    assert not datapaths.use("system").switch.is_kernel
    datapaths.close()
