"""Cases of queues and of the kernel's queueing, for ``cases.py``."""

from __future__ import annotations

import re

import scenarios
from answers import own
from lab import Wires, sh, switch, until

from fastpath.io.tc import Root
from fastpath.vswitchd.qos import NO_QOS, QosWanted, QueueWanted
from fastpath.vswitchd.shaping import Shaper

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


_KINDS = {      # a row's settings, and what tc tells of the discipline
    "linux-hfsc": ({"max-rate": "50000000"}, "hfsc 1: root refcnt N default 1"),
    "linux-codel": ({"target": "7000"}, "codel 1: root refcnt N limit 10240p target 7ms interval 100ms"),
    "linux-fq_codel": ({"flows": "16"}, "fq_codel 1: root refcnt N limit 10240p flows 16 quantum 1514"),
    "linux-sfq": ({"perturb": "20"}, "sfq 1: root refcnt N limit 127p quantum 1500b depth 127 divisor 1024 "
                  "perturb 20sec"),
    "linux-netem": ({"latency": "20000", "loss": "20"},
                    "netem 1: root refcnt N limit 1000 delay 20ms loss 20%"),
}


def case_disciplines() -> str:
    """Disciplines of QoS rows follow one another on a device, and go; hfsc has a class for each queue."""
    shaper = Shaper(Root("v2"))
    queues = (QueueWanted(3, None, (("min-rate", "1000000"),)),)
    for kind, (settings, wanted) in _KINDS.items():
        row = QosWanted(kind, tuple(settings.items()), queues)
        assert not list(shaper.apply(row, mtu=1500, bps=10**10, now=0.0))
        told = re.sub(r"refcnt \d+", "refcnt N", sh("tc qdisc show dev v2"))
        assert wanted in told, (wanted, told)
        classes = sh("tc class show dev v2")
        assert ("class hfsc 1:4 parent 1:fffe sc m1 0bit d 0us m2 1Mbit ul m1 0bit d 0us m2 50Mbit" in classes
                ) == (kind == "linux-hfsc"), classes
    assert not list(shaper.apply(NO_QOS, mtu=1500, bps=10**10, now=0.0)) and not Root("v2").classes()
    assert "netem" not in sh("tc qdisc show dev v2")
    return f"{len(_KINDS)} kinds"
