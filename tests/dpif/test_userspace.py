"""UserspaceDpif: ports, flows, upcalls, execution, as any datapath provider promises them."""

from __future__ import annotations

import struct

import pytest

from fastpath._flow import FlowKey
from fastpath.dpif.actions import Clone, Drop, Output, Recirc, SlowPath, Userspace
from fastpath.dpif.provider import Execute, FlowDel, FlowPut, FlowStats, MeterBand, MeterStats
from fastpath.dpif.userspace import UserspaceDpif
from fastpath.errors import ExistsError, NotFoundError, TableFull
from fastpath.io._memory import MemoryPort

ALL32 = 0xFFFFFFFF
IP = FlowKey(dl_type=0xFFFF, nw_dst=ALL32)


def frame(dst: str = "10.0.0.2", src: str = "10.0.0.1", payload: bytes = b"") -> bytes:
    """An Ethernet/IPv4/UDP frame of 60 bytes or more."""
    udp = struct.pack(">HHHH", 5, 7, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBH4B4B", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, *map(int, src.split(".")),
                     *map(int, dst.split(".")))
    return (bytes.fromhex("020000000002 020000000001 0800") + ip + udp).ljust(60, b"\0")


def address(text: str) -> int:
    return int.from_bytes(bytes(map(int, text.split("."))), "big")


class Lab:
    """A datapath with three memory ports, 1 to 3."""

    def __init__(self, **options: int) -> None:
        self.dpif = UserspaceDpif(seed=7, **options)
        self.ports = {n: MemoryPort(f"p{n}") for n in (1, 2, 3)}
        for n, port in self.ports.items():
            assert self.dpif.port_add(port) == n
        self.dpif.set_now(100.0)

    def put(self, dst: str, *actions: object, in_port: int = 1, recirc_id: int = 0) -> object:
        key = FlowKey(in_port=in_port, recirc_id=recirc_id, dl_type=0x0800, nw_dst=address(dst))
        return self.dpif.operate([FlowPut(key, IP, actions)])[0]       # type: ignore[arg-type]


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_a_miss_waits_in_recv_with_its_key_and_bytes(lab: Lab) -> None:
    lab.ports[1].inject(frame())
    assert lab.dpif.turn() == 1
    (miss,) = lab.dpif.recv(10)
    assert miss.packet == frame() and miss.total_len == 60 and miss.userdata is None and miss.vnet == b""
    assert (miss.key.in_port, miss.key.dl_type, miss.key.nw_dst) == (1, 0x0800, address("10.0.0.2"))
    assert lab.dpif.recv(10) == []
    assert lab.dpif.stats().n_missed == 1 and lab.dpif.stats().n_lost == 0


def test_a_flow_forwards_and_counts(lab: Lab) -> None:
    ufid = lab.put("10.0.0.2", Output(2), Output(3))
    lab.ports[1].inject_many([frame()] * 40)
    while lab.dpif.turn():
        pass
    assert lab.ports[2].take() == lab.ports[3].take() == [frame()] * 40
    assert isinstance(ufid, int)
    assert lab.dpif.flow_stats([ufid]) == [FlowStats(40, 40 * 60, 100.0, 0)]
    assert lab.dpif.operate([FlowDel(ufid)]) == [FlowStats(40, 40 * 60, 100.0, 0)]
    assert lab.dpif.flow_get(ufid) is None and lab.dpif.flow_stats([ufid]) == [None]


def test_flows_read_back_as_they_were_put(lab: Lab) -> None:
    ufid = lab.put("10.0.0.2", Output(2))
    assert isinstance(ufid, int)
    (flow,) = lab.dpif.flow_dump()
    assert flow == lab.dpif.flow_get(ufid)
    assert flow.key.nw_dst == address("10.0.0.2") and flow.mask.nw_dst == ALL32
    assert flow.mask.in_port == flow.mask.recirc_id == ALL32, "every flow is of one port and one recirc_id"
    assert flow.actions == (Output(2),) and flow.stats == FlowStats(0, 0, None, 0)
    assert lab.dpif.operate([FlowPut(flow.key, flow.mask, (Output(3),), ufid)]) == [ufid]
    assert next(lab.dpif.flow_dump()).actions == (Output(3),)
    lab.dpif.flow_flush()
    assert list(lab.dpif.flow_dump()) == [] and lab.dpif.stats().n_flows == lab.dpif.stats().n_masks == 0


def test_refusals_are_results_in_their_places() -> None:
    lab = Lab(flow_limit=1)
    first = lab.put("10.0.0.2", Output(2))
    key = FlowKey(in_port=1, dl_type=0x0800, nw_dst=address("10.0.0.2"))
    other = FlowKey(in_port=1, dl_type=0x0800, nw_dst=address("10.0.0.3"))
    narrower = FlowKey(dl_type=0xFFFF, nw_dst=ALL32, nw_src=ALL32)
    results = lab.dpif.operate([FlowPut(key, IP, ()), FlowPut(key, narrower, ()), FlowPut(other, IP, ()),
                                FlowDel(12345), FlowPut(key, IP, (), 999), FlowDel(first)])  # type: ignore[arg-type]
    assert [type(r) for r in results] == [ExistsError, ExistsError, TableFull, NotFoundError, NotFoundError,
                                          FlowStats]


