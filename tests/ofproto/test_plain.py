"""What is plainly written is read in one call as it is item by item, and only that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from malformed import drawn, good_flows, spoilt
from strategies import ALL_FIELDS, value_text

from fastpath._flow import WINDOWS, FlowKey
from fastpath._matchtext import PlainField, PlainNumber, PlainReader, scan
from fastpath.errors import FastpathError, ParseError
from fastpath.fields import Field
from fastpath.ofproto.flow_mod import Command, FlowMod, adding
from fastpath.ofproto.flow_reader import FlowReader
from fastpath.ofproto.match import FORMS, Match
from fastpath.ofproto.plain import read_plainly
from fastpath.ofproto.rule import Rule


def plainly(source: str) -> tuple[Match, dict[str, int]] | None:
    match, values = Match(), dict[str, int]()
    try:
        return (match, values) if read_plainly(source, match, values) else None
    except ParseError:
        return None


def agree(source: str) -> bool:
    """Whether *source* was plain; if it was, it must mean the same item by item."""
    found = plainly(source)
    if found is not None:
        assert found == FlowReader()._read_each(source, Command.ADD), source
    return found is not None


def test_flows_and_malformed_flows_mean_the_same_either_way(shared: Path, more: int) -> None:
    good = [line.partition("action")[0] for line in good_flows(shared / "data", n=150)]
    assert sum(map(agree, good)) > len(good) * 0.6
    assert sum(map(agree, spoilt(good, 5000 * more, 3))) > 1000 * more


@pytest.mark.parametrize("field", ALL_FIELDS, ids=lambda f: f.name)
def test_values_of_every_field_mean_the_same_either_way(field: Field, more: int) -> None:
    texts = drawn(value_text(field), 30 * more, seed_with=1)
    for text in texts:
        for name in (field.name, *field.aka):
            agree(f"{name}={text}")
            agree(f"reg0=0xffffffff,{name}={text},reg0=5/0x7")


@pytest.mark.parametrize("source", [
    "nw_src=10.0.0.1", "nw_src=10.0.0.0/8", "nw_src=10.0.0.0/255.0.255.0",
    "dl_src=00:11:22:33:44:55/ff:ff:ff:0:0:0", "reg0=0", "reg0=0/0", "reg0=0xffffffff/0x1",
    "tcp,tp_dst=65535", "vlan_tci=0x1000/0x1000", "cookie=0x1,table=255", "in_port=65534",
    "priority=65535,send_flow_rem,check_overlap", "ipv6,ipv6_src=::1/64", "n_packets=x", "tcp:", "", " , ",
    "metadata=18446744073709551615", "metadata=0xffffffffffffffff", "nw_src=*", "ct_state=+trk-new",
])
def test_by_example(source: str) -> None:
    agree(source)


@pytest.mark.parametrize("source", [
    "nw_src=10.0.0.256", "nw_src=1.2.3", "nw_src=1.2.3.4/33", "nw_src=1.2.3.4x", "reg0=010", "reg0=0x",
    "reg0=-1", "reg0=4294967296", "reg0=1/", "reg0=1/2/3", "in_port=08", "in_port=65536", "in_port=1/1",
    "dl_src=1:2:3:4:5:6", "dl_src=00:11:22:33:44:5", "table=256", "table=0x1", "priority=65536",
    "cookie=1/1", "cookie=18446744073709551616", "tp_dst", "foo=1", "reg0(1)", "reg0=\u0661",
    "nw_src=1.2.3.4/", "n_packets", "metadata=0x10000000000000000", "tp_dst=99999999999999999999", "=1",
    "reg0==1", "tun_metadata0=1", "reg0[0..3]=1",
])
def test_what_is_not_plain_is_left_to_who_has_words_for_it(source: str) -> None:
    assert plainly(source) is None


def test_every_truncation_stays_in_bounds() -> None:
    good = ("priority=5,tcp,nw_src=10.0.0.0/255.255.0.0,"
            "dl_src=00:11:22:33:44:55/ff:ff:ff:ff:ff:00,reg0=0x1/0xf")
    for end in range(len(good) + 1):
        agree(good[:end])


def test_readers_are_checked_when_they_are_made() -> None:
    with pytest.raises(ValueError, match="at most 8 bytes"):
        PlainField("number", WINDOWS["ipv6_src"], lsb=0, n_bytes=16, maskable=True, ethernet=True, full=1,
                   bits=1, exact=1, present=0)
    values: dict[str, int] = {}
    assert scan("a=7,b,b", {"a": PlainNumber("x", 7), "b": 4}, FlowKey(), FlowKey(), values)
    assert values == {"x": 7, "flags": 4}
    assert not scan("a=8", {"a": PlainNumber("x", 7)}, FlowKey(), FlowKey(), values)


def whole(reader: FlowReader, source: str) -> FlowMod | str:
    """The flow of *source*, or how it is refused."""
    try:
        return reader.read(source)
    except FastpathError as error:
        return f"{type(error).__name__}: {error}"


def test_whole_flows_mean_the_same_either_way(shared: Path, more: int) -> None:
    good = [f"table={i % 3},{line}" for i, line in enumerate(good_flows(shared / "data", n=150))]
    fast, slow, n_plain = FlowReader(), FlowReader(), 0
    slow._plain = plain_reader_of_nothing()
    for source in [*good, *spoilt(good, 3000 * more, 5), *good]:
        found, expected = whole(fast, source), whole(slow, source)
        assert found == expected, source
        if isinstance(found, FlowMod) and isinstance(expected, FlowMod):
            assert found.is_admitted and expected.is_admitted
            assert str(found) == str(expected)
            rule = fast.read_to_add(source)
            if isinstance(rule, Rule):
                assert adding(rule) == replace(expected, table_id=expected.table_id % 255), source
            n_plain += found.match.form is not None
    assert n_plain > len(good)


def plain_reader_of_nothing() -> PlainReader:
    """One that finds nothing plain."""
    return PlainReader({}, FORMS, FlowReader()._read_actions, mod=FlowMod, match=Match, rule=Rule,
                       command=Command.ADD)
