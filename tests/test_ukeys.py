"""Ukeys are what plain dicts of plain records would be."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from fastpath._flow import FlowKey
from fastpath._ukeys import Ukeys
from fastpath.dpif.provider import COUNTERS, UFID
from fastpath.fields import FLOW_SIZE

MASKS = [FlowKey(in_port=0xFFFFFFFF, nw_dst=0xFFFFFFFF), FlowKey(in_port=0xFFFFFFFF)]


@dataclass
class Flow:
    ufid: int
    key: FlowKey
    mask: FlowKey
    decision: str
    created: float
    used: float
    counted: tuple[int, int] = (0, 0)


@dataclass
class Plain:
    """The model: *waiting* holds slots in the order their checks are due."""

    flows: dict[int, Flow] = field(default_factory=dict)
    waiting: dict[str, list[int]] = field(default_factory=dict)
    sums: dict[str, list[float]] = field(default_factory=dict)

    def note(self, decision: str, n_packets: int, n_bytes: int, used: float, flags: int) -> None:
        mine = self.sums.setdefault(decision, [0, 0, float("-inf"), 0])
        self.sums[decision] = [mine[0] + n_packets, mine[1] + n_bytes, max(mine[2], used),
                               int(mine[3]) | flags]


class Pair:
    """Ukeys and the model, driven alike."""

    def __init__(self, seed: int) -> None:
        self.rng, self.now, self.next_ufid = random.Random(seed), 0.0, 1 << 32
        self.ukeys: Ukeys[str] = Ukeys()
        self.plain = Plain()
        self.index = {name: self.ukeys.enter(name) for name in "abc"}

    def add(self) -> None:
        key = FlowKey(in_port=self.rng.randint(0, 9), nw_dst=self.rng.getrandbits(32))
        if self.rng.random() < 0.1:
            key = FlowKey.from_bytes(self.rng.randbytes(FLOW_SIZE))
        mask, decision = self.rng.choice(MASKS), self.rng.choice("abc")
        slot = self.ukeys.add(self.next_ufid, key, mask, self.index[decision], self.now)
        assert slot not in self.plain.flows
        self.plain.flows[slot] = Flow(self.next_ufid, key.copy(), mask, decision, self.now, self.now)
        self.next_ufid += 1

    def remove(self) -> None:
        slot = self.rng.choice(list(self.plain.flows))
        self.ukeys.remove(slot)
        for waiting in self.plain.waiting.values():
            waiting[:] = [other for other in waiting if other != slot]
        del self.plain.flows[slot]

    def move(self) -> None:
        waits = {slot for waiting in self.plain.waiting.values() for slot in waiting}
        free = [slot for slot in self.plain.flows if slot not in waits]
        if free:
            slot, name = self.rng.choice(free), self.rng.choice("abc")
            self.ukeys.move(slot, self.index[name])
            self.plain.flows[slot].decision = name

    def concern(self) -> None:
        name, waiting = self.rng.choice("abc"), self.plain.waiting
        mine = [slot for slot, flow in self.plain.flows.items() if flow.decision == name]
        assert self.ukeys.concern(self.index[name]) == bool(mine)
        waiting.setdefault(name, []).extend(slot for slot in mine if slot not in waiting[name])

    def take_waiting(self) -> None:
        name, n = self.rng.choice("abc"), self.rng.randint(0, 5)
        took = self.ukeys.take_waiting(self.index[name], n)
        waiting = self.plain.waiting.setdefault(name, [])
        assert len(took) == min(n, len(waiting)) and set(took) <= set(waiting)
        waiting[:] = [slot for slot in waiting if slot not in took]

    def count(self) -> None:
        some = self.rng.sample(list(self.plain.flows), min(3, len(self.plain.flows)))
        told, lost = [], []
        for slot in some:
            flow = self.plain.flows[slot]
            new = flow.counted[0] + self.rng.randint(0, 2), flow.counted[1] + self.rng.randint(0, 99)
            used_us, flags = round(self.now * 1e6) - self.rng.randint(0, 9), self.rng.choice((0, 1, 16))
            if self.rng.random() < 0.2:
                lost.append(slot)
                told.append(COUNTERS.pack(0, 0, -1, 0))
                continue
            told.append(COUNTERS.pack(*new, max(0, used_us), flags))
            if new[0] > flow.counted[0]:
                flow.used = max(flow.used, max(0, used_us) / 1e6)
                self.plain.note(flow.decision, new[0] - flow.counted[0], new[1] - flow.counted[1], flow.used,
                                flags)
                flow.counted = new
        asked = [ufid for ufid, in UFID.iter_unpack(self.ukeys.ufids(some))]
        assert asked == [self.plain.flows[slot].ufid for slot in some]
        assert self.ukeys.take(some, b"".join(told)) == lost

    def first_packet(self) -> None:
        name = self.rng.choice("abc")
        self.ukeys.count(self.index[name], 1, 60, self.now, 2)
        self.plain.note(name, 1, 60, self.now, 2)

    def credit(self) -> None:
        told = {name: [*counted] for name, *counted in self.ukeys.counted()}
        assert told == self.plain.sums
        self.plain.sums.clear()

    def check(self) -> None:
        flows = self.plain.flows
        assert len(self.ukeys) == len(flows) and self.ukeys.slots() == sorted(flows)
        assert self.ukeys.slots(2, 5) == [slot for slot in sorted(flows) if 2 <= slot < 5]
        since = self.now - 2
        unused = [slot for slot in sorted(flows) if flows[slot].used <= since]
        assert self.ukeys.unused(since, 0, self.ukeys.end) == unused
        port = self.rng.randint(0, 9)
        assert self.ukeys.of_port(port) == [s for s in sorted(flows) if flows[s].key.in_port == port]
        for slot, flow in flows.items():
            assert self.ukeys.key(slot) == flow.key and self.ukeys.mask(slot) is flow.mask
            assert (self.ukeys.decision(slot), self.ukeys.ufid(slot), self.ukeys.created(slot),
                    self.ukeys.used(slot), self.ukeys.n_packets(slot)) == (
                flow.decision, flow.ufid, flow.created, flow.used, flow.counted[0])
            assert self.ukeys.has(slot, flow.ufid) and not self.ukeys.has(slot, flow.ufid + 1)
        for name, index in self.index.items():
            assert self.ukeys.n_flows(index) == sum(flow.decision == name for flow in flows.values())


@pytest.mark.parametrize("seed", range(8))
def test_they_are_what_plain_records_would_be(seed: int, more: int) -> None:
    pair = Pair(seed)
    steps = (pair.add, pair.add, pair.add, pair.remove, pair.move, pair.concern, pair.take_waiting,
             pair.count, pair.count, pair.first_packet, pair.credit)
    for _ in range(400 * more):
        pair.now += pair.rng.choice((0.0, 0.5))
        step = pair.rng.choice(steps)
        if pair.plain.flows or step in (pair.add, pair.first_packet, pair.credit):
            step()
        pair.check()


def test_flows_wait_in_the_order_in_which_they_were_concerned() -> None:
    ukeys: Ukeys[str] = Ukeys()
    index = ukeys.enter("a")
    first = [ukeys.add(n, FlowKey(), MASKS[0], index, 0.0) for n in (1, 2, 3)]
    assert ukeys.concern(index)
    later = ukeys.add(4, FlowKey(), MASKS[0], index, 0.0)
    assert ukeys.take_waiting(index, 1) == first[:1]
    assert ukeys.concern(index)
    assert ukeys.take_waiting(index, 9) == [*first[1:], later, first[0]]
    assert ukeys.take_waiting(index, 9) == [] and ukeys.n_flows(index) == 4


def test_an_index_is_used_again_once_its_decision_left() -> None:
    ukeys: Ukeys[str] = Ukeys()
    a = ukeys.enter("a")
    slot = ukeys.add(7, FlowKey(in_port=3), MASKS[0], a, 0.0)
    with pytest.raises(AssertionError):
        ukeys.leave(a)
    ukeys.remove(slot)
    ukeys.leave(a)
    assert ukeys.enter("b") == a and ukeys.n_flows(a) == 0
    for ask in (ukeys.key, ukeys.ufid, ukeys.decision, ukeys.remove):
        with pytest.raises(KeyError):
            ask(slot)


def test_counters_of_another_number_of_flows_are_refused() -> None:
    with pytest.raises(ValueError, match="of 0 flows"):
        Ukeys().take([], bytes(8))


_NAMES = ("nw_src", "nw_dst", "tp_dst", "dl_dst", "nw_proto", "dl_type", "in_port", "reg1", "tun_id",
          "metadata")
_VALUES = (0, 1, 2, 3, 0x10, 0xF0)


def drawn(rng: random.Random, n: int) -> FlowKey:
    """A key of few values."""
    out = FlowKey()
    for name in rng.sample(_NAMES, n):
        setattr(out, name, rng.choice(_VALUES))
    return out


def test_flows_a_match_may_cover_wait_and_no_others(more: int) -> None:
    """Compared with the words of both, one by one."""
    rng = random.Random(9)
    for _ in range(200 * more):
        ukeys: Ukeys[str] = Ukeys()
        index, flows = ukeys.enter("x"), {}
        for ufid in range(1, 20):
            key, mask = drawn(rng, rng.randrange(8)), FlowKey()
            for name in rng.sample(_NAMES, rng.randrange(8)):
                setattr(mask, name, rng.choice((0xFF, 0xF, 1)))
            if rng.random() < 0.1:
                setattr(key, rng.choice(("recirc_id", "nw_frag", "packet_type")), 1)
            flows[ukeys.add(ufid, key, mask, index, 0.0)] = key, mask
        matches = []
        for _n in range(rng.randrange(4)):
            mask = FlowKey()
            for name in rng.sample(_NAMES, rng.randrange(1, 4)):
                setattr(mask, name, rng.choice((0xFF, 0xF0, 3)))
            value = drawn(rng, 8)
            matches.append((mask, value.pack(mask), value))
        waits = ukeys.concern_matched([index], [m for m, _w, _v in matches], [w for _m, w, _v in matches])
        wanted = {slot for slot, (key, mask) in flows.items() if is_odd(key) or any(
            not apart(key, mask, value, m) for m, _w, value in matches)}
        assert waits == (["x"] if wanted else [])
        assert set(ukeys.take_waiting(index, 99)) == wanted


def is_odd(key: FlowKey) -> bool:
    return bool(key.recirc_id or key.nw_frag or key.packet_type)


def apart(key: FlowKey, mask: FlowKey, value: FlowKey, under: FlowKey) -> bool:
    """Whether a bit of the packet that both ask for differs."""
    looked_at = [name for name in _NAMES if name not in ("in_port", "reg1", "tun_id", "metadata")]
    return any((getattr(key, name) ^ getattr(value, name)) & getattr(mask, name) & getattr(under, name)
               for name in looked_at)