def test_an_empty_program_drops_and_counts_why(lab: Lab) -> None:
    lab.put("10.0.0.2")
    lab.put("10.0.0.3", Drop(3))
    lab.put("10.0.0.4", Output(77))
    lab.ports[1].inject_many([frame("10.0.0.2"), frame("10.0.0.3"), frame("10.0.0.4")])
    lab.dpif.turn()
    assert lab.dpif.stats().drops == {"action_drop": 1, "explicit_drop": 1, "invalid_port": 1}


def test_recirculated_packets_are_looked_up_again(lab: Lab) -> None:
    lab.put("10.0.0.2", Output(3), Recirc(5))
    lab.ports[1].inject(frame())
    lab.dpif.turn()
    (miss,) = lab.dpif.recv(10)
    assert (miss.key.in_port, miss.key.recirc_id) == (1, 5)
    lab.put("10.0.0.2", Output(2), recirc_id=5)
    lab.ports[1].inject_many([frame()] * 3)
    lab.dpif.turn()
    assert len(lab.ports[2].take()) == 3 and len(lab.ports[3].take()) == 4
    assert lab.dpif.stats().n_hit == 1 + 3 + 3


def test_endless_recirculation_ends_in_a_counted_drop(lab: Lab) -> None:
    lab.put("10.0.0.2", Recirc(5))
    lab.put("10.0.0.2", Recirc(5), recirc_id=5)
    lab.ports[1].inject(frame())
    lab.dpif.turn()
    assert lab.dpif.stats().drops == {"recirc_too_deep": 1}


def test_userspace_actions_come_with_their_userdata_and_the_packet_goes_on(lab: Lab) -> None:
    lab.put("10.0.0.2", Userspace(SlowPath(("lacp",))), Output(2))
    lab.ports[1].inject(frame())
    lab.dpif.turn()
    (upcall,) = lab.dpif.recv(10)
    assert upcall.userdata == SlowPath(("lacp",)) and upcall.packet == frame() and upcall.key.in_port == 1
    assert lab.ports[2].take() == [frame()]
    assert lab.dpif.stats().n_missed == 0


def test_execute_sends_without_a_flow_and_recirculates_through_flows(lab: Lab) -> None:
    key = FlowKey(in_port=1)
    assert lab.dpif.operate([Execute(frame(), key, (Output(2), Clone((Output(3),))))]) == [True]
    assert lab.ports[2].take() == lab.ports[3].take() == [frame()]
    ufid = lab.put("10.0.0.2", Output(3), recirc_id=4)
    lab.dpif.operate([Execute(frame(), key, (Recirc(4),)), Execute(frame(), key, (Recirc(6),))])
    assert lab.ports[3].take() == [frame()]
    assert lab.dpif.flow_stats([ufid])[0] == FlowStats(1, 60, 100.0, 0)         # type: ignore[list-item]
    assert [(u.key.in_port, u.key.recirc_id) for u in lab.dpif.recv(9)] == [(1, 6)]


def test_execute_keeps_the_metadata_of_its_key(lab: Lab) -> None:
    key = FlowKey(in_port=3, pkt_mark=7, skb_priority=8, ct_state=0x21, ct_zone=5, ct_mark=6, ct_label=9,
                  dp_hash=77)
    lab.dpif.operate([Execute(frame(), key, (Recirc(4),))])
    (miss,) = lab.dpif.recv(9)
    for name in ("in_port", "pkt_mark", "skb_priority", "ct_state", "ct_zone", "ct_mark", "ct_label",
                 "dp_hash"):
        assert getattr(miss.key, name) == getattr(key, name), name


def test_packets_in_are_packets_and_bytes_out_dropped_and_asked_about(lab: Lab) -> None:
    lab.put("10.0.0.2", Output(2))
    lab.put("10.0.0.3")
    sent = [frame(f"10.0.0.{2 + i % 3}", payload=bytes(i)) for i in range(90)]
    lab.ports[1].inject_many(sent)
    while lab.dpif.turn():
        pass
    out, asked = lab.ports[2].take(), [u.packet for u in lab.dpif.recv(1000)]
    assert out == sent[0::3] and asked == sent[2::3], "order within a flow, or packets, were lost"
    assert lab.dpif.stats().drops == {"action_drop": 30}
    received, transmitted = lab.dpif.port_stats(1), lab.dpif.port_stats(2)
    assert received.rx_packets == 90 and received.rx_bytes == sum(map(len, sent))
    assert transmitted.tx_packets == 30 and transmitted.tx_bytes == sum(map(len, sent[0::3]))
    flows = list(lab.dpif.flow_dump())
    assert sum(f.stats.n_packets for f in flows) == 60
    assert sum(f.stats.n_bytes for f in flows) == sum(map(len, sent[0::3] + sent[1::3]))


