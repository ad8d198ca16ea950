"""Numbers and ports inside flow text, as C and ovs-ofctl read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.errors import ParseError
from fastpath.ofproto import numbers


@given(st.integers(0, 1 << 130), st.sampled_from(["{}", "{:#x}", "0{:o}", "+{}"]))
def test_every_notation_reads_back(value: int, notation: str) -> None:
    assert numbers.c_int(notation.format(value)) == value


@pytest.mark.parametrize("text", ["", "-", "0x", "08", "1_0", "0x+1", "12a", " 1", "1 ", "٣"])
def test_not_numbers(text: str) -> None:
    assert numbers.c_int(text) is None


def test_widths() -> None:
    assert numbers.u32("-1") == 0xFFFFFFFF and numbers.u32("0x500000007") == 7
    assert numbers.u64("-1") == numbers.U64_MAX
    for read, text, error in (
        (lambda t: numbers.u8(t, "TTL"), "256", 'invalid TTL "256"'),
        (lambda t: numbers.u16(t, "priority"), "-1", 'invalid priority "-1"'),
        (numbers.u32, "0x1" + "0" * 16, "invalid numeric format 0x10000000000000000"),
        (numbers.u32, "9" * 5000, "invalid numeric format " + "9" * 5000),
        (numbers.u64, "", "missing required numeric argument"),
        (numbers.mac, "1:2", "invalid mac address 1:2"),
        (numbers.ipv4, "1.2.3", "1.2.3: could not convert to IP address"),
    ):
        with pytest.raises(ParseError) as e:
            read(text)
        assert str(e.value) == error


@pytest.mark.parametrize(
    "text, port",
    [
        ("1", 1),
        ("01", 1),
        ("LOCAL", 0xFFFE),
        ("local", 0xFFFE),
        ("NONE", 0xFFFF),
        ("4294967294", 0xFFFE),
        ("65535", 0xFFFF),
        ("65536", None),
        ("0x1", None),
        ("-1", None),
        ("p1", 7),
        ('"p1"', 7),
        ("p2", None),
    ],
)
def test_ports(text: str, port: int | None) -> None:
    assert numbers.port(text, {"p1": 7}) == port


@pytest.mark.parametrize(
    "source, bits, value",
    [("12", 16, 12), ("x", 16, 0), ("-2", 16, 65534), ("99999999999999999999", 32, 2**32 - 1), (" +7", 8, 7)],
)
def test_atoi_takes_what_it_can(source: str, bits: int, value: int) -> None:
    assert numbers.atoi(source, bits) == value


def test_tables_are_decimal_or_named() -> None:
    assert [numbers.table(s) for s in ("08", "+1", "256", "0x1", "acl")] == [8, 1, None, None, None]
    assert numbers.table('"acl"', {"acl": 3}) == numbers.table("acl", {"acl": 3}) == 3


@pytest.mark.parametrize("source, data", [("01.fF", b"\x01\xff"), (".12..3456.", b"\x12\x34\x56"), ("", b"")])
def test_bytes_are_pairs_of_digits(source: str, data: bytes) -> None:
    assert numbers.hex_bytes(source) == data


@pytest.mark.parametrize("source", ["1.2", "123", "1g", "12 34"])
def test_lone_digits_are_no_bytes(source: str) -> None:
    assert numbers.hex_bytes(source) is None
