"""The help for tests of networks helps: frames are right, messages readable, the fixture is found."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from fastpath import FlowKey, ParseError, extract
from fastpath.errors import ArgumentError
from fastpath.testing import (
    KINDS,
    assert_dropped,
    assert_outputs,
    checksum,
    describe,
    frame,
    mac,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_reads_back_as_what_was_asked_for(kind: str) -> None:
    key = extract(frame(kind, src=3, dst=4, vlan=12, pcp=5))
    assert (key.dl_src, key.dl_dst, key.vlan_tci) == (0x020000000003, 0x020000000004, 0x1000 | 5 << 13 | 12)
    if kind in ("ip", "udp", "tcp", "icmp"):
        assert (key.dl_type, key.nw_src, key.nw_dst, key.nw_ttl) == (0x0800, 0x0a000003, 0x0a000004, 64)
    if kind in ("ip6", "udp6", "tcp6", "icmp6"):
        assert (key.dl_type, key.ipv6_src & 0xffff, key.ipv6_src >> 112) == (0x86dd, 3, 0xfd00)
    if kind[:3] in ("udp", "tcp"):
        assert (key.tp_src, key.tp_dst) == (1000, 2000)
    if kind in ("icmp", "icmp6"):
        assert (key.tp_src, key.tp_dst) == ((8 if kind == "icmp" else 128), 0)
    if kind == "arp":
        assert (key.nw_proto, key.nw_src, key.nw_dst) == (1, 0x0a000003, 0x0a000004)
        assert (key.arp_sha, key.arp_tha) == (0x020000000003, 0)


@pytest.mark.parametrize("kind", ["udp", "tcp", "icmp", "udp6", "tcp6", "icmp6"])
@pytest.mark.parametrize("payload", [b"", b"x", b"hello world"])
def test_checksums_are_right(kind: str, payload: bytes) -> None:
    packet = frame(kind, payload=payload, size=0)
    v6 = kind.endswith("6")
    ip, transport = packet[14:], packet[54:] if v6 else packet[34:]
    pseudo = b""
    if kind != "icmp":
        addresses = ip[8:40] if v6 else ip[12:20]
        proto = ip[6] if v6 else ip[9]
        pseudo = addresses + len(transport).to_bytes(4, "big") + bytes((0, 0, 0, proto))
    assert checksum(pseudo + transport) == 0
    assert v6 or checksum(ip[:20]) == 0


def test_addresses_are_text_or_small_numbers() -> None:
    assert mac("02:00:00:00:00:0a") == mac(10) == mac(0x02000000000a)
    key = extract(frame(src="02:aa:00:00:00:01", ip_src="192.168.7.1", dst=2, ip_dst=9))
    assert (key.dl_src, key.nw_src, key.nw_dst) == (0x02aa00000001, 0xc0a80701, 0x0a000009)
    assert extract(frame("udp6", ip_src="fe80::1")).ipv6_src == 0xfe80 << 112 | 1


def test_two_tags_stand_in_the_order_given() -> None:
    key = extract(frame(vlan=[100, 7]))
    assert (key.vlan_tpid, key.vlan_tci & 0xfff, key.vlan1_tci & 0xfff) == (0x88a8, 100, 7)


def test_fragments_flags_and_sizes() -> None:
    assert extract(frame(frag=0x2000)).nw_frag == 1
    assert extract(frame(frag=0x2001)).nw_frag == 3
    assert extract(frame("tcp", flags="syn|ack")).tcp_flags == 0x12
    assert (len(frame()), len(frame(size=200)), len(frame("eth", payload=b"x" * 100))) == (60, 200, 114)
    with pytest.raises(ParseError, match="quic"):
        frame("quic")


def test_messages_say_in_words_what_came_out() -> None:
    assert_outputs({"p1": [frame()]}, {"p1": 1})
    assert_outputs({"p1": [frame()]}, {"p1": frame(), "p2": 0})
    assert_dropped({})
    with pytest.raises(AssertionError, match="port p2: expected 1 frames") as wrong:
        assert_outputs({"p1": [frame("udp", dport=53)]}, {"p2": 1})
    assert "p1: 60 bytes udp" in str(wrong.value) and "tp_dst=53" in str(wrong.value)
    with pytest.raises(AssertionError, match="port p1: expected 60 bytes udp"):
        assert_outputs({"p1": [frame("udp", dport=54)]}, {"p1": frame("udp", dport=53)})
    with pytest.raises(AssertionError, match="port p1"):
        assert_dropped({"p1": [frame()]})
    assert describe(b"").startswith("0 bytes") and isinstance(extract(b""), FlowKey)


@pytest.mark.parametrize("wrong", [
    {"src": -1}, {"src": 1 << 48}, {"src": 1.0}, {"sport": 70000}, {"vlan": 5000}, {"vlan": [1, -1]},
    {"pcp": 8}, {"ttl": 300}, {"flags": "syn|ask"}, {"payload": bytes(70000)}, {"ip_dst": 1 << 128}], ids=str)
def test_what_does_not_fit_a_frame_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises((ParseError, ArgumentError), match=next(iter(wrong))):
        frame("tcp", **wrong)


def test_pytest_finds_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "test_user.py").write_text("""
from fastpath.testing import assert_outputs, frame

def test_known_station_is_not_flooded(switch):
    br = switch.add_bridge("br0", normal=True)
    a, b, c = (br.add_port(name) for name in "abc")
    br.inject(b, frame("udp", src=2, dst=1))
    assert_outputs(br.inject(a, frame("udp", src=1, dst=2)), {b: 1})

def test_each_test_has_a_new_switch(switch):
    assert len(switch) == 0
""")
    installed = any(ep.value == "fastpath.testing" for ep in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "fastpath.testing"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *plugin, str(tmp_path)],
                          capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr
