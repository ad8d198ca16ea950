"""The provider over a kernel made of Python: what goes over the sockets, and what when they fail."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from model.frames import TCP, UDP, Frame
from model.kernel import FakeKernel, FakeListener

from fastpath import Switch, extract
from fastpath._flow import FlowKey
from fastpath.dpif.actions import (
    CheckPktLen,
    Clone,
    Ct,
    Drop,
    Hash,
    Meter,
    Output,
    PopPbb,
    PushEth,
    Recirc,
    Sample,
    SetMasked,
    SetProto,
    SlowPath,
    ToController,
    Trunc,
    Userspace,
)
from fastpath.dpif.netlink.counters import read_counters
from fastpath.dpif.netlink.kernel import Kernel, error_of
from fastpath.dpif.netlink.key import decode_key, encode_key
from fastpath.dpif.netlink.probe import MAX_NESTING, Support
from fastpath.dpif.netlink.provider import LEFT_S, NetlinkDpif
from fastpath.dpif.netlink.rows import CT_LIMIT, DATAPATH, FAMILIES, FLOW, METER, encode
from fastpath.dpif.provider import (
    COUNTERS,
    UFID,
    Execute,
    FlowDel,
    FlowPut,
    FlowStats,
    MeterBand,
    MeterStats,
    PortStats,
    Upcall,
)
from fastpath.errors import (
    ConfigError,
    DatapathError,
    ExistsError,
    FastpathError,
    FormatError,
    NotFoundError,
    PortError,
    PrivilegeError,
)
from fastpath.geneve import set_raw
from fastpath.io import genl
from fastpath.io.genl import LOST, Requests
from fastpath.io.vport import KernelPort

EXACT_PORT = FlowKey(in_port=0xFFFFFFFF)


def dpif_of(fake: FakeKernel, **settings: Any) -> NetlinkDpif:
    return NetlinkDpif("ovs-system", kernel=fake.kernel(), new_listener=lambda: FakeListener(fake),
                       **settings)


@pytest.fixture(params=["per-cpu", "per-port"])
def fake(request: pytest.FixtureRequest) -> FakeKernel:
    return FakeKernel(per_cpu=request.param == "per-cpu")


@pytest.fixture
def dpif(fake: FakeKernel) -> Iterator[NetlinkDpif]:
    dpif = dpif_of(fake)
    yield dpif
    dpif.close()


@pytest.fixture(autouse=True)
def no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices are the fake kernel's alone."""
    monkeypatch.setattr("fastpath.io.link.configure", lambda name, **settings: None)


def ports(dpif: NetlinkDpif, n: int = 2) -> list[int]:
    return [dpif.port_add(KernelPort(f"i{i}", kind="internal")) for i in range(1, n + 1)]


def frame(i: int = 1) -> bytes:
    return Frame(proto=UDP).build() if i == 1 else Frame(proto=TCP).build()


def key_of(data: bytes, in_port: int = 1) -> FlowKey:
    return extract(data, in_port=in_port)


# ---- the datapath -------------------------------------------------------------------------------------

def test_a_datapath_is_made_and_removed(fake: FakeKernel) -> None:
    dpif = dpif_of(fake)
    assert [dp["name"] for dp in fake.dps.values()] == ["ovs-system"]
    assert dpif.is_per_cpu == fake.per_cpu and dpif.max_meters == 100
    assert not fake.dps[dpif.index]["flows"]            # probes are gone
    dpif.close()
    dpif.close()
    assert not fake.dps and fake.is_closed


def test_a_datapath_to_be_kept_stays(fake: FakeKernel) -> None:
    dpif_of(fake, keep=True).close()
    assert len(fake.dps) == 1


