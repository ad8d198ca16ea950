"""AfXdpPort over veth pairs: frames, tags and unfinished checksums, chunks that come back, a clean end."""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hosts import cabled, transfer
from netns import Lab
from wire import HEADER, drain, eventually, frame, raw_socket, tcp_segment, vnet

from fastpath._flow import FlowKey
from fastpath.dpif.actions import Output
from fastpath.dpif.provider import FlowPut
from fastpath.dpif.userspace import UserspaceDpif
from fastpath.errors import PortError
from fastpath.io import bpf, link
from fastpath.io._af_packet import AfPacketPort
from fastpath.io._af_xdp import AfXdpPort
from fastpath.io._cable import Cable
from fastpath.io.port import open_port

N_SLOTS = 2048
MODES = pytest.mark.parametrize("native", [True, False], ids=["native", "generic"])


@pytest.fixture(autouse=True)
def afxdp() -> None:
    try:
        socket.socket(44, socket.SOCK_RAW, 0).close()
    except OSError as error:
        pytest.skip(f"no AF_XDP here: {error}")


@MODES
def test_frames_of_every_size_pass_both_ways_in_order(ends: tuple[str, str], native: bool) -> None:
    host, switch = ends
    port = AfXdpPort("p1", netns=switch, native=native)
    assert (port.native, port.zero_copy) == (native, False)
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
    assert stats["rx_dropped"] == stats["tx_dropped"] == port.held == 0
    port.close()


def test_the_host_sees_no_frame_while_the_port_is_open_and_all_afterwards(ends: tuple[str, str]) -> None:
    host, switch = ends
    with link.in_netns(switch):
        stack = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        stack.bind(("p1", 3))
    with stack, raw_socket(host) as sock:
        stack.settimeout(10)
        port = AfXdpPort("p1", netns=switch)
        sock.send(frame(1))
        assert drain(port, 1) == [(frame(1), b"")]
        port.close()
        sock.send(frame(2))
        assert stack.recv(2000) == frame(2)


def test_the_descriptor_tells_of_frames(ends: tuple[str, str]) -> None:
    port = AfXdpPort("p1", netns=ends[1])
    assert not select.select([port.fileno()], [], [], 0)[0]
    with raw_socket(ends[0]) as sock:
        sock.send(frame(1))
    assert select.select([port.fileno()], [], [], 10)[0]
    assert len(drain(port, 1)) == 1
    port.close()


def test_more_than_a_ring_of_frames_is_dropped_and_counted(ends: tuple[str, str]) -> None:
    host, switch = ends
    port, sender = AfXdpPort("p1", netns=switch), AfPacketPort("eth0", netns=host)
    accepted = sender.send([frame(i) for i in range(N_SLOTS + 300)])
    assert [f for f, _ in drain(port, N_SLOTS)] == [frame(i) for i in range(N_SLOTS)]
    assert port.stats()["rx_dropped"] == accepted - N_SLOTS == 300
    assert sender.send([frame(7)]) == 1
    assert drain(port, 1) == [(frame(7), b"")]      # and it goes on
    port.close()
    sender.close()


def test_the_rings_wrap_many_times_both_ways(ends: tuple[str, str]) -> None:
    host, switch = ends
    port, sender = AfXdpPort("p1", netns=switch), AfPacketPort("eth0", netns=host)
    for round_ in range(12):
        frames = [frame(round_ << 16 | i) for i in range(1000)]
        sender.send(frames)
        assert [f for f, _ in drain(port, 1000)] == frames
        assert port.send(frames) == 1000
        assert [f for f, _ in drain(sender, 1000)] == frames
    assert port.stats()["rx_dropped"] == port.stats()["tx_dropped"] == port.held == 0
    port.close()
    sender.close()


@contextmanager
def tags_taken_off(netns: str, tci: int, kind: int) -> Iterator[None]:
    """Have all that leaves eth0 carry a tag beside the frame, as a VLAN device's packets do."""
    program = [bpf.Insn(bpf.MOV_IMM, 2, imm=socket.htons(kind)), bpf.Insn(bpf.MOV_IMM, 3, imm=tci),
               bpf.Insn(bpf.CALL, imm=18),          # bpf_skb_vlan_push
               bpf.Insn(bpf.MOV_IMM, 0), bpf.Insn(bpf.EXIT)]
    with pytest.MonkeyPatch.context() as patch, link.in_netns(netns):
        patch.setattr(bpf, "PROG_TYPE_XDP", 3)      # sched_cls, at its tcx egress hook
        patch.setattr(bpf, "ATTACH_XDP", 47)
        try:
            attached = bpf._attach(program, socket.if_nametoindex("eth0"), 0)
        except OSError as error:
            pytest.skip(f"no tcx here: {error}")
    yield
    os.close(attached.link_fd)


