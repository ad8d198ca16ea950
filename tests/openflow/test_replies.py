"""Replies in several messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastpath.ofproto.actions.versions import OF13
from fastpath.openflow.codec import Reader
from fastpath.openflow.messages.meter import MeterCounts, MeterStatsReply
from fastpath.openflow.replies import REPLY_ROOM, milliseconds, pages


@given(st.lists(st.integers(0, 900), max_size=40))
def test_entries_are_told_once_each_in_order_and_every_message_has_room(sizes: list[int]) -> None:
    entries = [MeterCounts(i + 1, bands=((0, 0),) * n) for i, n in enumerate(sizes)]
    out = [reply.put(OF13) for reply in pages(MeterStatsReply, entries, OF13)]  # type: ignore[attr-defined]
    read = [MeterStatsReply.get(Reader(data), OF13) for data in out]
    assert out and [meter for reply in read for meter in reply.meters] == entries
    assert all(len(data) <= REPLY_ROOM for data in out)


def test_times_are_told_in_whole_milliseconds() -> None:
    assert milliseconds(1.2349) == 1.234
