"""Sizes of messages: all that there are fit, and those that cannot be are refused before they are read."""

from __future__ import annotations

import pytest
from wire_samples import samples

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF13
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.messages.sizes import check_size
from fastpath.openflow.messages.stats import DescRequest, PortStatsReply, TableReply
from fastpath.openflow.messages.table import decode, encode, has_right_size, versions_of


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_of_every_kind_have_a_size_they_may_have(version: int) -> None:
    for message in samples(version):
        if version in versions_of(type(message)):
            assert has_right_size(encode(message, version, 1)), message


def test_what_follows_a_fixed_part_is_nothing_or_whole_records() -> None:
    check_size(DescRequest, OF13, 0)
    check_size(PortStatsReply, OF10, 208)
    check_size(TableReply, OF13, 48)
    for cls, version, size in ((DescRequest, OF13, 8), (PortStatsReply, OF10, 103), (TableReply, OF13, 25)):
        with pytest.raises(OpenFlowError, match="BAD_LEN"):
            check_size(cls, version, size)


def test_the_size_is_judged_before_what_is_inside() -> None:
    data = encode(DescRequest(), OF13, 1)
    longer = data[:2] + bytes([0, len(data) + 3]) + data[4:] + b"abc"
    assert not has_right_size(longer)
    with pytest.raises(OpenFlowError, match="BAD_LEN"):
        decode(longer)
