"""Faults on the sockets: every message spoilt in every place, answers lost, doubled, late and out of order.

Whatever comes, a reader returns or raises FormatError, a call returns or raises an error of ours, and the
next one finds all well.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random

import pytest
from model.frames import UDP, Frame
from model.kernel import FakeKernel, FakeListener

from fastpath import extract
from fastpath._flow import FlowKey
from fastpath.dpif.actions import Output
from fastpath.dpif.netlink.actions import decode_actions, encode_actions
from fastpath.dpif.netlink.conntrack import read_connection
from fastpath.dpif.netlink.counters import read_counters
from fastpath.dpif.netlink.kernel import read_datapath, read_flow, read_packet, read_vport
from fastpath.dpif.netlink.key import decode_key, decode_mask, encode_key, encode_mask
from fastpath.dpif.netlink.nla import attr, walk
from fastpath.dpif.netlink.provider import NetlinkDpif
from fastpath.dpif.netlink.rows import CT_LIMIT, METER, decode
from fastpath.dpif.odptext import parse_actions
from fastpath.dpif.provider import COUNTERS, UFID, MeterBand
from fastpath.errors import DatapathError, FastpathError, FormatError, PortError
from fastpath.geneve import set_raw
from fastpath.io import genl
from fastpath.io.genl import DUMP_INTERRUPTED, LOST, MULTI, Request, Requests, read_error, split
from fastpath.io.genl import walk as messages
from fastpath.io.vport import KernelPort

FRAME = Frame(proto=UDP).build()
N_FLOWS = 40
ACTIONS = parse_actions(
    "set(tunnel(tun_id=0x5,dst=1.1.1.1,ttl=64,geneve({class=1,type=1,len=4,0x7}),flags(df|key))),1,"
    "push_vlan(vid=5,pcp=1),sample(sample=50.0%,actions(2)),clone(3),"
    "ct(commit,zone=3,mark=0x1/0xff,nat(src=10.0.0.1-10.0.0.9)),"
    "check_pkt_len(size=100,gt(1),le(2)),userspace(pid=7,slow_path(action)),hash(l4(1)),recirc(0x7)")


_OPENED: list[NetlinkDpif] = []


@pytest.fixture(autouse=True)
def no_devices(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Devices are the fake kernel's alone; what a test opens is closed after it."""
    monkeypatch.setattr("fastpath.io.link.configure", lambda name, **settings: None)
    yield
    while _OPENED:
        _OPENED.pop().close()


def new_dpif(fake: FakeKernel) -> NetlinkDpif:
    dpif = NetlinkDpif("ovs-system", kernel=fake.kernel(), new_listener=lambda: FakeListener(fake))
    _OPENED.append(dpif)
    for i in (1, 2):
        dpif.port_add(KernelPort(f"i{i}", kind="internal"))
    return dpif


def flows(dpif: NetlinkDpif, n: int = N_FLOWS, first: int = 0) -> list[object]:
    keys = [extract(FRAME, in_port=1) for _ in range(n)]
    for i, key in enumerate(keys, first):
        key.tp_src = i
    return dpif.flow_install(keys, n * [FlowKey(in_port=0xFFFFFFFF, tp_src=0xFFFF)], n * [(Output(2),)])


# ---- messages, one by one -----------------------------------------------------------------------------

def tunnelled() -> FlowKey:
    key = extract(Frame(proto=UDP, tags=((0x8100, 7),)).build(), in_port=1)
    key.tun_src, key.tun_dst, key.tun_id, key.tun_flags, key.tun_ttl = 1, 2, 5, 10, 64
    key.ct_state, key.ct_label, key.ct_nw_proto = 0x21, 77, 17
    set_raw(key, b"\1\2\3\1\0\0\0\7")
    return key


