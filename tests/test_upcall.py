"""Upcall ring: whatever sizes go in, the same bytes come out, in order, round and round."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath._datapath import Datapath
from fastpath._flow import FlowKey
from fastpath.dpif.actions import SlowPath, Userspace
from fastpath.dpif.program import compile_actions
from fastpath.dpif.userdata import decode_userdata

UP = Userspace(SlowPath(("lacp",)))
steps = st.lists(st.one_of(st.integers(14, 900), st.just("recv")), max_size=120)


@given(steps, st.booleans())
@settings(max_examples=80, deadline=None)
def test_upcalls_come_out_as_they_went_in(steps: list[int | str], tunnel: bool) -> None:
    dp = Datapath(seed=1, ring_bytes=4096)
    program = compile_actions((UP,))
    waiting: deque[bytes] = deque()
    key = FlowKey(in_port=77, tun_id=9, tun_dst=5) if tunnel else FlowKey(in_port=77)
    refused = 0
    for i, step in enumerate(steps):
        if isinstance(step, int):
            frame = bytes(12) + b"\x88\xb5" + bytes([i & 0xFF] * (step - 14))
            assert dp.execute(frame, key, program)
            if dp.drops().get("upcall_queue_full", 0) > refused:
                refused += 1
                assert waiting, "an empty ring refused"
            else:
                waiting.append(frame)
            continue
        for got, frame, userdata, vnet, total in dp.recv(3):
            assert frame == waiting.popleft() and total == len(frame) and vnet == b""
            assert (got.in_port, got.tun_id, got.dl_type) == (77, 9 if tunnel else 0, 0x88B5)
            assert userdata is not None and decode_userdata(userdata) == UP.userdata
    assert [u[1] for u in dp.recv(1000)] == list(waiting)


def test_the_vnet_header_rides_along() -> None:
    dp = Datapath(seed=1)
    vnet = bytes([1, 0, 0, 0, 0, 0, 34, 0, 6, 0])
    dp.execute(bytes(60), FlowKey(in_port=1), compile_actions((UP,)), vnet)
    assert dp.recv(1)[0][3] == vnet
