"""Flow mods that are read in one call do what they do when each is decoded, judged and carried out."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from malformed import good_flows

import fastpath
from fastpath.controllers import Control
from fastpath.errors import ParseError
from fastpath.ofproto.actions.versions import OF10, OF12, OF13, OF14, OF15
from fastpath.ofproto.flow_mod import TABLE_ALL, Command, FlowMod
from fastpath.ofproto.flow_reader import FlowReader
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.match import Match
from fastpath.ofproto.rule import FlowFlags, Rule
from fastpath.openflow.messages import basic, flow
from fastpath.openflow.messages.bundle import BundleAdd, BundleControl, BundleType
from fastpath.openflow.messages.table import HEADER, encode
from fastpath.openflow.service import Session

KINDS = ((OF10, False), (OF10, True), (OF12, False), (OF13, False), (OF13, True), (OF14, False),
         (OF15, False))


class Twins:
    """Two sessions of switches of their own, one without the short way."""

    def __init__(self, version: int, *, by_table: bool = False, strict: bool = False) -> None:
        self.switches = [fastpath.Switch(seed=1, strict=strict) for _ in range(2)]
        self.bridges = [switch.add_bridge("br0") for switch in self.switches]
        self.sessions = [Session(Control(bridge, None), (version,)) for bridge in self.bridges]
        self.n_short = 0
        take = self.sessions[0].connection.shortcut
        self.sessions[1].connection.shortcut = lambda _data, at: at

        def counted(data: bytes, at: int) -> int:
            end = take(data, at)
            self.n_short += end - at
            return end
        self.sessions[0].connection.shortcut = counted
        self.say(encode(basic.Hello(), version, 1))
        if by_table:
            self.say(encode(basic.FlowModTableId(1), version, 2))

    def say(self, data: bytes) -> bytes:
        """Both are told *data* and must answer alike; what they say."""
        heard = []
        for session in self.sessions:
            session.received(data)
            heard.append(session.connection.take(1 << 24))
            session.connection.sent(len(heard[-1]))
        assert heard[0] == heard[1], data.hex()
        return heard[0]

    def compare(self) -> None:
        tables = [[told(rule) for rule in bridge.ofproto.tables.rules()] for bridge in self.bridges]
        assert tables[0] == tables[1]
        assert len({len(bridge.ofproto.tables) for bridge in self.bridges} | {len(tables[0])}) == 1

    def close(self) -> None:
        for switch in self.switches:
            switch.close()


def told(rule: Rule) -> tuple[object, ...]:
    return (str(rule), rule.table_id, rule.cookie, rule.flags, rule.importance, rule.idle_timeout,
            rule.hard_timeout, rule.created, rule.modified, rule.used, rule.n_packets, rule.priority)


@cache
def mods(folder: Path) -> list[FlowMod]:
    """Adds of flow texts, and others about the same matches."""
    reader, out = FlowReader(), list[FlowMod]()
    for line in good_flows(folder / "data", n=150):
        try:
            out.append(reader.read(line, Command.ADD))
        except ParseError:
            continue
    plain = [f"table={i % 3},priority={i % 7},tcp,in_port={i % 5},nw_src=10.0.{i % 4}.0/24,tp_dst={i % 6},"
             f"dl_dst=02:00:00:00:00:{i % 3:02x},cookie={i},idle_timeout={i % 2},hard_timeout={i % 3}"
             f"{',send_flow_rem' * (i % 9 == 8)} actions=output:{i % 4}" for i in range(150)]
    out += [parse_flow(line) for line in plain]
    return out + [parse_flow(f"arp,arp_spa=10.0.0.{i},importance={i} actions=mod_vlan_vid:{i},NORMAL")
                  for i in range(9)]


def edit(rng: random.Random, like: FlowMod) -> FlowMod:
    """A flow mod that changes or removes rules such as *like* adds, most of them as controllers do."""
    command = rng.choice([command for command in Command if command is not Command.ADD])
    more: dict[str, Any] = {} if command < Command.DELETE else {"actions": ()}
    what = rng.random()
    if what < 0.1:
        more |= {"cookie": rng.randrange(4), "cookie_mask": rng.choice((1, 3, (1 << 64) - 1))}
    elif what < 0.2:
        more["out_port"] = rng.randrange(4)
    elif what < 0.3:
        more["flags"] = rng.choice(list(FlowFlags))
    elif what < 0.4 and not command.is_strict:
        more["match"] = rng.choice((Match(), Match.parse("tcp"), Match.parse("ip,nw_src=10.0.1.0/24")))
    elif what < 0.5:
        more["table_id"] = TABLE_ALL
    return fastpath.value.replace(like, command=command, **more)


def stream(rng: random.Random, folder: Path, version: int, *, nx: bool) -> list[bytes]:
    """Messages a controller might send, some of them spoilt."""
    out = []
    for xid in range(60):
        mod = rng.choice(mods(folder))
        if rng.random() < 0.15:
            mod = fastpath.value.replace(mod, command=rng.choice(list(Command)))
        elif rng.random() < 0.4:
            mod = edit(rng, mod)
        if rng.random() < 0.05:
            mod = fastpath.value.replace(mod, table_id=rng.choice((0, 253, 254, 255)))
        try:
            data = encode(flow.NxFlowMod(mod) if nx else mod, version, xid)
        except fastpath.FastpathError:
            continue
        if rng.random() < 0.15 and len(data) > HEADER.size:
            spoilt = bytearray(data)
            spoilt[rng.randrange(4, len(data))] ^= 1 << rng.randrange(8)
            data = bytes(spoilt)
        out += [data] * rng.choice((1, 1, 1, 2))
        if rng.random() < 0.3:
            out.append(encode(basic.BarrierRequest(), version, 1000 + xid))
    return out


@pytest.mark.parametrize(("version", "nx"), KINDS)
def test_streams_of_flow_mods_do_the_same_either_way(version: int, nx: bool, shared: Path, more: int) -> None:
    rng, n_short, n_all = random.Random(version), 0, 0
    for i in range(6 * more):
        twins = Twins(version, by_table=bool(i % 2) and version == OF10, strict=i % 3 == 2)
        try:
            whole = b"".join(stream(rng, shared, version, nx=nx))
            n_all += len(whole)
            while whole:                        # in pieces, as from a socket
                n = rng.choice((7, 60, 500, len(whole)))
                twins.say(whole[:n])
                whole = whole[n:]
            twins.compare()
            n_short += twins.n_short
        finally:
            twins.close()
    assert n_short > n_all * 0.15


def bundles(rng: random.Random, folder: Path, version: int, *, nx: bool) -> list[bytes]:
    """What a controller might say of bundles, some of it wrong."""
    out, number = [], 1
    for message in stream(rng, folder, version, nx=nx):
        xid = int.from_bytes(message[4:8], "big")
        what, flags = rng.random(), 0 if rng.random() < 0.02 else 3
        if what < 0.06:
            number = rng.choice((1, 2))
        if what < 0.9:
            if rng.random() < 0.05:
                message += bytes(8)             # what may follow the message inside
            said = encode(BundleAdd(number, flags, message), version, xid + (rng.random() < 0.02))
            out += [said] * (1 + (what > 0.88))
        else:
            kind = rng.choice((BundleType.OPEN_REQUEST, BundleType.CLOSE_REQUEST, BundleType.COMMIT_REQUEST,
                               BundleType.COMMIT_REQUEST, BundleType.DISCARD_REQUEST))
            out.append(encode(BundleControl(number, kind, flags), version, xid))
    return [*out, *(encode(BundleControl(i, BundleType.COMMIT_REQUEST, 3), version, 9) for i in (1, 2))]


@pytest.mark.parametrize(("version", "nx"), [(OF13, False), (OF14, False), (OF14, True), (OF15, False)])
def test_bundles_do_the_same_either_way(version: int, nx: bool, shared: Path, more: int) -> None:
    rng, n_short, n_all = random.Random(version), 0, 0
    for i in range(6 * more):
        twins = Twins(version, strict=i % 3 == 2)
        try:
            whole = b"".join(bundles(rng, shared, version, nx=nx))
            n_all += len(whole)
            while whole:
                n = rng.choice((7, 60, 500, len(whole)))
                twins.say(whole[:n])
                whole = whole[n:]
                if rng.random() < 0.1:
                    for switch in twins.switches:
                        switch.advance(0.7)
                    twins.compare()
            twins.compare()
            n_short += twins.n_short
        finally:
            twins.close()
    assert n_short > n_all * 0.1


def test_the_message_of_a_bundle_that_is_refused_is_the_one_told_of() -> None:
    twins = Twins(OF14)
    try:
        def add(xid: int, text: str) -> bytes:
            return encode(BundleAdd(1, 3, encode(parse_flow(text), OF14, xid)), OF14, xid)
        twins.say(add(1, "table=0,in_port=1 actions=output:1") + encode(
            BundleControl(1, BundleType.DISCARD_REQUEST, 3), OF14, 2))
        whole = [add(i, f"table=0,in_port={i} actions=output:1") for i in range(10, 30)]
        whole[15] = add(25, "table=0,ip actions=group:9")
        twins.say(b"".join(whole))
        assert twins.n_short >= len(b"".join(whole)) - len(whole[15])
        for bridge in twins.bridges:            # what is there must be judged again
            bridge.set_table(0, max_flows=12)
        heard = twins.say(encode(BundleControl(1, BundleType.COMMIT_REQUEST, 3), OF14, 99))
        assert whole[12][:64] in heard          # the 13th
        twins.compare()
        assert not twins.bridges[0].rules()
    finally:
        twins.close()


def test_where_a_table_may_refuse_or_somebody_watches_the_long_way_is_taken() -> None:
    add = encode(parse_flow("table=0,ip actions=output:1"), OF13, 5)
    twins = Twins(OF13)
    try:
        twins.say(add)                          # a match is met the long way first
        twins.say(add)
        taken = twins.n_short
        assert taken > 0
        for bridge in twins.bridges:
            bridge.set_table(0, max_flows=1)
        twins.say(encode(parse_flow("table=0,arp actions=output:1"), OF13, 6))
        for bridge in twins.bridges:
            bridge.set_table(0, max_flows=0xFFFFFFFF)
            bridge.add_flow("table=2,udp actions=learn(table=3,delete_learned,eth_type=0x800)")
        twins.say(add)
        for bridge in twins.bridges:
            bridge.del_flows("table=2")
            bridge.ofproto.watchers.append(lambda _updates: None)
        twins.say(add)
        assert twins.n_short == taken
        twins.compare()
    finally:
        twins.close()


def test_a_standard_that_changes_is_heeded() -> None:
    add = encode(parse_flow("ct_state=+trk,ip actions=output:1"), OF13, 5)
    twins = Twins(OF13, strict=True)
    try:
        for can in (True, False, True):
            for switch in twins.switches:
                switch.backer.features = fastpath.value.replace(switch.backer.features, ct_state=can)
            heard = twins.say(add) + twins.say(add)
            assert bool(heard) is not can
            twins.compare()
        assert twins.n_short
    finally:
        twins.close()
