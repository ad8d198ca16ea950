"""What all ports on a device have in common: its link, name and MTU, as they are now."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

import pytest
from netns import Lab
from wire import PORT_MAC, drain, eventually, frame, raw_socket

from fastpath.errors import PortError
from fastpath.io import link
from fastpath.io._af_packet import AfPacketPort
from fastpath.io._af_xdp import AfXdpPort
from fastpath.io._device import DevicePort

KINDS: dict[str, Callable[..., DevicePort]] = {
    "ring": AfPacketPort, "recvmmsg": lambda name, **options: AfPacketPort(name, ring=False, **options),
    "afxdp": AfXdpPort}


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Callable[..., DevicePort]:
    """What opens a port of each kind in turn; skips where the kernel has no AF_XDP."""
    if request.param == "afxdp":
        try:
            socket.socket(44, socket.SOCK_RAW, 0).close()
        except OSError as error:
            pytest.skip(f"no AF_XDP here: {error}")
    return KINDS[request.param]


def test_frames_the_device_refuses_are_counted_and_the_rest_leave(
        ends: tuple[str, str], make: Callable[..., DevicePort]) -> None:
    host, switch = ends
    port = make("p1", netns=switch)
    with raw_socket(host) as sock:
        assert port.send([frame(1), b"runt", frame(2, 4000), frame(3)]) == 2
        assert [sock.recv(2000), sock.recv(2000)] == [frame(1), frame(3)]
    assert port.stats()["tx_errors"] == port.stats()["tx_dropped"] == 2
    port.close()


def test_a_link_that_goes_down_and_up_again(ends: tuple[str, str], make: Callable[..., DevicePort]) -> None:
    host, switch = ends
    port = make("p1", netns=switch)
    assert port.link_up()
    link.set_up("p1", False, netns=switch)
    assert port.problem == "'p1' is down (ip link set p1 up)"
    assert port.send([frame(1)] * 3) == 0
    assert port.stats()["tx_dropped"] == 3
    for _ in range(5000):                   # a port that looks often asks for errors now and then
        assert port.recv() == []
    assert not select.select([port.fileno()], [], [], 0)[0]     # no error is left to spin on
    link.set_up("p1", netns=switch)
    link.set_up("eth0", False, netns=host)
    assert "has no carrier" in str(port.problem)
    link.set_up("eth0", netns=host)
    assert eventually(port.link_up)
    with raw_socket(host) as sock:
        sock.send(frame(9))
        assert drain(port, 1) == [(frame(9), b"")]
    port.close()


def test_a_device_that_goes_away(ends: tuple[str, str],
                                 make: Callable[..., DevicePort]) -> None:
    port = make("p1", netns=ends[1])
    assert (port.mac, port.mtu) == (PORT_MAC, 1500)
    link.delete("p1", netns=ends[1])
    assert not port.link_up()
    assert "is gone" in str(port.problem)
    assert (port.send([frame(1)]), port.recv(), port.mtu) == (0, [], 1500)
    port.close()


def test_a_renamed_device_is_still_ours(ends: tuple[str, str],
                                 make: Callable[..., DevicePort]) -> None:
    port = make("uplink", ifname="p1", netns=ends[1])
    link.set_up("p1", False, netns=ends[1])
    with link.in_netns(ends[1]):
        link.configure("p1", mtu=1400)
    assert (port.name, port.mtu) == ("uplink", 1400)
    port.close()
    port.close()
    assert port.problem == f"{port.kind} port 'uplink' is closed"


def test_a_missing_device_or_namespace_is_told(lab: Lab, make: Callable[..., DevicePort]) -> None:
    ns = lab.netns("empty")
    with pytest.raises(PortError, match=r"no network device 'p9' in this namespace, there are: lo$"):
        make("p9", netns=ns)
    with pytest.raises(PortError, match="no network namespace 'fpt-none'"):
        make("p9", netns="fpt-none")
