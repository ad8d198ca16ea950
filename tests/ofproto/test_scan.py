"""Scanning is as lax as the reference's, and no laxer."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath import text
from fastpath.errors import ParseError
from fastpath.ofproto import scan
from fastpath.ofproto.match import Match
from fastpath.ofproto.scan import Fault


@given(st.integers(0, 2**48 - 1), st.text("x0/", max_size=2))
def test_a_printed_mac_address_is_read_back_and_what_follows_is_left(value: int, rest: str) -> None:
    printed = text.format_mac(value)
    if not rest.startswith("0"):
        assert scan.mac(printed + rest) == (value, len(printed))


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_prefixes_clear_what_they_do_not_cover(value: int, length: int) -> None:
    mask = text.prefix_mask(length, 32)
    printed = f"{text.format_ipv4(value)}/{length}"
    assert scan.ipv4_masked(printed) == (value & mask, mask, len(printed))


@given(st.integers(0, 2**128 - 1), st.integers(0, 128))
def test_ipv6_prefixes_too(value: int, length: int) -> None:
    mask = text.prefix_mask(length, 128)
    for tail in (f"/{length}", f"/{text.format_ipv6(mask)}"):
        printed = text.format_ipv6(value) + tail
        if (tail[1] != ":" and not tail[1:].split(":")[0].isdecimal()) or ":" not in tail:
            assert scan.ipv6_masked(printed) == (value & mask, mask, len(printed))


@pytest.mark.parametrize(
    "source, n_bytes, found",
    [
        ("0x", 4, (0, 2)),
        ("0x1ff", 1, (Fault.RANGE, 5)),
        ("-1", 8, (2**64 - 1, 2)),
        ("-1", 4, (Fault.RANGE, 2)),
        ("08", 4, (0, 1)),
        ("010", 4, (8, 3)),
        ("+5/", 4, (5, 2)),
        ("99999999999999999999", 16, (Fault.RANGE, 20)),
        ("0x99999999999999999999", 16, (0x99999999999999999999, 22)),
        ("", 4, (Fault.SYNTAX, 0)),
        ("x", 4, (Fault.SYNTAX, 0)),
    ],
)
def test_integers(source: str, n_bytes: int, found: tuple[int | Fault, int]) -> None:
    assert scan.integer(source, 0, n_bytes) == found


def test_octets_keep_their_low_bits() -> None:
    assert scan.ipv4("1115.0.0.01") == (0x5B000001, 11)
    assert scan.mac("2:0:0:0:0:101") == (0x020000000001, 13)
    assert scan.ipv4("1.2.3") is None and scan.mac("1:2:3:4:5") is None


@pytest.mark.parametrize("mask", ["0:0:1:2cf:c288::", "::", "1234::", "10::1", "ffff::"])
def test_ipv6_masks_come_back_whatever_they_begin_with(mask: str) -> None:
    bits = int(ipaddress.IPv6Address(mask))
    assert scan.ipv6_masked(f"ffff:ffff::1/{mask}") == (bits & (0xFFFFFFFF << 96 | 1), bits, 13 + len(mask))


@pytest.mark.parametrize(("mask", "error"), [
    ("129", "IPv6 network prefix bits not between 0 and 128, inclusive"), ("::1::", "Invalid IPv6 mask"),
    ("64:", "invalid IPv6 address"), ("1:2", "invalid IPv6 address"),
])
def test_bad_ipv6_masks_are_refused_in_the_words_of_the_reference(mask: str, error: str) -> None:
    with pytest.raises(ParseError, match=error):
        Match.parse(f"ipv6,ipv6_src=::1/{mask}")


NAMES = ("a", "b", "c")


@pytest.mark.parametrize(
    "source, value, mask",
    [("+a-b", 1, 3), ("a|c", 5, None), ("0x2|a", 3, None), ("", 0, None), ("5/7", 5, 7), ("1/1zzz", 1, 1),
     ("0x100000001", 1, None)],
)
def test_flags(source: str, value: int, mask: int | None) -> None:
    assert scan.flags(source, NAMES, "toy", 7) == (value, mask)


@pytest.mark.parametrize("source", ["d", "+d", "+a+a", "8", "1/8", "a||b", "0x", "0xfffffff8"])
def test_unknown_flags_are_refused(source: str) -> None:
    with pytest.raises(ParseError, match="toy flag"):
        scan.flags(source, NAMES, "toy", 7)


@pytest.mark.parametrize(
    "source, found",
    [
        ("1.2.3.4", (4, 0x01020304, 0, 0, 0)),
        ("1.2.3.4-1.2.3.9:5-9", (4, 0x01020304, 0x01020309, 5, 9)),
        ("[fe80::1]:7", (6, 0xFE80 << 112 | 1, 0, 7, 0)),
        ("256", (0, 0, 0, 0, 0)),
    ],
)
def test_ranges_of_addresses(source: str, found: tuple[int, ...]) -> None:
    assert scan.address_range(source) == found


@pytest.mark.parametrize("source", ["1.2.3.9-1.2.3.4", "1.2.3.4:x", "1.2.3.4:9-5", "1.2.3.4x", "zz"])
def test_wrong_ranges_are_refused(source: str) -> None:
    with pytest.raises(ParseError, match="nat range"):
        scan.address_range(source)
