"""Keys from dpctl's text: what is printed reads back, the reference's too, broken text is refused."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model.hostile import packet

from fastpath import extract
from fastpath._flow import FlowKey
from fastpath.dpif.keyparse import DuplicateAttribute, parse_key, wrong_term
from fastpath.dpif.keytext import format_key
from fastpath.errors import ParseError

_PORTS = {"p1": 1, "p2": 2, "q1": 4, "q2": 5}


@given(st.integers(0, 1 << 32), st.integers(0, 40), st.booleans())
@settings(max_examples=500)
def test_what_is_printed_of_a_packet_reads_back(seed: int, in_port: int, verbose: bool) -> None:
    key = extract(packet(Random(seed)), in_port=in_port)
    mask = FlowKey(in_port=0xFFFFFFFF, recirc_id=0xFFFFFFFF, packet_type=0xFFFFFFFF, dl_src=(1 << 48) - 1,
                   dl_dst=(1 << 48) - 1, dl_type=0xFFFF, nw_proto=0xFF, nw_frag=0xFF, nw_src=0xFFFFFF00,
                   nw_ttl=0xFF, ipv6_dst=(1 << 128) - 1, tp_dst=0xFFFF, vlan_tci=0x1FFF, vlan_tpid=0xFFFF)
    text = format_key(key, mask, verbose=verbose)
    again = format_key(*parse_key(text), verbose=verbose)
    assert again == text


def test_flows_the_reference_dumps_read_back(shared: Path) -> None:
    n = 0
    for line in (shared / "golden/appctl_ovs31.txt").read_text().splitlines():
        if "recirc_id(" not in line or ", packets:" not in line:
            continue
        text = line[:line.index(", packets:")]
        verbose = text.startswith("ufid:")
        plain = text[text.index(" ") + 1:] if verbose else text
        named = "in_port(p" in text or "in_port(q" in text
        names = {number: name for name, number in _PORTS.items()} if named else {}
        assert format_key(*parse_key(text.replace(" ", ""), _PORTS), names=names, verbose=verbose) == plain
        n += 1
    assert n >= 18


@pytest.mark.parametrize(("text", "member", "value"), [
    ("in_port(p2)", "in_port", 2),
    ("eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:07),eth_type(0x0800),ipv4(src=10.0.0.1,frag=later)",
     "nw_frag", 3),
    ("tcp_flags(syn|ack)", "tcp_flags", 0x12),
    ("tcp_flags(+fin-rst)", "tcp_flags", 1),
    ("ct_state(+new+trk)", "ct_state", 0x21),
    ("eth_type(0x8100),vlan(vid=7,pcp=3),encap(eth_type(0x88a8),vlan(vid=9),encap(eth_type(0x0806)))",
     "vlan1_tci", 0x1009),
    ("mpls(label=1,bos=0,label=2/0xff,bos=1)", "mpls_lse1", 2 << 12 | 0x100),
    ("in_port(1) eth_type(0x0800) , ipv4(proto=6,frag=no),", "nw_proto", 6),
    ("ipv4(ttl=257,frag=no)", "nw_ttl", 1),
    ("ipv4(src=10.0.0.300,frag=no)", "nw_src", 0x0A00002C),
    ("eth(src=50:54:00:00:00:0711,dst=0:0:0:0:0:1)", "dl_src", 0x505400000011),
    ("tcp(src=65537,dst=-1)", "tp_dst", 0xFFFF),
    ("eth_type(0/0xffff)", "dl_type", 0x05FF),
    ("eth_type(0x8100),encap(eth_type(0x0806))", "vlan_tci", 0x1000),
    ("mpls(label=17,tc=1,ttl=64,bos=1)", "mpls_lse0", 17 << 12 | 1 << 9 | 1 << 8 | 64),
    ("tunnel(tun_id=0x7,src=1.2.3.4,dst=2.3.4.5,ttl=64,flags(+df-csum))", "tun_id", 7),
    ("eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:07)", "dl_type", 0x05FF),
    ("ct_tuple4(src=10.0.0.1,dst=10.0.0.2,proto=6,tp_src=1,tp_dst=2)", "ct_tp_dst", 2),
    ("skb_mark(0x10/0xf0)", "pkt_mark", 0x10),
])
def test_every_form_is_read(text: str, member: str, value: int) -> None:
    assert getattr(parse_key(text, _PORTS)[0], member) == value


@pytest.mark.parametrize("text", [
    "in_port", "in_port()", "in_port(nosuch)", "eth(src=1)", "eth(sorc=50:54:00:00:00:05)",
    "ipv4(frag=maybe)", "in_port(1),in_port(2)", "eth( src=50:54:00:00:00:05)",
    "mpls(label=1,label=2,label=3,label=4)", "ipv6(label=0x123456)", "eth_type(0x0800", "mpls(lse9=1)",
    "encap(x)", "nosuch(1)", "vlan(vid=5000)", "tunnel(tun_id)", "ct_state(+nosuch)", "packet_type(ns=1)",
])
def test_broken_text_is_refused_with_the_bad_part(text: str) -> None:
    with pytest.raises(ParseError):
        parse_key(text)


@given(st.text("in_port(1),eth(src=50:54)vlan=/+-|{}", max_size=60))
@settings(max_examples=200)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        key, mask = parse_key(text)
    except ParseError:
        return
    assert isinstance(key, FlowKey) and isinstance(mask, FlowKey)


@pytest.mark.parametrize(("source", "wrong"), [
    ("in_port(1),eth(src=1),eth_type(0x0800)", "eth(src=1),eth_type(0x0800)"),
    ("in_port(1) , nosuch(2)", "nosuch(2)"), ("in_port(1),eth(", "eth("), ("in_port(1),in_port(1)", ""),
    ("", ""), ("x", "x"), ("in_port(1)),x", "),x"),
])
def test_the_wrong_term_is_found(source: str, wrong: str) -> None:
    assert source[wrong_term(source):] == wrong


def test_what_is_there_twice_is_no_syntax_error() -> None:
    with pytest.raises(DuplicateAttribute, match=r"duplicate eth .* is: in_port\(1\),eth\(\),eth\(\)"):
        parse_key("in_port(1), eth() eth()")
