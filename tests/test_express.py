"""The short way comes to what the long way comes to, or leaves it to the long way."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import fields

import pytest
from model.dpif import World
from test_soundness import MACS, N_PORTS, Universe

from fastpath._express import Plan
from fastpath._flow import FlowKey
from fastpath.ofproto.bridge import Ofproto
from fastpath.ofproto.decision import Decision
from fastpath.ofproto.effects import are_done
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.group import GroupCommand
from fastpath.ofproto.group_text import parse_group_mod
from fastpath.ofproto.in_band import NOTHING, InBand, Remote
from fastpath.ofproto.port import FLAGS, OfPort, vlan_config
from fastpath.ofproto.revalidate import flow_mask
from fastpath.ofproto.shortcut import MAX_STEPS, plan_of
from fastpath.ofproto.table import Miss
from fastpath.ofproto.xlate.context import BridgeView, XlateIn
from fastpath.ofproto.xlate.pipeline import translate

# What universes of the soundness laws have little of: chains of tables that write fields and output.
MORE = ("move:NXM_OF_IP_SRC[]->NXM_NX_REG0[],resubmit(,1)", "load:7->NXM_NX_REG1[],goto_table:1",
        "set_field:1->metadata,resubmit(3,2),output:2", "output:1,output:2,resubmit(,3)",
        "resubmit(4,),output:3",
        "move:NXM_OF_UDP_SRC[]->NXM_OF_UDP_DST[],output:2,resubmit(,1)", "IN_PORT,FLOOD", "ALL",
        "mod_dl_dst:02:00:00:00:00:03,output:2,mod_nw_dst:10.0.1.1,output:3", "note:00.01,output:3",
        "load:2->NXM_OF_IN_PORT[],IN_PORT,output:2,resubmit(,1)", "output:9", "output:LOCAL,output:77",
        "drop", "set_field:9->tun_id,output:2", "push_vlan:0x8100,output:1,resubmit(,2)",
        "mod_tp_dst:99,resubmit(,2)", "NORMAL", "NORMAL", "load:1->NXM_NX_REG0[],NORMAL", "dec_ttl,output:2",
        "dec_ttl,mod_dl_src:02:00:00:00:00:03,NORMAL")


def add_more(w: World, bridge: Ofproto, u: Universe, n: int) -> None:
    """Add *n* rules with actions of MORE, as far as flow text takes them."""
    for _ in range(n):
        table = u.rng.choice((0, 0, 1, 2, 3))
        text = f"table={table},priority={u.rng.choice((1, 10))},{u.match()},actions={u.rng.choice(MORE)}"
        try:
            mod = parse_flow(text)
        except Exception:       # refused by the rules of flow text, which other tests are about
            continue
        bridge.apply(mod, w.now)


def long_way(w: World, bridge: Ofproto, key: FlowKey, port: OfPort) -> tuple[Decision, FlowKey] | None:
    """What the pipeline says, None if no flow is to be installed or learning has something to do."""
    flow = key.copy()
    flow.in_port = port.ofp_port
    w.backer.asked_macs.clear()
    out = translate(XlateIn(bridge=bridge, flow=flow, now=w.now, side_effects=False))
    w.backer.recirc.release(out.recirc_ids)
    if out.avoid_caching or out.error is not None or out.slow or out.recirc_ids or not are_done(out.effects):
        return None
    decision = w.revalidator.decisions.of(bridge, out, None)
    w.revalidator.let_go(decision)
    return decision, flow_mask(out, key)


def told(decision: Decision) -> tuple[object, ...]:
    """All a decision says."""
    return (decision.bridge, decision.answer, decision.actions, decision.slow, decision.effects,
            decision.recirc_ids, decision.bridges, decision.macs, decision.learns)


def check(w: World, keys: list[FlowKey]) -> tuple[int, int]:
    """Compare both ways for each of *keys*; return for how many there was a short one, and one with an
    address learned."""
    taken = learned = 0
    shortcut = w.revalidator.shortcut
    for key in keys:
        where = w.backer.where(key)
        assert where is not None
        before = bytes(key)
        found = shortcut.decide(where[0], key, where[1])
        assert bytes(key) == before
        if found is None:
            continue
        taken += 1
        decision, mask = found
        other = long_way(w, where[0], key, where[1])
        assert other is not None and (told(decision), mask) == (told(other[0]), other[1]), repr(key)
        again = shortcut.decide(where[0], key, where[1])
        assert again is not None and again[0] is decision and again[1] == mask
        learned += decision.learns
        w.revalidator.let_go(decision)
    return taken, learned


def packet(u: Universe, bridge: Ofproto) -> FlowKey:
    """A packet, more often than not without tags and from where its sender was last."""
    key = u.packet()
    if u.rng.random() < 0.7:
        key.vlan_tpid = key.vlan_tci = key.vlan1_tpid = key.vlan1_tci = 0
    entry = bridge.macs.find(key.dl_src, 0)
    if entry is not None and u.rng.random() < 0.7 and entry.port <= N_PORTS:
        key.in_port = entry.port
    return key


@pytest.mark.parametrize("part", range(6))
def test_both_ways_come_to_the_same(part: int, more: int) -> None:
    taken = learned = 0
    for seed in range(part * 1000, part * 1000 + 12 * more):
        u, w = Universe(seed), World()
        bridge = w.bridge(*["priority=0,actions=NORMAL"] * (seed % 2), ports=N_PORTS)
        other = w.bridge("actions=output:1,output:2", ports=2, name="br1")
        if seed % 4:
            bridge.add_port(OfPort(bridge, "l", 9, peer_name="r"))
            other.add_port(OfPort(other, "r", 9, peer_name="l"))
        if seed % 4 == 1:
            bridge.set_port(bridge.port(2), vlan=vlan_config(tag=10))
        u.add_rules(w, bridge, u.rng.choice((2, 10)))
        add_more(w, bridge, u, u.rng.choice((5, 20, 40)))
        for _ in range(3):
            w.send(*(packet(u, bridge) for _ in range(9)))
            some, normal = check(w, [packet(u, bridge) for _ in range(25)])
            taken, learned = taken + some, learned + normal
            port = bridge.port(u.rng.randint(1, N_PORTS))
            flag = u.rng.choice(FLAGS)
            bridge.set_port(port, flags={flag: u.rng.random() < 0.5})
            u.add_rules(w, bridge, 2)
    assert taken > 60 * more and learned > 5 * more, (taken, learned)


def plain(i: int = 1, **more: int) -> FlowKey:
    return FlowKey(in_port=1, dl_src=MACS[0], dl_dst=MACS[1], dl_type=0x0800, nw_src=i, nw_dst=2, nw_proto=17,
                   nw_ttl=64, **more)


@pytest.mark.parametrize("more", [
    {"vlan_tpid": 0x8100, "vlan_tci": 0x1001}, {"nw_frag": 1}, {"tun_dst": 1}, {"recirc_id": 1},
    {"packet_type": 1 << 16}, {"dl_type": 0x8847}, {"vlan_tci": 5}])
def test_a_packet_with_more_to_it_takes_the_long_way(more: dict[str, int]) -> None:
    w = World()
    bridge = w.bridge("actions=output:2")
    assert w.revalidator.shortcut.decide(bridge, plain(), bridge.port(1)) is not None
    key = plain()
    for name, value in more.items():
        setattr(key, name, value)
    assert w.revalidator.shortcut.decide(bridge, key, bridge.port(1)) is None


@pytest.mark.parametrize("actions", [
    "controller", "output:9", "resubmit(,1)", "write_actions(output:2)", "group:1",
    "goto_table:2", "clone(output:2)", "push_mpls:0x8847,output:2", "ct(commit),output:2",
    "meter:1,output:2", "learn(table=9),output:2", "output(port=2,max_len=99)"])
def test_an_action_with_more_to_it_takes_the_long_way(actions: str) -> None:
    w = World()
    bridge = w.bridge("table=1,actions=controller", "table=3,actions=drop")
    bridge.configure_table(2, w.now, miss=Miss.CONTINUE)
    bridge.apply_group(parse_group_mod("group_id=1,type=all,bucket=output:2", GroupCommand.ADD), w.now)
    bridge.meter = lambda _number: 3
    bridge.add_port(OfPort(bridge, "l", 9, peer_name="r"))
    bridge.apply(parse_flow(f"ip,actions={actions}"), w.now)
    assert w.revalidator.shortcut.decide(bridge, plain(), bridge.port(1)) is None


def test_a_new_setting_is_looked_at_here_first() -> None:
    """What the short way heeds of a port or a bridge, and what only actions of the long way ask for."""
    heeded = {"vlan", "odp_port", "no_flood", "no_forward", "no_receive", "protected", "down", "tunnel",
              "peer", "ofp_port", "dscps"}
    others = {"bridge", "name", "peer_name", "link_up", "hw_addr", "created", "counts_faults", "no_packet_in",
              "patch_stats", "queues", "more_counts", "no_stp", "no_receive_stp", "admin", "faults",
              "features"}
    assert {member.name for member in fields(OfPort)} == heeded | others        # type: ignore[arg-type]
    asked = {"name", "macs", "internal", "mirrors", "miss", "port", "ports", "snooping",
             "is_in_band"}                                          # lookup: of its tables
    others = {"features", "recirc", "flood_vlans", "forward_bpdu", "exports_flows",
              "options", "frag_handling", "lookup", "rules_of", "learn", "may_learn", "knows", "shorten",
              "group", "meter"}
    assert {name for name in vars(BridgeView) if not name.startswith("_")} == asked | others


def test_normal_takes_the_long_way_until_it_knows_the_station() -> None:
    w = World()
    bridge = w.bridge("actions=NORMAL")
    assert w.revalidator.shortcut.decide(bridge, plain(), bridge.port(1)) is None
    w.send(plain())
    found = w.revalidator.shortcut.decide(bridge, plain(), bridge.port(1))
    assert found is not None and found[0].learns
    assert w.revalidator.shortcut.decide(bridge, plain(), bridge.port(2)) is None, "it moved"
    for more in ({"dl_type": 0x0806}, {"dl_type": 0x8100}, {"dl_dst": 0x0180c2000003}):
        key = plain()
        for name, value in more.items():
            setattr(key, name, value)
        assert w.revalidator.shortcut.decide(bridge, key, bridge.port(1)) is None
    bridge.set_in_band(InBand(5, (Remote(6, 7),)), 0.0)
    assert w.revalidator.shortcut.decide(bridge, plain(), bridge.port(1)) is None
    bridge.set_in_band(NOTHING, 0.0)
    bridge.set_port(bridge.port(3), vlan=vlan_config(tag=10))
    assert w.revalidator.shortcut.decide(bridge, plain(), bridge.port(1)) is None


def test_normal_by_the_short_way_renews_the_station_at_once() -> None:
    w = World()
    bridge = w.bridge("actions=NORMAL")
    w.send(plain())
    w.at(w.now + 7)
    w.send(FlowKey(in_port=1, dl_src=MACS[0], dl_dst=MACS[2]))
    entry = bridge.macs.find(MACS[0], 0)
    assert entry is not None and entry.seen == w.now


def test_a_loop_takes_the_long_way_which_tells_of_it() -> None:
    w = World()
    bridge = w.bridge("actions=output:2,resubmit(,0)", "table=1,actions=" + ",".join(["resubmit(,2)"] * 60),
                      "table=2,actions=" + ",".join(["resubmit(,3)"] * 60))
    assert w.revalidator.shortcut.decide(bridge, plain(), bridge.port(1)) is None
    bridge.apply(parse_flow("actions=resubmit(,1)"), w.now)
    assert w.revalidator.shortcut.decide(bridge, plain(), bridge.port(1)) is None
    assert plan_of(parse_flow("actions=" + ",".join(["resubmit(,2)"] * MAX_STEPS)).actions) is None
    with pytest.raises(ValueError, match="at most"):
        Plan([("in_port", 0, 0, None)] * 65)


def test_flows_by_the_short_way_are_those_of_the_long_way() -> None:
    """All the way: installed, counted, checked after changes."""
    rng = random.Random(3)
    ends = []
    for is_open in (True, False):
        w = World()
        rng.seed(3)
        w.revalidator.shortcut.is_open = is_open
        bridge = w.bridge("udp,actions=move:NXM_OF_IP_SRC[]->NXM_NX_REG0[],resubmit(,1)",
                          *(f"table=1,udp,tp_dst={i},actions=output:{i % 3 + 1}" for i in range(9)),
                          "table=1,udp,tp_dst=7,priority=9,actions=mod_nw_dst:10.0.0.9,output:3")
        done = []
        for step in range(120):
            done += w.send(*(plain(rng.randrange(9), tp_dst=rng.randrange(12)) for _ in range(4)))
            if step % 10 == 9:
                change = rng.choice(("={},actions=output:3", "={}/6,actions=drop", "={},actions=NORMAL"))
                change = "table=1,udp,tp_dst" + change.format(rng.randrange(9))
                bridge.apply(parse_flow(change), w.now)
                w.at(w.now + 0.5)
                w.revalidator.wake(w.now)
        w.revalidator.push()
        rules = [(str(rule), rule.n_packets, rule.n_bytes, rule.used) for rule in bridge.tables.rules()]
        flows = sorted(repr((u.key, u.mask, u.actions)) for u in w.revalidator)
        ends.append((done, rules, flows, w.revalidator.stats, [(t.n_lookups, t.n_matched)
                                                               for t in bridge.tables.tables()]))
    assert ends[0] == ends[1]


def test_the_environment_can_close_it() -> None:
    program = "from fastpath._express import PLAIN; print(PLAIN)"
    for value, told in (("1", "True"), ("", "False"), ("0", "False")):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                              env={"FASTPATH_PLAIN": value, "PYTHONPATH": ":".join(sys.path)})
        assert done.stdout.strip() == told