def test_a_datapath_left_behind_is_taken_over(fake: FakeKernel) -> None:
    old = dpif_of(fake, keep=True)
    ports(old, 3)
    old.operate([FlowPut(FlowKey(in_port=1, dl_type=0x800), EXACT_PORT, (Output(2),))])
    old.close()
    new = dpif_of(fake)
    state = fake.dps[new.index]
    assert not state["flows"] and len(state["ports"]) == 4
    assert new.port_add(KernelPort("i2", kind="internal")) == 2           # the one that was there
    assert new.port_add(KernelPort("other", kind="internal"), 1) == 1     # i1 makes way
    assert new.port_add(KernelPort("i3", kind="vxlan", dst_port=4789)) == 3         # of another kind
    new.set_now(100.0)
    assert len(state["ports"]) == 4
    new.set_now(100.0 + LEFT_S)
    assert {port["name"] for port in state["ports"].values()} == {"ovs-system", "i2", "other", "i3"}
    if not fake.per_cpu:
        fake.receive(2, frame(), index=new.index)
        assert len(new.recv(9)) == 1
    new.close()


def test_ports_that_are_to_stay_stay_with_their_datapath(fake: FakeKernel) -> None:
    dpif = dpif_of(fake)
    one, two = KernelPort("i1", kind="internal"), KernelPort("i2", kind="internal")
    one.persist(True)
    assert [dpif.port_add(port) for port in (one, two)] == [1, 2]
    for number in (1, 2):
        dpif.port_del(number)
    assert set(fake.dps[dpif.index]["ports"]) == {0, 1}
    assert dpif.port_add(one) == 1              # added again it is the one that was there
    dpif.port_del(1)
    dpif.close()
    state, = fake.dps.values()
    assert set(state["ports"]) == {0, 1}


def test_what_the_kernel_lacks_is_told_in_one_line() -> None:
    none = FakeKernel(families=())
    with pytest.raises(ConfigError, match="the kernel has no datapath: its module openvswitch "):
        none.kernel()
    assert none.is_closed
    with pytest.raises(ConfigError, match="no family 'ovs_vport'"):
        FakeKernel(families=(DATAPATH,)).kernel()
    with pytest.raises(ConfigError, match="does not dispatch upcalls by processor"):
        dpif_of(FakeKernel(per_cpu=False), per_cpu=True)
    without = dpif_of(FakeKernel(families=tuple(f for f in FAMILIES if f not in (METER, CT_LIMIT))))
    assert without.max_meters == 0
    with pytest.raises(ConfigError, match="no meters"):
        without.meter_set(1, pktps=True, bands=[MeterBand(1, 1)])
    with pytest.raises(ConfigError, match="no conntrack limits"):
        without.kernel.ct_limits(without.index)
    without.close()


def test_ports_are_added_told_of_and_removed(fake: FakeKernel, dpif: NetlinkDpif) -> None:
    assert ports(dpif) == [1, 2]
    assert dpif.port_add(KernelPort("vx", kind="vxlan", dst_port=4789, gbp=True), 7) == 7
    found = dpif.kernel.vport_get(dpif.index, number=7)
    assert (found.type, found.dst_port, found.gbp) == ("vxlan", 4789, True)
    with pytest.raises(ExistsError, match="i1"):
        dpif.port_add(KernelPort("i1", kind="internal"))
    with pytest.raises(ConfigError, match="no ports of this program"):
        dpif.port_add(object())
    fake.dps[dpif.index]["ports"][1]["stats"] = (5, 6, 500, 600, 1, 2, 3, 4)
    assert dpif.port_stats(1) == PortStats(5, 500, 3, 1, 6, 600, 4, 2)
    dpif.port_del(7)
    dpif.port_del(7)
    with pytest.raises(NotFoundError):
        dpif.port_stats(7)


def test_devices_that_go_away_are_noticed(fake: FakeKernel, dpif: NetlinkDpif) -> None:
    ports(dpif)
    fake.unplug(dpif.index, 2)
    fake.watchers[0].send(b"\x20\0\0\0nonsense")
    dpif.set_now(10.0)
    dpif.set_now(20.0)
    assert dpif.gone == {2} and dpif.n_bad == 1
    dpif.port_del(2)
    assert not dpif.gone


