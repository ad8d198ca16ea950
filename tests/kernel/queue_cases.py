"""Cases of queues and of the kernel's queueing, for ``cases.py``."""

from __future__ import annotations

import re

import scenarios
from answers import own
from lab import Wires, sh, switch, until

_SENT = re.compile(r"class htb 1:([0-9a-f]+) .*\n Sent \d+ bytes (\d+) pkt")


def case_queues() -> str:
    """A queue is a class of the device's discipline; without one a packet takes the default's."""
    sh("tc qdisc add dev v2 root handle 1: htb default 1 && "
       "tc class add dev v2 parent 1: classid 1:1 htb rate 1gbit && "
       "tc class add dev v2 parent 1: classid 1:8 htb rate 1gbit")
    try:
        with switch(normal=False) as sw, Wires() as wires:
            bridge = sw["br0"]
            bridge.add_flows(["in_port=v1,actions=set_queue:7,v2,pop_queue,v3",
                              "in_port=v3,actions=enqueue:v2:7",
                              "in_port=v4,actions=set_queue:0xffff,v2"])
            sw.start()
            for n, host in ((5, 1), (4, 3), (3, 4)):
                for _ in range(n):
                    wires.send(host, scenarios.frame(host, 2))
                    until("a frame", lambda: 2 in wires.take())
            told = own(("dump-flows",))
            assert "set(skb_priority(0x10008)),2,set(skb_priority(0)),3" in told, told
            counts = {int(name, 16): int(n) for name, n in _SENT.findall(sh("tc -s class show dev v2"))}
            assert counts == {8: 9, 1: 3}, counts
    finally:
        sh("tc qdisc del dev v2 root")
    return f"{counts[8]} packets by a queue"
