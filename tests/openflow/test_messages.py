"""Every OpenFlow message of every version: there and back, and in the reference's eyes."""

from __future__ import annotations

import pytest
from wire_samples import printed, samples

from fastpath.errors import OpenFlowError
from fastpath.ofproto.flow_mod import FlowMod
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.messages import basic, flow, stats
from fastpath.openflow.messages.table import CLASSES, Frame, decode, encode, has_right_size, versions_of


@pytest.mark.parametrize("version", VERSIONS)
def test_every_message_comes_back_equal(version: int) -> None:
    seen = set()
    for message in samples(version):
        data = encode(message, version, 0x12345678)
        frame = decode(data)
        seen.add(type(message))
        assert encode(frame.message, version, 0x12345678) == data
        if not isinstance(message, FlowMod | flow.NxFlowMod):
            assert frame == Frame(version, 0x12345678, message)
    assert seen == {cls for cls in CLASSES if version in versions_of(cls)}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_reference_finds_nothing_wrong_with_our_messages(ovs_ofctl: str, version: int) -> None:
    for message in samples(version):
        if isinstance(message, stats.TableReply | basic.Error):
            continue        # printed by the names of tables or the bytes of the request
        line = printed(ovs_ofctl, encode(message, version, 0x12345678))
        assert "***" not in line and "WARN" not in line, (message, line)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_size_is_judged_before_what_is_inside(version: int) -> None:
    for message in samples(version):
        data = encode(message, version, 1)
        assert has_right_size(data), message
    data = encode(stats.DescRequest(), version, 1)
    longer = data[:2] + bytes([0, len(data) + 3]) + data[4:] + b"abc"
    assert not has_right_size(longer)
    with pytest.raises(OpenFlowError, match="BAD_LEN"):
        decode(longer)
