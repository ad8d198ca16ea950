"""What the short way of flow mods reads, and where it leaves off."""

from __future__ import annotations

import pytest

import fastpath
from fastpath.controllers import Control
from fastpath.ofproto.actions.versions import OF10, OF13, OF15
from fastpath.ofproto.flow_text import parse_flow
from fastpath.openflow.adds import add_reader, barrier_reply
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.table import encode
from fastpath.openflow.service import Session


def test_a_reader_stops_at_what_is_not_whole_or_not_plain() -> None:
    reader = add_reader(OF13, lambda _match, _actions: None)
    plain = encode(parse_flow("table=1,tcp,tp_dst=80 actions=output:1"), OF13, 5)
    flow_of = encode(parse_flow("table=1,tcp,tp_dst=80,send_flow_rem actions=output:1"), OF13, 5)
    barrier, echo = encode(basic.BarrierRequest(), OF13, 77), encode(basic.EchoRequest(b""), OF13, 78)
    for n in range(len(plain)):
        assert reader.read(plain[:n], 0, 0.0) == ([], 0)
    with fastpath.Switch(seed=0) as switch:     # a match is met the long way first
        session = Session(Control(switch.add_bridge("br0"), None), (OF13,))
        session.received(encode(basic.Hello(), OF13, 1) + plain)
    for rest in (flow_of, echo, b"\x04", plain[:-1]):
        items, end = reader.read(b"??" + plain + barrier + rest, 2, 3.5)
        assert end == 2 + len(plain) + len(barrier) and items[1] == 77
        assert str(items[0]) == "table=1, tcp,tp_dst=80 actions=output:1" and items[0].created == 3.5
    with pytest.raises(ValueError, match="negative"):
        reader.read(plain, -1, 0.0)


def test_the_reply_to_a_barrier_is_that_of_the_codec() -> None:
    for version in range(OF10, OF15 + 1):
        assert barrier_reply(version, 99) == encode(basic.BarrierReply(), version, 99)
