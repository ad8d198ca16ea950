"""AfPacketPort over veth pairs: frames, tags, unfinished checksums and segments, bursts."""

from __future__ import annotations

import select
import sys

import pytest
from hosts import cabled, transfer
from netns import Lab
from wire import HEADER, drain, frame, raw_socket, tcp_segment, vnet

from fastpath.errors import PortError
from fastpath.io import link
from fastpath.io._af_packet import AfPacketPort
from fastpath.io._cable import Cable
from fastpath.io._memory import MemoryPort

RINGS = pytest.mark.parametrize("ring", [True, False], ids=["ring", "recvmmsg"])
N_SLOTS = 8192


@RINGS
def test_frames_of_every_size_pass_both_ways_in_order(ends: tuple[str, str], ring: bool) -> None:
    host, switch = ends
    port = AfPacketPort("p1", netns=switch, ring=ring)
    assert port.has_ring is ring
    frames = [frame(i, size) for i, size in enumerate([*range(18, 1515, 17), 1514])]
    with raw_socket(host) as sock:
        for f in frames:
            sock.send(f)
        assert drain(port, len(frames)) == [(f, b"") for f in frames]
        assert port.send(frames) == len(frames)
        assert [sock.recv(2000) for _ in frames] == frames
    stats = port.stats()
    assert stats["rx_packets"] == stats["tx_packets"] == len(frames)
    assert stats["rx_bytes"] == stats["tx_bytes"] == sum(map(len, frames))
    assert port.held == 0
    port.close()


@RINGS
@pytest.mark.parametrize("tpid", ["8100", "88a8"])
def test_the_tag_the_kernel_took_off_is_put_back(ends: tuple[str, str], ring: bool, tpid: str) -> None:
    host, switch = ends
    port = AfPacketPort("p1", netns=switch, ring=ring)
    tagged = HEADER + bytes.fromhex(tpid + "6005" + "8100" + "0007" + "88b5") + bytes(60)
    with raw_socket(host) as sock:
        sock.send(tagged)
        assert drain(port, 1) == [(tagged, b"")]
        assert port.send([tagged]) == 1
        got = sock.recv(2000)       # without auxiliary data the outer tag is missing here
    assert got in (tagged, tagged[:12] + tagged[16:])
    port.close()


def test_our_own_frames_do_not_come_back(ends: tuple[str, str]) -> None:
    port = AfPacketPort("p1", netns=ends[1])
    port.send([frame(i) for i in range(10)])
    assert drain(port, 1, timeout_s=0.05) == []
    port.close()


def test_frames_for_others_are_received(ends: tuple[str, str]) -> None:
    stranger = bytes.fromhex("0200000000ff") + frame(1)[6:]
    port = AfPacketPort("p1", netns=ends[1])
    with raw_socket(ends[0]) as sock:
        sock.send(stranger)
        assert drain(port, 1) == [(stranger, b"")]
    port.close()


def test_the_descriptor_tells_of_frames(ends: tuple[str, str]) -> None:
    port = AfPacketPort("p1", netns=ends[1])
    assert not select.select([port.fileno()], [], [], 0)[0]
    with raw_socket(ends[0]) as sock:
        sock.send(frame(1))
    assert select.select([port.fileno()], [], [], 10)[0]
    assert len(drain(port, 1)) == 1
    port.close()


def test_more_than_a_ring_of_frames_is_dropped_and_counted(ends: tuple[str, str]) -> None:
    host, switch = ends
    port = AfPacketPort("p1", netns=switch)
    sender = AfPacketPort("eth0", netns=host)
    n = N_SLOTS + 500
    accepted = sender.send([frame(i) for i in range(n)])
    got = drain(port, N_SLOTS)
    assert [f for f, _ in got] == [frame(i) for i in range(N_SLOTS)]
    assert port.stats()["rx_dropped"] == accepted - N_SLOTS == 500
    assert sender.send([frame(7)]) == 1
    assert drain(port, 1) == [(frame(7), b"")]      # and it goes on
    port.close()
    sender.close()


def test_the_ring_wraps_many_times(ends: tuple[str, str]) -> None:
    host, switch = ends
    port = AfPacketPort("p1", netns=switch)
    sender = AfPacketPort("eth0", netns=host)
    for round_ in range(20):
        frames = [frame(round_ << 16 | i) for i in range(1000)]
        sender.send(frames)
        assert [f for f, _ in drain(port, 1000)] == frames
    assert port.stats()["rx_dropped"] == 0
    port.close()
    sender.close()