@pytest.mark.parametrize("kind", [0x8100, 0x88A8])
def test_the_tag_the_kernel_took_off_is_put_back(ends: tuple[str, str], kind: int) -> None:
    host, switch = ends
    port = AfXdpPort("p1", netns=switch, native=True)
    if not port.keeps_tags:
        port.close()
        pytest.skip("this kernel does not tell XDP programs of tags")
    assert port.caution is None
    with raw_socket(host) as sock, tags_taken_off(host, 0x6005, kind):
        for size in (60, 1000, 1514):
            sock.send(frame(size, size))
            plain = frame(size, size)
            assert drain(port, 1) == [(plain[:12] + struct.pack("!HH", kind, 0x6005) + plain[12:], b"")]
        tagged = HEADER + bytes.fromhex("81000007" "88b5") + bytes(60)
        sock.send(tagged)               # one in the frame, one beside it
        assert drain(port, 1) == [(tagged[:12] + struct.pack("!HH", kind, 0x6005) + tagged[12:], b"")]
    port.close()


def test_where_tags_are_lost_the_port_says_so(ends: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf, "_tag_function", lambda: None)
    port = AfXdpPort("p1", netns=ends[1])
    assert not port.keeps_tags
    assert "frames lose their VLAN tag" in str(port.caution)
    assert "at its peer: ethtool -K PEER txvlan off" in str(port.caution)
    port.close()


@MODES
@pytest.mark.parametrize("tag", ["", "81000005"])
def test_an_unfinished_checksum_travels_with_its_packet(ends: tuple[str, str], native: bool,
                                                        tag: str) -> None:
    host, switch = ends
    start = 34 + len(tag) // 2
    segment, owed = tcp_segment(1400, tag), vnet(start)
    a, b = AfPacketPort("eth0", netns=host), AfXdpPort("p1", netns=switch, native=native)
    assert a.send([segment], [owed]) == 1
    assert drain(b, 1) == [(segment, owed)]
    if b.caps:                          # the kernel takes it unfinished
        assert b.send([segment], [owed]) == 1
        assert drain(a, 1) == [(segment, owed)]
    else:
        assert b.send([segment], [owed]) == 0
        assert b.stats()["tx_errors"] == 1
    a.close()
    b.close()


@contextmanager
def switched(first: str, second: str) -> Iterator[UserspaceDpif]:
    """A datapath thread between two ports, given as --port takes them."""
    dpif = UserspaceDpif(seed=0)
    ports = [open_port(spec) for spec in (first, second)]
    for number, port in enumerate(ports, 1):
        dpif.port_add(port, number)
    mask = FlowKey(in_port=0xFFFFFFFF, recirc_id=0xFFFFFFFF)
    dpif.operate([FlowPut(FlowKey(in_port=a), mask, (Output(b),)) for a, b in ((1, 2), (2, 1))])
    dpif.start_threads(1)
    yield dpif
    dpif.stop_threads()
    for number, port in enumerate(ports, 1):
        dpif.port_del(number)
        port.close()


@pytest.mark.parametrize("kinds", [("afxdp", "afxdp"), ("afxdp", "af_packet"), ("af_packet", "afxdp")],
                         ids="-".join)
def test_tcp_passes_whole(lab: Lab, hosts: tuple[str, str, str], kinds: tuple[str, str]) -> None:
    h1, h2, switch = hosts
    with switched(*(f"{kind}:p{i},netns={switch}" for i, kind in enumerate(kinds, 1))):
        assert transfer(lab, h1, h2, "10.0.0.2", 10)


def test_udp_passes_with_its_checksum_right(lab: Lab, hosts: tuple[str, str, str]) -> None:
    h1, h2, switch = hosts
    server = "import socket; s = socket.socket(2, 2); s.bind(('', 5002)); print('ready', flush=True)\n" \
             "for _ in range(50): d, a = s.recvfrom(9000); s.sendto(d, a)"
    client = "import socket, os; s = socket.socket(2, 2); s.settimeout(10)\n" \
             "for n in range(50):\n  d = os.urandom(n * 29 + 1); s.sendto(d, ('10.0.0.2', 5002))\n" \
             "  assert s.recvfrom(9000)[0] == d\n"
    with switched(f"afxdp:p1,netns={switch}", f"afxdp:p2,netns={switch}"):
        listening = lab.spawn(h2, sys.executable, "-c", server)
        assert listening.stdout
        assert listening.stdout.readline() == "ready\n"
        lab.run(h1, sys.executable, "-c", client)


def test_ports_share_their_memory_and_send_from_it(lab: Lab, hosts: tuple[str, str, str]) -> None:
    h1, h2, switch = hosts
    p1, p2 = AfXdpPort("p1", netns=switch), AfXdpPort("p2", netns=switch)
    assert p1.umem is p2.umem
    umem = p1.umem
    with cabled(p1, p2):
        assert transfer(lab, h1, h2, "10.0.0.2", 10)
    assert p1.held == p2.held == 0
    p1.close()
    with raw_socket(h2) as sock:            # the other goes on, from the memory of both
        sock.send(frame(1))
        assert drain(p2, 1) == [(frame(1), b"")]
        assert p2.send([frame(2)]) == 1
        assert sock.recv(2000) == frame(2)
    p2.close()
    assert umem.n_free == umem.n_chunks     # no chunk was lost on the way


