"""What the cases share: namespaces n1 to n4, each with a device e1 to e4 whose other end v1 to v4 is here.

All is made once, as each program started costs a second on an emulated processor; frames go in and come out
by sockets of this process.  IPv6 is off, so that nothing is sent but what a case sends.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastpath.dpif.netlink.kernel import Kernel
from fastpath.io import link
from fastpath.io._af_packet import AfPacketPort
from fastpath.switch import Switch

N = 4
MACS = [f"02:00:00:00:00:0{i}" for i in range(N + 1)]
ADDRESSES = [f"10.0.0.{i}" for i in range(N + 1)]
DEADLINE = 30.0


def sh(command: str) -> str:
    """Run *command* in a shell; what it printed on both outputs."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def pause() -> None:
    """Let others run."""
    time.sleep(0.01)


def until(what: str, met: Callable[[], object], step: Callable[[], object] = pause) -> None:
    """Take steps until a condition is met.  Fails after DEADLINE seconds."""
    end = time.monotonic() + DEADLINE
    while not met():
        assert time.monotonic() < end, f"waited in vain for {what}"
        step()


def make_namespaces() -> None:
    """Make the namespaces and devices, quietly."""
    numbers = range(1, N + 1)
    no_ipv6("/proc/sys/net/ipv6/conf")
    sh("; ".join(f"ip netns add n{i}" for i in numbers))
    for i in numbers:
        with link.in_netns(f"n{i}"):
            no_ipv6("/proc/sys/net/ipv6/conf")
    sh("ip -batch - <<END\n" + "\n".join(
        f"link add v{i} type veth peer name e{i} netns n{i}\nlink set v{i} up" for i in numbers) + "\nEND")
    for i in numbers:
        with link.in_netns(f"n{i}"):
            link.configure("lo", up=True)
            link.configure(f"e{i}", mac=MACS[i], up=True)
    sh("; ".join(f"ip -n n{i} addr add {ADDRESSES[i]}/24 dev e{i}" for i in numbers))


def no_ipv6(folder: str) -> None:
    """Turn IPv6 off for devices to come."""
    for kind in ("all", "default"):
        with open(f"{folder}/{kind}/disable_ipv6", "w") as file:
            file.write("1")


def listener(i: int, port: int) -> socket.socket:
    """A TCP socket that listens in namespace *i*."""
    with link.in_netns(f"n{i}"):
        sock = socket.create_server((ADDRESSES[i], port))
    sock.settimeout(DEADLINE)
    return sock


def dial(i: int, to: int, port: int, timeout: float = DEADLINE) -> socket.socket:
    """A TCP connection from namespace *i* to another."""
    with link.in_netns(f"n{i}"):
        sock = socket.socket()
    sock.settimeout(timeout)
    sock.connect((ADDRESSES[to], port))
    return sock


def datagrams(i: int, port: int) -> socket.socket:
    """A UDP socket of namespace *i*."""
    with link.in_netns(f"n{i}"):
        sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.settimeout(DEADLINE)
    sock.bind((ADDRESSES[i], port))
    return sock


def counters(name: str) -> dict[str, int]:
    """The kernel's own counters of a device here."""
    found = {}
    for kind in ("rx_packets", "tx_packets", "rx_bytes", "tx_bytes"):
        with open(f"/sys/class/net/{name}/statistics/{kind}") as file:
            found[kind] = int(file.read())
    return found


class Wires:
    """The far ends e1 to e4: frames sent there come in by v1 to v4, and back."""

    def __init__(self) -> None:
        self.ends = {i: AfPacketPort(f"e{i}", netns=f"n{i}", ring=False) for i in range(1, N + 1)}

    def send(self, i: int, *frames: bytes) -> None:
        """Have *frames* come in by v*i*."""
        for at in range(0, len(frames), 64):
            self.ends[i].send(list(frames[at:at + 64]))

    def take(self) -> dict[int, list[bytes]]:
        """What came out since the last time, by device."""
        out: dict[int, list[bytes]] = {}
        for i, end in self.ends.items():
            while some := end.recv():
                out.setdefault(i, []).extend(frame for frame, _ in some)
        return out

    def close(self) -> None:
        """Give the devices up."""
        for end in self.ends.values():
            end.close()

    def __enter__(self) -> Wires:
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def switch(*, normal: bool = True, **settings: object) -> Iterator[Switch]:
    """A switch over the kernel with bridge br0 of v1 to v4; afterwards nothing of it is left."""
    with Switch(realtime=True, datapath="system", seed=0, **settings) as sw:      # type: ignore[arg-type]
        bridge = sw.add_bridge("br0", normal=normal)
        for i in range(1, N + 1):
            bridge.add_port(f"v{i}", f"v{i}")
        yield sw
    check_nothing_left()


def check_nothing_left() -> None:
    """No datapath, no device of one, and no device in one."""
    kernel = Kernel()
    assert kernel.dp_dump() == []
    kernel.close()
    assert "ovs-system" not in link.names()
    assert not [line for line in sh("ip -o link").splitlines() if "ovs-system" in line]
