"""Lists of actions the kernel cannot carry out alone: who does what, in which order, and what comes out."""

from __future__ import annotations

from random import Random

import pytest
from model.frames import UDP, Frame

from fastpath import extract
from fastpath._flow import FlowKey
from fastpath.dpif.actions import (
    CheckPktLen,
    Clone,
    Ct,
    Meter,
    OdpAction,
    OdpActions,
    Output,
    RawUserdata,
    Recirc,
    Sample,
    SetMasked,
    SetProto,
    Trunc,
    Userspace,
)
from fastpath.dpif.netlink import aside
from fastpath.dpif.netlink.aside import Aside
from fastpath.dpif.netlink.probe import Support
from fastpath.dpif.provider import Execute
from fastpath.dpif.userspace import UserspaceDpif
from fastpath.errors import ConfigError
from fastpath.io._memory import MemoryPort

ALL = Support(frozenset({"ct", "ct_nat", "ct_label", "clone", "sample", "check_pkt_len", "recirc", "trunc",
                         "hash_l4", "pop_eth", "push_nsh"}))
NAME = b"rest"
TUNNEL = SetMasked("tunnel", (("tun_id", 5, 0xFFFFFFFF), ("dst", 1, 0xFFFFFFFF), ("ttl", 64, 255)))
LACKS = SetProto(6)                     # no kernel does this
FRAME = Frame(proto=UDP).build()
MAC = SetMasked("eth", (("src", 0x020000000077, (1 << 48) - 1),))


class Kernel:
    """What was asked of the kernel: packets, keys, lists."""

    def __init__(self, *lacks: type[OdpAction]) -> None:
        self.ran: list[tuple[bytes, FlowKey, OdpActions]] = []
        self.aside = Aside(lambda actions: ALL.takes(actions) and not any(
            isinstance(a, lacks) for a in actions), self.run, NAME)

    def run(self, packet: bytes, key: FlowKey, actions: OdpActions, vnet: bytes) -> Exception | None:
        self.ran.append((packet, key.copy(), actions))
        return ConfigError("full") if Output(99) in actions else None

    @property
    def lists(self) -> list[OdpActions]:
        return [actions for _, _, actions in self.ran]

    def carry_out(self, *actions: OdpAction) -> Exception | None:
        return self.aside.run(FRAME, extract(FRAME, in_port=1), actions)


def proto_of(frame: bytes) -> int:
    return frame[23]


def test_what_is_left_goes_to_the_kernel_at_once() -> None:
    kernel = Kernel()
    assert kernel.carry_out(LACKS, Ct(zone=3), Recirc(5)) is None
    (packet, _, actions), = kernel.ran
    assert actions == (Ct(zone=3), Recirc(5)) and proto_of(packet) == 6


def test_copies_sent_before_are_the_kernels_and_changes_are_made_twice() -> None:
    kernel = Kernel()
    kernel.carry_out(Output(1), MAC, Output(2), LACKS, Output(3))
    assert kernel.lists == [(Output(1), MAC, Output(2)), (Output(3),)]
    (first, *_), (second, *_) = kernel.ran
    assert first == FRAME and second[6:12] == bytes.fromhex("020000000077") and proto_of(second) == 6


def test_nothing_is_asked_of_the_kernel_for_changes_alone() -> None:
    kernel = Kernel()
    kernel.carry_out(MAC, LACKS)
    assert not kernel.ran


def test_the_packet_comes_back_from_conntrack_and_the_rest_goes_on() -> None:
    kernel = Kernel()
    kernel.carry_out(MAC, Ct(commit=True), Output(1), LACKS, Recirc(7))
    (_, _, (*done, back)), = kernel.ran
    assert tuple(done) == (MAC, Ct(commit=True), Output(1))
    assert isinstance(back, Userspace) and isinstance(back.userdata, RawUserdata)
    changed, key = FRAME[:6] + bytes.fromhex("020000000077") + FRAME[12:], extract(FRAME, in_port=1)
    key.ct_state = 0x21
    assert not kernel.aside.resume(b"other", changed, key)
    assert kernel.aside.resume(back.userdata.data, changed, key)
    packet, seen, actions = kernel.ran[1]
    assert actions == (Recirc(7),) and seen.ct_state == 0x21 and proto_of(packet) == 6
    assert kernel.aside.resume(back.userdata.data, changed, key) and len(kernel.ran) == 2      # only once