# ---- flows and packets --------------------------------------------------------------------------------

def test_a_packet_goes_up_and_its_flow_down(fake: FakeKernel, dpif: NetlinkDpif) -> None:
    ports(dpif)
    fake.receive(1, frame(), index=dpif.index)
    assert dpif.wait(5.0)
    upcall, = dpif.recv(10)
    assert upcall.key == key_of(frame()) and upcall.packet == frame() and upcall.userdata is None
    ufid, done = dpif.operate([FlowPut(upcall.key, FlowKey(in_port=0xFFFFFFFF, nw_proto=0xFF), (Output(2),)),
                               Execute(upcall.packet, upcall.key, (Output(2),), upcall.vnet)])
    assert isinstance(ufid, int) and done is None and fake.sent == [(2, frame())]
    fake.receive(1, frame(), index=dpif.index)
    assert fake.sent == 2 * [(2, frame())] and not dpif.recv(10)
    assert dpif.flow_stats([ufid, 999]) == [FlowStats(1, len(frame()), 5.0, 0), None]
    flow, = dpif.flow_dump()
    assert flow.actions == (Output(2),) and flow == dpif.flow_get(ufid)
    assert flow.mask.covers(FlowKey(in_port=0xFFFFFFFF, nw_proto=0xFF, dl_type=0xFFFF))
    assert dpif.flow_counters(UFID.pack(ufid) + UFID.pack(999)) == (
        COUNTERS.pack(1, len(frame()), 5_000_000, 0) + COUNTERS.pack(0, 0, -1, 0))
    assert dpif.stats().n_hit == 1 and dpif.stats().n_missed == 1 and dpif.stats().n_flows == 1


def test_flows_are_changed_and_removed(fake: FakeKernel, dpif: NetlinkDpif) -> None:
    ports(dpif)
    put = FlowPut(key_of(frame()), EXACT_PORT, (Output(2),))
    ufid, again, unknown, gone = dpif.operate([
        put, put, FlowPut(put.key, put.mask, (), ufid=999), FlowDel(999)])
    assert isinstance(again, ExistsError) and isinstance(unknown, NotFoundError)
    assert isinstance(gone, NotFoundError)
    assert dpif.operate([FlowPut(put.key, put.mask, (Output(1),), ufid=ufid)]) == [ufid]    # type: ignore[arg-type]
    fake.receive(1, frame(), index=dpif.index)
    assert fake.sent == [(1, frame())]
    assert dpif.flow_delete(UFID.pack(ufid)) == COUNTERS.pack(1, len(frame()), 5_000_000, 0)
    assert dpif.flow_get(ufid) is None                  # type: ignore[arg-type]
    dpif.flow_install([put.key], [put.mask], [put.actions])
    dpif.flow_flush()
    assert not list(dpif.flow_dump())
    with pytest.raises(TypeError):
        dpif.operate([object()])                        # type: ignore[list-item]


def test_userdata_comes_back_with_the_packet(fake: FakeKernel, dpif: NetlinkDpif) -> None:
    ports(dpif)
    userdata = ToController(1, False, True, 7, 1 << 63, 3, 128)
    dpif.operate([FlowPut(key_of(frame()), EXACT_PORT, (Userspace(userdata),))])
    fake.receive(1, frame(), index=dpif.index)
    upcall, = dpif.recv(1)
    assert upcall.userdata == userdata


def test_what_the_kernel_cannot_do_is_done_here(fake: FakeKernel, dpif: NetlinkDpif) -> None:
    ports(dpif)
    actions = (SetMasked("icmp", (("type", 0, 0xFF),)), SetProto(6), Output(2), Clone((Output(1),)))
    key = key_of(frame())
    ufid, = dpif.operate([FlowPut(key, EXACT_PORT, actions)])
    fake.receive(1, frame(), index=dpif.index)
    upcall, = dpif.recv(9)
    assert upcall.userdata == SlowPath(("action",))
    assert dpif.execute([(upcall, actions)]) == [None]
    changed = Frame(proto=UDP).build()
    changed = changed[:23] + b"\x06" + changed[24:]
    assert {(port, data[:14] + data[23:24]) for port, data in fake.sent} == {
        (port, changed[:14] + b"\x06") for port in (1, 2)}
    flow = dpif.flow_get(ufid)                          # type: ignore[arg-type]
    assert flow is not None and flow.actions == actions


