"""What must not harm the daemon: kills, a database that goes, comes back as another, clients that hang."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from reference import available
from stack import DUMMIES, OURS, Stack

SAVE = Path("/usr/share/openvswitch/scripts/ovs-save")
ADD = ("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=dummy "
       "-- add-port br0 p1 -- add-port br0 p2 -- set interface p2 options:tx_pcap=p2.pcap")
FRAME = "50540000000750540000000508060001"
MIB = 1 << 20


@pytest.fixture
def stack() -> Iterator[Stack]:
    if not available():
        pytest.skip("the reference's clients are not installed")
    with Stack(OURS, *DUMMIES) as found:
        yield found


def sent(stack: Stack) -> int:
    """Bytes of the capture of what p2 sent; its header may wait for the first packet."""
    return max(24, (stack.dir / "p2.pcap").stat().st_size)


def forwards(stack: Stack) -> bool:
    before = sent(stack)
    assert stack.run(f"ovs-appctl netdev-dummy/receive p1 {FRAME}") == ""
    return sent(stack) == before + 16 + len(FRAME) // 2


def process(stack: Stack) -> tuple[int, int, int]:
    """Open files, threads and bytes of memory of the daemon."""
    proc = Path(f"/proc/{stack.pid()}")
    pages = int((proc / "statm").read_text().split()[1])
    return len(os.listdir(proc / "fd")), len(os.listdir(proc / "task")), pages * os.sysconf("SC_PAGESIZE")


def test_flows_saved_before_a_kill_are_there_again_afterwards(stack: Stack) -> None:
    if not SAVE.exists():
        pytest.skip("ovs-save is not installed")
    stack.run(ADD)
    stack.run("ovs-ofctl -O OpenFlow13 add-group br0 group_id=5,type=all,bucket=output:2")
    stack.run("ovs-ofctl add-tlv-map br0 '{class=0x102,type=3,len=4}->tun_metadata0'")
    stack.run("ovs-ofctl -O OpenFlow13 add-flow br0 table=3,priority=7,cookie=0x12,arp,actions=group:5")
    stack.run("ovs-ofctl -O OpenFlow13 add-flow br0 'in_port=1,actions=load:7->NXM_NX_REG3[],resubmit(,3)'")
    stack.run("ovs-ofctl -O OpenFlow13 add-flow br0 priority=1,tun_metadata0=5,actions=drop")
    wanted = stack.run("ovs-ofctl -O OpenFlow13 --no-stats dump-flows br0")
    assert forwards(stack) and "group:5" in wanted
    assert stack.run(f"sh {SAVE} save-flows br0 > restore.sh") == ""
    stack.stop(how=signal.SIGKILL)
    stack.start()
    assert "group:5" not in stack.run("ovs-ofctl -O OpenFlow13 --no-stats dump-flows br0")
    assert stack.run("sh restore.sh") == ""
    assert stack.run("ovs-ofctl -O OpenFlow13 --no-stats dump-flows br0") == wanted
    assert stack.run("ovs-vsctl get interface p1 ofport -- get interface p2 ofport") == "1\n2\n"
    assert forwards(stack)


def test_a_database_that_comes_back_as_another_is_followed(stack: Stack) -> None:
    stack.run(ADD)
    assert forwards(stack)
    stack.stop("ovsdb-server")
    assert forwards(stack)                          # what it knows goes on meanwhile
    (stack.dir / "conf.db").unlink()
    stack.start_database()
    stack.run("ovs-vsctl add-br other -- set bridge other datapath_type=dummy -- add-port other p1")
    assert stack.run("ovs-appctl ofproto/list") == "other\n"
    assert stack.run("ovs-vsctl get interface p1 ofport") == "1\n"
    assert not (stack.dir / "br0.mgmt").exists() and (stack.dir / "other.mgmt").exists()


def test_a_database_killed_in_the_midst_of_changes_leaves_what_was_committed(stack: Stack) -> None:
    stack.run(ADD)
    for n in range(3):
        stack.run(f"ovs-vsctl --no-wait add-port br0 q{n}")
        stack.stop("ovsdb-server", how=signal.SIGKILL)
        stack.start_database()
    assert stack.run("ovs-vsctl add-port br0 last") == ""
    assert stack.run("ovs-vsctl list-ports br0").split() == ["last", "p1", "p2", "q0", "q1", "q2"]
    shown = stack.run("ovs-ofctl show br0")
    assert all(f"({name})" in shown for name in ("br0", "last", "p1", "p2", "q0", "q1", "q2"))


def test_ports_that_come_and_go_leave_nothing_behind(stack: Stack, more: int) -> None:
    stack.run(ADD)
    add = "".join(f" -- add-port br0 x{n}" for n in range(100))
    remove = "".join(f" -- del-port br0 x{n}" for n in range(100))
    for _ in range(3):                              # what is allocated once is allocated now
        stack.run(f"ovs-vsctl --no-wait init{add} && ovs-vsctl init{remove}")
    before = process(stack)
    for _ in range(7 * more):
        assert stack.run(f"ovs-vsctl init{add}") == "" and stack.run(f"ovs-vsctl init{remove}") == ""
    after = process(stack)
    assert after[:2] == before[:2] and after[2] < before[2] + 4 * MIB
    assert forwards(stack)


def test_clients_that_say_nothing_or_nonsense_hold_nobody_up(stack: Stack) -> None:
    stack.run(ADD)
    control = next(stack.dir.glob("ovs-vswitchd.*.ctl"))
    clients = []
    try:
        for path in [control] * 20 + [stack.dir / "br0.mgmt"] * 20:
            client = socket.socket(socket.AF_UNIX)
            clients.append(client)
            client.settimeout(20)
            client.connect(str(path))
        for client in clients[::2]:
            client.sendall(b'{"method": "list-commands", ' if client in clients[:20] else b"\x04\x00\x40\x00")
        for client in clients[1:20:4]:
            client.sendall(b"\xff\x00nonsense\n" * 100)
        assert forwards(stack)
        assert "p1 1/1: (system)" in stack.run("ovs-appctl dpif/show")
        assert "NXST_FLOW reply" in stack.run("ovs-ofctl dump-flows br0")
    finally:
        for client in clients:
            client.close()
    deadline = time.monotonic() + 60
    while process(stack)[0] > 40 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process(stack)[0] <= 40
