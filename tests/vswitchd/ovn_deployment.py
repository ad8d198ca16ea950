"""OVN on a switch daemon: databases, ovn-northd and ovn-controller of Debian, and a network to give them."""

from __future__ import annotations

import shutil
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from stack import DUMMIES, Stack

from fastpath.testing import frame, mac

HERE = Path(__file__).parent / "ovn"
SCHEMAS = Path("/usr/share/ovn")
PROGRAMS = ("ovn-controller", "ovn-northd", "ovn-nbctl", "ovn-sbctl")
READY_S = 60.0
P1, P2, P3, ROUTER = "50:54:00:00:00:01", "50:54:00:00:00:02", "50:54:00:00:00:03", "00:00:00:00:ff:01"
ALL = "ff:ff:ff:ff:ff:ff"


def has_ovn() -> bool:
    """Whether OVN is installed."""
    return all(map(shutil.which, PROGRAMS)) and SCHEMAS.exists()


def lines(name: str) -> list[str]:
    """The lines of shell in a file."""
    return [line for line in (HERE / name).read_text().splitlines() if line and line[0] != "#"]


class Deployment(Stack):
    """A switch daemon under ``ovn-controller``, with the network of ``network.txt``."""

    def __init__(self, program: tuple[str, ...]) -> None:
        super().__init__(program, *DUMMIES)

    def begin(self) -> None:
        """Start all, and wait until the network is there."""
        self.env |= {"OVN_RUNDIR": str(self.dir), "OVN_LOGDIR": str(self.dir), "OVN_DBDIR": str(self.dir),
                     "OVN_NB_DB": f"unix:{self.dir}/nb.sock", "OVN_SB_DB": f"unix:{self.dir}/sb.sock"}
        super().begin()
        for db in ("nb", "sb"):
            self._must("ovsdb-tool", "create", f"{db}.db", str(SCHEMAS / f"ovn-{db}.ovsschema"))
            self._must("ovsdb-server", f"{db}.db", f"--remote=punix:{self.dir}/{db}.sock", "--detach",
                       "--no-chdir", f"--pidfile={self.dir}/{db}.pid", f"--unixctl={self.dir}/{db}.ctl",
                       "--log-file", "-vconsole:off")
        self._must("ovs-vsctl", "set", "Open_vSwitch", ".", "external-ids:system-id=here",
                   f"external-ids:ovn-remote=unix:{self.dir}/sb.sock", "external-ids:ovn-encap-type=geneve",
                   "external-ids:ovn-encap-ip=127.0.0.1", "external-ids:ovn-bridge-datapath-type=dummy")
        self._must("ovn-northd", "--detach", "--no-chdir", "--pidfile", "--log-file", "-vconsole:off",
                   f"--ovnnb-db=unix:{self.dir}/nb.sock", f"--ovnsb-db=unix:{self.dir}/sb.sock")
        self._must("ovn-controller", "--detach", "--no-chdir", "--pidfile", "--log-file", "-vconsole:off",
                   f"unix:{self.dir}/db.sock")
        for line in lines("network.txt"):
            if wrong := self.run(line):
                raise RuntimeError(f"{line}: {wrong}")
        self._must("ovn-nbctl", "--wait=hv", f"--timeout={READY_S:.0f}", "sync")
        self._wait_for_ports()

    def _wait_for_ports(self) -> None:
        """Until all ports of the network are up: only then packets of theirs are taken."""
        deadline = time.monotonic() + READY_S
        find = "ovn-nbctl --bare --columns=name find logical_switch_port up=false type='\"\"'"
        while self.run(find).strip():
            if time.monotonic() > deadline:
                raise RuntimeError(f"ports stay down: {self.run('ovn-nbctl show')}")
            time.sleep(0.1)
        self._must("ovn-nbctl", "--wait=hv", f"--timeout={READY_S:.0f}", "sync")

    def close(self) -> None:
        """End all of it."""
        for program in ("ovn-controller", "ovn-northd", "nb", "sb"):
            self.stop(program)
        super().close()

    def sent(self) -> dict[str, set[str]]:
        """What each port has sent, as ``ovs-ofctl parse-pcap`` tells it."""
        return {port: set(self.run(f"ovs-ofctl parse-pcap {port}.pcap").splitlines())
                for port in ("p1", "p2", "p3", "p4", "out")}


