"""Next hops, from tables as the kernel prints them."""

from __future__ import annotations

import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from fastpath.io.next_hop import next_hop_mac

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
ARP = """IP address       HW type     Flags       HW address            Mask     Device
10.0.0.1         0x1         0x2         aa:00:00:00:00:01     *        br0
10.0.0.1         0x1         0x2         aa:00:00:00:00:99     *        eth9
10.0.0.7         0x1         0x2         aa:00:00:00:00:07     *        br0
10.0.0.8         0x1         0x0         00:00:00:00:00:00     *        br0
192.168.1.5      0x1         0x2         aa:00:00:00:00:05     *        eth9
"""


def raw(address: str) -> str:
    return f"{int.from_bytes(IPv4Address(address).packed, sys.byteorder):08X}"


def route(device: str, destination: str, gateway: str, mask: str, flags: int = 1) -> str:
    return "\t".join((device, raw(destination), raw(gateway), f"{flags:04X}", "0", "0", "0", raw(mask),
                      "0", "0", "0")) + "\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "arp").write_text(ARP)
    (tmp_path / "route").write_text(
        HEAD + route("br0", "0.0.0.0", "10.0.0.1", "0.0.0.0", 3)
        + route("br0", "10.0.0.0", "0.0.0.0", "255.255.255.0")
        + route("eth9", "192.168.1.0", "0.0.0.0", "255.255.255.0", 0)
        + route("eth9", "192.168.0.0", "0.0.0.0", "255.255.0.0"))
    return tmp_path


@pytest.mark.parametrize(("address", "mac"), [
    ("10.0.0.7", 0xAA0000000007), ("10.0.0.8", 0), ("10.0.0.9", 0), ("8.8.8.8", 0xAA0000000001),
    ("10.0.0.1", 0xAA0000000001), ("192.168.1.5", 0xAA0000000005)])
def test_the_next_hop_is_looked_up_by_the_narrowest_route(proc: Path, address: str, mac: int) -> None:
    assert next_hop_mac(int(IPv4Address(address)), proc) == mac


def test_without_routes_there_is_none(tmp_path: Path) -> None:
    assert next_hop_mac(0x0A000001, tmp_path) == 0
    (tmp_path / "route").write_text(HEAD)
    assert next_hop_mac(0x0A000001, tmp_path) == 0


def test_this_host_can_be_asked() -> None:
    assert next_hop_mac(0x7F000001) == 0        # nobody resolves the loopback's address
