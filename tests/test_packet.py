"""The pool and its packets, seen through programs that push, clone and run out."""

from __future__ import annotations

import pytest
from model.frames import Frame

from fastpath._actions import ActionRunner
from fastpath.dpif.actions import Clone, Output, PopVlan, PushMpls, PushVlan, Recirc
from fastpath.dpif.program import compile_actions

FRAME = Frame(payload=b"some payload")
TAG = PushVlan(0x8100, 0x1005)
SIZES = (14, 60, 1514, 2047, 2048, 2049, 9000, 65535, 65550)


def frame_of(size: int) -> bytes:
    return bytes(12) + b"\x12\x34" + bytes(i & 0xFF for i in range(size - 14))


@pytest.mark.parametrize("size", SIZES)
def test_any_size_goes_in_and_out(size: int) -> None:
    runner = ActionRunner()
    frame = frame_of(size)
    program = compile_actions((Output(1), Output(2)))
    for _ in range(3):                      # recycled buffers carry nothing over
        assert runner.run(program, frame, repeat=4) == [(1, frame, b"")] * 4 + [(2, frame, b"")] * 4
        assert runner.n_held == 0


@pytest.mark.parametrize("size", SIZES)
def test_pushes_fit_the_headroom_and_come_off_again(size: int) -> None:
    frame = frame_of(size)
    program = compile_actions((*[TAG] * 30, Output(1), *[PopVlan()] * 30, Output(2)))
    (_, tagged, _), (_, plain, _) = ActionRunner().run(program, frame)
    assert tagged == frame[:12] + b"\x81\0\0\5" * 30 + frame[12:] and plain == frame


def test_more_pushes_than_room_drop_the_packet() -> None:
    runner = ActionRunner()
    for n in range(28, 40):
        runner.run(compile_actions((*[TAG] * n, Output(1))), FRAME.build())
        assert runner.n_held == 0
    assert set(runner.drops) <= {"no_headroom"}


def test_copies_share_no_bytes() -> None:
    label = PushMpls(0x8847, 0x140)
    program = compile_actions((Clone((TAG, Output(1))), Clone((label, Output(2))), Output(3)))
    (_, a, _), (_, b, _), (_, c, _) = ActionRunner().run(program, FRAME.build())
    assert (a, b) == (FRAME.with_(tags=((0x8100, 5),)).build(), FRAME.with_(labels=(0x140,)).build())
    assert c == FRAME.build()


def test_the_debt_of_a_packet_moves_with_its_headers() -> None:
    frame = FRAME.with_(owed=True)
    tagged = frame.with_(tags=((0x8100, 5),))
    program = compile_actions((TAG, Output(1), PopVlan(), Output(2)))
    assert ActionRunner().run(program, frame.build(), vnet=frame.vnet()) == [
        (1, tagged.build(), tagged.vnet()), (2, frame.build(), frame.vnet())]


def test_a_pool_has_its_limit() -> None:
    runner = ActionRunner(limit=4)
    with pytest.raises(MemoryError):
        runner.run(compile_actions((Output(1),)), FRAME.build(), repeat=5)
    assert runner.n_held == 0
    program = compile_actions((Output(1), Output(2), Recirc(3)))
    runner.run(program, FRAME.build(), repeat=3)
    assert len(runner.outputs) + len(runner.recirculated) + runner.drops.get("no_memory", 0) == 9
    assert runner.n_held == 0


@pytest.mark.parametrize("size", SIZES)
def test_a_borrowed_packet_moves_when_a_header_must_fit(size: int) -> None:
    runner = ActionRunner()
    frame = frame_of(size)
    program = compile_actions((Output(1), TAG, Output(2), PopVlan(), Output(3)))
    out = runner.run(program, frame, borrow=True)
    assert [f for _, f, _ in out] == [frame, frame[:12] + b"\x81\0\0\5" + frame[12:], frame]
    assert runner.n_held == 0
