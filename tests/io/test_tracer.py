"""Tracer: what passes is shown, and passes unchanged."""

from __future__ import annotations

import io
import sys

import pytest

from fastpath.io._memory import MemoryPort
from fastpath.io.tracer import Tracer, summary

ETH = "020000000002 020000000001 "
IP4 = "4500002800000000 4006 0000 0a000001 0a000002 "
IP6 = "20010db8" + "00" * 11
CASES = {
    ETH + "0800" + IP4 + "9c40 0050": "ipv4 10.0.0.1.40000 > 10.0.0.2.80 tcp",
    ETH + "0800" + "4500002800000001 4006 0000 0a000001 0a000002 9c40 0050": "ipv4 10.0.0.1 > 10.0.0.2 tcp",
    ETH + "0800" + "450000280000 0000 4001 0000 0a000001 0a000002 0800": "ipv4 10.0.0.1 > 10.0.0.2 icmp",
    ETH + "0800" + "45000028000000004063000001020304 05060708": "ipv4 1.2.3.4 > 5.6.7.8 proto 99",
    ETH + "8100 2005 0800" + IP4 + "9c40 0050": "vlan 5 ipv4 10.0.0.1.40000 > 10.0.0.2.80 tcp",
    ETH + "88a8 0064 8100 0005 88cc": "qinq 100 vlan 5 lldp",
    ETH + "86dd 60000000 0008 11 40" + IP6 + "01" + IP6 + "02" + "0035 1000":
        "ipv6 2001:db8::1.53 > 2001:db8::2.4096 udp",
    ETH + "0806 0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002":
        "arp who-has 10.0.0.2 tell 10.0.0.1",
    ETH + "0806 0001 0800 06 04 0002 020000000001 0a000001 020000000002 0a000002":
        "arp 10.0.0.1 is-at 02:00:00:00:00:01",
    ETH + "88b5 0000": "0x88b5",
}


@pytest.mark.parametrize(("frame", "text"), CASES.items(), ids=CASES.values())
def test_summary(frame: str, text: str) -> None:
    assert summary(bytes.fromhex(frame)) == "02:00:00:00:00:01 > 02:00:00:00:00:02 " + text


@pytest.mark.parametrize("frame", CASES, ids=CASES.values())
def test_every_truncation_has_a_summary(frame: str) -> None:
    whole = bytes.fromhex(frame)
    for size in range(len(whole)):
        assert ("runt" in summary(whole[:size])) == (size < 14)


FRAME = bytes.fromhex(ETH + "0800" + IP4 + "9c400050")
TSO = bytes([1, 1]) + b"".join(n.to_bytes(2, sys.byteorder) for n in (66, 1448, 34, 16))
CSUM = bytes([1, 0]) + b"".join(n.to_bytes(2, sys.byteorder) for n in (0, 0, 34, 16))


def test_tracer_prints_both_directions_and_passes_packets_unchanged() -> None:
    inner, out = MemoryPort("p1", vnet=True), io.StringIO()
    port = Tracer(inner, out)
    inner.inject(FRAME, TSO)
    assert port.recv(now=1.5) == [(FRAME, TSO)]
    assert port.send([FRAME, FRAME], [CSUM, b""], now=2.25) == 2
    assert inner.take_with_vnet() == [(FRAME, CSUM), (FRAME, b"")]
    told = "02:00:00:00:00:01 > 02:00:00:00:00:02 ipv4 10.0.0.1.40000 > 10.0.0.2.80 tcp"
    assert out.getvalue().splitlines() == [
        f"1.500000 p1 rx   38 {told} [tso4 1448]",
        f"2.250000 p1 tx   38 {told} [csum]",
        f"2.250000 p1 tx   38 {told}",
    ]
