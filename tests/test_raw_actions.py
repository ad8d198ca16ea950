"""Actions beside matches they may not go with, in rules, packets and buckets: refused as by the reference.

ovs-ofctl refuses most of these itself, so here are the messages; errors are told by xid.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from ofctl_pair import Raw, our_bridge, reference_bridge
from test_field_bytes import refusals

from fastpath.errors import FastpathError
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.group import Bucket, GroupCommand, GroupMod, GroupType
from fastpath.ofproto.match import Match
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.messages.packet import PacketOut
from fastpath.openflow.messages.table import encode

N_CASES, N_TOGETHER = 700, 200          # of a version in a run; sent before any answer is read
MATCHES = ("", "ip", "ipv6", "arp", "tcp", "udp6", "mpls", "dl_vlan=5", "vlan_tci=0x1000/0x1000",
           "vlan_tci=0", "ip,dl_vlan=5", "dl_type=0x894f", "in_port=1", "tcp,dl_vlan=3",
           "packet_type=(1,0x800)")
ACTIONS = (
    "dec_ttl", "dec_ttl(0,1)", "mod_nw_src:1.2.3.4", "mod_nw_tos:4", "mod_nw_ttl:4", "mod_nw_ecn:1",
    "mod_tp_src:5", "strip_vlan", "mod_dl_dst:02:00:00:00:00:01", "mod_vlan_vid:5", "mod_vlan_pcp:3",
    "push_vlan:0x8100", "set_field:5->vlan_vid", "set_field:4101->vlan_vid", "load:5->OXM_OF_VLAN_VID[]",
    "load:5->NXM_OF_VLAN_TCI[]", "pop_mpls:0x800", "push_mpls:0x8847", "dec_mpls_ttl", "set_mpls_label(5)",
    "fin_timeout(idle_timeout=5)", "load:5->NXM_OF_IP_SRC[]", "move:NXM_OF_IP_SRC[]->NXM_OF_IP_DST[]",
    "set_field:5->tcp_src", "set_field:5->reg0", "push:NXM_OF_IP_SRC[]", "output:NXM_OF_IP_SRC[0..15]",
    "learn(eth_type=0x800,NXM_OF_IP_SRC[])", "multipath(symmetric_l4,50,modulo_n,4,0,NXM_OF_IP_SRC[0..3])",
    "bundle(eth_src,0,hrw,ofport,members:1,2)",
    "bundle_load(eth_src,0,hrw,ofport,NXM_OF_IP_SRC[0..15],members:1)", "ct(commit)", "ct_clear",
    "encap(nsh)", "decap", "dec_nsh_ttl", "clone(dec_ttl)", "write_metadata:5", "clear_actions",
    "write_actions(dec_ttl)", "goto_table:5", "group:99", "output:1", "output:65000", "enqueue:99:1")
ALONE = ("meter:5", "set_field:2->nw_proto", "copy_ttl_in", "delete_field:tun_metadata0")
_WITH = ("", *MATCHES[1:], "ip,ct_state=+trk")
_IP = bytes(12) + bytes.fromhex("08004500002e00010000401100000a0000010a00000200010002001a0000") + bytes(18)
FRAMES = (_IP, _IP[:12] + bytes.fromhex("81000005") + _IP[12:], bytes(12) + b"\x08\x06" + bytes(28),
          bytes(12) + b"\x88\x47" + bytes(40), _IP[:16], _IP[:13], b"")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with reference_bridge() as theirs, our_bridge(tmp_path_factory.mktemp("ours")) as (ours, _bridge):
        yield ours, theirs


def actions_of(text: str) -> ActionList:
    """What *text* says of whichever packets it may be said of."""
    for match in _WITH:
        try:
            return parse_flow(f"{match},actions={text}").actions
        except FastpathError:
            pass
    raise AssertionError(text)


def a_message(r: random.Random) -> object:
    first, second = (actions_of(r.choice(ACTIONS)) for _ in range(2))
    actions = r.choice((first, first, first + second, actions_of(r.choice(ALONE))))
    match r.randrange(4):
        case 0:
            return PacketOut(r.choice(FRAMES), Match.of(in_port=r.choice((1, 77, 0xFFFD))), actions)
        case 1:
            kind = r.choice((GroupType.ALL, GroupType.SELECT, GroupType.INDIRECT))
            return GroupMod(r.choice((GroupCommand.ADD, GroupCommand.MODIFY)), 7, kind, (Bucket(actions),))
        case _:
            command = r.choice((Command.ADD, Command.ADD, Command.MODIFY, Command.DELETE))
            return FlowMod(command, 0, 5, Match.parse(r.choice(MATCHES)), actions)


@pytest.mark.parametrize("version", VERSIONS)
def test_actions_are_refused_alike(both: tuple[str, str], version: int, more: int) -> None:
    r = random.Random(version)
    messages: list[bytes] = []
    for message in (a_message(r) for _ in range(N_CASES * more)):
        try:
            messages.append(encode(message, version, 0))
        except FastpathError:               # which the version cannot say
            continue
    n_refused = 0
    for at in range(0, len(messages), N_TOGETHER):
        some = messages[at:at + N_TOGETHER]
        for target in both:
            with Raw(target, version) as peer:
                peer.send(GroupMod(GroupCommand.DELETE, 0xFFFFFFFC, GroupType.ALL, ()))
                peer.said()
        ours, theirs = (refusals(target, version, some) for target in both)
        for number, message in enumerate(some):
            assert ours.get(number) == theirs.get(number), message.hex()
        n_refused += len(theirs)
    assert n_refused > N_CASES // 10