@RINGS
@pytest.mark.parametrize(("payload", "gso_size"), [(100, 0), (1460, 0), (3000, 1460), (64000, 1448)])
@pytest.mark.parametrize("tag", ["", "81000005"])
def test_what_a_packet_owes_travels_with_it(ends: tuple[str, str], ring: bool, payload: int, gso_size: int,
                                            tag: str) -> None:
    host, switch = ends
    start = 34 + len(tag) // 2
    segment, owed = tcp_segment(payload, tag), vnet(start, gso_size)
    a, b = AfPacketPort("eth0", netns=host), AfPacketPort("p1", netns=switch, ring=ring)
    assert a.send([segment], [owed]) == 1
    ((got, got_owed),) = drain(b, 1)
    assert got == segment
    assert got_owed[:2] == owed[:2]
    assert got_owed[4:] == owed[4:]                 # segment size and where the checksum goes
    if gso_size:
        assert int.from_bytes(got_owed[2:4], sys.byteorder) == start + 20       # all headers, no more
    assert b.send([got], [got_owed]) == 1           # and the kernel takes it back as it came
    assert drain(a, 1) == [(segment, got_owed)]
    a.close()
    b.close()


@RINGS
def test_large_and_small_frames_keep_their_order(ends: tuple[str, str], ring: bool) -> None:
    host, switch = ends
    a, b = AfPacketPort("eth0", netns=host), AfPacketPort("p1", netns=switch, ring=ring)
    frames, owed = [], []
    for i in range(100):
        large = i % 3 != 0
        frames.append(tcp_segment(5000 + i) if large else frame(i))
        owed.append(vnet(34, 1460) if large else b"")
    assert a.send(frames, owed) == 100
    assert [f for f, _ in drain(b, 100)] == frames
    a.close()
    b.close()


@RINGS
def test_tcp_passes_whole_with_offloads_on(lab: Lab, hosts: tuple[str, str, str], ring: bool,
                                           more: int) -> None:
    h1, h2, switch = hosts
    p1, p2 = (AfPacketPort(name, netns=switch, ring=ring) for name in ("p1", "p2"))
    with cabled(p1, p2):
        assert transfer(lab, h1, h2, "10.0.0.2", 30 * more)
    stats = p1.stats()
    assert stats["rx_bytes"] / stats["rx_packets"] > 3000       # it went in large segments
    assert stats["rx_errors"] == 0
    assert p1.held == p2.held == 0
    p1.close()
    p2.close()


def test_tcp_passes_whole_over_a_vlan(lab: Lab, hosts: tuple[str, str, str]) -> None:
    h1, h2, switch = hosts
    for i, host in enumerate((h1, h2), 1):
        try:
            link.add_vlan("eth0.5", "eth0", 5, netns=host)
        except PortError as error:
            pytest.skip(f"kernel without VLAN devices: {error}")
        link.add_address("eth0.5", f"10.5.0.{i}/24", netns=host)
    p1, p2 = (AfPacketPort(name, netns=switch) for name in ("p1", "p2"))
    with cabled(p1, p2):
        assert transfer(lab, h1, h2, "10.5.0.2", 10)
    p1.close()
    p2.close()


def test_a_port_without_offload_gets_no_unfinished_packet(hosts: tuple[str, str, str]) -> None:
    h1, _, switch = hosts
    sender, p1 = AfPacketPort("eth0", netns=h1), AfPacketPort("p1", netns=switch)
    memory = MemoryPort("m")
    sender.send([tcp_segment(3000), frame(1)], [vnet(34, 1460), b""])
    assert Cable(p1, memory).run(0.05) == 2
    assert memory.take() == [frame(1)]
    assert memory.stats()["tx_dropped"] == 1
    sender.close()
    p1.close()


def test_segments_reach_a_device_that_cannot_cut_them(lab: Lab, ends: tuple[str, str]) -> None:
    host, switch = ends
    lab.run(switch, "ethtool", "-K", "p1", "tso", "off", "gso", "off")
    port, receiver = AfPacketPort("p1", netns=switch), AfPacketPort("eth0", netns=host)
    small, large = frame(1), tcp_segment(3000)
    assert port.send([small, large, small, large], [b"", vnet(34, 1000)] * 2) == 4
    assert [len(f) for f, _ in drain(receiver, 8)] == [60, 1054, 1054, 1054] * 2
    port.close()
    receiver.close()