def test_packets_that_never_return_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "WAITING", 10)
    kernel = Kernel()
    for _ in range(25):
        kernel.carry_out(Meter(1), LACKS, Output(1))
    assert kernel.aside.n_forgotten == 15
    for actions in kernel.lists:
        back = actions[-1]
        assert isinstance(back, Userspace) and isinstance(back.userdata, RawUserdata)
        kernel.aside.resume(back.userdata.data, FRAME, extract(FRAME, in_port=1))
    assert len(kernel.ran) == 25 + 10


def test_tunnel_cut_and_marks_are_not_lost() -> None:
    kernel = Kernel()
    mark = SetMasked("skb_mark", (("skb_mark", 0x10, 0xF0),))
    kernel.carry_out(TUNNEL, mark, Trunc(100), LACKS, Output(1), LACKS, Output(2))
    (_, key, first), (_, _, second) = kernel.ran
    assert first == (TUNNEL, Trunc(100), Output(1)) and key.pkt_mark == 0x10
    assert second == (TUNNEL, Output(2))
    kernel.ran.clear()
    kernel.carry_out(TUNNEL, Ct(), LACKS, Output(1))
    back = kernel.lists[0][-1]
    assert isinstance(back, Userspace) and isinstance(back.userdata, RawUserdata)
    kernel.aside.resume(back.userdata.data, FRAME, extract(FRAME, in_port=1))
    assert kernel.lists[1] == (TUNNEL, Output(1))


def test_nests_with_what_the_kernel_lacks_are_taken_apart() -> None:
    kernel = Kernel()
    kernel.carry_out(Clone((LACKS, Output(1))), Output(2), CheckPktLen(10, (LACKS, Output(3)), (Output(4),)),
                     CheckPktLen(1000, (Output(5),), (LACKS, Output(6))),
                     Sample(0xFFFFFFFF, (LACKS, Output(7))), Sample(0, (LACKS, Output(8))))
    assert [(actions[0], proto_of(packet)) for packet, _, actions in kernel.ran] == [
        (Output(1), 6), (Output(2), 17), (Output(3), 6), (Output(6), 6), (Output(7), 6)]


def test_what_nobody_can_do_is_told() -> None:
    kernel = Kernel(Ct)
    with pytest.raises(ConfigError, match="nor can it be done for it"):
        kernel.carry_out(Output(1), Ct(), Output(2))
    assert str(Kernel().carry_out(LACKS, Output(99))) == "full"
    assert str(Kernel().carry_out(Output(99), LACKS, Output(1))) == "full"


def _random_list(r: Random, depth: int = 0) -> OdpActions:
    leaves = (Output(1), Output(2), MAC, LACKS, Trunc(60), SetMasked("ipv4", (("ttl", 9, 0xFF),)),
              SetProto(17), SetMasked("eth", (("dst", 0x020000000001, (1 << 48) - 1),)))
    out: list[OdpAction] = []
    for _ in range(r.randrange(1, 7)):
        if depth < 2 and r.random() < 0.3:
            inner = _random_list(r, depth + 1)
            out.append(r.choice((Clone(inner), Sample(0xFFFFFFFF, inner), CheckPktLen(50, inner, ()),
                                 CheckPktLen(5000, (), inner))))
        else:
            out.append(r.choice(leaves))
    return tuple(out)


def test_taken_apart_a_list_does_what_it_does_as_a_whole() -> None:
    """A law: our own datapath in the kernel's place gets the same frames out of the pieces as out of the
    whole."""
    dpif = UserspaceDpif(seed=0)
    ports = {i: MemoryPort(f"p{i}") for i in (1, 2)}
    for number, port in ports.items():
        dpif.port_add(port, number)
    key, r = extract(FRAME, in_port=1), Random(3)

    def run(packet: bytes, key: FlowKey, actions: OdpActions, vnet: bytes) -> Exception | None:
        result, = dpif.operate([Execute(packet, key, actions)])
        return result if isinstance(result, Exception) else None

    def sent() -> list[tuple[int, bytes]]:
        return [(number, frame) for number, port in ports.items() for frame in port.take()]

    apart = Aside(ALL.takes, run, NAME)
    n_different = 0
    for _ in range(300):
        actions = _random_list(r)
        run(FRAME, key, actions, b"")
        whole = sent()
        assert apart.run(FRAME, key, actions) is None
        assert sent() == whole, actions
        n_different += len(whole) > 1
    assert n_different > 100
    apart.close()
    dpif.close()
