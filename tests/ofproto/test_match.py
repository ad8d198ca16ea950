"""Matches: text both ways, masks, forms of VLAN, fragments and flags, normalization."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ALL_FIELDS, PACKETS, match_items, value_text

from fastpath._flow import FlowKey
from fastpath.errors import ParseError
from fastpath.fields import BY_NAME, Field
from fastpath.ofproto.match import Match, missing_prerequisite
from fastpath.ofproto.values import full_mask, parse_value


@given(st.sampled_from(PACKETS).flatmap(match_items))
def test_text_round_trip(items: list[str]) -> None:
    m = Match.parse(",".join(items)).normalized()
    assert Match.parse(str(m)).normalized() == m


@given(st.sampled_from(PACKETS).flatmap(match_items))
def test_value_has_no_bits_outside_the_mask(items: list[str]) -> None:
    m = Match.parse(",".join(items)).normalized()
    assert m.key.masked(m.mask) == m.key
    assert m.normalized() == m


@given(st.sampled_from(PACKETS).flatmap(match_items), st.data())
def test_a_match_matches_its_own_value_and_no_flipped_bit(items: list[str], data: st.DataObject) -> None:
    m = Match.parse(",".join(items)).normalized()
    assert m.matches(m.key)
    raw = bytearray(bytes(m.key))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    matters = bool(bytes(m.mask)[bit // 8] >> bit % 8 & 1)
    assert m.matches(FlowKey.from_bytes(bytes(raw))) is not matters


@given(st.sampled_from([f for f in ALL_FIELDS if f.name not in ("arp_op", "dl_vlan")]), st.data())
def test_set_then_get_gives_what_was_set(f: Field, data: st.DataObject) -> None:
    value, mask = parse_value(f, data.draw(value_text(f)))
    full = full_mask(f)
    m = Match()
    m.set(f, value, mask)
    got_value, got_mask = m.get(f)
    if f.name == "nw_tos":
        mask &= 0xFC
    if f.name in ("ct_state", "tun_flags", "tcp_flags"):
        mask &= got_mask if mask == full else full
    if f.name.startswith(("in_port", "icmp", "nd_options")):
        assert got_value == value
        return
    assert (got_value, got_mask) == (value & mask, mask & full)


@pytest.mark.parametrize(
    "text, shown",
    [
        ("dl_type=0x0800,nw_proto=6,tp_dst=80", "tcp,tp_dst=80"),
        ("ip,nw_src=1.2.3.4/24", "ip,nw_src=1.2.3.0/24"),
        ("ip,nw_src=1.2.3.4/255.0.255.0", "ip,nw_src=1.0.3.0/255.0.255.0"),
        ("nw_src=1.2.3.4", ""),
        ("tp_src=5", ""),
        ("udp,tcp_src=3", "udp,tp_src=3"),
        ("udp,tcp", "tcp"),
        ("ipv6,nw_src=1.2.3.4", "ipv6"),
        ("icmp,tp_src=3", "icmp,icmp_type=3"),
        ("dl_type=0x806,nw_src=1.2.3.4", "arp,arp_spa=1.2.3.4"),
        ("rarp,nw_proto=3", "rarp,arp_op=3"),
        ("arp,arp_op=300", "arp,arp_op=44"),
        ("ip,nw_tos=5", "ip,nw_tos=4"),
        ("ip,ip_dscp=8", "ip,nw_tos=32"),
        ("ip,nw_ecn=4", "ip,nw_ecn=0"),
        ("mpls,mpls_label=0x100000", "mpls,mpls_label=0"),
        ("dl_vlan=0xffff", "vlan_tci=0x0000"),
        ("dl_vlan=5", "dl_vlan=5"),
        ("vlan_vid=0x1005", "dl_vlan=5"),
        ("vlan_vid=0x1000/0x1000", "vlan_tci=0x1000/0x1000"),
        ("vlan_vid=0", "vlan_tci=0x0000/0x1fff"),
        ("vlan_tci=0x1005", "dl_vlan=5,dl_vlan_pcp=0"),
        ("vlan_tci=5/0xfff", "vlan_tci=0x0005/0x0fff"),
        ("dl_vlan_pcp=3", "dl_vlan_pcp=3"),
        ("dl_vlan=7,dl_vlan_pcp=3", "dl_vlan=7,dl_vlan_pcp=3"),
        ("ip,nw_frag=not_later", "ip,nw_frag=not_later"),
        ("nw_frag=first,ip", "ip,nw_frag=first"),
        ("tcp,tcp_flags=0x12/0x12", "tcp,tcp_flags=+syn+ack"),
        ("tcp,tcp_flags=syn|ack", "tcp,tcp_flags=syn|ack"),
        ("ct_state=+trk+new", "ct_state=+new+trk"),
        ("ct_state=0x21", "ct_state=new|trk"),
        ("packet_type=(1,0x800)", "packet_type=(1,0x800)"),
        ("packet_type=(0,0)", ""),
        ("eth,ip", "ip"),
        ("in_port=local", "in_port=LOCAL"),
        ("in_port=4294967294", "in_port=LOCAL"),
        ("in_port_oxm=3", "in_port=3"),
        ("NXM_NX_REG0[0..15]=5", "reg0=0x5/0xffff"),
        ("reg0[3]=1", "reg0=0x8/0x8"),
        ("reg0[0..3]=1,reg0[4..7]=2", "reg0=0x21/0xff"),
        ("reg0=5/0xf,reg0=6/0xf0", "reg0=0/0xf0"),
        ("xreg0=5/0xffffffff", "reg1=0x5"),
        ("xxreg0=0x1/0xf", "reg3=0x1/0xf"),
        ("reg0=*", ""),
        ("reg0=5/0", ""),
        ("reg0", ""),
        ("ip nw_src=1.2.3.4", "ip,nw_src=1.2.3.4"),
        ("icmp6,icmp_type=135", "icmp6,icmp_type=135"),
        ("tun_flags=+oam", "tun_flags=+oam"),
        ("tun_flags=0", "tun_flags=-oam"),
        ("tunnel_id=3", "tun_id=0x3"),
        ("dl_src=00:01:02:03:04:05/01:00:00:00:00:00", "dl_src=00:00:00:00:00:00/01:00:00:00:00:00"),
        ("metadata=-1", "metadata=0xffffffffffffffff"),
        ("ip6", "ipv6"),
        ("tcp6", "tcp6"),
    ],
)
def test_forms_and_normalization(text: str, shown: str) -> None:
    assert str(Match.parse(text).normalized()) == shown


@pytest.mark.parametrize(
    "text, error",
    [
        ("foo=3", "unknown keyword foo"),
        ("tcp,tp_src=70000", "70000: value too large for 2-byte field tcp_src"),
        ("tcp,tcp_src=-1", "-1: value too large for 2-byte field tcp_src"),
        ("ip,nw_src=1.2.3.4/33", "1.2.3.4/33: IPv4 network prefix bits not between 0 and 32, inclusive"),
        ("tun_dst=::1", "::1: invalid IP address"),
        ("ipv6,ipv6_src=zz", "zz: invalid IPv6 address"),
        ("dl_src=00:11", "00:11: invalid Ethernet address"),
        ("in_port=foo", "foo: invalid or unknown port for in_port"),
        ("dl_type=0x0800/0xff", "0x0800/0xff: invalid mask for field eth_type"),
        ("ct_state=0x100/0x100", "0x100/0x100: unknown ct_state flag(s)"),
        ("ct_state=+trk+trk", "trk: Each ct_state flag can be specified only once"),
        ("tcp,tcp_flags=+foo", "foo: unknown TCP flag(s)"),
        ("reg0=0x1zz", "0x1zz: bad syntax for reg0 value"),
        ("reg0=1/y", "1/y: bad syntax for reg0 mask"),
        ("reg0[0..3]=99", "reg0[0..3]: value 0x63 does not fit into 4 bits"),
        ("packet_type=1,0x800", "1: bad syntax for packet type missing '('"),
    ],
)
def test_errors_are_those_of_the_reference(text: str, error: str) -> None:
    with pytest.raises(ParseError) as e:
        Match.parse(text)
    assert str(e.value) == error



def test_port_names_are_looked_up_where_given() -> None:
    assert Match.parse("in_port=p1", ports={"p1": 7}).key.in_port == 7
    assert Match.parse('in_port="p1"', ports={"p1": 7}).format(ports={7: "p1"}) == "in_port=p1"


def test_anything_of_ethernet_asks_for_the_packet_type() -> None:
    assert Match.parse("ip").mask.packet_type == 0xFFFFFFFF
    assert Match.parse("dl_dst=00:00:00:00:00:01").mask.packet_type == 0xFFFFFFFF
    assert Match.parse("reg0=5").mask.packet_type == 0


@pytest.mark.parametrize(
    "wide, narrow, covers",
    [
        ("", "ip", True),
        ("ip", "tcp", True),
        ("tcp", "ip", False),
        ("ip,nw_src=10.0.0.0/8", "ip,nw_src=10.1.0.0/16", True),
        ("ip,nw_src=10.0.0.0/8", "ip,nw_src=11.1.0.0/16", False),
        ("ip", "ip", True),
        ("in_port=1", "ip", False),
    ],
)
def test_covers(wide: str, narrow: str, covers: bool) -> None:
    assert Match.parse(wide).covers(Match.parse(narrow)) is covers


def test_of_builds_from_names() -> None:
    assert Match.of(eth_type=0x0800, nw_proto=6, tcp_dst=80) == Match.parse("tcp,tp_dst=80")
    assert Match.of() == Match() and Match().is_catchall() and hash(Match.of()) == hash(Match())


def test_set_replaces_what_was_said_of_the_field() -> None:
    m = Match.parse("ip,nw_src=10.0.0.0/8")
    m.set(BY_NAME["nw_src"], 0x01020304)
    assert str(m) == "ip,nw_src=1.2.3.4"


def test_only_ethernet_packets_have_addresses_and_tags() -> None:
    for term in ("dl_src=00:00:00:00:00:01", "dl_dst=00:00:00:00:00:01", "dl_vlan=5"):
        assert missing_prerequisite(Match.parse(f"packet_type=(1,0x800),{term}")) is not None
        assert missing_prerequisite(Match.parse(f"packet_type=(0,0),{term}")) is None
