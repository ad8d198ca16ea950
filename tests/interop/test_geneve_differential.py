"""Geneve options, and tunnels that share a port of the datapath, against the reference: text and traces."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from random import Random

import pytest
from pair import Pair, lines, tunnel_pair
from reference import Refused

from fastpath.dpif.keyparse import parse_key
from fastpath.dpif.keytext import format_key
from fastpath.dpif.odptext import format_actions, parse_actions
from fastpath.errors import FastpathError
from fastpath.geneve import is_raw, name_options
from fastpath.ofproto.tunnel import format_tunnel

TUNNELS = (
    ("g1", "geneve", 11, {"remote_ip": "1.1.1.1", "key": "5"}),
    ("g2", "geneve", 12, {"remote_ip": "1.1.1.1", "local_ip": "2.2.2.2", "key": "5"}),
    ("g3", "geneve", 13, {"remote_ip": "1.1.1.1", "key": "flow"}),
    ("g4", "geneve", 14, {"remote_ip": "flow", "key": "5"}),
    ("g5", "geneve", 15, {"remote_ip": "flow", "local_ip": "flow", "key": "flow"}),
    ("g6", "geneve", 16, {"remote_ip": "flow", "local_ip": "2.2.2.2", "key": "flow"}),
    ("g7", "geneve", 17, {"remote_ip": "fe80::1", "in_key": "7", "out_key": "flow", "ttl": "inherit",
                          "tos": "inherit", "csum": "true"}),
    ("g8", "geneve", 18, {"remote_ip": "flow", "key": "6", "dst_port": "9999", "tos": "0x20"}),
    ("v1", "vxlan", 21, {"remote_ip": "1.1.1.1", "local_ip": "2.2.2.2", "df_default": "false"}),
    ("v2", "vxlan", 22, {"remote_ip": "1.1.1.1", "out_key": "9"}),
    ("v3", "vxlan", 23, {"remote_ip": "flow"}),
)
MAPPINGS = ("{class=0xffff,type=0,len=4}->tun_metadata0,{class=0xffff,type=0x81,len=8}->tun_metadata1,"
            "{class=0x102,type=3,len=0}->tun_metadata2,{class=0x102,type=4,len=124}->tun_metadata3")
RULES = (
    "priority=30,tun_metadata0=7 actions=output:1",
    "priority=20,tun_metadata1=0x10/0xf0 actions=set_field:9->tun_metadata0,output:12",
    "priority=15,tun_metadata2 actions=move:NXM_NX_TUN_METADATA3[0..31]->NXM_NX_REG0[],resubmit(,1)",
    "priority=10,tun_id=5 actions=in_port,output:2",
    "actions=output:3",
    "table=1,reg0=0x5 actions=output:1",
    "table=1,reg0=0x4/0x4 actions=set_field:0x55->tun_metadata3,output:14,clone(output:1)",
)
ACTIONS = (
    "set(tunnel(tun_id=0x5,dst=1.1.1.1,ttl=64,geneve({class=1,type=1}),flags(df|key))),1",
    "set(tunnel(tun_id=0x5,dst=1.1.1.1,ttl=64,geneve({class=0xffff,type=0x80,len=4,0xa}"
    "{class=0x102,type=1,len=0}),flags(df|key))),1",
    "set(tunnel(dst=1.1.1.1,ttl=64,geneve({class=0xffff,type=0x80,len=4}))),1",
    "set(tunnel(dst=1.1.1.1,ttl=64,geneve({class=0xffff,type=128,len=8,10}))),1",
    "set(tunnel(dst=1.1.1.1,ttl=64,vxlan(gbp(id=4,flags=0x1)),flags(df))),1",
    "set(tunnel(ipv6_dst=fe80::1,ttl=64,tp_dst=4789,flags(csum))),1",
    "set(tunnel(dst=1.1.1.1,geneve({class=1,type=1,len=3,0x1}))),1",
    "set(tunnel(dst=1.1.1.1,geneve({class=1,type=1,len=4,0x1)))),1",
)
_REST = "in_port(1),eth(),eth_type(0x1234)"
KEYS = (
    "tunnel(tun_id=0x5,src=1.1.1.1,dst=2.2.2.2,ttl=64,geneve({class=0xffff,type=0x80,len=4,0xa/0xf}"
    "{class=0x102,type=1,len=0}),flags(-df+csum))",
    "tunnel(tun_id=0x5/0xff,src=1.1.1.1/255.0.0.0,dst=2.2.2.2,tos=0x3/0xfc,ttl=64/0,"
    "geneve({class=0xffff,type=0x80,len=4,0xa}),flags(df|key))",
    "tunnel(src=1.1.1.1,dst=2.2.2.2,ttl=64,vxlan(gbp(id=4,flags=0x1/0x3)),flags(df))",
    "tunnel(ipv6_src=fe80::1,ipv6_dst=fe80::2,ttl=64,tp_src=5/0xff,tp_dst=6,gtpu(flags=0x30,msgtype=255))",
    "tunnel(tun_id=0,src=1.1.1.1,dst=2.2.2.2,ttl=0)",
    "tunnel(tun_id=0/0,src=1.1.1.1,dst=2.2.2.2,ttl=64/0,geneve({class=0x102,type=0x4,len=12,0x5/0})),skb_mark(0x3/0x7)",
)


@pytest.fixture(scope="module")
def tunnels() -> Iterator[Pair]:
    """Both switches with the same tunnels, most of which share a port, and the same table of options."""
    with tunnel_pair(TUNNELS) as pair:
        pair.ref.ofctl("add-tlv-map", pair.ref.bridge_target("br0"), MAPPINGS)
        pair.switch["br0"].tlv_map.add(MAPPINGS)
        pair.ref.set_flows("br0", list(RULES))
        pair.switch["br0"].add_flows(RULES)
        yield pair


@pytest.mark.parametrize("text", ACTIONS)
def test_actions_are_read_and_printed_alike(tunnels: Pair, text: str) -> None:
    def told(read: Callable[[str], str]) -> str:
        try:
            return read(text).strip()
        except (FastpathError, Refused):
            return "refused"
    assert told(lambda text: format_actions(parse_actions(text))) == told(
        lambda text: tunnels.ref.appctl("dpctl/parse-actions", text))


@pytest.mark.parametrize("text", KEYS)
def test_keys_are_read_and_printed_alike(tunnels: Pair, text: str) -> None:
    ref = tunnels.ref
    ref.appctl("dpctl/add-flow", f"{text},{_REST}", "1")
    shown = [re.sub(r"^ufid:[^,]*, ", "", ref.appctl("dpctl/dump-flows", *options).splitlines()[-1]
                    .partition(", packets:")[0]) for options in ((), ("-m", "--no-names"))]
    ref.appctl("dpctl/del-flows")
    key, mask = parse_key(f"{text},{_REST}")
    mask.in_port = mask.recirc_id = 0xFFFFFFFF
    assert [format_key(key, mask), format_key(key, mask, verbose=True)] == [
        re.sub(r"in_port\(p1\)", "in_port(1)", line).replace("packet_type(ns=0/0,id=0/0)",
                                                             "packet_type(ns=0,id=0)") for line in shown]


_KINDS = ((0xFFFF, 0, 4), (0xFFFF, 0x81, 8), (0x102, 3, 0), (0x102, 4, 124), (0x999, 1, 4), (0x999, 2, 0))


def _options(r: Random) -> str:
    some = [f"{{class={cls:#x},type={kind:#x},len={size}"
            + (f",{r.choice((0, 4, 5, 7, 0x15)):#x}" if size else "") + "}"
            for cls, kind, size in r.sample(_KINDS, r.randrange(4))]
    return f"geneve({''.join(some)})," if some else ""


def _packet(r: Random, ports: list[int]) -> str:
    end = r.choice(("src=1.1.1.1,dst=2.2.2.2", "src=1.1.1.1,dst=2.2.2.3", "src=1.1.1.9,dst=2.2.2.2",
                    "src=9.9.9.9,dst=9.9.9.8", "ipv6_src=fe80::1,ipv6_dst=fe80::2"))
    key = r.choice(("tun_id=0x5,", "tun_id=0x7,", "tun_id=0x6,", "tun_id=0x0,", ""))
    return (f"recirc_id(0),tunnel({key}{end},tos=0x0,ttl=64,{_options(r)}flags({'key' if key else 'df'})),"
            f"in_port({r.choice(ports)}),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x1234)")


def _ours(pair: Pair, text: str, numbers: dict[int, int]) -> list[str] | str:
    """What a trace of a datapath's key says here, ports with the reference's numbers."""
    bridge, key = pair.switch["br0"], parse_key(text)[0]
    key.in_port = next((own for own, theirs in numbers.items() if theirs == key.in_port), 0xFFFF)
    where = pair.switch.backer.where(key)
    if where is None:
        return "nowhere"
    key.in_port = where[1].ofp_port
    if is_raw(key) and not name_options(key, bridge.ofproto.options):
        return "unreadable"
    return pair.text(bridge.trace(key))


def test_packets_out_of_tunnels_fare_alike(tunnels: Pair, more: int) -> None:
    """Which tunnel they came by, what their options are called, what is done with them."""
    r, seen, ports = Random(11), set[str](), sorted({tunnels.shown(name) for name, *_ in TUNNELS})
    for _ in range(150 * more):
        text = _packet(r, ports)
        ours = _ours(tunnels, text, tunnels.numbers)
        try:
            theirs: list[str] | str = lines(tunnels.ref.appctl("ofproto/trace", "ovs-dummy", text))
        except Exception as error:
            theirs = "nowhere" if str(error) == "no OpenFlow tunnel port for this packet" else str(error)
        assert ours == theirs, text
        seen.update(re.findall(r"in_port=\d+", str(ours[0])) if isinstance(ours, list) else [ours])
    assert len(seen) >= 9, seen


def test_options_that_cannot_be_read_end_a_trace(tunnels: Pair) -> None:
    for option in ("{class=0xffff,type=0,len=8,0x1}", "{class=0x999,type=0x80,len=0}"):
        text = (f"tunnel(tun_id=0x5,src=1.1.1.1,dst=2.2.2.2,ttl=64,geneve({option}),flags(key)),"
                f"in_port({tunnels.shown('g1')}),eth(),eth_type(0x1234)")
        with pytest.raises(Refused, match="Failed to parse Geneve options"):
            tunnels.ref.appctl("ofproto/trace", "ovs-dummy", text)
        assert _ours(tunnels, text, tunnels.numbers) == "unreadable"


def test_tunnels_are_listed_alike(tunnels: Pair) -> None:
    ours = [format_tunnel(port.name, tunnels.numbers[port.odp_port or 0], port.tunnel)
            for _, port in tunnels.switch.backer.tunnels if port.tunnel is not None]
    assert sorted(ours) == sorted(tunnels.ref.appctl("ofproto/list-tunnels").splitlines())


def test_a_second_tunnel_of_the_same_addresses_and_key_is_refused(tunnels: Pair) -> None:
    with pytest.raises(FastpathError, match="port 'g1' has the same addresses and key"):
        tunnels.switch["br0"].add_tunnel("again", "geneve", remote_ip="1.1.1.1", key="5")