def _dhcp(kind: int, *options: bytes) -> bytes:
    """A client's message: discover (1) or request (3)."""
    head = struct.pack("!BBBBI20x", 1, 1, 6, 0, 0x01020304) + mac(P1) + bytes(10 + 64 + 128)
    body = head + bytes.fromhex("63825363") + bytes((53, 1, kind)) + b"".join(options) + b"\xff"
    return frame("udp", src=P1, dst=ALL, ip_src="0.0.0.0", ip_dst="255.255.255.255", sport=68, dport=67,
                 payload=body)


def _query(name: str) -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return frame("udp", src=P1, dst=P2, ip_src="10.0.0.1", ip_dst="10.0.0.2", sport=4000, dport=53,
                 payload=struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + struct.pack("!xHH", 1, 1))


def _joins(group: str) -> bytes:
    """IGMPv2: p1 wants what is sent to *group*."""
    body = struct.pack("!BBH4s", 0x16, 0, 0, socket.inet_aton(group))
    total = sum(struct.unpack("!4H", body))
    body = body[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + body[4:]
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 1, 2, 0,
                         socket.inet_aton("10.0.0.1"), socket.inet_aton(group))
    total = sum(struct.unpack("!10H", header))
    header = header[:10] + struct.pack("!H", ~((total & 0xffff) + (total >> 16)) & 0xffff) + header[12:]
    return frame("eth", src=P1, dst="01:00:5e:01:01:01", eth_type=0x800, payload=header + body)


def frames() -> Iterator[tuple[str, str, bytes]]:
    """Name, port and bytes of packets that have OVN do something each."""
    here = {"src": P1, "ip_src": "10.0.0.1"}
    local, routed = {**here, "dst": P2, "ip_dst": "10.0.0.2"}, {**here, "dst": ROUTER, "ip_dst": "20.0.0.3"}
    yield "switched", "p1", frame("udp", **local, sport=1, dport=2)
    yield "of another's address", "p1", frame("udp", **{**local, "ip_src": "10.0.0.9"}, sport=1, dport=2)
    yield "who is the router", "p1", frame("arp", **here, dst=ALL, ip_dst="10.0.0.254")
    yield "routed", "p1", frame("udp", **routed, sport=1, dport=2)
    yield "the router is pinged", "p1", frame("icmp", **{**routed, "ip_dst": "10.0.0.254"}, sport=8, dport=0)
    yield "out of time", "p1", frame("udp", **routed, ttl=1)
    yield "too large", "p1", frame("udp", **routed, sport=9, dport=98, payload=bytes(1200))
    yield "to nobody yet", "p1", frame("udp", **{**routed, "ip_dst": "20.0.0.77"})
    yield "who answers", "p3", frame("arp", src=P3, dst=ROUTER, ip_src="20.0.0.77", ip_dst="20.0.0.254", op=2)
    yield "reset", "p1", frame("tcp", **local, sport=1000, dport=25)
    yield "logged", "p1", frame("udp", **local, sport=9, dport=99)
    yield "discover", "p1", _dhcp(1, bytes((55, 2, 1, 3)))
    yield "request", "p1", _dhcp(3, bytes((50, 4)) + socket.inet_aton("10.0.0.1"))
    yield "a name", "p1", _query("two.example")
    yield "no name", "p1", _query("other.example")
    yield "a group", "p1", _joins("225.1.1.1")
    yield "a broadcast of the outer", "p4", frame("arp", src="50:54:00:00:00:04", dst=ALL, ip_src="30.0.0.4",
                                                  ip_dst="30.0.0.9")
