"""The transmit ring of AF_PACKET ports: frames refused, slots the device keeps, order across both."""

from __future__ import annotations

import subprocess

import pytest
from netns import Lab
from wire import drain, frame

from fastpath.io._af_packet import AfPacketPort


def test_a_frame_refused_among_many_leaves_alone(ends: tuple[str, str]) -> None:
    host, switch = ends
    port, b = AfPacketPort("p1", netns=switch), AfPacketPort("eth0", netns=host)
    frames = [frame(i, 2500 if i % 7 == 3 else 5 if i % 7 == 5 else 60) for i in range(2000)]
    good = [f for f in frames if 18 <= len(f) <= 1518]
    assert port.send(frames) == len(good)
    assert [f for f, _ in drain(b, len(good))] == good
    assert port.stats()["tx_errors"] == len(frames) - len(good)
    port.close()
    b.close()


def test_frames_that_the_device_keeps_waiting_keep_their_order(lab: Lab, ends: tuple[str, str]) -> None:
    host, switch = ends
    try:
        lab.run(switch, "tc", "qdisc", "replace", "dev", "p1", "root",
                "tbf", "rate", "2mbit", "burst", "2kb", "limit", "1000000")
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"no token bucket here: {error}")
    port, b = AfPacketPort("p1", netns=switch, qdisc_bypass=False), AfPacketPort("eth0", netns=host)
    frames = [frame(i) for i in range(500)]     # more than the ring has slots
    assert port.send(frames) == len(frames)
    assert [f for f, _ in drain(b, len(frames))] == frames
    port.close()
    b.close()
