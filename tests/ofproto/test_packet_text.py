"""Packets as text: what ovs-ofctl prints beside messages, checksum of the last header included."""

from __future__ import annotations

import pytest

from fastpath.ofproto.packet_text import format_packet

ADDRESSES = "0a0000010a000002"
ETHERNET = bytes.fromhex("ffffffffffff000000000001")


@pytest.mark.parametrize(("rest", "end"), [
    ("0800" "4500001c0000000040010000" + ADDRESSES + "0800beef00000000", "icmp_csum:beef"),
    ("81000005" "0800" "4500001c0000000040110000" + ADDRESSES + "00350035" "0008" "0102", "udp_csum:102"),
    ("0800" "4500001c0000200040110000" + ADDRESSES + "0035003500080102", "udp_csum:102"),
    ("0800" "4600" "00200000000040110000" + ADDRESSES + "01010101" "0035003500080102", "udp_csum:102"),
])
def test_the_checksum_is_told(rest: str, end: str) -> None:
    assert format_packet(ETHERNET + bytes.fromhex(rest)).endswith(f" {end}")


@pytest.mark.parametrize("rest", [
    "", "08", "0800", "0800" "45", "0806" "0001", "0800" "4500001c0000000140110000" + ADDRESSES + "00350035",
    "0800" "4500001c0000000040110000" + ADDRESSES + "00350035"])
def test_what_has_none_has_none(rest: str) -> None:
    assert "csum" not in format_packet(ETHERNET + bytes.fromhex(rest))
