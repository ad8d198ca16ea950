"""Devices for tunnels that the kernel's datapath has no type of port for."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from model.kernel import FakeKernel, FakeListener

from fastpath.dpif.netlink import tunnel_device
from fastpath.dpif.netlink.nla import by_number
from fastpath.dpif.netlink.provider import NetlinkDpif
from fastpath.errors import DatapathError, PrivilegeError
from fastpath.io.genl import Reply, Request
from fastpath.io.vport import KernelPort
from fastpath.switch import Switch

NEW, DEL = 16, 17


class Kernel:
    """Answers requests with the errnos it was given, then with success."""

    def __init__(self, *errors: int) -> None:
        self._errors, self.asked = list(errors), list[Request]()

    def transact(self, requests: list[Request]) -> list[Reply]:
        self.asked += requests
        return [Reply(self._errors.pop(0) if self._errors else 0) for _ in requests]


def made(kernel: Kernel) -> list[tuple[int, bytes]]:
    """Types of messages and names of devices."""
    return [(r.family, by_number(r.body[12:], "link")[3].rstrip(b"\0")) for r in kernel.asked]


def test_a_device_is_made_and_removed() -> None:
    kernel: Any = Kernel()
    tunnel_device.make("erspan_sys", "erspan", kernel)
    tunnel_device.remove("erspan_sys", kernel)
    assert made(kernel) == [(NEW, b"erspan_sys"), (DEL, b"erspan_sys")]
    info = by_number(by_number(kernel.asked[0].body[12:], "link")[18], "info")
    assert info[1] == b"erspan" and by_number(info[2], "data") == {18: b""}


def test_one_that_was_there_makes_way() -> None:
    kernel: Any = Kernel(errno.EEXIST)
    tunnel_device.make("erspan_sys", "erspan", kernel)
    assert [kind for kind, _ in made(kernel)] == [NEW, DEL, NEW]
    kernel = Kernel(errno.ENODEV)
    tunnel_device.remove("erspan_sys", kernel)          # gone is gone


@pytest.mark.parametrize(("code", "kind"), [(errno.EOPNOTSUPP, DatapathError), (errno.EPERM, PrivilegeError)])
def test_what_the_kernel_refuses_is_told(code: int, kind: type[Exception]) -> None:
    kernel: Any = Kernel(code)
    with pytest.raises(kind, match="tunnel device 'erspan_sys'"):
        tunnel_device.make("erspan_sys", "erspan", kernel)
    kernel = Kernel(errno.EEXIST, 0, errno.EEXIST)
    with pytest.raises(Exception, match="erspan_sys"):
        tunnel_device.make("erspan_sys", "erspan", kernel)


def test_tunnels_of_a_kind_share_a_device_that_goes_with_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, there = FakeKernel(), set[str]()
    monkeypatch.setattr("fastpath.io.link.configure", lambda name, **settings: None)
    monkeypatch.setattr(tunnel_device, "make", lambda name, kind: there.add(name))
    monkeypatch.setattr(tunnel_device, "remove", lambda name: there.discard(name))

    def opened() -> NetlinkDpif:
        return NetlinkDpif("dp", kernel=fake.kernel(), new_listener=lambda: FakeListener(fake))
    with Switch(realtime=True, datapath=opened()) as sw:
        bridge = sw.add_bridge("br0")
        bridge.add_tunnel("a", "erspan", remote_ip="1.1.1.1", erspan_ver=1, erspan_idx=5)
        bridge.add_tunnel("b", "erspan", remote_ip="1.1.1.2", erspan_ver=2)
        bridge.add_tunnel("c", "ip6erspan", remote_ip="fe80::1", erspan_ver="flow")
        assert there == {"erspan_sys", "ip6erspan_sys"}
        types = {p["name"]: p["type"] for dp in fake.dps.values() for p in dp["ports"].values()}
        assert types["erspan_sys"] == types["ip6erspan_sys"] == 1       # OVS_VPORT_TYPE_NETDEV
        bridge.del_port("a")
        assert len(there) == 2
        bridge.del_port("b")
        assert there == {"ip6erspan_sys"}
    assert not there and not fake.dps

    left = opened()
    port = KernelPort("erspan_sys", kind="erspan")
    port.persist(True)
    left.port_add(port)
    left.close()
    assert there == {"erspan_sys"}
    new = opened()                      # which nobody asks for the port
    new.drop_leftovers()
    new.close()
    assert not there
