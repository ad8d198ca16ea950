"""Keys that were given as text, printed again; and normalize-actions of the same words by ovs-dpctl."""

from __future__ import annotations

import shutil
import subprocess
from random import Random

import pytest

from fastpath.cli.dpctl.command import main as dpctl
from fastpath.dpif.keyparse import parse_key
from fastpath.dpif.sourcetext import format_source

ETH = "in_port(1),eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:07)"
IP = "eth_type(0x0800),ipv4(src=1.2.3.4,dst=2.3.4.5,proto=6,tos=0,ttl=64,frag=no)"
TCP = f"{IP},tcp(src=1,dst=2)"
OTHER = "eth(),eth_type(0x1234)"
KEYS = (
    f"{ETH},eth_type(0x1234)", f"{ETH},{TCP}", f"{ETH},{IP}", ETH, "",
    "fish(1)", "in_port(nix),eth_type(0x1234)",
    f"{ETH},eth_type(0x8100),vlan(vid=9,pcp=1),encap({TCP})",
    f"{ETH},eth_type(0x8100),vlan(vid=9,pcp=1),encap()", f"{ETH},vlan(vid=9,pcp=1)",
    f"{ETH},eth_type(0x88a8),vlan(vid=9,pcp=1),encap(eth_type(0x8100),vlan(vid=7,pcp=0),encap({TCP}))",
    f"{ETH},eth_type(0x8847),mpls(label=100,tc=1,ttl=64,bos=1)", f"{ETH},{TCP},tcp_flags(+syn)",
    f"{ETH},eth_type(0x0806),arp(sip=1.2.3.4,tip=5.6.7.8,op=1)", "in_port(a),eth_type(0x1234)",
    f"skb_priority(0),skb_mark(5/7),recirc_id(3),dp_hash(0),{ETH},{TCP}", f"  {ETH} , eth_type( 0x1234 )",
    f"ct_state(+trk-new),ct_zone(5/6),ct_mark(7/8),ct_label(0x9),in_port(1),{OTHER}",
    "ct_tuple4(src=1.2.3.4,tp_dst=9),in_port(1),eth_type(0x800),ipv4(proto=6),tcp()",
    "ct_tuple6(src=::1,tp_dst=9),in_port(1),eth_type(0x86dd),ipv6(proto=58),icmpv6(type=135),nd(target=::1)",
    f"tunnel(tun_id=0x1,src=1.1.1.1,dst=2.2.2.2,tos=0,ttl=64,flags(csum)),in_port(1),{OTHER}",
    f"tunnel(src=1.1.1.1,dst=2.2.2.2,flags(csum|df)),in_port(1),{OTHER}",
    f"tunnel(tun_id=0,dst=2.2.2.2,ttl=5,erspan(ver=2,dir=1,hwid=0x7)),in_port(1),{OTHER}",
    f"tunnel(tun_id=0x7,dst=2.2.2.2,ttl=5,vxlan(gbp(id=10,flags=0x8)),flags()),in_port(1),{OTHER}",
    "tunnel(tun_id=7/0xff,dst=2.2.2.2,ttl=5,geneve({class=0xffff,type=0x80,len=4,0xa})),in_port(1),"
    f"{OTHER}",
    f"in_port(1),in_port(2),{OTHER}", "in_port(1),eth(),eth_type(0/0xffff)",
    "in_port(1),eth(),eth_type(0x800),ipv4(frag=later)",
    "packet_type(ns=1,id=0x800),in_port(1),eth_type(0x800)",
)
# What no key is read from, or not the same: ports of ct_tuple6 have other names when they are printed.
UNREAD = ("fish", "nix", "( ", "in_port(2)", "ct_tuple6", "eth_type(0/")
ACTIONS = (
    "1", "2", "5", "a", "b", "fly", "pop_vlan", "push_vlan(vid=3,pcp=0)",
    "push_vlan(tpid=0x88a8,vid=4,pcp=2)",
    "set(eth(src=00:00:00:00:00:01))", "trunc(100)", "sample(sample=50.0%,actions(1))", "ct(commit)",
    "set(tcp(src=80))", "meter(1)", "clone(1,push_vlan(vid=9,pcp=0),2)", "set(ipv4(ttl=1))",
    "check_pkt_len(size=100,gt(1),le(2))", "userspace(pid=1,slow_path(action))")
PORTS = ("a=1", "b=7", "c", "d=x", "a=3", "e=4294967295")


@pytest.mark.parametrize(("source", "text", "verbose"), [
    (f"{ETH},{TCP}",) * 2 + (f"{ETH},{TCP}",),
    ("eth_type(0x800),in_port(3)",) + ("eth_type(0x0800),in_port(3)",) * 2, ("",) + ("<empty>",) * 2,
    ("ct_state(trk|est),ct_zone(5/1)", "ct_state(est|trk),ct_zone()", "ct_state(0x22),ct_zone(0x5)"),
    ("tunnel(ttl=5,tun_id=7/1,flags(-df))", "tunnel(ttl=5,flags(key))",
     "tunnel(tun_id=0x7,ttl=5,flags(key))"),
    ("encap(tcp_flags(+syn-ack))",) + ("encap(tcp_flags(syn))",) * 2,
])
def test_terms_are_printed_whole_where_they_stood(source: str, text: str, verbose: str) -> None:
    assert (format_source(source), format_source(source, verbose=True)) == (text, verbose)


def test_what_is_printed_is_read_as_the_same_key() -> None:
    read = 0
    for source in filter(None, KEYS):
        if not any(part in source for part in UNREAD):
            shown, read = format_source(source, {"a": 4}, verbose=True), read + 1
            assert parse_key(shown)[0] == parse_key(source, {"a": 4})[0], source
    assert read > 20


@pytest.mark.skipif(not shutil.which("ovs-dpctl"), reason="needs ovs-dpctl")
def test_actions_are_normalized_as_ovs_dpctl_does(more: int, capsys: pytest.CaptureFixture[str]) -> None:
    r = Random(7)
    for i in range(150 * more):
        actions = r.choice((",", ", ", " ", ",,")).join(r.choice(ACTIONS) for _ in range(r.randrange(1, 6)))
        words = ["normalize-actions", KEYS[i % len(KEYS)] if i % 2 else r.choice(KEYS[:3]),
                 actions if i % 50 else "drop", *r.sample(PORTS, r.choice((0, 0, 1, 2)))]
        if not r.randrange(6):
            words.insert(r.randrange(1, len(words) + 1), r.choice(("-m", "--more", "-s")))
        done = subprocess.run(["ovs-dpctl", *words], capture_output=True, text=True, timeout=60)
        said = "".join(f"{line}\n" for line in done.stderr.splitlines() if "|odp_util|" not in line)
        status = dpctl(words)
        own = capsys.readouterr()
        assert (own.out, own.err.replace("fastpath dpctl", "ovs-dpctl"), status) \
            == (done.stdout, said, done.returncode), words
