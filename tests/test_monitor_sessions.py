"""``ovs-ofctl monitor`` with all its options, driven over its control socket: it prints of us what it prints
of the reference while rules, ports and packets come and go.

A run takes a version for each way to monitor; ``--more 6`` takes all.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ofctl_pair import ofctl, our_bridge, plain, reference_bridge

THEIRS, OURS = ("ovs-ofctl",), (sys.executable, "-m", "fastpath.cli.main", "ofctl")
FRAME = "ffffffffffff0000000000010800450000200000000001118cc90a0000010a00000200010002000c0000" + "00" * 30
EVENTS = (
    ("add-flow", "in_port=1,actions=controller"),
    ("packet-out", f"in_port=1 packet={FRAME} actions=controller"),
    ("packet-out", f"in_port=1 packet={FRAME} actions=table"),
    ("add-flow", "table=3,ip,cookie=7,send_flow_rem,actions=output:2"),
    ("mod-flows", "table=3,ip,actions=output:1"), ("mod-port", "p1", "no-flood"), ("mod-port", "p1", "flood"),
    ("mod-port", "p1", "no-receive"), ("mod-port", "p1", "receive"),
    ("packet-out", f"in_port=2 packet={FRAME} actions=resubmit(,5)"),
    ("packet-out", f"in_port=2 packet={FRAME} actions=dec_ttl,controller(reason=no_match,max_len=20,id=0,"
                   "userdata=01.02.03,pause),output:1"),
    ("del-flows", "table=3"), ("del-flows",))
# A hello too many, an echo request, and three others, in the version that is spoken where that is left open.
SAID = ("0100000800000001", "{:02x}02000c0000000101020304", "{:02x}05000800000002", "{:02x}07000800000003",
        "{:02x}14000800000004")
WAYS = (
    (), ("65534",), ("20",), ("128", "invalid_ttl"), ("65534", "watch:"), ("65534", "watch:table=3,!initial"),
    ("watch:!actions,out_port=2",), ("watch:!add,!own,ip",), ("-Pstandard", "65534"),
    ("-Pnxt_packet_in", "65534"), ("-Pnxt_packet_in2", "65534"), ("-Pbogus",), ("-m", "65534"),
    ("-mm", "65534"), ("--timestamp", "65534"), ("--names", "65534", "watch:"),
    ("--no-names", "65534", "watch:"), ("65534", "resume"), ("bogus",), ("watch:bogus=1",),
    ("watch:table=300",))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with reference_bridge() as theirs, our_bridge(tmp_path_factory.mktemp("ours")) as (ours, _bridge):
        yield ours, theirs


def ask(control: Path, *words: str) -> None:
    subprocess.run(["ovs-appctl", "-t", str(control), *words], capture_output=True, timeout=60)


def monitored(target: str, version: int, way: tuple[str, ...], folder: Path, tool: tuple[str, ...] = THEIRS
              ) -> list[str]:
    """What a monitor of *target*, of *tool*, prints."""
    folder.mkdir()
    control, out = folder / "ctl", folder / "out"
    ofctl(target, 4, ("del-flows",))
    ofctl(target, 4, ("add-flow", "table=5,priority=3,actions=drop"))
    options = [word for word in way if word.startswith("-")]
    args = [word for word in way if not word.startswith("-")]
    with out.open("w") as file:
        child = subprocess.Popen(
            [*tool, "-t", "30", "-O", f"OpenFlow1{version}", f"--unixctl={control}", *options,
             "monitor", target, *args], stdout=file, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 60
            while not control.exists() and child.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            if child.poll() is None:
                drive(target, version, control)
            status = child.wait(20)
        finally:
            child.kill()
            child.wait()
    return plain(status, out.read_text().replace("fastpath ofctl: ", "ovs-ofctl: "), sort=False)


def drive(target: str, version: int, control: Path) -> None:
    """Have things happen, the monitor saying some of them; then it ends."""
    ask(control, "ofctl/barrier")
    for event in EVENTS:
        ofctl(target, version, event)
    ask(control, "ofctl/barrier")
    for text in SAID:
        ask(control, "ofctl/send", text.format(version + 1))
    ask(control, "ofctl/barrier")
    ask(control, "exit")


@pytest.mark.parametrize("place", range(len(WAYS)), ids=[" ".join(way) or "nothing" for way in WAYS])
def test_a_monitor_prints_the_same(both: tuple[str, str], tmp_path: Path, place: int, more: int) -> None:
    with ThreadPoolExecutor(2) as pool:
        for version in ((place + extra) % 6 for extra in range(min(more, 6))):
            one, other = pool.map(
                lambda pair, v=version: monitored(pair[1], v, WAYS[place], tmp_path / f"{v}{pair[0]}"),
                zip(("ours", "theirs"), both, strict=True))
            # Of several sockets that are ready at once, which the monitor reads first is not said.
            assert sorted(one) == sorted(other), version
            assert len(one) > 10 or one[0] != "exit 0"


@pytest.mark.parametrize("place", range(len(WAYS)), ids=[" ".join(way) or "nothing" for way in WAYS])
def test_our_own_monitor_prints_what_the_reference_s_does(both: tuple[str, str], tmp_path: Path, place: int,
                                                          more: int) -> None:
    for version in ((place + 3 + extra) % 6 for extra in range(min(more, 6))):
        one, other = (monitored(both[0], version, WAYS[place], tmp_path / f"{version}{len(tool)}", tool)
                      for tool in (OURS, THEIRS))
        # Ours warns of headers alone.
        other = re.sub(r"(?!ofp_msgs)\b[a-z_]+\|WARN\|.*\n", "", "\n".join(other)).split("\n")
        assert sorted(one) == sorted(other), version