def kinds() -> dict[str, tuple[bytes, Callable[[bytes], object]]]:
    """A message of each kind as a kernel sends it, what is behind its headers, and its reader."""
    fake = FakeKernel()
    dpif = new_dpif(fake)
    flows(dpif, 1)
    fake.receive(1, FRAME[:34] + b"\0\0" + FRAME[36:], index=dpif.index)
    dpif.meter_set(1, pktps=True, bands=[MeterBand(1, 1)])
    seen: list[bytes] = []
    fake.faults.append(lambda data: seen.append(data) or data)      # type: ignore[func-returns-value]

    def told(call: Callable[[], object]) -> bytes:
        seen.clear()
        call()
        first = next(m for data in seen for m in messages(data) if m.type > 16)
        return split(first.body)[1]
    key = tunnelled()
    data, exact = encode_key(key), FlowKey.from_bytes(b"\xff" * len(bytes(key)))
    out: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
        "datapath": (told(dpif.info), read_datapath),
        "port": (told(lambda: dpif.kernel.vport_get(dpif.index, number=1)), read_vport),
        "flow": (told(lambda: dpif.kernel.flow_dump(dpif.index)), read_flow),
        "meter": (told(lambda: dpif.meter_stats(1)), lambda body: decode(METER.attrs, body[4:], "meter")),
        "limits": (told(lambda: dpif.kernel.ct_limits(dpif.index)),
                   lambda body: decode(CT_LIMIT.attrs, body[4:], "limits")),
        "key": (data, decode_key), "mask": (encode_mask(key, exact), lambda body: decode_mask(body, key)),
        "actions": (encode_actions(ACTIONS, 1), decode_actions),
    }
    packet = struct.pack("=i", dpif.index) + attr(1, FRAME) + attr(2, data) + attr(4, b"x" * 48) + attr(
        9, b"\1\0") + attr(10, bytes(4)) + attr(11, bytes(8))
    out["packet"] = packet, lambda body: read_packet(body, is_miss=False)
    return out


KINDS = ("datapath", "port", "flow", "meter", "limits", "key", "mask", "actions", "packet")


def spoilt(data: bytes) -> Iterator[bytes]:
    """*data* cut everywhere, and with each byte changed in several ways."""
    yield from (data[:end] for end in range(len(data)))
    for at in range(len(data)):
        for byte in {0, 1, 4, 0x7F, 0x80, 0xFF, data[at] ^ 1, data[at] + 4 & 0xFF} - {data[at]}:
            yield data[:at] + bytes((byte,)) + data[at + 1:]


def rearranged(data: bytes, head: int, depth: int = 0) -> Iterator[bytes]:
    """*data* with each attribute left out, doubled, emptied, cut, longer, of another number; nests too."""
    try:
        attrs = list(walk(data[head:], "test"))
    except FormatError:
        return
    packed = [attr(number, payload) for number, payload in attrs]
    for i, (number, payload) in enumerate(attrs):
        before, after = data[:head] + b"".join(packed[:i]), b"".join(packed[i + 1:])
        for other in (b"", 2 * packed[i], attr(number), attr(number, payload[:-1]), attr(number, payload[:2]),
                      attr(number, payload + b"\1"), attr(number + 1, payload),
                      attr(number ^ 0x8000, payload), attr(number, payload + attr(63, b"more"))):
            yield before + other + after
        if depth < 3 and payload:
            for inner in rearranged(payload, 0, depth + 1):
                yield before + attr(number, inner) + after
    yield data[:head] + b"".join(reversed(packed))


@pytest.mark.parametrize("kind", KINDS)
def test_every_message_spoilt_in_every_place_is_read_or_refused(kind: str) -> None:
    data, read = kinds()[kind]
    read(data)
    head = 0 if kind in ("key", "mask", "actions") else 4
    n = n_refused = 0
    for wrong in (*spoilt(data), *rearranged(data, head)):
        n += 1
        try:
            read(wrong)
        except FormatError as error:
            n_refused += 1
            assert "\n" not in str(error)
    assert n > 8 * len(data) / 2 and n_refused > n / 20, (n, n_refused)


def test_errors_and_counters_and_connections_are_read_or_refused() -> None:
    note = attr(1, b"no such thing\0") + attr(2, bytes(4))
    error = genl.Message(2, 0x300, 1, struct.pack("=i", -22) + struct.pack("=IHHII", 36, 33, 5, 1, 0) + note)
    assert read_error(error) == (22, "no such thing")
    for wrong in spoilt(error.body):
        with suppress(FormatError):
            code, _ = read_error(genl.Message(2, 0x300, 1, wrong))
            assert 0 <= code <= 4095
    fake = FakeKernel()
    dpif = new_dpif(fake)
    flows(dpif, 3)
    datagram = b"".join(dpif.kernel.flow_counters(dpif.index) or [])
    for wrong in spoilt(datagram):
        with suppress(FormatError):
            read_counters(wrong, {})
    ends = attr(1, attr(1, bytes(4)) + attr(2, bytes(4))) + attr(2, attr(1, b"\6"))
    for wrong in rearranged(attr(1, ends) + attr(2, ends), 0):
        with suppress(FormatError):
            read_connection(wrong)


# ---- upcalls and what is told to all ------------------------------------------------------------------

