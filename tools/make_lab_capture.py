"""Write examples/lab.pcap: the lab's conversation as frames, for replay without root."""

from __future__ import annotations

from pathlib import Path

from fastpath.io.pcapfile import PcapWriter
from fastpath.testing import frame

CAPTURE = Path(__file__).parent.parent / "examples" / "lab.pcap"
BROADCAST = "ff:ff:ff:ff:ff:ff"


def conversation() -> list[bytes]:
    """ARP and pings h1-h2 and h3-h4, a ping h1-h3 that must not pass, TCP, a telnet attempt."""
    frames = []
    for one, other in ((1, 2), (3, 4)):
        frames.append(frame("arp", src=one, dst=BROADCAST, ip_src=f"10.0.0.{one}", ip_dst=f"10.0.0.{other}"))
        frames.append(frame("arp", src=other, dst=one, op=2))
        for _ in range(3):
            frames += [frame("icmp", src=one, dst=other), frame("icmp", src=other, dst=one, sport=0)]
    frames.append(frame("arp", src=1, dst=BROADCAST, ip_src="10.0.0.1", ip_dst="10.0.0.3"))
    tcp = {"sport": 40001, "dport": 5001}
    back = {"sport": 5001, "dport": 40001}
    frames += [frame("tcp", src=1, dst=2, flags="syn", **tcp),
               frame("tcp", src=2, dst=1, flags="syn|ack", **back),
               frame("tcp", src=1, dst=2, flags="ack", **tcp)]
    for _ in range(50):
        frames += [frame("tcp", src=2, dst=1, flags="ack", payload=b"fastpath" * 180, **back),
                   frame("tcp", src=1, dst=2, flags="ack", **tcp)]
    frames += [frame("tcp", src=1, dst=2, flags="syn", sport=40000, dport=23)] * 3
    return frames


def main() -> None:
    with PcapWriter(CAPTURE) as out:
        for i, each in enumerate(conversation()):
            out.write(each, time_ns=1_700_000_000_000_000_000 + i * 1_000_000)


if __name__ == "__main__":
    main()
