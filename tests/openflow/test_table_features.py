"""What tables can do: what is told names every field once, and can be said back."""

from __future__ import annotations

import pytest
from test_service import said, session_of

import fastpath
from fastpath.fields import FIELDS
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.openflow.actions.base import get_property
from fastpath.openflow.codec import Reader
from fastpath.openflow.messages import stats
from fastpath.openflow.messages.table import encode
from fastpath.openflow.table_features import N_TABLES, hints


@pytest.mark.parametrize("version", [OF13, OF14, OF15])
def test_tables_said_back_with_names_have_them(version: int) -> None:
    with fastpath.Switch(seed=0) as switch:
        session = session_of(switch.add_bridge("br0"), version)
        session.received(encode(stats.TableFeaturesRequest(), version, 5))
        frames = said(session)
        assert len(frames) > 10 and [f.more for f in frames] == [True] * (len(frames) - 1) + [False]
        tables = [table for frame in frames for table in frame.message.tables]
        assert [table.table_id for table in tables] == list(range(N_TABLES))
        named = [fastpath.value.replace(t, name="" if t.table_id else "first") for t in tables]
        half = b"".join(t.put(version) for t in named[:9]), b"".join(t.put(version) for t in named[9:18])
        rest = [b"".join(t.put(version) for t in named[i:i + 9]) for i in range(18, N_TABLES, 9)]
        for body in (*half, *rest[:-1]):
            session.received(encode(stats.TableFeaturesRequest(body), version, 6, more=True))
        assert said(session) == []
        session.received(encode(stats.TableFeaturesRequest(rest[-1]), version, 6))
        assert said(session)[0].message.tables[0].name == "first"
        assert session.bridge.table_name(0) == "first"


def test_each_field_is_told_once_and_those_beyond_the_reference_unless_strict() -> None:
    counts = {}
    for strict in (True, False):
        with fastpath.Switch(seed=0, strict=strict) as switch:
            session = session_of(switch.add_bridge("br0"), OF15)
            session.received(encode(stats.TableFeaturesRequest(), OF15, 5))
            reader = Reader(said(session)[0].message.tables[0].properties)
            properties = dict(get_property(reader) for _ in range(14))
            assert len(reader) == 0
            told = properties[8].rest()
            headers = []
            while told:
                size = 8 if told[:2] == b"\xff\xff" else 4
                headers.append(told[:size])
                told = told[size:]
            assert len(set(headers)) == len(headers)
            counts[strict] = len(headers)
    with_number = sum(bool(f.ids) for f in FIELDS)
    assert counts == {True: with_number - 2, False: with_number}


def test_hints_say_that_the_last_table_has_no_next() -> None:
    for version in (OF11, OF12):
        first, last = hints(version, 0), hints(version, N_TABLES - 1)
        assert first["instructions"] ^ last["instructions"] == 1 << 1
    assert hints(OF10, 0) == {"wildcards": 0x3FFFFF} and hints(OF13, 0) == {}
