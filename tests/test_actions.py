"""Laws of action programs: what they make of a packet equals building that packet from scratch."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from model.frames import ICMP, ICMPV6, SCTP, TCP, UDP, Frame

from fastpath._actions import ActionRunner
from fastpath.dpif.actions import (
    CheckPktLen,
    Clone,
    Drop,
    Hash,
    Meter,
    OdpAction,
    Output,
    PopMpls,
    PopVlan,
    PushMpls,
    PushVlan,
    Recirc,
    Sample,
    SetMasked,
    SlowPath,
    Trunc,
    Userspace,
)
from fastpath.dpif.program import compile_actions

CASES = 150
BASE = Frame(payload=b"payload.")


def run(frame: Frame, *actions: OdpAction,
        **options: int) -> tuple[ActionRunner, list[tuple[int, bytes, bytes]]]:
    runner = ActionRunner(**options)
    out = runner.run(compile_actions(actions), frame.build(), vnet=frame.vnet())
    assert runner.n_held == 0
    return runner, out


# ---- rewriting equals building again --------------------------------------------------------------------

V6 = st.integers(0, (1 << 128) - 1)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    v6 = draw(st.booleans())
    proto = draw(st.sampled_from((TCP, UDP, SCTP, ICMPV6 if v6 else ICMP)))
    address = V6 if v6 else st.integers(0, (1 << 32) - 1)
    later = draw(st.integers(0, 9)) == 0
    owed = proto in (TCP, UDP) and not later and draw(st.booleans())
    return Frame(
        dst=draw(st.integers(0, (1 << 48) - 1)), src=draw(st.integers(0, (1 << 48) - 1)),
        tags=tuple(draw(st.lists(st.tuples(st.sampled_from((0x8100, 0x88A8)), st.sampled_from((5, 0xE001))),
                                 max_size=2))),
        v6=v6, nw_src=draw(address), nw_dst=draw(address), tos=draw(st.integers(0, 255)),
        ttl=draw(st.integers(0, 255)), label=draw(st.integers(0, 0xFFFFF)) if v6 else 0, proto=proto,
        later=later, routed=v6 and not owed and draw(st.integers(0, 4)) == 0, route_dst=draw(V6) if v6 else 0,
        word=draw(st.binary(min_size=4, max_size=4)) if proto not in (ICMP, ICMPV6) else b"\x08\x01\0\0",
        payload=draw(st.binary(max_size=40)), owed=owed,
        no_sum=proto == UDP and not owed and not v6 and draw(st.booleans()))


FIELDS = {"eth": (("src", "src", 48), ("dst", "dst", 48)),
          "ipv4": (("src", "nw_src", 32), ("dst", "nw_dst", 32), ("tos", "tos", 8), ("ttl", "ttl", 8)),
          "ipv6": (("src", "nw_src", 128), ("dst", "nw_dst", 128), ("label", "label", 20),
                   ("tclass", "tos", 8), ("hlimit", "ttl", 8))}
L4_OF = {"tcp": TCP, "udp": UDP, "sctp": SCTP, "icmp": ICMP, "icmpv6": ICMPV6}


@st.composite
def sets(draw: st.DrawFn) -> SetMasked:
    attr = draw(st.sampled_from((*FIELDS, *L4_OF)))
    rows = ([(name, bits) for name, _, bits in FIELDS[attr]] if attr in FIELDS
            else [("type", 8), ("code", 8)] if attr.startswith("icmp") else [("src", 16), ("dst", 16)])
    members = []
    for name, bits in draw(st.lists(st.sampled_from(rows), min_size=1, unique=True)):
        full = (1 << bits) - 1
        mask = draw(st.one_of(st.just(full), st.integers(1, full)))
        members.append((name, draw(st.integers(0, full)) & mask, mask))
    return SetMasked(attr, tuple(members))


def applied(f: Frame, a: OdpAction) -> Frame:
    """The model of one action."""
    match a:
        case SetMasked(attr, members) if attr in FIELDS:
            if attr != "eth" and f.v6 != (attr == "ipv6"):
                return f
            names = {name: field for name, field, _ in FIELDS[attr]}
            for name, value, mask in members:
                f = f.with_(**{names[name]: getattr(f, names[name]) & ~mask | value})
            return f
        case SetMasked(attr, members):
            if f.later or f.proto != L4_OF[attr]:
                return f
            size = 1 if attr.startswith("icmp") else 2
            word = bytearray(f.word)
            for name, value, mask in members:
                at = 0 if name in ("src", "type") else size
                old = int.from_bytes(word[at:at + size], "big")
                word[at:at + size] = (old & ~mask | value).to_bytes(size, "big")
            return f.with_(word=bytes(word))
        case PushVlan(tpid, tci):
            return f.with_(tags=((tpid, tci & ~0x1000), *f.tags))
        case PopVlan():
            return f.with_(tags=f.tags[1:])
        case PushMpls(ethertype, lse):
            return f.with_(labels=(lse, *f.labels), mpls_type=ethertype)
        case PopMpls(ethertype):
            return f.with_(labels=f.labels[1:], mpls_type=ethertype) if f.labels else f
    raise AssertionError(a)


@st.composite
def rewrites(draw: st.DrawFn) -> list[OdpAction]:
    out: list[OdpAction] = list(draw(st.lists(st.one_of(
        sets(), sets(), st.just(PopVlan()),
        st.builds(PushVlan, st.sampled_from((0x8100, 0x88A8)), st.integers(0, 0xFFFF))),
        min_size=1, max_size=4)))
    if draw(st.booleans()):                 # labels go below the tags, and are popped down to IP
        out.append(PushMpls(0x8847, 0x12345140))
        out += draw(st.lists(sets(), max_size=1))
    return out


def test_rewriting_equals_building_the_changed_packet(more: int) -> None:
    runner = ActionRunner()

    @settings(max_examples=CASES * more, deadline=None)
    @given(frames(), rewrites())
    def law(frame: Frame, actions: list[OdpAction]) -> None:
        want = frame
        for a in actions:
            want = applied(want, a)
        out = runner.run(compile_actions((*actions, Output(3))), frame.build(), vnet=frame.vnet())
        assert [(3, want.build(), want.vnet())] == out
        assert not runner.drops and runner.n_held == 0

    law()


def test_push_then_pop_is_identity(more: int) -> None:
    runner = ActionRunner()

    @settings(max_examples=40 * more, deadline=None)
    @given(frames())
    def law(frame: Frame) -> None:
        l3_type = 0x86DD if frame.v6 else 0x0800
        program = compile_actions((PushMpls(0x8847, 0x140), PushMpls(0x8848, 0x240), PushVlan(0x8100, 0x1005),
                                   PopVlan(), PopMpls(0x8847), PopMpls(l3_type), Output(1)))
        assert runner.run(program, frame.build(), vnet=frame.vnet()) == [(1, frame.build(), frame.vnet())]

    law()


# ---- flow of control ------------------------------------------------------------------------------------

def test_each_output_gets_the_packet_as_it_was_then() -> None:
    up = SetMasked("ipv4", (("ttl", 9, 255),))
    _, out = run(BASE, Output(1), up, Output(2), PushVlan(0x8100, 0x1005), Output(3))
    later = BASE.with_(ttl=9)
    assert out == [(1, BASE.build(), b""), (2, later.build(), b""),
                   (3, later.with_(tags=((0x8100, 5),)).build(), b"")]


def test_clone_leaves_the_packet_alone() -> None:
    _, out = run(BASE, Clone((SetMasked("ipv4", (("ttl", 9, 255),)), Output(1))), Output(2))
    assert out == [(1, BASE.with_(ttl=9).build(), b""), (2, BASE.build(), b"")]


def test_trunc_cuts_the_next_output_only_and_finishes_its_checksum() -> None:
    f = BASE.with_(owed=True)
    _, out = run(f, Trunc(30), Output(1), Output(2))
    assert out == [(1, f.with_(owed=False).build()[:30], b""), (2, f.build(), f.vnet())]


def test_trunc_beyond_the_end_does_nothing() -> None:
    assert run(BASE, Trunc(2000), Output(1))[1] == [(1, BASE.build(), b"")]


def test_length_decides_the_branch() -> None:
    n = len(BASE.build())
    for size, port in ((n - 1, 1), (n, 2)):
        _, out = run(BASE, CheckPktLen(size, (Output(1),), (Output(2),)), Output(3))
        assert [p for p, _, _ in out] == [port, 3]


def test_sampling_takes_its_share() -> None:
    program = compile_actions((Sample(1 << 30, (Output(1),)), Output(2)))
    runner = ActionRunner(seed=5)
    outs = [p for _ in range(100) for p, _, _ in runner.run(program, BASE.build(), repeat=32)]
    assert outs.count(2) == 3200 and 680 < outs.count(1) < 920
    assert [p for p, _, _ in run(BASE, Sample(0xFFFFFFFF, (Output(1),)))[1]] == [1]
    assert run(BASE, Sample(0, (Output(1),)))[1] == []


def test_recirculation_goes_so_deep_and_no_deeper() -> None:
    program = compile_actions((SetMasked("skb_mark", (("skb_mark", 5, 0xFF),)), Recirc(7)))
    runner = ActionRunner()
    runner.run(program, BASE.build(), depth=5)
    ((frame, _, key),) = runner.recirculated
    assert frame == BASE.build() and key.recirc_id == 7 and key.pkt_mark == 5
    runner.run(program, BASE.build(), depth=6)
    assert not runner.recirculated and runner.drops == {"recirc_too_deep": 1}


def test_hash_is_of_the_flow_and_symmetric_if_asked() -> None:
    def dp_hash(f: Frame, alg: str, basis: int = 0) -> int:
        return run(f, Hash(alg, basis), Recirc(1))[0].recirculated[0][2].dp_hash

    back = BASE.with_(nw_src=BASE.nw_dst, nw_dst=BASE.nw_src, word=BASE.word[2:] + BASE.word[:2])
    assert dp_hash(BASE, "sym_l4") == dp_hash(back, "sym_l4") != dp_hash(BASE.with_(nw_src=9), "sym_l4")
    assert dp_hash(BASE, "l4") != dp_hash(back, "l4")
    assert dp_hash(BASE, "l4") == dp_hash(BASE.with_(ttl=3), "l4") != dp_hash(BASE, "l4", 1)


def test_userspace_hands_up_and_goes_on() -> None:
    runner, out = run(BASE, Userspace(SlowPath(("lacp",))), Output(1))
    ((frame, _, key),) = runner.upcalls
    assert frame == BASE.build() and key.nw_src == BASE.nw_src and len(out) == 1


def test_tunnel_members_become_metadata() -> None:
    exact = (("tun_id", 5, (1 << 64) - 1), ("src", 1, 0xFFFFFFFF), ("dst", 2, 0xFFFFFFFF), ("ttl", 64, 255))
    key = run(BASE, SetMasked("tunnel", exact), Recirc(1))[0].recirculated[0][2]
    assert (key.tun_id, key.tun_src, key.tun_dst, key.tun_ttl) == (5, 1, 2, 64)


def test_drops_are_counted_by_reason() -> None:
    assert run(BASE, Drop(3))[0].drops == {"explicit_drop": 1}
    assert run(BASE)[0].drops == {"action_drop": 1}
    runner = ActionRunner(limit=1)
    runner.run(compile_actions((Output(1), Output(2))), BASE.build())
    assert [p for p, _, _ in runner.outputs] == [2] and runner.drops == {"no_memory": 1}


def test_meter_drop_ends_the_program() -> None:
    runner = ActionRunner()
    runner.set_meter(1, pktps=True, bands=[(2, 2, 0)])
    out = runner.run(compile_actions((Meter(1), Output(1))), BASE.build(), repeat=5)
    assert len(out) == 2 and runner.drops == {"meter": 3}


# ---- hostile programs and packets -----------------------------------------------------------------------

def test_no_program_and_no_packet_does_harm(more: int) -> None:
    runner = ActionRunner()

    @settings(max_examples=CASES * more, deadline=None)
    @given(st.data())
    def law(data: st.DataObject) -> None:
        frame = data.draw(st.one_of(st.binary(min_size=1, max_size=90),
                                    frames().map(lambda f: f.build()[:data.draw(st.integers(1, 90))])))
        vnet = data.draw(st.one_of(st.just(b""), st.binary(min_size=10, max_size=10)))
        program = data.draw(st.one_of(
            rewrites().map(lambda a: compile_actions((*a, Clone((Output(1),)), Trunc(9), Output(2)))),
            st.binary(max_size=80)))
        if data.draw(st.booleans()):
            program = program[:data.draw(st.integers(0, len(program)))]
        runner.run(program, frame, vnet=vnet)
        assert runner.n_held == 0

    law()


def test_every_truncation_of_a_program_is_refused_or_run() -> None:
    program = compile_actions((Sample(0xFFFFFFFF, (Output(1),)), CheckPktLen(9, (Output(2),), (Output(3),)),
                               Output(4)))
    for n in range(len(program)):
        runner = ActionRunner()
        runner.run(program[:n], BASE.build())
        assert runner.n_held == 0
        assert n % 8 == 0 or "action_not_applicable" in runner.drops
