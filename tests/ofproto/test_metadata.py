"""Metadata of flow keys as controllers are told it."""

from __future__ import annotations

import pytest

from fastpath._flow import FlowKey
from fastpath.errors import OpenFlowError
from fastpath.ofproto.match import Match
from fastpath.ofproto.metadata import check_given, give, shown
from fastpath.tlv import NO_OPTIONS, Place

TUPLE = {"dl_type": 0x800, "ct_nw_proto": 6, "ct_nw_src": 0x01020304, "ct_nw_dst": 5, "ct_tp_src": 80}


def test_what_is_zero_is_not_told() -> None:
    assert shown(FlowKey(nw_src=5, dl_type=0x800, dp_hash=7), 3, NO_OPTIONS) == Match.parse("in_port=3")


@pytest.mark.parametrize(("state", "told"), [
    (0, ""),
    (0x21, ",ct_state=0x21,ip,ct_nw_proto=6,ct_nw_src=1.2.3.4,ct_nw_dst=0.0.0.5,ct_tp_src=80,ct_tp_dst=0"),
    (0x30, ",ct_state=0x30,ip"), (0x01, ",ct_state=0x01,ip")])
def test_a_connection_is_told_of_packets_that_are_tracked_and_valid(state: int, told: str) -> None:
    assert shown(FlowKey(ct_state=state, ct_mark=9, **TUPLE), 3, NO_OPTIONS) == Match.parse(
        f"in_port=3,ct_mark=9{told}")


def test_tunnel_options_are_told_as_long_as_they_are() -> None:
    options = {5: Place(5, 4, ((8, 4),)), 6: Place(6, 4, ((16, 4),))}
    key = FlowKey(tun_id=5)
    options[5].write(key, 0x77)
    told = shown(key, 1, options)
    assert str(told) == "tun_id=0x5,tun_metadata5=0x77,in_port=1"
    assert options[5].read(told.mask) == 0xFFFFFFFF and not options[6].is_present(told.mask)


def test_bits_for_the_switch_alone_are_not_told() -> None:
    assert shown(FlowKey(tun_flags=0xFFFE), 1, NO_OPTIONS) == Match.parse("in_port=1")


def test_what_is_told_can_be_given_back() -> None:
    key = FlowKey(tun_src=4, tun_flags=1, metadata=5, reg15=6, pkt_mark=7, packet_type=0x10800, ct_state=0x21,
                  ct_label=1 << 100, **TUPLE)
    other = FlowKey(nw_src=9, dl_type=0x800, reg3=5, ct_zone=8)
    give(other, shown(key, 1, NO_OPTIONS).key)
    assert other == FlowKey(**{name: getattr(key, name) for name in (
        "tun_src", "tun_flags", "metadata", "reg15", "pkt_mark", "packet_type", "ct_state", "ct_label",
        *TUPLE)}, nw_src=9)


@pytest.mark.parametrize("text", ["in_port=1,reg0=5,metadata=1/1,tun_id=4,packet_type=(1,5)", "",
                                  "tun_flags=oam"])
def test_metadata_may_be_given(text: str) -> None:
    check_given(Match.parse(text))


@pytest.mark.parametrize("text", ["ip", "dl_vlan=3", "pkt_mark=1", "ct_state=+trk", "tun_ttl=4",
                                  "reg0=1,tcp"])
def test_headers_are_not_given(text: str) -> None:
    with pytest.raises(OpenFlowError, match="PIPELINE_FIELDS_ONLY"):
        check_given(Match.parse(text))