def test_what_goes_up_from_here_comes_back_as_an_upcall(fake: FakeKernel, dpif: NetlinkDpif) -> None:
    ports(dpif)
    actions = (SetProto(6), Userspace(SlowPath(("cfm",))), Recirc(5))
    assert dpif.operate([Execute(frame(), key_of(frame()), actions)]) == [None]
    first, second = dpif.recv(9)
    assert {first.userdata, second.userdata} == {SlowPath(("cfm",)), None}
    assert {first.key.recirc_id, second.key.recirc_id} == {0, 5}


def test_bits_the_kernel_does_not_know_have_packets_handed_up(fake: FakeKernel, dpif: NetlinkDpif) -> None:
    ports(dpif)
    igmp = bytes.fromhex("01005e000016" "020000000001" "0800" "4500001c0000400001020000" "0a000001"
                         "e0000016" "16000000e0000016")
    key = key_of(igmp)
    assert key.nw_proto == 2
    dpif.operate([FlowPut(key, FlowKey(in_port=0xFFFFFFFF, nw_proto=0xFF, igmp_group_ip4=0xFFFFFFFF),
                          (Output(2),))])
    fake.receive(1, igmp, index=dpif.index)
    upcall, = dpif.recv(9)
    assert upcall.userdata == SlowPath(("match",)) and not fake.sent
    assert upcall.key == key                            # what only we know was read from the packet


def test_meters(dpif: NetlinkDpif) -> None:
    dpif.meter_set(3, pktps=True, bands=[MeterBand(10, 5), MeterBand(20, 5)])
    assert dpif.meter_stats(3) == MeterStats(3, 180, ((1, 60), (1, 60)))
    with pytest.raises(ConfigError, match="remark"):
        dpif.meter_set(3, pktps=True, bands=[MeterBand(10, 5, 1)])
    dpif.meter_del(3)
    for ask in (dpif.meter_stats, dpif.meter_del):
        with pytest.raises(NotFoundError):
            ask(3)


def test_conntrack_limits(dpif: NetlinkDpif) -> None:
    kernel, index = dpif.kernel, dpif.index
    kernel.set_ct_limits(index, [(-1, 7), (3, 9)])
    assert kernel.ct_limits(index) == [(-1, 7, 0), (3, 9, 0)]
    kernel.del_ct_limits(index, [3])
    assert kernel.ct_limits(index, [3]) == [(3, 7, 0)]


# ---- features -----------------------------------------------------------------------------------------

def test_features_are_found_by_trying() -> None:
    able = dpif_of(FakeKernel())
    less = dpif_of(FakeKernel(unknown_actions=("CheckPktLen", "Clone", "Drop")))
    assert {"check_pkt_len", "clone", "drop"} == able.support.features - less.support.features
    assert able.features.clone and not less.features.clone and not less.features.check_pkt_len
    for dpif in (able, less):
        dpif.close()


def test_actions_are_taken_by_what_is_supported() -> None:
    able = Support(frozenset({"ct", "clone", "sample", "hash_l4", "recirc", "trunc", "pop_eth"}))
    for actions in ((Output(1), Ct()), (Clone((Trunc(9), Output(1))),), (Hash("l4", 1), Recirc(1)),
                    (Drop(1),), (Meter(1),), (PushEth(1, 2),), (SetMasked("tunnel", (("ttl", 64, 255),)),)):
        assert able.takes(actions)
    for actions in ((PopPbb(),), (Clone((SetProto(1),)),), (Hash("sym_l4", 1),), (Ct(label=(1, 1)),),
                    (CheckPktLen(1, (), ()),), (SetMasked("nd", (("sll", 1, 1),)),)):
        assert not able.takes(actions)
    deep: Any = (Output(1),)
    for _ in range(MAX_NESTING + 1):
        deep = (Sample(1, deep),)
    assert not able.takes(deep)