def test_memory_is_of_no_port_once_all_are_closed_and_opened_again(ends: tuple[str, str]) -> None:
    host, switch = ends
    for i in range(5):                      # the kernel may still be at the last one's end: it is waited for
        port = AfXdpPort("p1", netns=switch)
        with raw_socket(host) as sock:
            sock.send(frame(i))
            assert drain(port, 1) == [(frame(i), b"")]
        port.close()
        assert port.umem.n_free == port.umem.n_chunks
    gc.collect()


def test_all_queues_of_a_device_are_read(lab: Lab) -> None:
    host, switch = lab.netns("host"), lab.netns("sw")
    lab.veth(host, "eth0", switch, "p1", address="10.0.0.1/24")
    try:
        for ns, device in ((switch, "p1"), (host, "eth0")):
            lab.run(ns, "ethtool", "-L", device, "rx", "2", "tx", "2")
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"no second queue here: {error}")
    port = AfXdpPort("p1", netns=switch)
    assert port.n_queues == 2
    senders = [AfPacketPort("eth0", netns=host) for _ in range(2)]
    cpus = sorted(os.sched_getaffinity(0))
    got: list[bytes] = []
    sent: list[bytes] = []
    try:
        for i in range(40):                 # which queue a frame takes goes by the sender's processor
            os.sched_setaffinity(0, {cpus[i % len(cpus)]})
            batch = [frame(i * 100 + k) for k in range(50)]
            assert senders[i % 2].send(batch) == 50
            sent += batch
            got += [f for f, _ in drain(port, 50)]
    finally:
        os.sched_setaffinity(0, cpus)
    assert sorted(got) == sorted(sent)
    assert not select.select([port.fileno()], [], [], 0)[0]
    senders[0].send([frame(1)])
    assert select.select([port.fileno()], [], [], 10)[0]
    port.close()
    for sender in senders:
        sender.close()


HOLD = """
import sys
from fastpath.io._af_xdp import AfXdpPort
port = AfXdpPort("p1", netns=sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_nothing_is_left_behind_by_a_process_that_is_killed(lab: Lab, ends: tuple[str, str]) -> None:
    _, switch = ends
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    holder = subprocess.Popen([sys.executable, "-c", HOLD, switch], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, env=environment)
    assert holder.stdout and holder.stdin
    try:
        assert holder.stdout.readline() == b"open\n"
        assert "prog/xdp" in lab.run(switch, "ip", "link", "show", "p1")
        with pytest.raises(PortError, match="'p1': another program has the device's XDP or its queues"):
            AfXdpPort("p1", netns=switch)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        holder.stdout.close()
        holder.stdin.close()
    assert eventually(lambda: "prog/xdp" not in lab.run(switch, "ip", "link", "show", "p1"))
    AfXdpPort("p1", netns=switch).close()


def test_closing_takes_milliseconds(ends: tuple[str, str]) -> None:
    took = []
    for _ in range(3):
        port = AfXdpPort("p1", netns=ends[1])
        t = time.monotonic()
        port.close()
        port.close()
        took.append(time.monotonic() - t)
    assert min(took) < 1                    # on a busy machine; usually some 30 ms
    assert port.problem == "afxdp port 'p1' is closed"
    assert (port.send([frame(1)]), port.recv(), port.stats()["tx_dropped"]) == (0, [], 1)


def test_what_it_cannot_do_is_told(ends: tuple[str, str]) -> None:
    host, switch = ends
    for ns, device, says in ((switch, "p1", "'p1' has MTU 9000, AF_XDP ports take at most 1774"),
                             (host, "eth0", "'p1': MTU 1500 is too large for XDP on this device or its")):
        with link.in_netns(ns):
            link.configure(device, mtu=9000)
        with pytest.raises(PortError, match=says):
            AfXdpPort("p1", netns=switch, native=True)
        with link.in_netns(ns):
            link.configure(device, mtu=1500)
    with pytest.raises(PortError, match="its driver cannot do this kind of XDP"):
        AfXdpPort("p1", netns=switch, zero_copy=True)
    AfXdpPort("p1", netns=switch).close()


def test_large_segments_are_cut_on_their_way_in(hosts: tuple[str, str, str]) -> None:
    h1, _, switch = hosts
    sender, port = AfPacketPort("eth0", netns=h1), AfXdpPort("p1", netns=switch)
    assert sender.send([tcp_segment(3000)], [vnet(34, 1000)]) == 1
    got = drain(port, 3)
    assert [len(f) for f, _ in got] == [1054] * 3
    assert port.send([tcp_segment(3000)], [vnet(34, 1000)]) == 0        # the caller cuts what it sends
    assert port.stats()["tx_errors"] == 1
    assert Cable(sender, port).run(0.02) == 0
    port.close()
    sender.close()
