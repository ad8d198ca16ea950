"""TapPort: the host's stack on one side, the switch on the other."""

from __future__ import annotations

import threading

import pytest
from hosts import transfer
from netns import Lab
from wire import eventually, frame

from fastpath.errors import PortError
from fastpath.io import link
from fastpath.io._af_packet import AfPacketPort
from fastpath.io._cable import Cable
from fastpath.io._tap import TapPort


@pytest.fixture
def ns(lab: Lab) -> str:
    return lab.netns("host")


def test_the_device_is_as_asked_and_goes_with_the_port(ns: str) -> None:
    port = TapPort("lan0", netns=ns, mac="02:00:00:00:00:05", mtu=9000)
    assert (port.mac, port.mtu, port.link_up(), port.caps) == ("02:00:00:00:00:05", 9000, True, 1)
    assert "lan0" in link.names(ns)
    assert port.offloads & 7 == 7       # checksum, TSO4, TSO6
    port.close()
    port.close()
    assert "lan0" not in link.names(ns)
    assert not port.link_up()


def test_frames_pass_both_ways_in_order(ns: str) -> None:
    tap = TapPort("lan0", netns=ns, mtu=9000)
    host = AfPacketPort("lan0", netns=ns)           # what the host would see and send
    frames = [frame(i, size) for i, size in enumerate([*range(60, 9014, 171), 2047, 2048, 2049, 9014])]
    assert host.send(frames) == len(frames)
    got: list[tuple[bytes, bytes]] = []
    assert eventually(lambda: got.extend(tap.recv()) or len(got) >= len(frames))
    assert got == [(f, b"") for f in frames]
    assert tap.send(frames) == len(frames)
    back: list[tuple[bytes, bytes]] = []
    assert eventually(lambda: back.extend(host.recv()) or len(back) >= len(frames))
    assert back == [(f, b"") for f in frames]
    stats = tap.stats()
    assert stats["rx_packets"] == stats["tx_packets"] == len(frames)
    host.close()
    tap.close()


def test_a_device_that_is_down_drops_and_counts(ns: str) -> None:
    tap = TapPort("lan0", netns=ns, up=False)
    assert tap.problem == "'lan0' is down (ip link set lan0 up)"
    assert tap.send([frame(1)] * 3) == 0
    assert tap.stats()["tx_dropped"] == 3
    link.set_up("lan0", netns=ns)
    assert tap.send([frame(1)]) == 1
    tap.close()


def test_tcp_passes_whole_both_ways(lab: Lab, ns: str, more: int) -> None:
    far, switch = lab.netns("far"), lab.netns("sw")
    lab.veth(far, "eth0", switch, "p1", address="10.0.0.1/24")
    p1, tap = AfPacketPort("p1", netns=switch), TapPort("lan0", netns=ns)
    link.add_address("lan0", "10.0.0.2/24", netns=ns)
    cable = Cable(p1, tap)
    thread = threading.Thread(target=cable.run, args=(60,))
    thread.start()
    try:
        assert transfer(lab, far, ns, "10.0.0.2", 20 * more)
        assert transfer(lab, ns, far, "10.0.0.1", 20 * more)
    finally:
        cable.stop()
        thread.join()
    for port in (p1, tap):
        assert port.stats()["rx_bytes"] / port.stats()["rx_packets"] > 2000    # large segments both ways
        port.close()


def test_why_a_device_cannot_be_had(lab: Lab, ns: str) -> None:
    lab.veth(ns, "eth0", lab.netns("other"), "eth0")
    tap = TapPort("lan0", netns=ns)
    with pytest.raises(PortError, match="tap port 'x': device 'lan0': another program has it"):
        TapPort("x", ifname="lan0", netns=ns)
    with pytest.raises(PortError, match="tap port 'eth0': device 'eth0': it exists and is not a TAP device"):
        TapPort("eth0", netns=ns)
    with pytest.raises(PortError, match="'a/b' cannot name a network device"):
        TapPort("a/b", netns=ns)
    with pytest.raises(PortError, match="cannot set mtu 1000000: invalid argument"):
        TapPort("lan1", netns=ns, mtu=1000000)
    assert "lan1" not in link.names(ns)
    tap.close()


def test_a_device_made_to_stay_is_taken_over(ns: str) -> None:
    link.add_tap("lan0", netns=ns)
    TapPort("lan0", netns=ns).close()
    assert "lan0" in link.names(ns)
