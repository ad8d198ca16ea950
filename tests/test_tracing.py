"""Traces that do something, and traces of packet-outs: as the reference tells and does them."""

from __future__ import annotations

import pytest
from pair import Pair, lines
from pair import pair as pair
from reference import Refused
from reference import reference as reference
from rule_sets import Case

import fastpath
from fastpath.cli.main import main
from fastpath.dpif import actions as odp
from fastpath.errors import ConfigError, FastpathError
from fastpath.ofproto.events import PacketIn
from fastpath.testing import frame
from fastpath.tracing import without_outputs

RULES = ("priority=5,arp actions=learn(table=1,hard_timeout=60,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
         "output:NXM_OF_IN_PORT[]),resubmit(,1)",
         "priority=4,ip actions=ct(table=2)", "priority=1 actions=CONTROLLER:99,NORMAL",
         "table=1,priority=0 actions=flood", "table=2,ip actions=dec_ttl,output:3")
ARPS = ("in_port=1,arp,dl_src=00:00:00:00:00:01", "in_port=2,arp,dl_src=00:00:00:00:00:02,"
        "dl_dst=00:00:00:00:00:01", "in_port=1,arp,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02")


def filled(switch: fastpath.Switch) -> fastpath.Bridge:
    bridge = switch.add_bridge("br0")
    for name in ("p1", "p2", "p3"):
        bridge.add_port(name)
    bridge.add_flows(RULES)
    return bridge


def test_what_a_trace_learns_the_next_one_finds(pair: Pair) -> None:
    bridge = pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3}, 100)
    assert pair.compare("br0", Case(0, "OpenFlow13", RULES, ()))
    others = "in_port=2,tcp,nw_ttl=9", "in_port=3,dl_type=0x88b5,dl_src=02:00:00:00:00:03"
    for packet in (*ARPS, *ARPS, *others):
        ours = pair.text(bridge.trace(packet, generate=True))
        theirs = lines(pair.ref.trace("br0", packet, "-generate"))
        assert [line for line in ours if "Megaflow" not in line] == [
            line for line in theirs if "Megaflow" not in line], packet
    assert len(bridge.rules("table=1")) == 3
    assert [(entry.mac, entry.port) for entry in bridge.fdb()] == [(0x020000000003, 3)]
    assert not any(rule.n_packets for rule in bridge.rules())


# Actions of a packet-out and a flow; with the words of a refusal in strict mode and without, None: taken.
PACKET_OUTS = (
    ("output:2,mod_nw_src:1.1.1.1", "in_port=1", None, "OFPBAC_MATCH_INCONSISTENT"),
    ("output:2,mod_nw_src:1.1.1.1", "in_port=1,ip", None, None),
    ("resubmit(,0)", "in_port=1,ip", None, None),
    ("resubmit(,1),output:3", "in_port=1,arp", None, None),
    ("ct(commit,table=2),output:2", "in_port=2,tcp,nw_ttl=9", None, None),
    ("set_field:1.1.1.1->ip_dst,output:2", "in_port=1,arp",
     "OFPBAC_MATCH_INCONSISTENT", "OFPBAC_MATCH_INCONSISTENT"),
    ("push_vlan:0x8100,set_field:4105->vlan_vid,NORMAL", "in_port=1", None, None),
    ("controller(max_len=5),flood", "in_port=LOCAL,udp6", None, None),
    ("group:7", "in_port=1", "OFPBAC_BAD_OUT_GROUP", "OFPBAC_BAD_OUT_GROUP"),
    ("strip_vlan,push_vlan:0x8100,all", "in_port=1", None, "OFPBAC_MATCH_INCONSISTENT"),
)


@pytest.mark.parametrize("strict", [False, True])
def test_packet_outs_are_traced_alike(pair: Pair, strict: bool) -> None:
    bridge = pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3}, 100)
    assert pair.compare("br0", Case(0, "OpenFlow13", RULES, ()))
    for actions, flow, *codes in PACKET_OUTS:
        options = ["-consistent"] if strict else []
        try:
            theirs = lines(pair.ref.appctl("ofproto/trace-packet-out", *options, "br0", flow, actions))
        except Refused as refusal:
            assert str(refusal) == f"Bad actions: {codes[strict]}", (actions, flow)
            with pytest.raises(FastpathError) as caught:
                bridge.trace(flow, actions=actions, consistent=strict)
            assert caught.value.code == codes[strict]       # type: ignore[attr-defined]
            continue
        assert codes[strict] is None, (actions, flow)
        ours = pair.text(bridge.trace(flow, actions=actions, consistent=strict))
        # Into later passes the reference takes the actions too, and gives up.
        assert first_pass(ours) == first_pass(theirs), (actions, flow)


