"""Facts about devices are the kernel's, and its news of them are heard."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

import pytest
from netns import Lab
from wire import PORT_MAC, eventually

from fastpath.errors import PortError
from fastpath.io import genl, link, netdev

FULL_10G, COPPER = 1 << 6, 1 << 11


def test_loopback_has_no_driver_and_no_speed() -> None:
    found = netdev.facts("lo")
    assert found is not None and (found.index, found.mac, found.features.bits) == (1, 0, (0, 0, 0))
    assert found.status == {} and found.faults["rx_crc_err"] == 0


def test_a_missing_device_has_no_facts() -> None:
    assert netdev.facts("fpnone0") is None


def test_a_veth_is_told_as_it_is(ends: tuple[str, str]) -> None:
    host, switch = ends
    with link.in_netns(switch):
        link.configure("p1", mtu=1400)
        found = netdev.facts("p1")
        assert found is not None and eventually(lambda: netdev.facts("p1").running)  # type: ignore[union-attr]
        assert (found.index, found.mac, found.mtu, found.up) == (
            link.index("p1"), int(PORT_MAC.replace(":", ""), 16), 1400, True)
        assert found.features.bits == (FULL_10G | COPPER, 0, 0) and found.features.is_full_duplex
        assert found.status["driver_name"] == "veth" and set(found.status) == {
            "driver_name", "driver_version", "firmware_version"}
    with link.in_netns(host):
        link.configure("eth0", up=False)
    with link.in_netns(switch):
        assert eventually(lambda: not netdev.facts("p1").running)  # type: ignore[union-attr]
        assert netdev.facts("p1").up  # type: ignore[union-attr]


def test_slow_ethernet_is_told_by_its_duplex_and_abilities(monkeypatch: pytest.MonkeyPatch) -> None:
    # 100 Mbit/s half duplex over fibre, negotiated; supported: 100 half, 100 full, autoneg, fibre, pause.
    answer = struct.pack("=III HBBBBBB II HBB I 8x", 1, 0x4 | 0x8 | 1 << 6 | 1 << 10 | 1 << 13, 0x4,
                         100, 0, 3, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)
    monkeypatch.setattr(netdev, "_ask", lambda _name, request: answer if request[0] == 1 else None)
    found = netdev.facts("lo")
    assert found is not None and not found.features.is_full_duplex
    assert found.features.bits == (1 << 2 | 1 << 12 | 1 << 13, 1 << 2,
                                   1 << 2 | 1 << 3 | 1 << 12 | 1 << 13 | 1 << 14)


def test_news_of_devices_are_heard(lab: Lab) -> None:
    ns = lab.netns("sw")
    with link.in_netns(ns):
        news = netdev.LinkNews()
    try:
        assert news.take() == set()
        link.add_veth("x", "y", netns=ns, peer_netns=ns)
        heard: set[str] = set()
        assert eventually(lambda: heard.update(news.take() or ()) or {"x", "y"} <= heard)
        link.delete("x", netns=ns)
        heard.clear()
        assert eventually(lambda: heard.update(news.take() or ()) or {"x", "y"} <= heard)
    finally:
        news.close()


class _Socket:
    """Gives what it was given to give, then has nothing."""

    def __init__(self, *gives: bytes | OSError) -> None:
        self._gives: Iterator[bytes | OSError] = iter(gives)

    def recv(self, _size: int) -> bytes:
        given = next(self._gives, BlockingIOError())
        if isinstance(given, OSError):
            raise given
        return given


def _news(monkeypatch: pytest.MonkeyPatch, *gives: bytes | OSError) -> netdev.LinkNews:
    monkeypatch.setattr(genl, "open_socket", lambda *_args: pytest.importorskip("socket").socket())
    news = netdev.LinkNews()
    news.close()
    news._sock = _Socket(*gives)  # type: ignore[assignment]
    return news


def test_after_lost_news_any_device_may_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _news(monkeypatch, OSError(errno.ENOBUFS, "no room")).take() is None
    with pytest.raises(PortError, match="news of devices: gone"):
        _news(monkeypatch, OSError(errno.EBADF, "gone")).take()


def test_news_cut_anywhere_are_news_of_any_device(monkeypatch: pytest.MonkeyPatch) -> None:
    name = struct.pack("=HH", 7, 3) + b"ab\0" + b"\0"
    whole = genl.pack(16, 0, 0, struct.pack("=BxHiII", 0, 1, 5, 0, 0) + name)
    assert _news(monkeypatch, whole).take() == {"ab"}
    for size in range(1, len(whole)):
        assert _news(monkeypatch, whole[:size]).take() is None
    for size in range(16):
        assert _news(monkeypatch, genl.pack(16, 0, 0, bytes(size))).take() is None
