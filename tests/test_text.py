"""Numbers and addresses as text: both ways, and refused when wrong."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath import text
from fastpath.errors import ParseError

u32 = st.integers(0, text.IPV4_MAX)
u48 = st.integers(0, text.MAC_MAX)
u128 = st.one_of(st.integers(0, text.IPV6_MAX), st.integers(0, 1 << 36),
                 st.integers(0, 1 << 32).map(lambda low: 0xFFFF << 32 | low & 0xFFFFFFFF))


@given(u48)
def test_mac_round_trip(value: int) -> None:
    assert text.parse_mac(text.format_mac(value)) == value


@given(u32)
def test_ipv4_is_what_inet_ntop_prints(value: int) -> None:
    assert text.format_ipv4(value) == socket.inet_ntop(socket.AF_INET, value.to_bytes(4, "big"))
    assert text.parse_ipv4(text.format_ipv4(value)) == value


@given(u128)
def test_ipv6_is_what_inet_ntop_prints(value: int) -> None:
    assert text.format_ipv6(value) == socket.inet_ntop(socket.AF_INET6, value.to_bytes(16, "big"))
    assert text.parse_ipv6(text.format_ipv6(value)) == value


@given(u32, u32)
def test_masked_ipv4_round_trip(value: int, mask: int) -> None:
    assert text.parse_ipv4_masked(text.format_ipv4_masked(value & mask, mask)) == (value & mask, mask)


@given(u128, st.integers(0, 128))
def test_masked_ipv6_round_trip(value: int, length: int) -> None:
    mask = text.prefix_mask(length, 128)
    shown = text.format_ipv6_masked(value & mask, mask)
    assert text.parse_ipv6_masked(shown) == (value & mask, mask)
    if length not in (128,):
        assert ipaddress.ip_network(shown).prefixlen == length


@given(st.integers(0, 32))
def test_prefix_length_of_its_mask(length: int) -> None:
    assert text.prefix_len(text.prefix_mask(length, 32), 32) == length


@pytest.mark.parametrize("given_text, value", [
    ("10", 10), ("0x10", 16), ("010", 8), ("-1", 0xFFFF), ("0", 0), ("0X1f", 31)])
def test_integers_read_as_c_reads_them(given_text: str, value: int) -> None:
    assert text.parse_int(given_text, bits=16) == value


@pytest.mark.parametrize("bad", ["", "0x", "08", "1.5", "abc", "65536", "1 2"])
def test_bad_integers_are_named(bad: str) -> None:
    with pytest.raises(ParseError, match=repr(bad)[1:-1] or "number"):
        text.parse_int(bad, bits=16)


@given(st.integers(0, 0xFF), st.integers(1, 0xFF))
def test_flag_sets_round_trip(value: int, mask: int) -> None:
    shown = text.format_flags_masked(value, mask, text.CT_STATE)
    assert text.parse_flags(shown, text.CT_STATE, bits=8, what="ct_state") == (value & mask, mask)


def test_flag_errors_name_the_flag() -> None:
    with pytest.raises(ParseError, match="unknown ct_state flag 'nwe'"):
        text.parse_flags("+nwe", text.CT_STATE, bits=8, what="ct_state")
    with pytest.raises(ParseError, match="given twice"):
        text.parse_flags("+new-new", text.CT_STATE, bits=8, what="ct_state")


def test_ports_by_number_name_and_reserved_word() -> None:
    assert text.parse_ofp_port("in_port") == 0xFFF8
    assert text.parse_ofp_port('"eth 0"', {"eth 0": 7}) == 7
    assert text.parse_ofp_port("0xfffffffe") == text.RESERVED_PORTS["LOCAL"]
    assert text.format_ofp_port(0xFFFD) == "CONTROLLER"
    with pytest.raises(ParseError, match="out of range"):
        text.parse_ofp_port("70000")
    with pytest.raises(ParseError, match="not a port number"):
        text.parse_ofp_port("eth9")
