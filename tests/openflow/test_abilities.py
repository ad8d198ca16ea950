"""What tables can do is understood in each version, and printed to the letter of ovs-ofctl."""

from __future__ import annotations

import random
import subprocess

import pytest
from test_service import said, session_of

import fastpath
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF15
from fastpath.openflow.abilities import Abilities, of_features, of_stats
from fastpath.openflow.actions.base import get_property, put_property
from fastpath.openflow.codec import Reader
from fastpath.openflow.messages import stats
from fastpath.openflow.messages.table import encode
from fastpath.openflow.printing.message import format_message
from fastpath.openflow.printing.table_stats import format_names
from fastpath.value import replace


def tables_of(version: int, *, ask: object) -> list[object]:
    with fastpath.Switch(seed=0, strict=True) as switch:       # with the reference's fields alone
        session = session_of(switch.add_bridge("br0"), version)
        session.received(encode(ask, version, 5))
        return [t for frame in said(session) for t in frame.message.tables]


def test_hints_of_all_versions_are_understood() -> None:
    for version, n_fields in ((OF10, 12), (OF11, 15), (OF12, 36)):
        first, *_rest, last = (of_stats(t, version) for t in tables_of(version, ask=stats.TableRequest()))
        assert abs(len(first.matched) - n_fields) <= 2 and first.wildcarded == first.matched
        assert ("goto_table" in first.hit.instructions, "goto_table" in last.hit.instructions) == (
            version > OF10, False)
    assert of_stats(stats.TableStats(7, 1, 2, 3), OF13) == Abilities(7)


def test_features_say_what_each_table_leads_to() -> None:
    first, *_rest, last = (of_features(t, OF15) for t in tables_of(OF15, ask=stats.TableFeaturesRequest()))
    assert (min(first.hit.next_tables), len(last.hit.next_tables)) == (1, 0)
    assert first.hit == first.missed and "ip_src" in first.masked and "eth_type" not in first.masked
    assert first.eviction is False


def test_what_is_not_said_of_a_miss_is_that_of_a_hit() -> None:
    table = tables_of(OF13, ask=stats.TableFeaturesRequest())[0]
    reader, kept = Reader(table.properties), b""
    while len(reader):
        kind, value = get_property(reader)
        kept += b"" if kind % 2 else put_property(kind, value.rest())
    assert of_features(replace(table, properties=kept), OF13).missed == of_features(table, OF13).hit


def changed(table: object, dice: random.Random) -> object:
    """*table* with another name, sizes or properties: some left out, some cut."""
    if dice.random() < 0.3:
        return replace(table, name=dice.choice(("", "first", "second")))
    reader, kept = Reader(table.properties), b""
    while len(reader):
        kind, value = get_property(reader)
        data = value.rest()
        if kind in (2, 3) and dice.random() < 0.5:
            data = bytes(sorted(dice.sample(range(254), 9)))
        elif kind in (8, 10, 12, 14) and dice.random() < 0.5:
            data = data[:4 * dice.randrange(1, 8)]
        elif kind in (0, 4, 6) and dice.random() < 0.5:
            data = data[:4 * dice.randrange(1, 4)]
        if not (kind % 2 and dice.random() < 0.3):
            kept += put_property(kind, data)
    return replace(table, max_entries=dice.choice((0, 10**6)), properties=kept,
                   metadata_match=dice.choice((0, 0xFF)), config=dice.randrange(16))


@pytest.mark.parametrize("version", [OF13, 5, OF15])
def test_replies_print_as_the_reference_prints_them(ovs_ofctl: str, version: int, more: int) -> None:
    dice = random.Random(version)
    tables = tables_of(version, ask=stats.TableFeaturesRequest())
    for _ in range(6 * more):
        at = dice.randrange(240)
        some = [changed(t, dice) if dice.random() < 0.5 else t for t in tables[at:at + 5]]
        data = encode(stats.TableFeaturesReply(tuple(some)), version, 5)
        done = subprocess.run([ovs_ofctl, "-voff", "ofp-print", data.hex()], capture_output=True, text=True,
                              timeout=30, check=True)
        assert format_message(data) == done.stdout


@pytest.mark.parametrize(("names", "text"), [
    ("eth_src eth_dst eth_type", "eth_{src,dst,type}"), ("reg0 reg1 reg2", "reg0...reg2"),
    ("reg0 reg1", "reg0 reg1"), ("a", "a"), ("tun_ipv6_src tun_ipv6_dst", "tun_ipv6_{src,dst}"),
    ("ct_state ct_nw_src ct_nw_dst ip_src", "ct_{state,nw_{src,dst}} ip_src")])
def test_names_are_told_in_short(names: str, text: str) -> None:
    assert format_names(names.split()) == text
