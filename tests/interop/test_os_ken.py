"""A learning switch written for os-ken drives a bridge.

os-ken lives in an environment of its own, which ``tools/controllers`` makes.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import fastpath
from fastpath.controllers import peers_of
from fastpath.openflow.messages.table import decode, encode

APPS = Path(__file__).parent / "os_ken_apps"
A, B = bytes.fromhex("0000000000aa"), bytes.fromhex("0000000000bb")


def until(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Recorder:
    """Keeps what is said, in the place of a snooper."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def copy(self, message: bytes) -> None:
        self.messages.append(message)


def test_a_learning_switch_learns_and_is_understood(controllers: Path) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        number = s.getsockname()[1]
    command = [str(controllers / "bin/python"), str(APPS / "run.py"), str(number)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    recorder = Recorder()
    try:
        assert child.stdout is not None
        assert any(line.startswith("ready") for line in child.stdout)       # warnings come before
        with fastpath.Switch(seed=0, realtime=True) as switch:
            drive(switch, f"tcp:127.0.0.1:{number}", recorder)
    finally:
        child.terminate()
        told = child.communicate(timeout=60)[0]
    assert "ports ['p1', 'p2', 'p3']" in told
    assert not [line for line in told.splitlines() if line.startswith("error ")]
    assert len(recorder.messages) > 12
    for data in recorder.messages:
        if data[1]:                                     # hellos differ in how they name versions
            frame = decode(data)
            assert decode(encode(frame.message, frame.version, frame.xid, more=frame.more)) == frame


def drive(switch: fastpath.Switch, target: str, recorder: Recorder) -> None:
    bridge = switch.add_bridge("br0")
    p1, p2, p3 = (bridge.add_port(f"p{n}") for n in (1, 2, 3))
    peers_of(bridge).snoopers.append(recorder)          # type: ignore[arg-type]
    switch.start(1)
    bridge.controllers.add(target)
    until(lambda: bridge.rules() and bridge.meters())
    assert [str(group) for group in bridge.groups()] == [
        "group_id=5,type=all,bucket=bucket_id:0,actions=output:1"]
    first, answer, again = (b"\xff" * 6 + A, A + B, B + A)
    p1.inject(first + b"\x88\xb5" + bytes(46))
    until(lambda: p2.take() and p3.take())              # flooded
    p2.inject(answer + b"\x88\xb5" + bytes(46))
    until(p1.take)
    p1.inject(again + b"\x88\xb5" + bytes(46))
    until(p2.take)
    until(lambda: len(bridge.rules()) == 3)
    assert not p3.take()
