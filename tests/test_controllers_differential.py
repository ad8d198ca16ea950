"""Real ovs-ofctl against ``Bridge.listen``: what it prints is what it prints of the reference switch."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from reference import Reference, available

import fastpath
from fastpath.errors import ConfigError, PortError

PACKET = "ffffffffffff000000000001080045000020" + "00" * 40
SCRIPT: tuple[tuple[str, ...], ...] = (
    ("add-flow", "table=1,priority=5,cookie=7,ip,nw_src=10.0.0.0/8,actions=mod_nw_ttl:5,output:2"),
    ("add-flow", "in_port=1,hard_timeout=900,send_flow_rem,actions=output:2"),
    ("add-flow", "in_port=2,idle_timeout=100,actions=set_field:5->reg3,resubmit(,1)"),
    ("add-flow", "table=2,tcp,tp_dst=80,dl_vlan=9,actions=strip_vlan,mod_dl_src:00:00:00:00:00:09,normal"),
    ("add-flow", "table=3,ip,actions=ct(commit,zone=5,exec(set_field:1->ct_mark)),in_port"),
    ("add-flow", "table=3,priority=7,ipv6,ipv6_src=fe80::/16,actions="
                 "learn(table=4,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])"),
    ("dump-flows",), ("dump-flows", "ip"), ("dump-flows", "table=1"), ("dump-flows", "cookie=0x7/0xf"),
    ("dump-flows", "out_port=2"), ("dump-aggregate",), ("dump-aggregate", "table=3"),
    ("mod-flows", "table=1,ip,actions=output:1"), ("dump-flows", "table=1"),
    ("--strict", "mod-flows", "table=3,priority=7,ipv6,ipv6_src=fe80::/16,actions=drop"),
    ("dump-flows", "table=3"),
    ("packet-out", f"in_port=1 packet={PACKET} actions=output:2"),
    ("dump-ports", "1"), ("dump-tables",),
    ("add-flow", "in_port=1,actions=group:5"),
    ("add-flow", "table=5,check_overlap,priority=32768,actions=drop"),
    ("add-flow", "table=5,check_overlap,ip,actions=drop"),
    ("packet-out", f"in_port=77 packet={PACKET} actions=output:2"), ("dump-ports", "99"),
    ("del-flows", "cookie=0x7/-1"), ("--strict", "del-flows", "in_port=1"), ("dump-flows",),
    ("del-flows", "out_port=2"), ("del-flows",), ("dump-flows",), ("dump-tables",))

_ONE, _TWO = "{class=0xffff,type=0,len=4}->tun_metadata0", "{class=0x102,type=0x80,len=8}->tun_metadata7"
TLV_SCRIPT: tuple[tuple[str, ...], ...] = (
    ("del-tlv-map",), ("dump-tlv-map",), ("add-tlv-map", f"{_ONE},{_TWO}"), ("dump-tlv-map",),
    ("add-tlv-map", _ONE),
    ("add-tlv-map", "{class=0xffff,type=0,len=4}->tun_metadata1"), ("add-tlv-map", _TWO.replace("8}", "5}")),
    ("add-tlv-map", _TWO.replace("data7", "data64")),
    ("add-tlv-map", "{class=1,type=1,len=0}->tun_metadata2"),
    ("add-flow", "tun_metadata0=0x1234,actions=set_field:0x55->tun_metadata7,output:2"),
    ("add-flow", "tun_metadata7=0x1234567800/0xffffffff00,reg3=1,actions=delete_field:tun_metadata0"),
    ("add-flow", "tun_metadata0,tun_metadata7=0,in_port=1,actions=move:NXM_NX_TUN_METADATA7[8..39]->"
                 "NXM_NX_REG0[],push:NXM_NX_TUN_METADATA0[0..31],set_field:0x70/0xf0->tun_metadata7"),
    ("add-flow", "tun_metadata0=0x123456789a,tun_metadata2,actions=set_field:0x123456789a->tun_metadata0"),
    ("add-flow", "tun_metadata9=1,actions=drop"),
    ("add-flow", "actions=push:NXM_NX_TUN_METADATA0[0..32]"),
    ("dump-flows",), ("dump-flows", "tun_metadata0"), ("dump-flows", "tun_metadata9"),
    ("del-tlv-map",), ("del-tlv-map", _TWO), ("del-flows", "tun_metadata7"), ("dump-flows",), ("del-flows",),
    ("del-tlv-map", _TWO), ("dump-tlv-map",), ("del-tlv-map",), ("dump-tlv-map",))


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[tuple[str, fastpath.Bridge]]:
    with fastpath.Switch(seed=0, realtime=True) as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_port("p1")
        bridge.add_port("p2")
        bridge.listen(f"punix:{tmp_path / 'of.sock'}")
        switch.start(1)
        yield f"unix:{tmp_path / 'of.sock'}", bridge


@pytest.fixture(scope="module")
def theirs() -> Iterator[str]:
    if not available():
        pytest.skip("the reference is not installed")
    with Reference() as ref:
        ref.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail-mode=secure",
                  "protocols=OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15",
                  *(word for n in "12" for word in (
                      "--", "add-port", "br0", f"p{n}", "--", "set", "interface", f"p{n}", "type=dummy",
                      f"ofport_request={n}")))
        yield f"unix:{ref.dir / 'br0.mgmt'}"


def ofctl(target: str, version: int, command: tuple[str, ...]) -> list[str]:
    """What ovs-ofctl prints, without what differs from run to run; rules in order of their text."""
    options = [word for word in command if word.startswith("--")]
    verb, *args = [word for word in command if not word.startswith("--")]
    words = ["ovs-ofctl", "-t", "10", "-O", f"OpenFlow1{version}", *options, verb, target, *args]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    text = re.sub(r"xid=0x[0-9a-f]+", "xid=X", done.stdout + done.stderr)
    text = re.sub(r"(?m)^[-0-9T:.]+Z\|[0-9]+\|", "", text)      # the time a warning was logged
    text = re.sub(r"hard_age=[0-9]+, ", "", text)       # told where it differs from the age by a second
    text = re.sub(r"(duration|idle_age)=[0-9.]+", r"\1=T", text)
    text = re.sub(r"(lookup|matched|pkts|bytes|drop|errs|frame|over|crc|coll)=[0-9?]+", r"\1=N", text)
    lines = [line for line in text.splitlines() if not _DUMMY.search(line)]
    return [f"exit {done.returncode}", *sorted(lines)]


# What only the reference's test devices count.
_DUMMY = re.compile("CUSTOM Statistics|x_custom_packets|x_q0_")


@pytest.mark.parametrize("script", [SCRIPT, TLV_SCRIPT], ids=["flows", "tlvs"])
@pytest.mark.parametrize("version", [0, 3, 4, 5])
def test_ovs_ofctl_prints_the_same_of_us_as_of_the_reference(ours: tuple[str, fastpath.Bridge], theirs: str,
                                                            version: int, script: tuple[tuple[str, ...], ...]
                                                            ) -> None:
    for target in (ours[0], theirs):
        ofctl(target, version, ("del-flows",))
    for command in script:
        assert ofctl(ours[0], version, command) == ofctl(theirs, version, command), command


@pytest.mark.parametrize("version", [0, 3, 5])
def test_a_monitor_sees_the_packets_sent_to_the_controller(ovs_ofctl: str, ours: tuple[str, fastpath.Bridge],
                                                           version: int, tmp_path: Path) -> None:
    target, bridge = ours
    bridge.add_flow("cookie=0x99,in_port=1,actions=set_field:7->reg1,controller")
    child = subprocess.Popen([ovs_ofctl, "-O", f"OpenFlow1{version}", "monitor", target, "65534"],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             env={**os.environ, "OVS_RUNDIR": str(tmp_path)})
    try:
        time.sleep(0.5)
        bridge.port("p1").inject(bytes.fromhex(PACKET))
        assert child.stdout is not None
        seen = ""
        deadline = time.monotonic() + 60
        while "in_port=1" not in seen and time.monotonic() < deadline:
            seen += child.stdout.readline()
    finally:
        child.terminate()
        child.communicate(timeout=60)
    assert "PACKET_IN" in seen and "total_len=58" in seen and "via action" in seen and "reg1=0x7" in seen


def test_a_hundred_connections_come_and_go(ovs_ofctl: str, ours: tuple[str, fastpath.Bridge]) -> None:
    for _ in range(100):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(ours[0].removeprefix("unix:"))
            s.sendall(b"\x04\x00\x00\x08\x00\x00\x00\x01garbage that is none")
    assert ofctl(ours[0], 3, ("dump-flows",))[0] == "exit 0"


def test_addresses_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        with pytest.raises(ConfigError, match=r"expected ptcp:PORT\[:HOST\], pssl:.* or punix:PATH"):
            bridge.listen("tcp:127.0.0.1:6653")
        with pytest.raises(PortError, match="no such file"):
            bridge.listen(f"punix:{tmp_path}/none/x.sock")
        first = bridge.listen("ptcp:0")
        with pytest.raises(PortError, match="in use"):
            bridge.listen(f"ptcp:{first.port}")


def test_the_command_serves_openflow(ovs_ofctl: str, tmp_path: Path) -> None:
    path = tmp_path / "run.sock"
    child = subprocess.Popen([sys.executable, "-m", "fastpath", "run", "--port", "memory:p1", "--quiet",
                              "--listen", f"punix:{path}"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while not path.exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert any(" 1(p1): addr:" in line for line in ofctl(f"unix:{path}", 3, ("show",)))
        assert any("actions=NORMAL" in line for line in ofctl(f"unix:{path}", 5, ("dump-flows",)))
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.communicate(timeout=60)[1] == b"" and child.returncode == 0
    assert not path.exists()


def test_the_command_connects_to_controllers_and_is_managed_by_name(ovs_ofctl: str, tmp_path: Path) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        s.settimeout(20)
        child = subprocess.Popen(
            [sys.executable, "-m", "fastpath", "run", "--port", "memory:p1", "--quiet", "--dpid", "77aa",
             "--flow", "in_port=1,actions=drop",
             "--controller", f"tcp:127.0.0.1:{s.getsockname()[1]}", "--protocols", "OpenFlow10,OpenFlow13",
             "--rundir", str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            peer, _address = s.accept()
            with peer:
                hello = peer.recv(100)
                assert hello[:2] == b"\x04\x00" and hello[-4:] == (1 << 1 | 1 << 4).to_bytes(4, "big")
                done = subprocess.run([ovs_ofctl, "-O", "OpenFlow13", "show", "br0"], text=True, timeout=60,
                                      capture_output=True, env={**os.environ, "OVS_RUNDIR": str(tmp_path)})
                assert "dpid:00000000000077aa" in done.stdout, done
                done = subprocess.run([ovs_ofctl, "dump-flows", "br0"], text=True, timeout=60,
                                      capture_output=True, env={**os.environ, "OVS_RUNDIR": str(tmp_path)})
                assert "in_port=p1 actions=drop" in done.stdout.replace("in_port=1", "in_port=p1"), done
        finally:
            child.send_signal(signal.SIGTERM)
            assert child.communicate(timeout=60)[1] == b"" and child.returncode == 0
