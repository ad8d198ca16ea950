"""Frames made of flow keys: byte for byte the reference's, and they read as they were asked for."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_sets import Maker

import fastpath
from fastpath._extract import extract
from fastpath._flow import FlowKey
from fastpath.compose import compose, compose_sized
from fastpath.ofproto.match import Match

METADATA = re.compile(r"(in_port|reg\d|metadata|nd_sll|nd_tll)=[^,]*,?")
KINDS = ("ip,nw_proto=2", "ip,nw_proto=2,nw_frag=later", "sctp,sctp_src=5,sctp_dst=7",
         "icmp6,icmpv6_type=135,icmpv6_code=0,nd_target=fe80::1,nd_sll=00:00:00:00:00:05",
         "icmp6,icmpv6_type=136,icmpv6_code=0,nd_target=fe80::1,nd_tll=00:00:00:00:00:05",
         "icmp6,icmpv6_type=129,icmpv6_code=0", "icmp6,icmpv6_type=1,icmpv6_code=3", "rarp,arp_op=3",
         "dl_type=0x05ff", "dl_type=0x05ff,dl_vlan=5", "dl_type=0x894f", "mpls,mpls_label=5,mpls_bos=0",
         "mplsm,mpls_label=5,mpls_bos=1", "tcp,tcp_flags=psh|ack", "tcp,tcp_flags=fin", "udp6,nw_tos=252",
         "arp,arp_op=2,arp_sha=00:00:00:00:00:05,arp_tha=00:00:00:00:00:06,arp_spa=1.2.3.4,arp_tpa=4.3.2.1")


def their_frame(flow: str) -> bytes:
    """Frame that ovs-ofctl makes of *flow*; it prints it as a hex dump on standard output."""
    done = subprocess.run(["ovs-ofctl", "compose-packet", flow], capture_output=True, text=True, timeout=60)
    rows = re.findall(r"^[0-9a-f]{8}  ((?:[0-9a-f]{2}[ -]?)+)", done.stdout, re.M)
    assert rows, done.stderr
    return bytes.fromhex("".join(rows).replace("-", " "))


def packets(n: int) -> list[str]:
    return [METADATA.sub("", Maker(seed).packet()).strip(",") for seed in range(n)]


@pytest.mark.skipif(shutil.which("ovs-ofctl") is None, reason="the reference is not installed")
def test_the_reference_makes_the_same_frame(more: int) -> None:
    n_same = 0
    for flow in (*KINDS, *packets(90 * more)):
        try:
            theirs = their_frame(flow)
        except AssertionError as error:
            assert "prerequisites not met" in str(error)        # it wants each term after what it needs
            continue
        assert compose(Match.parse(flow).key).hex() == theirs.hex(), flow
        n_same += 1
    assert n_same > 60 * more


def test_a_frame_reads_as_it_was_asked_for(more: int) -> None:
    for flow in packets(400 * more):
        if "mpls" in flow or "frag" in flow or re.search("dl_type=|rarp|nw_proto=", flow):
            continue                    # lower labels, and what no frame says, are left open by a flow
        key = Match.parse(flow).key
        if "ipv6" in flow.split(",") and not key.nw_proto:
            continue                    # protocol 0 is a header of options, which is not there
        if key.dl_type == 0x806 and key.nw_proto not in (1, 2):
            continue                    # there are addresses in no other ARP
        if key.vlan_tci:
            key.vlan_tpid = 0x8100
        got = fastpath.extract(compose(key))
        if not flow or key.dl_type == 0:
            key.dl_type = got.dl_type
        assert got == key, flow


@given(st.sampled_from((1, 6, 17, 58, 132)), st.booleans(), st.integers(60, 1600))
def test_a_frame_is_as_long_as_asked_and_reads_the_same(proto: int, is_6: bool, size: int) -> None:
    key = FlowKey(dl_type=0x86DD if is_6 else 0x0800, nw_proto=proto, nw_ttl=64, tp_src=8, tp_dst=0)
    least = max(60, len(compose(key, b"")))
    if size < least:
        with pytest.raises(ValueError, match=f"{least} are needed"):
            compose_sized(key, size)
        return
    frame = compose_sized(key, size)
    assert len(frame) == size and extract(frame) == extract(compose(key))