def test_spoilt_upcalls_are_counted_and_the_next_is_served() -> None:
    fake = FakeKernel()
    dpif = new_dpif(fake)
    pid, r = fake.dps[dpif.index]["pids"][0], Random(1)
    ours = next(sock for fd, sock in dpif._listener._sockets.items() if dpif._listener._ports[pid] == fd)
    fake.receive(1, FRAME, index=dpif.index)
    good = ours.recv(1 << 16)
    n = 0
    for wrong in list(spoilt(good))[::7]:
        fake.sockets[pid].send(wrong or b"\0")
        n += len(dpif.recv(9))
        if r.random() < 0.05:
            fake.sockets[pid].send(good)
            upcall, = dpif.recv(9)
            assert upcall.packet == FRAME and upcall.key == extract(FRAME, in_port=1)
    assert dpif.n_bad > n / 4 > 0                   # of many only the frame was another


def test_spoilt_news_of_ports_do_no_harm() -> None:
    fake = FakeKernel()
    dpif = new_dpif(fake)
    now, watcher = 10.0, fake.watchers[0]
    body = struct.pack("=BBxxi", 2, 1, dpif.index) + attr(1, struct.pack("=I", 1)) + attr(
        2, struct.pack("=I", 2)) + attr(3, b"i1\0")
    news = genl.pack(fake_id("ovs_vport"), 0, 0, body)
    for wrong in spoilt(news):
        watcher.send(wrong or b"\0")
        now += 5
        dpif.set_now(now)
    assert dpif.gone <= {0, 1, 2} and dpif.n_bad > 20


def fake_id(name: str) -> int:
    from model.kernel import _IDS
    return _IDS[name]


# ---- answers ------------------------------------------------------------------------------------------

def test_answers_out_of_order_are_sorted() -> None:
    fake, r = FakeKernel(), Random(2)
    dpif = new_dpif(fake)
    original = fake.send

    def send(data: bytes, /) -> int:
        n = original(data)
        shuffled = list(fake.replies)
        r.shuffle(shuffled)
        fake.replies.clear()
        fake.replies.extend(shuffled)
        return n
    fake.send = send                                        # type: ignore[method-assign]
    ufids = flows(dpif)
    assert all(isinstance(ufid, int) for ufid in ufids)
    again = flows(dpif)
    assert all(isinstance(result, FastpathError) for result in again)
    mixed = dpif.flow_stats([ufids[0], 10_000, ufids[1], 10_001])      # type: ignore[list-item]
    assert [found is None for found in mixed] == [False, True, False, True]
    fake.send = original                                    # type: ignore[method-assign]