# ---- faults -------------------------------------------------------------------------------------------

def _survive(dpif: NetlinkDpif, fake: FakeKernel, r: Random) -> None:
    """Whatever the kernel seems to say, calls return or raise errors of ours."""
    key = key_of(frame())
    key.tp_src = r.getrandbits(16)
    some: list[Callable[[], object]] = [
        dpif.stats, lambda: dpif.operate([FlowPut(key, FlowKey(in_port=0xFFFFFFFF, tp_src=0xFFFF), ())]),
        lambda: list(dpif.flow_dump()), lambda: dpif.flow_stats(range(1, 5)), lambda: dpif.port_stats(1),
        lambda: dpif.operate([FlowDel(1), FlowDel(2)]), lambda: dpif.meter_stats(1),
        lambda: dpif.kernel.vport_dump(dpif.index), lambda: dpif.kernel.ct_limits(dpif.index)]
    for call in r.sample(some, len(some)):
        with suppress(FastpathError):
            call()
        fake.replies.clear()


@pytest.mark.parametrize("seed", range(12))
def test_spoilt_answers_are_errors_and_no_more(seed: int) -> None:
    fake, r = FakeKernel(per_cpu=seed % 2 == 0), Random(seed)
    dpif = dpif_of(fake)
    ports(dpif)

    def spoil(data: bytes) -> bytes | int | None:
        kind = r.randrange(4)
        if kind == 0:
            return data[:r.randrange(len(data))]
        if kind == 1:
            wrong = bytearray(data)
            wrong[r.randrange(len(wrong))] = r.getrandbits(8)
            return bytes(wrong)
        return errno.ENOBUFS if kind == 2 else data

    fake.faults.append(spoil)
    for _ in range(30):
        _survive(dpif, fake, r)
    fake.faults.clear()
    dpif.flow_flush()
    assert dpif.operate([FlowPut(key_of(frame()), EXACT_PORT, (Output(2),))]) != [None]
    assert len(list(dpif.flow_dump())) == 1             # all is well again
    dpif.close()


@pytest.mark.parametrize("every", [2, 3, 7])
def test_flows_survive_lost_answers(every: int) -> None:
    """The kernel did what was asked and its answers were dropped: nothing is lost, nothing is there twice."""
    fake = FakeKernel()
    dpif = dpif_of(fake)
    ports(dpif)
    n = [0]

    def overrun(data: bytes) -> bytes | int | None:
        n[0] += 1
        if n[0] % (40 * every) == 0:
            dropped = list(fake.replies)[:20]
            for each in dropped:
                fake.replies.remove(each)
            return errno.ENOBUFS
        return data

    fake.faults.append(overrun)
    keys = [key_of(frame()) for _ in range(500)]
    for i, key in enumerate(keys):
        key.tp_src = i
    mask = FlowKey(in_port=0xFFFFFFFF, tp_src=0xFFFF)
    results = dpif.flow_install(keys, 500 * [mask], 500 * [(Output(2),)])
    assert all(isinstance(ufid, int) for ufid in results) and len(set(results)) == 500
    assert len(fake.dps[dpif.index]["flows"]) == 500
    fake.faults.clear()
    assert len(list(dpif.flow_dump())) == 500
    fake.faults.append(overrun)
    packed = b"".join(UFID.pack(ufid) for ufid in results)      # type: ignore[arg-type]
    assert all(used >= 0 for _, _, used, _ in COUNTERS.iter_unpack(dpif.flow_counters(packed)))
    dpif.flow_delete(packed)
    assert not fake.dps[dpif.index]["flows"]
    fake.faults.clear()
    dpif.close()


