"""OVN's own controller on our daemon: its network is set up, and packets fare, as with the reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from ovn_deployment import Deployment, frames, has_ovn, lines
from reference import available
from stack import OURS, THEIRS

ANSWERS_S = 60.0
# What shows that OVN was asked and its answer went out: by port, words of the packet.
EXPECTED = {
    "p1": ("arp_op=2,arp_sha=00:00:00:00:ff:01", "icmp_type=0,icmp_code=0", "icmp_type=11",
           "icmp_type=3,icmp_code=4", "tp_src=67,tp_dst=68", "tp_src=53,tp_dst=4000",
           "tp_src=25,tp_dst=1000"),
    "p2": ("tp_src=1,tp_dst=2",),
    "p3": ("nw_src=10.0.0.1,nw_dst=20.0.0.3", "arp_tpa=20.0.0.77,arp_op=1"),
    "out": ("arp_spa=30.0.0.4,arp_tpa=30.0.0.9",),
}


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Deployment, Deployment]]:
    """The network on our daemon and on the reference."""
    if not (available() and has_ovn()):
        pytest.skip("needs the reference switch and OVN")
    with ThreadPoolExecutor(2) as pool:
        starts = [pool.submit(Deployment, program) for program in (OURS, THEIRS)]
        started = [start.result() for start in starts if start.exception() is None]
    try:
        for start in starts:
            start.result()
        yield started[0], started[1]
    finally:
        for deployment in started:
            deployment.close()


def test_its_packets_and_tables_are_those_of_the_reference(both: tuple[Deployment, Deployment]) -> None:
    for name, port, data in frames():
        for deployment in both:
            wrong = deployment.run(f"ovs-appctl netdev-dummy/receive {port} {data.hex()}")
            assert not wrong, (name, wrong)
    ours, theirs = _settled(both, Deployment.sent, lambda sent: not _missing(sent))
    assert ours == theirs
    assert not _missing(ours), ours
    for line in lines("questions.txt"):
        ours, theirs = _settled(both, partial(_ask, line))
        assert ours == theirs, line


def _ask(line: str, deployment: Deployment) -> list[str]:
    """What a line of shell answers, in no order."""
    return sorted(deployment.run(line).splitlines())


def _settled(both: tuple[Deployment, Deployment], ask: Callable[[Deployment], Any],
             is_whole: Callable[[Any], bool] = lambda answer: True) -> tuple[Any, Any]:
    """What both answer, once that is the same and whole, or time is up: OVN takes its time."""
    deadline = time.monotonic() + ANSWERS_S
    while True:
        ours, theirs = map(ask, both)
        if (ours == theirs and is_whole(ours)) or time.monotonic() > deadline:
            return ours, theirs
        time.sleep(0.2)


def _missing(sent: dict[str, set[str]]) -> list[tuple[str, str]]:
    """What of the expected was not sent."""
    return [(port, word) for port, words in EXPECTED.items() for word in words
            if not any(word in line for line in sent[port])]
