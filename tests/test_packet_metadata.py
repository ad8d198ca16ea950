"""Metadata of packets between controllers and the switch: every byte is the reference's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ofctl_pair import Raw, our_bridge, reference_bridge

from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.actions.versions import OF10, OF12, OF13, OF15
from fastpath.ofproto.match import Match
from fastpath.ofproto.tlv_table import TlvMapping
from fastpath.openflow.messages import basic, packet, role, tlv
from fastpath.openflow.messages.table import Frame
from fastpath.testing import frame

ETHERNET = frame("udp", src=1, dst=2)
IP = ETHERNET[14:]
GIVEN = (
    "in_port=1", "in_port=65535,tun_id=0x11,metadata=0x22,reg3=5,reg15=0xffffffff",
    "in_port=65533,tun_src=1.2.3.4,tun_dst=5.6.7.8,tun_gbp_id=4,tun_gbp_flags=8",
    # The reference tells other members of ERSPAN and GTP-U under a mask that is their own value.
    "in_port=65533,tun_ipv6_src=1::2,tun_ipv6_dst=1::3,tun_erspan_idx=5",
    "in_port=65533,xreg4=0x700000009,reg0=1/1", "in_port=65533,tun_metadata0=7",
    "in_port=65533,tun_flags=oam",
    # These are of the packet, or for the switch alone: no controller gives them.
    "in_port=65533,pkt_mark=3", "in_port=65533,ip,nw_dst=1.2.3.4", "in_port=65533,tun_ttl=3",
    "in_port=65533,dl_src=00:00:00:00:00:05", "in_port=65533,ct_mark=5", "metadata=1",
)
MADE = ("set_field:1.1.1.1->tun_src,set_field:2.2.2.2->tun_dst,set_field:77->tun_id",
        "set_field:::1->tun_ipv6_dst,set_field:5->pkt_mark,set_field:oam->tun_flags,set_field:1->tun_gbp_id",
        "set_field:0xa0b0c0d->tun_metadata0,set_field:9->metadata,set_field:1->reg7")


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with reference_bridge() as theirs, our_bridge(tmp_path_factory.mktemp("of")) as (ours, _bridge):
        for target in (theirs, ours):
            with Raw(target, OF15) as peer:
                peer.send(tlv.TlvTableMod(0, (TlvMapping(0xFFFF, 0, 4, 0),)))
                peer.said()
        yield ours, theirs


def told(target: str, version: int, form: int, asked: list[packet.PacketOut]) -> list[str]:
    """Of each packet asked for, the packet-in or the error."""
    out: list[str] = []
    with Raw(target, version) as peer:
        peer.send(basic.SetConfig(0, 128))
        peer.send(basic.SetPacketInFormat(form))
        peer.said()                         # hellos, too
        for ask in asked:
            peer.send(ask, 5)
            out.append(peer.next_bytes().hex())
    return out


def compare(targets: tuple[str, str], version: int, form: int, asked: list[packet.PacketOut]) -> None:
    ours, theirs = (told(target, version, form, asked) for target in targets)
    for a, b in zip(ours, theirs, strict=False):
        assert a == b
    assert len(ours) == len(theirs)


@pytest.mark.parametrize("form", [0, 1, 2])
def test_what_a_packet_out_gives_a_packet_in_shows(targets: tuple[str, str], form: int) -> None:
    compare(targets, OF15, form, [packet.PacketOut(ETHERNET, Match.parse(text), parse_actions("controller"))
                                  for text in GIVEN])


@pytest.mark.parametrize("version", [OF10, OF12, OF13, OF15])
@pytest.mark.parametrize("form", [0, 1, 2])
def test_what_actions_made_of_metadata_is_shown(targets: tuple[str, str], version: int, form: int) -> None:
    compare(targets, version, form, [
        packet.PacketOut(ETHERNET, Match.of(in_port=1), parse_actions(f"{actions},controller"))
        for actions in MADE])


@pytest.mark.parametrize("form", [0, 2])
def test_a_packet_without_ethernet_goes_through(targets: tuple[str, str], form: int) -> None:
    compare(targets, OF15, form, [
        packet.PacketOut(IP, Match.parse(f"in_port=65533,packet_type={kind}"),
                         parse_actions("set_field:5->metadata,controller"))
        for kind in ("(1,0x800)", "(1,0x86dd)", "(0,0)")])


@pytest.mark.parametrize("version", [OF10, OF12, OF13, OF15])
def test_events_that_are_asked_for(targets: tuple[str, str], version: int) -> None:
    said = []
    for target in targets:
        with Raw(target, version) as peer:
            for masks in ((("flow_removed", True, 0x1a),), (("flow_removed", False, 0x3f),),
                          (("flow_removed", False, 0x40),), (("requestforward", True, 3),)):
                peer.send(role.SetAsync14(masks), 5)
                if version >= OF13:
                    peer.send(basic.GetAsyncRequest(), 6)
            if version < OF15:
                peer.send(basic.SetAsync(1, 2, 3, 4, 5, 6), 7)
            if version == OF13:
                peer.send(basic.GetAsyncRequest(), 6)
            said.append([(f.xid, f.message) if isinstance(f, Frame) else f.hex() for f in peer.said()])
    assert said[0] == said[1]
