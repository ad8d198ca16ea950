"""Runs of writes in one call do what the actions do one by one, and a trace changes no answer."""

from __future__ import annotations

from random import Random

from field_sets import case
from views import Bridge

from fastpath._fieldsteps import FieldSteps
from fastpath._flow import FlowKey
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.match import Match
from fastpath.ofproto.xlate.actions import TABLE
from fastpath.ofproto.xlate.context import XlateIn, XlateOut
from fastpath.ofproto.xlate.pipeline import begin, translate
from fastpath.ofproto.xlate.steps import add_writes, steps_of
from fastpath.ofproto.xlate.trace import Trace

SETTERS = ("mod_dl_src:02:00:00:00:00:07", "mod_dl_dst:ff:ff:ff:ff:ff:ff", "mod_nw_src:10.9.8.7",
           "mod_nw_dst:0.0.0.0", "mod_nw_tos:184", "mod_nw_ecn:2", "mod_nw_ttl:9", "mod_tp_src:80",
           "mod_tp_dst:65535", "set_tunnel:0x77", "set_tunnel64:0x123456789abcdef")
DL_TYPES = (0x0800, 0x0800, 0x86DD, 0x0806, 0x8035, 0x8847, 0x88CC)
PROTOCOLS = (1, 6, 17, 58, 132, 47, 0)


def random_key(random: Random) -> FlowKey:
    """Bits all over the place, but types that actions ask for."""
    key = FlowKey.from_bytes(random.randbytes(len(bytes(FlowKey()))))
    key.dl_type, key.nw_proto = random.choice(DL_TYPES), random.choice(PROTOCOLS)
    key.nw_frag, key.packet_type = random.choice((0, 0, 1, 3)), random.choice((0, 0, 0, 0x10800))
    return key


def one_by_one(actions: list[Action], key: FlowKey, wc: FlowKey) -> tuple[FlowKey, FlowKey]:
    x = begin(XlateIn(bridge=Bridge(), flow=key))
    x.hand.flow, x.hand.wc = key.copy(), wc.copy()
    for a in actions:
        TABLE[type(a)][0](x, a)
    return x.hand.flow, x.hand.wc


def test_steps_write_what_the_actions_write(more: int) -> None:
    seen: set[type[Action]] = set()
    for seed in range(1500 * more):
        random = Random(seed)
        rule = parse_flow(case(seed).rules[0].replace(" actions", ",actions"), "add")
        actions = [*rule.actions, *parse_actions(random.choice(SETTERS)),
                   *parse_actions(f"write_metadata:{random.getrandbits(64):#x}/0xff00ff")]
        random.shuffle(actions)
        steps = FieldSteps()
        done = [a for a in actions if add_writes(steps, a)]
        assert steps.n == len(done)
        key, wc = random_key(random), random.choice((FlowKey(), random_key(random)))
        flow, mask = key.copy(), wc.copy()
        steps.run(flow, mask)
        assert (flow, mask) == one_by_one(done, key, wc), (seed, [str(a) for a in done])
        seen.update(map(type, done))
    assert len(seen) == 14, sorted(t.__name__ for t in seen)


def answers(seed: int, trace: bool) -> list[XlateOut]:
    """What the packets of a generated case get."""
    sample, bridge = case(seed), Bridge()
    for rule in sample.rules:
        bridge.tables.apply(parse_flow(rule.replace(" actions", ",actions"), "add"), 0.0)
    keys = [Match.parse(packet).key for packet in sample.packets]
    return [translate(XlateIn(bridge=bridge, flow=key, side_effects=False, trace=Trace() if trace else None))
            for key in keys]


def test_a_trace_changes_no_answer(more: int) -> None:
    for seed in range(300 * more):
        for told, untold in zip(answers(seed, True), answers(seed, False), strict=True):
            assert (untold.actions, untold.error) == (told.actions, told.error), seed
            assert (untold.mask, untold.final) == (told.mask, told.final), seed


def test_a_list_of_actions_is_prepared_once() -> None:
    actions = parse_actions("load:1->reg0,move:reg0->reg1,output:1,mod_nw_ttl:3")
    steps = steps_of(actions)
    assert steps_of(actions) is steps
    assert [step.writes.n if step.writes else 0 for step in steps] == [2, 0, 0, 1]
