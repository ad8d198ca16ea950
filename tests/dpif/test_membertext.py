"""Members of attributes: what is written reads back, in every form."""

from __future__ import annotations

from random import Random

import pytest

from fastpath.dpif.key import ATTRS, Form
from fastpath.dpif.membertext import format_member, hexa, parse_member
from fastpath.errors import ParseError

MEMBERS = [(attr, m) for attr, members in ATTRS.items() for m in members if m.form is not Form.FRAG]


def test_members_come_back() -> None:
    r = Random(1)
    for _attr, m in MEMBERS:
        for _ in range(20):
            bits = 4 if m.form is Form.FLAGS else m.bits
            value, exact = r.getrandbits(bits), (1 << m.bits) - 1
            mask = exact if m.form is Form.FLAGS else r.choice((exact, r.getrandbits(bits)))
            assert parse_member(m, format_member(m, value, mask)) == (value, mask)


def test_numbers_are_as_printf_has_them() -> None:
    assert (hexa(0), hexa(16)) == ("0", "0x10")
    rows = {m.name: m for m in ATTRS["tunnel"]}
    assert format_member(rows["tun_id"], 0, (1 << 64) - 1) == "0x0"
    assert format_member(rows["tos"], 0, 255) == "0" and format_member(rows["ttl"], 64, 15) == "64/0xf"
    assert format_member(rows["src"], 0x01020304, 0xFFFFFF00) == "1.2.3.4/255.255.255.0"


def test_unknown_flags_are_refused() -> None:
    flags = next(m for m in ATTRS["tunnel"] if m.form is Form.FLAGS)
    assert parse_member(flags, "df|key")[0] == 10
    with pytest.raises(ParseError, match="'fish': not a tunnel flag"):
        parse_member(flags, "df|fish")