def test_one_port_cannot_take_all_upcalls() -> None:
    lab = Lab(upcall_quota=5)
    lab.ports[1].inject_many([frame()] * 20)
    lab.ports[2].inject_many([frame()] * 3)
    while lab.dpif.turn():
        pass
    assert lab.dpif.stats().drops == {"upcall_quota": 15} and lab.dpif.stats().n_lost == 15
    assert [u.key.in_port for u in lab.dpif.recv(100)] == [1] * 5 + [2] * 3
    lab.ports[1].inject_many([frame()] * 5)
    lab.dpif.turn()
    assert len(lab.dpif.recv(100)) == 5, "what was received counts against the quota no more"


def test_ports_come_and_go(lab: Lab) -> None:
    with pytest.raises(ExistsError, match="odp_port 2 is 'p2'"):
        lab.dpif.port_add(MemoryPort("other"), 2)
    with pytest.raises(ExistsError, match="port 'p1' is in"):
        lab.dpif.port_add(lab.ports[1])
    lab.put("10.0.0.2", Output(2))
    lab.ports[1].inject_many([frame()] * 100)
    lab.dpif.port_del(1)
    assert len(lab.ports[2].take()) == 100, "packets the port had accepted are forwarded"
    with pytest.raises(NotFoundError):
        lab.dpif.port_del(1)
    with pytest.raises(NotFoundError):
        lab.dpif.port_stats(1)
    assert lab.dpif.port_add(lab.ports[1], 300) == 300
    lab.put("10.0.0.9", Output(2), in_port=300)
    lab.ports[1].inject(frame("10.0.0.9"))
    lab.dpif.turn()
    assert lab.ports[2].take() == [frame("10.0.0.9")]


def test_past_the_mask_cap_the_installed_mask_is_reported() -> None:
    lab = Lab(mask_cap=1)
    lab.put("10.0.0.2", Output(2))
    key = FlowKey(in_port=1, dl_type=0x0800, nw_src=address("10.0.0.9"))
    (ufid,) = lab.dpif.operate([FlowPut(key, FlowKey(dl_type=0xFFFF, nw_src=ALL32), (Output(3),))])
    flow = lab.dpif.flow_get(ufid)                                  # type: ignore[arg-type]
    assert flow is not None and flow.mask.tp_dst == 0xFFFF and flow.mask.nw_ttl == 0xFF
    assert lab.dpif.stats().n_masks == 2


def test_meters_are_the_datapaths(lab: Lab) -> None:
    lab.dpif.meter_set(4, pktps=True, bands=[MeterBand(10, 10), MeterBand(20, 20)])
    assert lab.dpif.meter_stats(4) == MeterStats(0, 0, ((0, 0), (0, 0)))
    lab.dpif.meter_del(4)
    with pytest.raises(NotFoundError, match="no meter 4"):
        lab.dpif.meter_stats(4)
    with pytest.raises(NotFoundError, match="no meter 4"):
        lab.dpif.meter_del(4)


def test_waiting_ends_at_the_first_upcall(lab: Lab) -> None:
    assert lab.dpif.wait(0.0) is False
    lab.ports[1].inject(frame())
    lab.dpif.turn()
    assert lab.dpif.wait(10.0) is True
    assert lab.dpif.arm() is True and lab.dpif.event_fd >= 0
    lab.dpif.recv(10)
    assert lab.dpif.arm() is False and lab.dpif.disarm() is False


def test_upcalls_of_a_removed_port_are_not_those_of_the_next_with_its_number() -> None:
    lab = Lab(upcall_quota=3)
    lab.ports[1].inject_many([frame()] * 3)
    lab.dpif.turn()
    lab.dpif.port_del(1)
    fresh = MemoryPort("q1")
    lab.dpif.port_add(fresh, 1)
    assert len(lab.dpif.recv(10)) == 3
    fresh.inject_many([frame()] * 5)
    lab.dpif.turn()
    assert len(lab.dpif.recv(10)) == 3 and lab.dpif.stats().drops == {"upcall_quota": 2}


def test_a_packet_for_which_no_buffer_is_free_is_a_counted_drop() -> None:
    lab = Lab(pool_limit=1)
    assert lab.dpif.operate([Execute(frame(), FlowKey(in_port=1), (Output(2), Output(3)))]) == [True]
    assert lab.dpif.n_held() == 0 and lab.dpif.stats().drops == {"no_memory": 1}
    assert lab.dpif.operate([Execute(frame(), FlowKey(in_port=1), (Output(2),))] * 2) == [True, False]
    assert lab.dpif.stats().drops == {"no_memory": 2}
