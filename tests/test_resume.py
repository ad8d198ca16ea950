"""Packets that a controller pauses go on where they stopped, at any depth, as if nothing had happened."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from contextlib import suppress
from random import Random

import pytest
from model.frames import ICMP, TCP, UDP, Frame
from rule_sets import IP6S, IPS, MACS, Maker

import fastpath
from fastpath.errors import ConfigError, NotFoundError, ParseError

FRAME = Frame(proto=UDP, payload=b"payload.").build()
OTHER = Frame(proto=UDP, payload=b"another.").build()


class Lab:
    """Bridge br0 with ports p1 to p3 and LOCAL; *paused* are the packets waiting."""

    def __init__(self, switch: fastpath.Switch) -> None:
        self.switch, self.bridge = switch, switch.add_bridge("br0")
        self.bridge.add_port("br0", number=0xFFFE)
        for name in ("p1", "p2", "p3"):
            self.bridge.add_port(name)
        self.paused: list[fastpath.PacketIn] = []
        switch.on(fastpath.PacketIn, lambda event: self.paused.append(event) if event.continuation else None)

    def inject(self, frame: bytes = FRAME) -> dict[str, list[bytes]]:
        return self._by_name(self.bridge.inject("p1", frame))

    def resume(self, **changes: object) -> dict[str, list[bytes]]:
        """Let the packet that waits longest go on; what it led to."""
        event = self.paused.pop(0)
        self.bridge.resume(dataclasses.replace(event, **changes))
        return self._by_name(self.bridge.outputs())

    @staticmethod
    def _by_name(out: dict[fastpath.Port, list[bytes]]) -> dict[str, list[bytes]]:
        return {port.name: frames for port, frames in out.items()}


@pytest.fixture
def lab() -> Lab:
    return Lab(fastpath.Switch(seed=1))


def test_the_rest_of_the_list_waits(lab: Lab) -> None:
    lab.bridge.add_flow("in_port=1 actions=output:3,set_field:2->reg0,"
                        "controller(pause,max_len=9,userdata=01.02),output:NXM_NX_REG0[],output:3")
    assert lab.inject() == {"p3": [FRAME]}
    (event,) = lab.paused
    assert event.packet == FRAME and event.userdata == b"\1\2" and event.key.reg0 == 2
    assert lab.resume() == {"p2": [FRAME], "p3": [FRAME]}


def test_a_controller_may_change_packet_and_metadata(lab: Lab) -> None:
    lab.bridge.add_flow("in_port=1 actions=controller(pause),output:NXM_NX_REG0[]")
    lab.inject()
    key = lab.paused[0].key.copy()
    key.reg0 = 3
    assert lab.resume(packet=OTHER, key=key) == {"p3": [OTHER]}


def test_every_level_goes_on(lab: Lab) -> None:
    lab.bridge.add_flows([
        "table=0,actions=push:NXM_OF_IN_PORT[],resubmit(,1),pop:NXM_NX_REG1[],output:NXM_NX_REG2[],goto_table:3",
        "table=1,actions=set_field:2->reg2,resubmit(,2),dec_ttl",
        "table=2,actions=controller(pause),dec_ttl",
        "table=3,actions=write_actions(output:3),goto_table:4",
        "table=4,reg1=1,ip,nw_ttl=62,actions=dec_ttl"])
    assert lab.inject() == {}
    out = lab.resume()
    assert [out["p2"][0][22], out["p3"][0][22]] == [62, 61]


def test_a_clone_pauses_and_ends_the_list_it_stands_in() -> None:
    """As in the reference, where any freeze or exit in a clone keeps what follows the clone from running."""
    for actions, at_once in (("output:2,clone(dec_ttl,controller(pause),dec_ttl,output:3)", {"p2": [FRAME]}),
                             ("clone(dec_ttl,controller(pause),dec_ttl,output:3),output:2", {})):
        lab = Lab(fastpath.Switch(seed=1))
        lab.bridge.add_flow(f"in_port=1 actions={actions}")
        assert lab.inject() == at_once
        assert lab.resume()["p3"][0][22] == 62


def test_a_bridge_beyond_a_patch_pauses_by_itself(lab: Lab) -> None:
    far = lab.switch.add_bridge("br1")
    far.add_port("q1", number=1)
    lab.bridge.add_patch("to-br1", peer="to-br0", number=9)
    far.add_patch("to-br0", peer="to-br1", number=9)
    lab.bridge.add_flow("in_port=1 actions=set_field:5->reg0,output:9,output:2")
    far.add_flow("in_port=9,reg0=0 actions=set_field:1->reg1,controller(pause),resubmit(,1)")
    far.add_flow("table=1,in_port=9,reg1=1 actions=dec_ttl,output:1")
    assert lab.inject() == {"p2": [FRAME]}
    assert lab.paused[0].bridge == "br1" and lab.paused[0].in_port == 9
    assert lab.resume()["q1"][0][22] == 63


def test_what_follows_may_pause_again(lab: Lab) -> None:
    lab.bridge.add_flow("in_port=1 actions=controller(pause),output:2,controller(pause),output:3")
    assert [lab.inject(), lab.resume(), lab.resume()] == [{}, {"p2": [FRAME]}, {"p3": [FRAME]}]
    assert not lab.paused


def test_a_recirculation_after_the_pause_comes_back(lab: Lab) -> None:
    lab.bridge.add_flow("in_port=1 actions=controller(pause),debug_recirc,output:2")
    lab.inject()
    assert lab.resume() == {"p2": [FRAME]}


def test_only_what_was_paused_is_resumed(lab: Lab) -> None:
    events: list[fastpath.PacketIn] = []
    lab.bridge.on_packet_in(events.append)
    lab.bridge.add_flow("in_port=1 actions=controller(max_len=5)")
    lab.inject()
    assert events[0].packet == FRAME
    with pytest.raises(ConfigError, match="not paused"):
        lab.bridge.resume(events[0])


def test_a_trace_of_a_pause_sends_nothing(lab: Lab) -> None:
    lab.bridge.add_flow("in_port=1 actions=output:2,controller(pause),output:3")
    assert str(lab.bridge.trace("in_port=1")).endswith("Datapath actions: 3")
    assert not lab.paused


# -- the law: pausing anywhere changes nothing but the time ------------------------------------------------

_INSTRUCTIONS = ("clear_actions", "write_actions", "write_metadata", "goto_table")


def paused(rule: str, rng: Random) -> str:
    """*rule* with a pause somewhere among its actions."""
    head, _, actions = rule.partition(" actions=")
    parts = re.findall(r"(?:[^,()]|\((?:[^()]|\([^()]*\))*\))+", actions)
    if parts == ["drop"]:
        return rule
    n = next((i for i, part in enumerate(parts) if part.startswith(_INSTRUCTIONS)), len(parts))
    parts.insert(rng.randint(0, n), "controller(pause)")
    return f"{head} actions={','.join(parts)}"


def frame(rng: Random) -> bytes:
    def mac() -> int:
        return int(rng.choice(MACS[:3]).replace(":", ""), 16)
    v6 = rng.random() < 0.3
    def address() -> int:
        return int(ipaddress.ip_address(rng.choice(IP6S if v6 else IPS)))
    return Frame(dst=mac(), src=mac(), tags=((0x8100, rng.choice((5, 9))),) * (rng.random() < 0.3), v6=v6,
                 nw_src=address(), nw_dst=address(), ttl=rng.choice((2, 64)),
                 proto=rng.choice((TCP, UDP) if v6 else (TCP, UDP, ICMP)), payload=b"12345678",
                 labels=(0x00005040 | 0x100,) * (rng.random() < 0.2)).build()


def lab_with(switch: fastpath.Switch, rules: list[str]) -> Lab:
    """A lab with those of *rules* that are no contradiction."""
    lab = Lab(switch)
    for rule in rules:
        with suppress(ParseError):
            lab.bridge.add_flow(rule)
    return lab


def passing(rules: list[str], frames: list[bytes]) -> list[bytes]:
    """Those of *frames* for which the law can hold: what came before a pause has left when translation is
    given up after it, and a TTL that ends after a pause ends all that was left, not one list of it."""
    with fastpath.Switch(seed=1) as switch:
        bridge = lab_with(switch, rules).bridge
        traces = [bridge.trace(one, in_port="p1") for one in frames]
        return [one for one, trace in zip(frames, traces, strict=True)
                if trace.error is None and "TTL exception" not in str(trace)]


def delivered(rules: list[str], frames: list[bytes]) -> list[tuple[str, list[bytes]]]:
    """What comes out of each port, all pauses resumed."""
    with fastpath.Switch(seed=1) as switch:
        lab = lab_with(switch, rules)
        out: dict[str, list[bytes]] = {}
        for one in frames:
            now = lab.inject(one)
            while True:
                for name, sent in now.items():
                    out.setdefault(name, []).extend(sent)
                if not lab.paused:
                    break
                now = lab.resume()
        return sorted((name, sorted(sent)) for name, sent in out.items())


@pytest.mark.parametrize("chunk", range(4))
def test_a_pause_changes_nothing_but_the_time(more: int, chunk: int) -> None:
    n_sent = 0
    for seed in range(chunk, 60 * more, 4):
        rng, maker = Random(seed), Maker(seed)
        maker.version, maker.normal = "OpenFlow15", False
        # A label popped from what it does not say the truth about is read anew after a pause.
        rules = [r for r in maker.case(0).rules if "pop_mpls" not in r]
        frames = passing(rules, [frame(rng) for _ in range(3)])
        wanted = delivered(rules, frames)
        n_sent += len(wanted)
        assert delivered([paused(r, rng) for r in rules], frames) == wanted, "\n".join(rules)
    assert n_sent > 10


def test_a_bridge_that_is_gone_resumes_nothing(lab: Lab) -> None:
    lab.bridge.add_flow("in_port=1 actions=controller(pause),output:2")
    lab.inject()
    other = lab.switch.add_bridge("br1")
    lab.switch.del_bridge("br0")
    with pytest.raises(NotFoundError, match="br0"):
        other.resume(lab.paused[0])


def test_each_bucket_pauses_by_itself(lab: Lab) -> None:
    lab.bridge.add_group("group_id=1,type=all,bucket=resubmit(,1),bucket=set_field:3->reg0,resubmit(,1)")
    lab.bridge.add_flow("in_port=1 actions=set_field:2->reg0,group:1,dec_ttl,output:2")
    lab.bridge.add_flow("table=1 actions=controller(pause),output:NXM_NX_REG0[]")
    assert lab.inject()["p2"][0][22] == 63
    assert [lab.resume(), lab.resume()] == [{"p2": [FRAME]}, {"p3": [FRAME]}]
