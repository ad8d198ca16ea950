"""The daemon's own life: files, start, a second daemon, the database going and coming back."""

from __future__ import annotations

import fcntl
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from reference import available
from stack import DUMMIES, OURS, ROOT, Stack

from fastpath.runtime.clock import WarpClock
from fastpath.vswitchd.datapaths import Datapaths

ADD = ("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=dummy "
       "-- add-port br0 p1 -- set interface p1 type=dummy")


@pytest.fixture
def stack() -> Iterator[Stack]:
    if not available():
        pytest.skip("the reference's clients are not installed")
    with Stack(OURS, *DUMMIES) as found:
        yield found


def wait_for(question: object, what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not question():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_the_pidfile_is_locked_while_the_daemon_lives(stack: Stack) -> None:
    path, pid = stack.dir / "ovs-vswitchd.pid", stack.pid()
    assert pid and path.read_text() == f"{pid}\n"
    with open(path, "r+") as file, pytest.raises(OSError, match="unavailable"):
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert stack.run("ovs-appctl version") == "ovs-vswitchd (Open vSwitch) 3.1.0\n"
    stack.run("ovs-appctl exit")
    wait_for(lambda: not path.exists(), "the pidfile is still there")
    assert not list(stack.dir.glob("ovs-vswitchd.*.ctl")) and not list(stack.dir.glob("*.mgmt"))


def test_a_second_daemon_waits_for_the_end_of_the_first(stack: Stack) -> None:
    stack.run(ADD)
    second = ["--pidfile=second.pid", "--unixctl=second.ctl", "--log-file=second.log"]
    stack.run(" ".join([*OURS, *DUMMIES, *second, "--detach", "--no-chdir"]))
    log = stack.dir / "second.log"
    last = log.read_text().splitlines()[-1]         # nothing is told of serving while it does not
    assert "another ovs-vswitchd process is running, disabling this process (pid " in last
    assert stack.run("ovs-appctl -t DIR/second.ctl ofproto/list".replace("DIR", str(stack.dir))) == ""
    stack.run("ovs-appctl exit")
    wait_for(lambda: "added interface p1" in log.read_text(), "the second daemon did not take over")
    wait_for(lambda: "|bridge|INFO|ovs-vswitchd (Open vSwitch) " in log.read_text(), "it does not say so")
    assert stack.run(f"ovs-appctl -t {stack.dir}/second.ctl ofproto/list") == "br0\n"
    stack.run(f"ovs-appctl -t {stack.dir}/second.ctl exit")


def test_who_speaks_no_version_of_a_bridge_is_told_of(stack: Stack) -> None:
    stack.run(ADD + " -- set bridge br0 protocols=OpenFlow13,OpenFlow15")
    assert "version negotiation failed" in stack.run("ovs-ofctl -O OpenFlow10 show br0")
    wait_for(lambda: "connection dropped (Protocol error)" in stack.log, "the log does not say so")
    lines = [line.split("|")[2:] for line in stack.log.splitlines() if "unix#" in line]
    named = lines[0][2].partition(":")[0]
    assert lines == [
        ["vconn", "WARN", f"{named}: version negotiation failed (we support versions 0x04, 0x06, "
                          "peer supports version 0x01)"],
        ["rconn", "WARN", f"br0<->{named}: connection dropped (Protocol error)"]]


def test_bridges_work_on_while_the_database_is_away_and_follow_it_when_it_is_back(stack: Stack) -> None:
    stack.run(ADD + " -- set interface p1 options:tx_pcap=p1.pcap")
    stack.run("ovs-ofctl add-flow br0 actions=in_port")
    stack.stop("ovsdb-server")
    frame = "50540000000750540000000508060001"
    assert stack.run(f"ovs-appctl netdev-dummy/receive p1 {frame}") == ""
    assert (stack.dir / "p1.pcap").stat().st_size > 24
    stack.start_database()
    assert stack.run("ovs-vsctl add-port br0 p2 -- set interface p2 type=dummy -- del-port p1") == ""
    assert "p2 2/2: (dummy)" in stack.run("ovs-appctl dpif/show")
    assert "p1 " not in stack.run("ovs-appctl dpif/show")
    assert "actions=IN_PORT" in stack.run("ovs-ofctl dump-flows br0")


def test_a_port_that_cannot_be_had_says_so_and_harms_no_other(stack: Stack) -> None:
    assert "Error detected" in stack.run(ADD + " -- add-port br0 bad -- set interface bad type=nosuch")
    assert stack.run("ovs-vsctl get interface bad ofport") == "-1\n"
    assert "Address family not supported" in stack.run("ovs-vsctl get interface bad error")
    assert stack.run("ovs-vsctl get interface p1 ofport error") == "1\n[]\n"
    assert stack.run("ovs-vsctl set interface bad type=dummy") == ""
    assert stack.run("ovs-vsctl get interface bad ofport error") == "2\n[]\n"


def test_the_daemon_comes_back_from_a_kill_as_the_database_says(stack: Stack) -> None:
    stack.run(ADD)
    stack.stop(how=signal.SIGKILL)
    stack.start()
    assert "p1 1/1: (dummy)" in stack.run("ovs-appctl dpif/show")
    assert stack.run("ovs-vsctl get interface p1 ofport") == "1\n"


def test_log_lines_have_the_form_of_the_reference_and_levels_can_be_set(stack: Stack) -> None:
    stack.run(ADD)
    lines = stack.log.splitlines()
    assert any(line.endswith("|bridge|INFO|bridge br0: added interface p1 on port 1") for line in lines)
    number = [line.split("|")[1] for line in lines]
    assert number == sorted(number) and lines[0][10:11] == "T" and lines[0][23:25] == "Z|"
    assert stack.run("ovs-appctl vlog/set nosuch:dbg").startswith('no destination, level, or module "nosuch"')
    stack.run("ovs-appctl vlog/set 'PATTERN:file:%c~%p~%m'")
    stack.run("ovs-appctl vlog/set unixctl:file:dbg")
    stack.run("ovs-appctl version-does-not-matter")
    stack.run("ovs-appctl fdb/show br0")
    assert "unixctl~DBG~received request fdb/show[br0], id=0" in stack.log


def test_the_database_is_told_of_controllers(stack: Stack) -> None:
    stack.run(ADD)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(stack.dir / "ctl"))
        server.listen()
        server.settimeout(20)
        assert stack.run(f"ovs-vsctl set-controller br0 unix:{stack.dir}/ctl") == ""
        client, _ = server.accept()
        with client:
            assert client.recv(8)[1:2] == b"\0"
            client.sendall(bytes.fromhex("0100000800000001"))       # OFPT_HELLO of 1.0
            wait_for(lambda: "is_connected: true" in stack.run("ovs-vsctl show"), "not told to be connected")
            assert stack.run("ovs-vsctl get controller br0 role") == "other\n"
    wait_for(lambda: "is_connected: true" not in stack.run("ovs-vsctl show"), "not told to be gone")
    assert "BACKOFF" in stack.run("ovs-vsctl get controller br0 status:state")
    assert stack.run("ovs-vsctl del-controller br0") == ""


def test_it_answers_version_without_a_database() -> None:
    done = subprocess.run([*OURS, "--version"], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "ovs-vswitchd (Open vSwitch) 3.1.0\n" and not done.stderr


def test_it_starts_with_a_database_nobody_has_initialised(stack: Stack) -> None:
    stack.stop()
    stack.stop("ovsdb-server")
    (stack.dir / "conf.db").unlink()
    stack.start_database(init=False)
    stack.start()
    assert stack.run(ADD) == "" and "p1 1/1: (dummy)" in stack.run("ovs-appctl dpif/show")


def test_how_long_threads_look_for_packets_can_be_set(stack: Stack) -> None:
    stack.run("ovs-vsctl set Open_vSwitch . other_config:pmd-poll-us=77000000")
    log = stack.dir / "ovs-vswitchd.log"
    warning = "|WARN|ignoring pmd-poll-us 77000000: expected 0 to 1000000"
    wait_for(lambda: warning in log.read_text(), "no warning")
    datapaths = Datapaths(clock=WarpClock())
    try:
        before = datapaths.use("netdev").switch
        datapaths.set_poll_us(20)
        assert before.poll_us == datapaths.use("dummy").switch.poll_us == 20
    finally:
        datapaths.close()
