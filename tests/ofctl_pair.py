"""Two switches for one script of ovs-ofctl commands: ours, over ``Bridge.listen``, and the reference's."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from interop.reference import Reference, available

import fastpath
from fastpath.errors import OpenFlowError
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.table import Frame, decode, encode

VERSIONS = "OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15"
LOCAL = 65534
# What only the reference's test devices count; and what its tool has against its switch's own word for the
# miss of a table that OpenFlow 1.4 configured.
_DUMMY = re.compile("CUSTOM Statistics|x_custom_packets|x_q0_|bad table miss config 3")
_COLOR = r"(?:\x1b\[[0-9;]*[mK])*"
_VARYING = (
    (r"unix:\S+", "unix:PATH"),
    (r"(?m)^[-0-9T:.]+Z\|[0-9]{5}\|(timeval|coverage)\|.*\n", ""),    # how busy the machine is
    (r"[-0-9T:.]+Z\|[0-9]{5}\|", ""),                               # when a warning was logged
    (r"ovs-ofctl\.[0-9]+\.ctl", "ovs-ofctl.ctl"), (r"time=[0-9.]+ ms", "time=T"),
    (r"Finished in .*", "Finished"), (r"(?m)^[-0-9]{10} [:.0-9]{12}: ", "TIME: "),
    (r"xid=0x[0-9a-f]+", "xid=X"), (rf"(duration|idle_age)=({_COLOR})[0-9.]+", r"\1=\2T"),
    (r"duration[0-9]+(\.[0-9]{1,3})?s", "durationT"),               # of removed rules, in milliseconds
    (r"hard_age=[0-9]+, ", ""),         # told where it differs from the age by a second
    (r"duration:[0-9]+\.[0-9]{1,3}s", "duration:T"), (r"(addr|dpid):[0-9a-f:]+", r"\1:A"),
    (r"(lookup|matched|pkts|bytes|drop|errs|frame|over|crc|coll)=[0-9?]+", r"\1=N"))


def ofctl(target: str, version: int, command: tuple[str, ...], text: str | None = None, *,
          folder: Path | None = None) -> list[str]:
    """What ovs-ofctl prints, without what differs from run to run; lines in order of their text where it was
    not asked to sort.  The switch comes after the verb, or where *command* has SWITCH; *folder* has files."""
    words = words_of(target, command)
    done = subprocess.run(["ovs-ofctl", "-t", "10", "-O", f"OpenFlow1{version}", *words], text=True,
                          input=text, capture_output=True, timeout=30, cwd=folder)
    return plain(done.returncode, done.stdout + done.stderr, sort=not any("sort" in word for word in words))


def words_of(target: str, command: tuple[str, ...]) -> list[str]:
    """Options, verb and arguments of *command* with the switch at its place."""
    options = [word for word in command if word.startswith("-") and word != "-"]
    verb, *args = [word for word in command if not word.startswith("-") or word == "-"]
    if verb != "diff-flows" and "SWITCH" not in args:
        args.insert(0, "SWITCH")
    return [*options, verb, *(target if word == "SWITCH" else word for word in args)]


def plain(status: int, out: str, *, sort: bool = True) -> list[str]:
    """Status and lines of *out* in order, without what differs from run to run."""
    for pattern, replacement in _VARYING:
        out = re.sub(pattern, replacement, out)
    lines = [line for line in out.splitlines() if not _DUMMY.search(line)]
    return [f"exit {status}", *(sorted(lines) if sort else lines)]


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
        for port in bridge.ports:
            port.queues.set(0)              # which the reference's test devices have
        bridge.listen(f"punix:{folder / 'of.sock'}")
        switch.start(1)
        yield f"unix:{folder / 'of.sock'}", bridge


class Raw:
    """A connection that says what it is told to *target*, byte for byte, in OpenFlow *version* (wire)."""

    def __init__(self, target: str, version: int) -> None:
        self.version, self._data, self._xid = version, b"", 1000
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(target.removeprefix("unix:"))
        self.send(basic.Hello())

    def send(self, message: object, xid: int = 1) -> None:
        """Send *message*: an object, or bytes of a whole one."""
        self._socket.sendall(message if isinstance(message, bytes) else encode(message, self.version, xid))

    def send_barrier(self, xid: int) -> None:
        self.send(basic.BarrierRequest(), xid)

    def next_bytes(self) -> bytes:
        """The next message as it came."""
        while len(self._data) < 8 or len(self._data) < int.from_bytes(self._data[2:4], "big"):
            more = self._socket.recv(1 << 16)
            if not more:
                raise ConnectionError("closed")
            self._data += more
        size = int.from_bytes(self._data[2:4], "big")
        data, self._data = self._data[:size], self._data[size:]
        return data

    def next(self) -> Frame | bytes:
        """The next message, bytes if it cannot be decoded."""
        data = self.next_bytes()
        try:
            return decode(data)
        except OpenFlowError:
            return data

    def said(self) -> list[Frame | bytes]:
        """Everything up to the answer to a barrier sent now, without hellos."""
        self._xid += 1
        self.send(basic.BarrierRequest(), self._xid)
        out: list[Frame | bytes] = []
        while True:
            got = self.next()
            if isinstance(got, Frame):
                if isinstance(got.message, basic.BarrierReply) and got.xid == self._xid:
                    return out
                if isinstance(got.message, basic.Hello):
                    continue
            out.append(got)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()


def answers(target: str, version: int, messages: Iterable[object]) -> list[Frame | bytes]:
    """What *target* answers to *messages*, sent one after the other with xids from 1 on."""
    with Raw(target, version) as peer:
        for xid, message in enumerate(messages, 1):
            peer.send(message, xid)
        return peer.said()


def compare(ours: str, theirs: str, version: int, script: Iterable[tuple[str, ...]]) -> None:
    """Fail at the first command of *script* that prints another text of one than of the other."""
    for command in script:
        assert ofctl(ours, version, command) == ofctl(theirs, version, command), command