def test_answers_given_twice_and_late_are_passed_over() -> None:
    fake = FakeKernel()
    dpif = new_dpif(fake)
    late: list[bytes] = []

    def double(data: bytes) -> bytes | int | None:
        late.append(data)
        if len(late) % 3 == 0:
            fake.replies.append(late[len(late) // 4])       # of a request long answered
        if len(late) % 5 == 0 and len(late) < 500 and not data[6] & MULTI:
            fake.replies.appendleft(data)
        return data
    fake.faults.append(double)
    ufids = flows(dpif)
    assert all(isinstance(ufid, int) for ufid in ufids) and len(set(ufids)) == N_FLOWS
    assert {flow.ufid for flow in dpif.flow_dump()} == set(ufids)
    fake.faults.clear()


@pytest.mark.parametrize("at", [1, 2, 7, N_FLOWS - 1])
def test_a_dump_that_runs_over_in_its_middle_is_taken_again(at: int) -> None:
    fake = FakeKernel()
    dpif = new_dpif(fake)
    packed = b"".join(UFID.pack(ufid) for ufid in flows(dpif))         # type: ignore[arg-type]
    wanted = dpif.flow_counters(packed)
    n = [0]

    def overrun(data: bytes) -> bytes | int | None:
        n[0] += 1
        return errno.ENOBUFS if n[0] == at else data
    for call in (lambda: len(list(dpif.flow_dump())) == N_FLOWS, lambda: dpif.flow_counters(packed) == wanted,
                 lambda: len(dpif.kernel.vport_dump(dpif.index)) == 3):
        n[0] = 0
        fake.faults.append(overrun)
        assert call()
        fake.faults.clear()


def test_a_dump_that_runs_over_each_time_is_an_error() -> None:
    fake = FakeKernel()
    dpif = new_dpif(fake)
    packed = b"".join(UFID.pack(ufid) for ufid in flows(dpif))         # type: ignore[arg-type]
    fake.faults.append(lambda data: errno.ENOBUFS if data[6] & MULTI else data)
    with pytest.raises(DatapathError, match="answers were lost"):
        dpif.kernel.flow_dump(dpif.index)
    one_by_one = COUNTERS.iter_unpack(dpif.flow_counters(packed))
    assert all(used >= 0 for _, _, used, _ in one_by_one)
    fake.faults.clear()
    assert len(list(dpif.flow_dump())) == N_FLOWS


def test_a_dump_under_which_things_changed_is_taken_again() -> None:
    fake = FakeKernel()
    dpif = new_dpif(fake)
    flows(dpif)
    left = [2]

    def torn(data: bytes) -> bytes:
        if data[6] & MULTI and left[0]:
            left[0] -= 1
            return data[:6] + bytes((data[6] | DUMP_INTERRUPTED,)) + data[7:]
        return data
    fake.faults.append(torn)
    assert len(list(dpif.flow_dump())) == N_FLOWS and not left[0]


def test_an_answer_that_never_comes_is_an_error_and_the_next_request_fares_well() -> None:
    fake = FakeKernel()
    dpif = new_dpif(fake)
    fake.faults.append(lambda data: None)
    with pytest.raises(PortError):
        dpif.info()
    fake.faults.clear()
    assert dpif.info().name == "ovs-system" and all(isinstance(ufid, int) for ufid in flows(dpif))


def test_lost_answers_are_asked_for_again_one_by_one() -> None:
    """Of every place in a batch: what was done before is not an error the second time."""
    for at in range(1, N_FLOWS, 3):
        fake = FakeKernel()
        dpif = new_dpif(fake)
        n = [0]

        def overrun(data: bytes, at: int = at, n: list[int] = n) -> bytes | int | None:
            n[0] += 1
            return errno.ENOBUFS if n[0] == at else data
        fake.faults.append(overrun)
        ufids = flows(dpif)
        assert all(isinstance(ufid, int) for ufid in ufids), at
        n[0] = 0
        dpif.flow_delete(b"".join(UFID.pack(ufid) for ufid in ufids))      # type: ignore[arg-type]
        assert not fake.dps[dpif.index]["flows"]
        fake.faults.clear()


def test_requests_whose_answers_are_lost_every_time_say_so() -> None:
    fake = FakeKernel()
    requests = Requests(fake)
    fake.faults.append(lambda data: errno.ENOBUFS)
    reply, = requests.transact([Request(16, 3, 1, attr(2, b"ovs_flow\0"))])
    assert reply.error == LOST and requests.n_overruns == 1
    error, some = requests.dump(Request(32, 3, 1, bytes(4), genl.DUMP))
    assert (error, some) == (LOST, [])


def _do_something(dpif: NetlinkDpif, r: Random) -> None:
    match r.randrange(8):
        case 0:
            flows(dpif, 5, r.randrange(1000))
        case 1:
            list(dpif.flow_dump())
        case 2:
            dpif.stats()
        case 3:
            dpif.flow_stats(range(1, 9))
        case 4:
            dpif.flow_delete(UFID.pack(r.randrange(1, 50)))
        case 5:
            dpif.kernel.ct_limits(dpif.index)
        case 6:
            dpif.port_stats(1)
        case _:
            dpif.flow_flush()


def test_random_faults_of_all_kinds(more: int) -> None:
    """Lost, cut, spoilt, doubled, swapped, mixed: nothing but errors of ours, and then all is well."""
    for seed in range(6 * more):
        fake, r = FakeKernel(per_cpu=seed % 2 == 0), Random(seed)
        dpif = new_dpif(fake)

        def fault(data: bytes, r: Random = r, fake: FakeKernel = fake) -> bytes | int | None:
            match r.randrange(12):
                case 0:
                    return data[:r.randrange(len(data))]
                case 1:
                    return errno.ENOBUFS
                case 2:
                    fake.replies.append(data)
                case 3:
                    if fake.replies:
                        fake.replies.rotate(1)
                case 4:
                    wrong = bytearray(data)
                    wrong[r.randrange(len(wrong))] ^= 1 << r.randrange(8)
                    return bytes(wrong)
            return data
        fake.faults.append(fault)
        for _ in range(60):
            with suppress(FastpathError):
                _do_something(dpif, r)
            fake.replies.clear()
        fake.faults.clear()
        dpif.flow_flush()
        assert all(isinstance(ufid, int) for ufid in flows(dpif)) and len(list(dpif.flow_dump())) == N_FLOWS