def test_overruns_of_upcalls_are_counted_and_ports_asked_for_again(
        fake: FakeKernel, dpif: NetlinkDpif, monkeypatch: pytest.MonkeyPatch) -> None:
    ports(dpif)
    fake.dps[dpif.index]["ports"].pop(1)                # which nobody told
    class Overrun:
        n = 0

        def recv(self, size: int) -> bytes:
            self.n += 1
            if self.n == 1:
                raise OSError(errno.ENOBUFS, "full")
            raise BlockingIOError

        def fileno(self) -> int:
            return 9999

    for listener in (dpif._listener, dpif._watch):
        monkeypatch.setattr(listener, "_sockets", {9999: Overrun(), **listener._sockets})
    assert dpif.recv(10) == [] and dpif.n_overruns == 1
    dpif.set_now(100.0)
    assert dpif.gone == {1}
    for listener in (dpif._listener, dpif._watch):
        listener._sockets.pop(9999)


def test_counters_that_cannot_be_dumped_are_asked_for_one_by_one(fake: FakeKernel, dpif: NetlinkDpif) -> None:
    ports(dpif)
    keys = [key_of(frame()) for _ in range(40)]
    for i, key in enumerate(keys):
        key.tp_src = i
    ufids = dpif.flow_install(keys, 40 * [FlowKey(in_port=0xFFFFFFFF, tp_src=0xFFFF)], 40 * [(Output(2),)])
    packed = b"".join(map(UFID.pack, ufids))        # type: ignore[arg-type]
    wanted = dpif.flow_counters(packed)

    def spoil_dumps(data: bytes) -> bytes:
        return data[:20] + b"\xff" * (len(data) - 20) if data[6] & genl.MULTI and data[4] > 4 else data

    fake.faults.append(spoil_dumps)
    assert dpif.flow_counters(packed) == wanted == 40 * COUNTERS.pack(0, 0, 0, 0)
    fake.faults.clear()


def test_nonsense_from_above_is_counted(fake: FakeKernel, dpif: NetlinkDpif) -> None:
    ports(dpif)
    pid = fake.dps[dpif.index]["pids"][0] if fake.per_cpu else max(fake.sockets)
    body = b"\1\1\0\0" + bytes(4) + b"\xff\xff\1\0"
    fake.sockets[pid].send(len(body).__add__(16).to_bytes(4, "little") + b"\x21\0" + bytes(10) + body)
    fake.receive(2, frame(), index=dpif.index)
    assert len(dpif.recv(10)) == 1 and dpif.n_bad == 1


def test_errors_say_what_they_are() -> None:
    assert isinstance(error_of(errno.EPERM, "x"), PrivilegeError)
    assert isinstance(error_of(LOST, "x"), DatapathError)
    refused = error_of(errno.EINVAL, "flow 0x1", "bad key")
    assert isinstance(refused, DatapathError) and str(refused) == "flow 0x1: invalid argument (bad key)"
    again = pickle.loads(pickle.dumps(refused))
    assert (again.errno, str(again)) == (errno.EINVAL, str(refused))


def test_a_socket_that_fails_is_told() -> None:
    class Broken(FakeKernel):
        def send(self, data: bytes, /) -> int:
            raise OSError(errno.ECONNREFUSED, "Connection refused")
    with pytest.raises(PortError, match="generic netlink: connection refused"):
        Kernel(Requests(Broken()))


# ---- a whole switch over it ---------------------------------------------------------------------------

