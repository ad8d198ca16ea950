"""fastpath at work: a learning switch with two VLANs and an ACL between four hosts.

As root it makes a network namespace for the switch and one for each host, joins them with veth pairs,
pings, moves a file over TCP and shows what the switch did.  Without root it replays a capture of the same
conversation through the same rules, on memory ports, and says what root would add.

    make run      or      python examples/lab.py [--megabytes N]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from lab_hosts import Host, Lab

import fastpath
from fastpath.cli.table import Sample, table
from fastpath.errors import FastpathError

HOSTS = {"h1": "10.0.0.1/24", "h2": "10.0.0.2/24", "h3": "10.0.0.3/24", "h4": "10.0.0.4/24"}
VLAN = {1: 10, 2: 10, 3: 20, 4: 20}                 # port -> access VLAN
FLOWS = """
# telnet is not for anybody; everything else is switched
table=0,priority=100,tcp,tp_dst=23 actions=drop
table=0,priority=0 actions=resubmit(,1)
table=1,priority=0 actions=NORMAL
"""
TELNET = "in_port=1,tcp,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,nw_src=10.0.0.1,nw_dst=10.0.0.2," \
         "nw_ttl=64,tcp_src=40000,tcp_dst=23,tcp_flags=+syn"
CAPTURE = Path(__file__).with_name("lab.pcap")


def heading(text: str) -> None:
    print(f"\n== {text}")


def configure(switch: fastpath.Switch, kind: str) -> fastpath.Bridge:
    """The bridge of the lab over ports ``p1`` to ``p4`` of *kind* ("memory" or the devices themselves)."""
    bridge = switch.add_bridge("br0")
    for number, tag in VLAN.items():
        bridge.add_port(f"p{number}", f"p{number}" if kind == "device" else None, number=number, tag=tag)
    bridge.add_flows(FLOWS)
    return bridge


def show(bridge: fastpath.Bridge, before: Sample) -> None:
    """What the switch did and knows."""
    switch = bridge.switch
    switch.push_stats()
    heading("rules and what they saw (fastpath dump-flows)")
    print(bridge.dump_flows())
    heading("ports, rates since the start, cache hits")
    print(table(Sample.of(switch), before))
    heading("learned addresses (fastpath fdb)")
    print(bridge.dump_fdb())
    heading("megaflows: what the fast path remembers (fastpath dump-megaflows)")
    print(bridge.dump_megaflows() or "(none)")
    heading("why telnet is dropped (fastpath trace)")
    print(bridge.trace(TELNET))


def report_ping(name: str, times: list[float], expected: bool) -> None:
    got = f"{len(times)} of 3 replies" + (f", best {min(times) * 1e3:.0f} us" if times else "")
    print(f"ping {name:12} {got}")
    if bool(times) != expected:
        raise SystemExit(f"lab: ping {name} should {'work' if expected else 'not work'}")


def converse(h1: Host, h2: Host, h3: Host, h4: Host, megabytes: int) -> None:
    """Pings inside and across VLANs, TCP where allowed and where not."""
    heading("pings: h1 and h2 share VLAN 10, h3 and h4 share VLAN 20")
    report_ping("h1 -> h2", h1.call("ping", "10.0.0.2"), True)
    report_ping("h3 -> h4", h3.call("ping", "10.0.0.4"), True)
    report_ping("h1 -> h3", h1.call("ping", "10.0.0.3"), False)
    heading(f"TCP h1 <- h2, {megabytes} MB, offloads as the kernel sets them")
    h2.ask("serve", 5001, megabytes << 20, False)
    time.sleep(0.2)
    size, seconds, _ = h1.call("fetch", "10.0.0.2", 5001, False)
    h2.answer()
    if size != megabytes << 20:
        raise SystemExit(f"lab: {size} of {megabytes << 20} bytes arrived")
    print(f"{size / 1e6:.0f} MB in {seconds:.2f} s: {size * 8 / seconds / 1e9:.1f} Gb/s")
    h2.ask("serve", 5002, 64 << 20)
    time.sleep(0.2)
    size, _, digest = h1.call("fetch", "10.0.0.2", 5002)
    if h2.answer() != digest:
        raise SystemExit("lab: what arrived is not what was sent")
    print(f"{size / 1e6:.0f} MB hashed on both sides: equal")
    heading("telnet h1 -> h2, which the ACL forbids")
    size, _, reason = h1.call("fetch", "10.0.0.2", 23, False, 1.0)
    print(f"{size} bytes: {reason}")


def with_devices(megabytes: int) -> None:
    """The lab on real ports."""
    with Lab(HOSTS) as lab, fastpath.Switch(seed=0, realtime=True) as switch:
        bridge = configure(switch, "device")
        before = Sample.of(switch)
        switch.start()
        try:
            h1, h2, h3, h4 = lab.hosts
            converse(h1, h2, h3, h4, megabytes)
            show(bridge, before)
        finally:
            switch.stop()


def with_capture() -> None:
    """The same rules on memory ports, fed with a capture of the same conversation."""
    from fastpath.io.pcapfile import read_pcap

    print("not root: replaying examples/lab.pcap through the same rules on memory ports.")
    with fastpath.Switch(seed=0) as switch:
        bridge = configure(switch, "memory")
        before = Sample.of(switch)
        out = 0
        for record in read_pcap(CAPTURE):
            number = record.frame[11]              # hosts of the capture are 02:00:00:00:00:0N
            out += sum(len(frames) for frames in bridge.inject(number, record.frame).values())
            switch.advance(0.001)
        print(f"{out} frames came out.")
        show(bridge, before)
    print("\nas root, this makes four hosts in network namespaces and runs ping and TCP between them.")


def main() -> int:
    """Run the lab; exit status 0 if all went as it should."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000,
                        help="size of the TCP transfer (default %(default)s)")
    parser.add_argument("--capture", action="store_true", help="replay the capture even as root")
    args = parser.parse_args()
    try:
        if os.geteuid() == 0 and Path("/dev/net/tun").exists() and not args.capture:
            with_devices(args.megabytes)
        else:
            with_capture()
    except FastpathError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
