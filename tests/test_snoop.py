"""Snoop sockets: real ``ovs-ofctl snoop`` and ours print what a controller and a bridge say to each other."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastpath
from fastpath.cli.main import main
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.table import encode
from fastpath.openflow.roles import Peers
from fastpath.openflow.snoop import Snooper, Tap


@given(st.lists(st.binary(max_size=40), max_size=8), st.data())
def test_messages_are_copied_whole_however_they_come(bodies: list[bytes], data: st.DataObject) -> None:
    peers = Peers()
    snooper = Snooper(peers, lambda: None)
    snooper.connection.sent(snooper.connection.backlog)
    snooper.received(encode(basic.Hello(), 4, 1))
    messages = [encode(basic.EchoRequest(body), 4, i) for i, body in enumerate(bodies)]
    tap, stream = Tap(peers), b"".join(messages)
    while stream:
        n = data.draw(st.integers(1, len(stream)))
        tap.said(stream[:n])
        stream = stream[n:]
    assert snooper.connection.take(1 << 20) == b"".join(messages) and not snooper.n_missed
    snooper.ended()
    tap.said(messages[0] if messages else b"")
    assert snooper.connection.take(1 << 20) == b"".join(messages)


def test_ovs_ofctl_snoops(ovs_ofctl: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = {**os.environ, "OVS_RUNDIR": str(tmp_path)}
    with fastpath.Switch(seed=0, realtime=True) as switch, socket.socket(socket.AF_UNIX) as controller:
        bridge = switch.add_bridge("br0")
        bridge.add_port("p1")
        bridge.snoop(f"punix:{tmp_path}/br0.snoop")
        switch.start(1)
        child = subprocess.Popen([ovs_ofctl, "snoop", "br0"], stdout=subprocess.PIPE, env=env,
                                 stderr=subprocess.STDOUT, text=True)
        time.sleep(0.5)
        controller.bind(str(tmp_path / "controller"))
        controller.listen()
        controller.settimeout(10)
        bridge.controllers.add(f"unix:{tmp_path}/controller")
        peer, _address = controller.accept()
        with peer:
            peer.settimeout(10)
            peer.sendall(encode(basic.Hello(), 4, 77) + encode(basic.EchoRequest(b"xyz"), 4, 0x99))
            told = b""
            while b"xyz" not in told:
                told += peer.recv(1000)
            time.sleep(0.3)
        child.send_signal(signal.SIGTERM)
        seen = child.communicate(timeout=60)[0]
        assert "OFPT_HELLO (OF1.3) (xid=0x4d)" in seen, seen
        assert "OFPT_ECHO_REQUEST (OF1.3) (xid=0x99): 3 bytes" in seen
        assert "OFPT_ECHO_REPLY (OF1.3) (xid=0x99): 3 bytes" in seen
    assert not (tmp_path / "br0.snoop").exists()
    assert main(["ofctl", "snoop", f"unix:{tmp_path}/br0.snoop"]) == 1
