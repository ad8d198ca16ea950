"""What bridges over one datapath share: patch pairs, port numbers, and whose packet a key is."""

from __future__ import annotations

import pytest
from model.dpif import World

from fastpath._flow import FlowKey
from fastpath.errors import ExistsError
from fastpath.ofproto.port import OfPort
from fastpath.ofproto.recirc import FrozenState


def test_patch_ports_find_each_other_in_any_order_and_lose_each_other() -> None:
    w = World()
    left, right = w.bridge(), w.bridge(name="br1")
    one = OfPort(left, "l", 9, peer_name="r")
    left.add_port(one)
    assert one.peer is None
    other = OfPort(right, "r", 9, peer_name="l")
    right.add_port(other)
    assert one.peer == (right, other) and other.peer == (left, one)
    with pytest.raises(ExistsError, match="patch port 'r'"):
        left.add_port(OfPort(left, "r", 10, peer_name="x"))
    left.del_port(one)
    assert other.peer is None and right in w.backer.dirty


def test_half_a_pair_that_names_another_is_not_joined() -> None:
    w = World()
    br = w.bridge()
    a, b = OfPort(br, "a", 8, peer_name="b"), OfPort(br, "b", 9, peer_name="c")
    br.add_port(a)
    br.add_port(b)
    assert a.peer is None and b.peer is None


def test_datapath_numbers_are_the_lowest_free_ones() -> None:
    w = World()
    br = w.bridge(ports=4)
    assert w.backer.free_odp_port() == 5
    br.del_port(br.port(2))
    assert w.backer.free_odp_port() == 2
    w.bridge(ports=2, name="br1")
    assert sorted(w.backer.by_odp) == [1, 2, 3, 4, 5]


def test_a_key_belongs_to_the_bridge_of_its_port_and_resumes_the_state_of_its_recirc_id() -> None:
    w = World()
    br = w.bridge()
    other = w.bridge(name="br1")
    state = FrozenState(br, 3, ())
    recirc_id = w.backer.recirc.alloc(state)
    assert w.backer.where(FlowKey(in_port=4)) == (other, other.port(1), None)
    assert w.backer.where(FlowKey(in_port=1, recirc_id=recirc_id)) == (br, br.port(1), state)
    assert w.backer.where(FlowKey(in_port=1, recirc_id=recirc_id + 1)) is None
    assert w.backer.where(FlowKey(in_port=99)) is None
