"""Replies in several messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastpath.ofproto.actions.versions import OF13
from fastpath.openflow.codec import Reader
from fastpath.openflow.messages.meter import MeterCounts, MeterStatsReply
from fastpath.openflow.messages.table import MAX_SIZE, encode
from fastpath.openflow.replies import milliseconds, pages


@given(st.lists(st.integers(0, 900), max_size=40))
def test_entries_are_told_once_each_in_order_and_every_message_has_room(sizes: list[int]) -> None:
    entries = [MeterCounts(i + 1, bands=((0, 0),) * n) for i, n in enumerate(sizes)]
    told = list(pages(MeterStatsReply, entries, OF13))
    read = [MeterStatsReply.get(Reader(reply.put(OF13)), OF13) for reply in told]  # type: ignore[attr-defined]
    assert told and [meter for reply in read for meter in reply.meters] == entries
    whole = [encode(reply, OF13, 1) for reply in told]
    assert all(len(data) <= MAX_SIZE for data in whole)
    following = [len(reply.meters[0].put(OF13)) for reply in read[1:]]
    assert all(len(data) + more > MAX_SIZE for data, more in zip(whole, following, strict=False))


def test_times_are_told_in_whole_milliseconds() -> None:
    assert milliseconds(1.2349) == 1.234
