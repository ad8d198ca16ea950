"""The law of the batch forms: what they make of packets is what the plain operations make, to the byte."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model.frames import ICMP, TCP, UDP, Frame
from model.hostile import hostile, packet, vnet

from fastpath._actions import ActionRunner
from fastpath._headers import set_form
from fastpath.dpif.actions import OdpAction, Output, PopMpls, PopVlan, PushMpls, PushVlan, Recirc, SetMasked
from fastpath.dpif.program import compile_actions

CASES = 200
RUNS = {"eth": (("src", 48), ("dst", 48)), "ipv4": (("src", 32), ("dst", 32), ("tos", 8), ("ttl", 8)),
        "ipv6": (("label", 20), ("tclass", 8), ("hlimit", 8), ("src", 128)),
        "tcp": (("src", 16), ("dst", 16)), "udp": (("src", 16), ("dst", 16))}
# What one's complement sums are touchy about, and any other word.
WORDS = (b"\0\0", b"\xff\xff", b"\xff\xfe", b"\0\1")

Packet = tuple[bytes, bytes]            # frame, vnet header
Outcome = tuple[list[tuple[int, bytes, bytes]], list[object], dict[str, int]]


@contextmanager
def form(name: str) -> Iterator[None]:
    set_form(name)      # type: ignore[arg-type]
    try:
        yield
    finally:
        set_form("plain" if os.environ.get("FASTPATH_PLAIN") == "1" else "batch")


def ordinary(r: Random) -> bytes:
    """IP of all kinds, with words in it that sums are touchy about."""
    f = Frame(v6=r.random() < 0.3, proto=r.choice((TCP, UDP, ICMP)),
              nw_src=r.getrandbits(32), nw_dst=r.choice((0, 0xFFFFFFFF, 7)),
              ttl=r.randrange(256), later=r.random() < 0.1, no_sum=r.random() < 0.1,
              tags=((0x8100, 5),) * r.choice((0, 0, 0, 1, 2, 3)), labels=(0x1140,) * r.choice((0, 0, 0, 1)),
              payload=r.randbytes(r.randrange(40)))
    data = bytearray(f.build())
    for _ in range(r.choice((0, 0, 0, 1, 2))):
        at = r.randrange(12, len(data) - 1, 2)
        data[at:at + 2] = r.choice(WORDS)
    return bytes(data if r.random() < 0.8 else data[:r.randrange(1, len(data) + 1)])


@st.composite
def packets(draw: st.DrawFn) -> list[Packet]:
    r = Random(draw(st.integers(0, 1 << 32)))
    make = (*[ordinary] * 9, *[packet] * 4, hostile)
    return [(r.choice(make)(r), vnet(r)) for _ in range(draw(st.integers(1, 32)))]


@st.composite
def values(draw: st.DrawFn, bits: int) -> tuple[int, int]:
    """A value under a mask of some bits."""
    full = (1 << bits) - 1
    mask = draw(st.one_of(st.just(full), st.integers(1, full)))
    return draw(st.one_of(st.integers(0, full), st.sampled_from((0, full)))) & mask, mask


@st.composite
def sets(draw: st.DrawFn) -> SetMasked:
    attr = draw(st.sampled_from(sorted(RUNS)))
    chosen = draw(st.lists(st.sampled_from(RUNS[attr]), min_size=1, unique=True))
    return SetMasked(attr, tuple((name, *draw(values(bits))) for name, bits in chosen))


def programs() -> st.SearchStrategy[list[OdpAction]]:
    """Mostly sets, in runs; what goes between shows where the layers are thought to lie."""
    between = st.sampled_from((PushVlan(0x8100, 0x1005), PushVlan(0x88A8, 0xFFFF), PopVlan(),
                               PushMpls(0x8847, 0x140), PopMpls(0x800), Output(2)))
    return st.lists(st.one_of(sets(), sets(), sets(), between), min_size=1, max_size=7)


def outcome(program: bytes, batch: list[Packet], borrow: bool) -> Outcome:
    runner = ActionRunner()
    runner.run_batch(program, batch, borrow=borrow)
    assert runner.n_held == 0
    return runner.outputs, [*runner.recirculated], runner.drops


def test_batch_forms_equal_the_plain_operations(more: int) -> None:
    @settings(max_examples=CASES * more, deadline=None)
    @given(programs(), packets(), st.booleans())
    def law(actions: list[OdpAction], batch: list[Packet], borrow: bool) -> None:
        last = (Output(3), Recirc(1))
        fused = compile_actions((*actions, *last))
        singles = b"".join(compile_actions((a,)) for a in (*actions, *last))
        with form("plain"):
            want = outcome(singles, batch, borrow)
        with form("batch"):
            assert outcome(fused, batch, borrow) == want
            assert outcome(singles, batch, borrow) == want

    law()


@pytest.mark.parametrize("proto", (TCP, UDP, ICMP))
@pytest.mark.parametrize("tags", (0, 1, 2))
def test_no_ordinary_packet_takes_the_plain_way(proto: int, tags: int) -> None:
    """The plain operations are spoilt here, and what comes out is right all the same."""
    frame = Frame(proto=proto, tags=((0x8100, 5),) * tags, payload=b"payload.")
    program = bytearray(compile_actions((
        SetMasked("eth", (("src", 5, 0xFFFFFFFFFFFF),)),
        SetMasked("ipv4", (("src", 9, 0xFF), ("ttl", 7, 0xFF))))))
    spoilt = bytes(program[:96]) + b"\xff" * 8 + bytes(program[104:]) + compile_actions((Output(1),))
    want = frame.with_(src=5, nw_src=frame.nw_src & ~0xFF | 9, ttl=7)
    with form("batch"):
        assert ActionRunner().run(spoilt, frame.build()) == [(1, want.build(), b"")]
    with form("plain"):
        runner = ActionRunner()
        assert runner.run(spoilt, frame.build()) == [] and runner.drops == {"action_not_applicable": 1}


def test_the_environment_chooses_the_plain_form() -> None:
    code = ("from fastpath import _headers; from fastpath._actions import ActionRunner; import sys;"
            "r = ActionRunner(); r.run(bytes.fromhex(sys.argv[1]), bytes(60)); print(r.drops)")
    spoilt = bytearray(compile_actions((SetMasked("eth", (("src", 5, 0xFFFFFFFFFFFF),)), Output(1))))
    spoilt[96:104] = b"\xff" * 8
    said = [subprocess.run([sys.executable, "-c", code, spoilt.hex()],
                           env=os.environ | {"FASTPATH_PLAIN": plain},
                           capture_output=True, text=True, check=True).stdout
            for plain in "01"]
    assert said == ["{}\n", "{'action_not_applicable': 1}\n"]