def test_a_switch_learns_through_the_kernel(fake: FakeKernel) -> None:
    dpif = dpif_of(fake)
    with Switch(realtime=True, datapath=dpif, seed=0) as sw:
        br = sw.add_bridge("br0", normal=True)
        for i in (1, 2, 3):
            br.add_port(f"i{i}", f"internal:i{i}")
        there, back = frame(), Frame(proto=UDP).build()
        back = back[6:12] + back[:6] + back[12:]
        fake.receive(1, there, index=dpif.index)
        sw.step()
        assert sorted(port for port, _ in fake.sent) == [2, 3]
        fake.sent.clear()
        fake.receive(2, back, index=dpif.index)
        sw.step()
        assert fake.sent == [(1, back)]
        fake.sent.clear()
        for _ in range(3):
            fake.receive(1, there, index=dpif.index)
            fake.receive(2, back, index=dpif.index)
            sw.step()
        assert sorted(fake.sent) == sorted(3 * [(1, back), (2, there)])
        assert sw.stats().upcalls.n_miss <= 3
        assert "n_packets=8" in br.dump_flows()
        br.del_port("i3")
        assert set(fake.dps[dpif.index]["ports"]) == {0, 1, 2}
        with pytest.raises(ConfigError, match="no ports of this program"):
            br.add_port("m")
        with pytest.raises(PortError, match="no ports of type 'pcap'"):
            br.add_port("p", "pcap:x,read=/dev/null")
        sw.del_bridge(br)
    assert not fake.dps


def test_tunnels_share_a_port_of_the_kernel(fake: FakeKernel) -> None:
    dpif = dpif_of(fake)
    with Switch(realtime=True, datapath=dpif) as sw:
        br = sw.add_bridge("br0")
        br.add_tunnel("a", "vxlan", remote_ip="1.2.3.4")
        br.add_tunnel("b", "vxlan", remote_ip="1.2.3.5")
        there = fake.dps[dpif.index]["ports"]
        assert {port["name"] for port in there.values()} == {"ovs-system", "vxlan_sys_4789"}
        br.del_port("a")
        assert len(there) == 2
        br.del_port("b")
        assert len(there) == 1
        with pytest.raises(ConfigError, match="gtpu"):
            br.add_tunnel("g", "gtpu", remote_ip="1.2.3.4")


def test_packets_of_tunnels_that_share_a_port_go_their_ways(fake: FakeKernel) -> None:
    """By the key of their tunnel and by the options in its header, also once flows are installed."""
    def out_of(vni: int, options: bytes) -> FlowKey:
        key = FlowKey(tun_src=0x0A000001, tun_dst=0x0A000009, tun_id=vni, tun_ttl=64, tun_flags=8)
        if options:
            set_raw(key, options)
        return key
    dpif = dpif_of(fake)
    with Switch(realtime=True, datapath=dpif, seed=0) as sw:
        br = sw.add_bridge("br0", normal=False)
        other = sw.add_bridge("br1", normal=False)
        br.tlv_map.add("{class=0xffff,type=1,len=4}->tun_metadata0")
        for i in (1, 2):
            br.add_port(f"i{i}", f"internal:i{i}")
        other.add_port("i3", "internal:i3")
        tunnel = br.add_tunnel("a", "geneve", remote_ip="10.0.0.1", key=5)
        other.add_tunnel("b", "geneve", remote_ip="flow", key="flow")
        br.add_flows(["priority=5,in_port=a,tun_metadata0=7/0xf,actions=output:i1",
                      "priority=1,in_port=a,actions=output:i2"])
        other.add_flow("in_port=b,actions=output:i3")
        number, seven = tunnel.of.odp_port, b"\xff\xff\1\1\0\0\0\7"
        assert number is not None
        some = ((5, seven, [1]), (5, b"", [2]), (5, seven[:-1] + b"\x17", [1]), (5, seven[:-1] + b"\6", [2]),
                (9, seven, [3]), (5, b"\0\7\7\0" + seven, [1]), (5, b"\0\7\x87\0", []), (5, seven[:6], []))
        for _ in range(3):
            for vni, options, expected in some:
                fake.sent.clear()
                fake.receive(number, frame(), index=dpif.index, tunnel=out_of(vni, options))
                sw.step()
                assert [port for port, _ in fake.sent] == expected, (vni, options)
        assert sw.stats().upcalls.n_miss < len(some) + 3
        other.del_port("b")
        br.add_tunnel("c", "geneve", remote_ip="10.0.0.1", local_ip="10.0.0.9", key=5)      # which names more
        br.add_flow("in_port=c,actions=output:i2,output:i1")
        sw.step()
        fake.sent.clear()
        fake.receive(number, frame(), index=dpif.index, tunnel=out_of(5, seven))
        sw.step()
        assert [port for port, _ in fake.sent] == [2, 1]
        br.add_tunnel("g", "vxlan", remote_ip="1.1.1.1", exts="gbp")
        assert [port for port in dpif.kernel.vport_dump(dpif.index) if port.gbp]


