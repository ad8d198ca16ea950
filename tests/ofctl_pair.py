"""Two switches for one script of ovs-ofctl commands: ours, over ``Bridge.listen``, and the reference's."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from interop.reference import Reference, available

import fastpath

VERSIONS = "OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15"
LOCAL = 65534
# What only the reference's test devices count.
_DUMMY = re.compile("CUSTOM Statistics|x_custom_packets|x_q0_")
_VARYING = (
    (r"xid=0x[0-9a-f]+", "xid=X"), (r"(duration|idle_age|hard_age)=[0-9.]+", r"\1=T"),
    (r"duration:[0-9]+\.[0-9]{1,3}s", "duration:T"), (r"(addr|dpid):[0-9a-f:]+", r"\1:A"),
    (r"(lookup|matched|pkts|bytes|drop|errs|frame|over|crc|coll)=[0-9?]+", r"\1=N"))


def ofctl(target: str, version: int, command: tuple[str, ...], text: str | None = None) -> list[str]:
    """What ovs-ofctl prints, without what differs from run to run; lines in order of their text."""
    options = [word for word in command if word.startswith("--")]
    verb, *args = [word for word in command if not word.startswith("--")]
    words = ["ovs-ofctl", "-t", "10", "-O", f"OpenFlow1{version}", *options, verb, target, *args]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, input=text)
    out = done.stdout + done.stderr
    for pattern, replacement in _VARYING:
        out = re.sub(pattern, replacement, out)
    return [f"exit {done.returncode}", *sorted(line for line in out.splitlines() if not _DUMMY.search(line))]


@contextmanager
def reference_bridge(n_ports: int = 2) -> Iterator[str]:
    """What ovs-ofctl is told of a bridge of the reference with ports p1, p2, ...; skips without one."""
    if not available():
        pytest.skip("the reference is not installed")
    with Reference() as ref:
        ref.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail-mode=secure",
                  f"protocols={VERSIONS}", *(word for n in range(1, n_ports + 1) for word in (
                      "--", "add-port", "br0", f"p{n}", "--", "set", "interface", f"p{n}", "type=dummy",
                      f"ofport_request={n}")))
        yield f"unix:{ref.dir / 'br0.mgmt'}"


@contextmanager
def our_bridge(folder: Path, n_ports: int = 2) -> Iterator[tuple[str, fastpath.Bridge]]:
    """The same of a bridge of ours that does as the reference where that is worse."""
    with fastpath.Switch(seed=0, realtime=True, strict=True) as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_port("br0", number=LOCAL)
        for n in range(1, n_ports + 1):
            bridge.add_port(f"p{n}")
        bridge.listen(f"punix:{folder / 'of.sock'}")
        switch.start(1)
        yield f"unix:{folder / 'of.sock'}", bridge


def compare(ours: str, theirs: str, version: int, script: Iterable[tuple[str, ...]]) -> None:
    """Fail at the first command of *script* that prints another text of one than of the other."""
    for command in script:
        assert ofctl(ours, version, command) == ofctl(theirs, version, command), command