def first_pass(text: list[str]) -> list[str]:
    return text[:text.index("=" * 79)] if "=" * 79 in text else text


def test_a_packet_out_is_followed_through_conntrack() -> None:
    """Where the reference takes the actions along and says "Recirculation conflict"."""
    with fastpath.Switch(seed=1) as switch:
        trace = filled(switch).trace("in_port=1,udp,nw_ttl=7", actions="ct(table=2),output:2")
        assert [node.table_id for node in trace.steps()] == [2]
        assert trace.passes()[1].actions[-1] == odp.Output(switch["br0"].ofproto.odp_port(3))


def test_a_packet_out_that_makes_no_sense_is_refused() -> None:
    with fastpath.Switch(seed=1) as switch:
        bridge = filled(switch)
        with pytest.raises(FastpathError, match="OFPBAC_MATCH_INCONSISTENT"):
            bridge.packet_out(frame("arp", src=1, dst=2), "set_field:1.1.1.1->ip_dst,output:2")
        bridge.packet_out(frame("arp", src=1, dst=2), "mod_nw_dst:1.1.1.1,output:2")
        assert list(bridge.outputs()) == [bridge.port("p2")]


def test_controllers_are_told_and_nothing_is_sent() -> None:
    with fastpath.Switch(seed=1) as switch:
        bridge, told = filled(switch), list[PacketIn]()
        bridge.on_packet_in(told.append)
        bridge.trace("in_port=1,dl_type=0x88b5")
        assert not told
        bridge.trace("in_port=1,udp6,dl_src=02:00:00:00:00:03", generate=True, payload=b"hello")
        bridge.trace(frame("eth", src=1, dst=2, payload=b"x"), in_port=2, generate=True)
        switch.run()
        assert [(event.in_port, event.packet.rstrip(b"\0")[-1:]) for event in told] == [
            (1, b"o"), (2, b"x")]
        assert bridge.outputs() == {}
        for wrong in ({"payload": b"x"}, {"consistent": True}):
            with pytest.raises(ConfigError):
                bridge.trace("in_port=1", **wrong)          # type: ignore[arg-type]


def test_what_moves_a_packet_is_left_out() -> None:
    clear, out = odp.CtClear(), odp.Output(1)
    nested = (odp.Clone((out, clear)), odp.CheckPktLen(9, (out,), (clear, odp.Recirc(5))),
              odp.Sample(7, (out,)))
    assert without_outputs((out, *nested, odp.Recirc(1))) == (
        odp.Clone((clear,)), odp.CheckPktLen(9, (), (clear,)), odp.Sample(7, ()))


def test_on_the_command_line(tmp_path, capsys) -> None:
    flows = tmp_path / "flows.txt"
    flows.write_text("\n".join(RULES))
    assert main(["trace", "--flows", str(flows), "-generate", "--l7", "01 02", ARPS[0]]) == 0
    assert " -> table=1 dl_dst=00:00:00:00:00:01 priority=32768 hard=60 " in capsys.readouterr().out
    assert main(["trace", "--flows", str(flows), "--actions", "resubmit(,2)", "in_port=1,ip,nw_ttl=3"]) == 0
    assert "    resubmit(,2)\n 2. ip, priority" in capsys.readouterr().out
    assert main(["trace", "--flows", str(flows), "--actions", "mod_nw_src:1.1.1.1", "--consistent",
                 "in_port=1"]) == 2
    assert "OFPBAC_MATCH_INCONSISTENT" in capsys.readouterr().err


def test_a_frame_comes_with_what_the_flow_says_goes_beside_it() -> None:
    with fastpath.Switch(seed=1) as switch:
        bridge = filled(switch)
        told = bridge.trace("in_port=2,pkt_mark=7,tun_id=5,tun_dst=1.2.3.4,reg0=1,arp", frame=frame("tcp"))
        assert (told.flow.in_port, told.flow.pkt_mark, told.flow.tun_id) == (2, 7, 5)
        assert told.flow.reg0 == 0 and told.flow.dl_type == 0x800
        assert bridge.trace("in_port=2,tun_id=5", frame=frame("tcp")).flow.tun_id == 0     # out of no tunnel
        with pytest.raises(ConfigError, match="a frame goes with a flow"):
            bridge.trace(frame("tcp"), frame=frame("tcp"))