def test_actions_are_carried_out_by_turns_with_the_kernel(fake: FakeKernel, dpif: NetlinkDpif) -> None:
    ports(dpif)
    actions = (Ct(commit=True, zone=3), SetProto(6), Output(2), Recirc(5))
    assert dpif.operate([Execute(frame(), key_of(frame()), actions)]) == [None]
    fake.receive(2, frame(2), index=dpif.index)         # what comes meanwhile is not held up
    miss, = dpif.recv(2)
    assert miss.key == key_of(frame(2), 2)
    again, = dpif.recv(9)
    assert (again.key.recirc_id, again.key.ct_state, again.key.ct_zone) == (5, 0x21, 3)
    assert [port for port, _ in fake.sent] == [2] and fake.sent[0][1][23] == 6 and again.packet[23] == 6
    assert dpif.n_undone == 0


def test_the_kernel_needs_real_time() -> None:
    with pytest.raises(ConfigError, match="real time"):
        Switch(datapath="system")
    with pytest.raises(ConfigError, match="expected netdev or system"):
        Switch(datapath="quantum")


def test_an_upcalls_key_is_that_of_the_kernel() -> None:
    key = key_of(frame(2))
    assert decode_key(encode_key(key)) == key
    assert Upcall(frame(2), key).key == key


# ---- counters -----------------------------------------------------------------------------------------

def test_counters_of_many_flows_are_dumped(fake: FakeKernel, dpif: NetlinkDpif) -> None:
    ports(dpif)
    keys = [key_of(frame()) for _ in range(100)]
    for i, key in enumerate(keys):
        key.tp_src = i
    ufids = dpif.flow_install(keys, 100 * [FlowKey(in_port=0xFFFFFFFF, tp_src=0xFFFF)], 100 * [(Output(2),)])
    hit = Frame(proto=UDP).build()
    for i in range(50):
        fake.receive(1, hit[:34] + i.to_bytes(2, "big") + hit[36:], index=dpif.index)
    asked = fake.n_requests
    packed = b"".join(map(UFID.pack, ufids)) + UFID.pack(999)       # type: ignore[arg-type]
    told = list(COUNTERS.iter_unpack(dpif.flow_counters(packed)))
    assert fake.n_requests == asked + 1
    assert told == 50 * [(1, len(hit), 5_000_000, 0)] + 50 * [(0, 0, 0, 0)] + [(0, 0, -1, 0)]


def test_counters_are_read_by_layout_and_by_attribute() -> None:
    def message(**values: Any) -> bytes:
        body = b"\5\0\0\0" + encode(FLOW.attrs, values)
        return genl.pack(33, 2, 1, b"\1\1\0\0" + body)
    usual: dict[str, Any] = {"ufid": bytes(range(16)), "used": 7, "stats": (3, 300), "tcp_flags": 2}
    wanted = {bytes(range(16)): COUNTERS.pack(3, 300, 7000, 2)}
    for order in (usual, dict(reversed(usual.items())), usual | {"pad": b""}):
        found: dict[bytes, bytes] = {}
        read_counters(message(**order) + message(**(usual | {"ufid": b"x" * 16})), found)
        assert found == wanted | {b"x" * 16: COUNTERS.pack(3, 300, 7000, 2)}
    found = {}
    read_counters(message(ufid=b"y" * 16), found)
    assert found == {b"y" * 16: COUNTERS.pack(0, 0, 0, 0)}
    data = message(**usual)
    for end in range(1, len(data)):
        with suppress(FormatError):
            read_counters(data[:end], {})
