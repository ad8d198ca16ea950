"""Flows of which everything is said: what they must say before what, and that what is printed can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath import flowtext
from fastpath._extract import extract
from fastpath.compose import compose
from fastpath.errors import ParseError
from fastpath.ofproto.exact_flow import parse_exact_flow, parse_filter
from fastpath.ofproto.match import Match

PORTS = {"p1": 1}
OWN = {6: "tcp_", 17: "udp_", 132: "sctp_"}     # of the names of ports; tp_ is TCP's
byte = st.integers(0, 255)
address, port = st.integers(0, 2**32 - 1), st.integers(0, 65535)
words = st.fixed_dictionaries({"nw_src": address, "nw_dst": address, "nw_ttl": byte, "tp_src": port,
                               "tp_dst": port})


def key_of(source: str):  # type: ignore[no-untyped-def]
    return parse_exact_flow(source, ports=PORTS, options={})


@given(st.sampled_from((6, 17, 132)), words, st.integers(1, 0xFEFF))
def test_what_a_trace_prints_can_be_asked(proto: int, values: dict[str, int], in_port: int) -> None:
    flow = extract(compose(Match.of(dl_type=0x0800, nw_proto=proto).key.copy()), in_port=in_port)
    for name, value in values.items():
        setattr(flow, name, value)
    shown = flowtext.format_flow(flow).replace("vlan_tci=0x0000,", "").replace("tp_", OWN[proto])
    assert key_of(shown) == flow


@pytest.mark.parametrize(("source", "why"), [
    ("tp_dst=80,tcp", "prerequisites not met for setting tp_dst"),
    ("nw_src=1.2.3.4", "prerequisites not met for setting nw_src"),
    ("ip,nw_src=1.2.3.4/8", "bad value for nw_src (1.2.3.4/8: wildcards not allowed here)"),
    ("ip,tcp", "Ethernet type set multiple times"),
    ("in_port=1,in_port=2", "field in_port set multiple times"),
    ("ip,dl_type=0x800", "field dl_type set multiple times"),
    ("in_port=p9", "bad value for in_port (p9: invalid or unknown port for in_port)"),
    ("dl_type=zz", "bad value for dl_type (zz: bad syntax for eth_type value)"),
    ("eth", "unknown field eth"),
])
def test_what_makes_no_sense_is_refused_in_the_words_of_the_reference(source: str, why: str) -> None:
    with pytest.raises(ParseError) as raised:
        key_of(source)
    assert str(raised.value) == f"{source}: {why}"


def test_names_of_ports_are_known() -> None:
    assert key_of("in_port=p1,tcp,tp_dst=80") == key_of("in_port=1,tcp,tp_dst=80")


def test_filters_may_have_masks() -> None:
    found = parse_filter("ip,nw_dst=10.0.0.0/8")
    assert found == Match.parse("ip,nw_dst=10.0.0.0/8")
    with pytest.raises(ParseError, match="nonsense: unknown field nonsense"):
        parse_filter("nonsense")
