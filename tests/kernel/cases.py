"""The cases that need a kernel with openvswitch.ko, run in a virtual machine by ``make test-kernel``.

One process: prints a line for each case, with what went wrong, and ends with status 1 if anything did.
Names given as arguments choose among the cases.
"""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
for folder in ("tests/vswitchd", "tests/interop", "tests/kernel", "tests", "."):
    sys.path.insert(0, str(ROOT / folder))

import lab  # noqa: E402
import queue_cases  # noqa: E402
import scenarios  # noqa: E402
import tunnel_cases  # noqa: E402
from answers import in_order, own, reference  # noqa: E402
from dpctl_session import CONNECTIONS, DAEMON, NESTED, SESSION, TCP, UDP, VLAN, write_files  # noqa: E402
from lab import Wires, sh, switch, until  # noqa: E402
from model.hostile import packet  # noqa: E402

from fastpath import extract  # noqa: E402
from fastpath._flow import FlowKey  # noqa: E402
from fastpath.cli.dpctl import remote  # noqa: E402
from fastpath.dpif.actions import Output  # noqa: E402
from fastpath.dpif.netlink import conntrack  # noqa: E402
from fastpath.dpif.netlink.actions import decode_actions, encode_actions  # noqa: E402
from fastpath.dpif.netlink.kernel import Kernel, read_flow  # noqa: E402
from fastpath.dpif.netlink.key import decode_key, decode_mask, encode_key, encode_mask  # noqa: E402
from fastpath.dpif.netlink.provider import NetlinkDpif  # noqa: E402
from fastpath.dpif.odptext import parse_actions  # noqa: E402
from fastpath.dpif.provider import MeterBand  # noqa: E402
from fastpath.errors import FastpathError, NotFoundError  # noqa: E402
from fastpath.io import link  # noqa: E402
from fastpath.io.vport import KernelPort  # noqa: E402
from fastpath.switch import Switch  # noqa: E402
from fastpath.text import parse_mac  # noqa: E402

N_SETUPS = 2000
TCP_BYTES = 4 << 20


def case_ping_and_tcp() -> str:
    """Hosts in namespaces talk through a learning switch; del-br leaves nothing."""
    with switch() as sw:
        sw.start()
        assert "3 received" in sh("ip netns exec n1 ping -c 3 -i 0.2 -W 10 10.0.0.2")
        server = lab.listener(2, 5001)
        got = bytearray()

        def serve() -> None:
            peer, _ = server.accept()
            peer.settimeout(lab.DEADLINE)
            while data := peer.recv(1 << 16):
                got.extend(data)
            peer.close()

        thread = threading.Thread(target=serve)
        thread.start()
        sent = random.Random(1).randbytes(TCP_BYTES)
        before, started = lab.counters("v2")["tx_packets"], time.monotonic()
        with lab.dial(1, 2, 5001) as client:
            client.sendall(sent)
        thread.join(lab.DEADLINE)
        server.close()
        took = time.monotonic() - started
        assert bytes(got) == sent
        through = lab.counters("v2")["tx_packets"] - before
        stats = sw.stats()
        assert stats.upcalls.n_miss < 40 and stats.datapath.n_hit > stats.upcalls.n_miss
        sw.del_bridge("br0")
    return f"{TCP_BYTES >> 20} MiB by TCP in {took:.1f} s, {through} frames, {stats.upcalls.n_miss} misses"


def case_flow_setups() -> str:
    """Thousands of packets, each of which needs a flow of its own; nothing is lost, all is counted.

    On an emulated processor a round of revalidation takes long, and the limit of flows follows from that: so
    there is none while flows are set up.
    """
    frames = []
    for i in range(N_SETUPS):
        data = bytearray(scenarios.frame(1, 2))
        data[34:36] = (i + 1).to_bytes(2, "big")
        frames.append(bytes(data))
    with Wires() as wires, switch(normal=False, max_idle=300.0, max_revalidator=300.0) as sw:
        bridge = sw["br0"]
        bridge.add_flow("udp,in_port=v1,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],output:v2")
        before = {name: lab.counters(name) for name in ("v1", "v2")}
        sw.start()
        came = 0
        started = time.monotonic()
        for at in range(0, N_SETUPS, 100):
            wires.send(1, *frames[at:at + 100])
            while came < at + 100:
                some = len(wires.ends[2].recv())
                came += some
                assert some or time.monotonic() - started < 200, f"{came} of {at + 100} came through"
                lab.pause()
        took = time.monotonic() - started
        again = came
        wires.send(1, *frames[:500])                    # these have flows
        until("the second round", lambda: _count(wires, 500))
        sw.stop()
        sw.push_stats()
        stats = sw.stats()
        total = N_SETUPS + 500
        assert came == again == N_SETUPS
        assert stats.upcalls.n_installed == stats.n_flows == stats.datapath.n_flows == N_SETUPS, stats
        assert stats.datapath.n_lost == 0 and stats.datapath.n_hit >= 500
        size = len(frames[0])
        rule = f"n_packets={total}, n_bytes={total * size}"
        assert rule in bridge.dump_flows(), bridge.dump_flows()
        for name, direction in (("v1", "rx"), ("v2", "tx")):
            now, own = lab.counters(name), bridge.port(name).stats()
            for what, wanted in (("packets", total), ("bytes", total * size)):
                moved = now[f"{direction}_{what}"] - before[name][f"{direction}_{what}"]
                assert moved == getattr(own, f"{direction}_{what}") == wanted, (name, what, moved, own)
    return f"{N_SETUPS} flows in {took:.1f} s, {took / N_SETUPS * 1e3:.1f} ms each"


_SEEN: dict[int, int] = {}


def _count(wires: Wires, wanted: int) -> bool:
    """Whether *wanted* frames have come out since the last time this was so."""
    _SEEN[wanted] = _SEEN.get(wanted, 0) + sum(len(some) for some in wires.take().values())
    return _SEEN[wanted] >= wanted and bool(_SEEN.pop(wanted))


def case_scenarios() -> str:
    """What comes out and is counted on memory ports is what comes out of the kernel."""
    n = 0
    for scenario in scenarios.SCENARIOS:
        wanted, counts = scenarios.in_memory(scenario)
        with Wires() as wires, Switch(realtime=True, datapath="system", seed=0) as sw:
            bridges = scenarios.build(scenario, sw, lambda bridge, name: bridge.add_port(name, name))
            for (number, data), expected in zip(scenario.frames, wanted, strict=True):
                wires.send(number, data)
                got = _exchange(sw, wires, sum(map(len, expected.values())))
                assert got == expected, f"{scenario.name}: frame {data.hex()} by {number}:\n{got}\n{expected}"
                n += 1
            sw.push_stats()
            assert scenarios.counted(bridges) == counts, (scenario.name, scenarios.counted(bridges), counts)
    lab.check_nothing_left()
    return f"{len(scenarios.SCENARIOS)} scenarios, {n} frames"


def _exchange(sw: Switch, wires: Wires, expected: int) -> dict[int, list[bytes]]:
    """What comes out once as much as *expected* has, or nothing more does for a while."""
    got: dict[int, list[bytes]] = {}
    quiet = time.monotonic() + (lab.DEADLINE if expected else 0.05)
    while time.monotonic() < quiet:
        sw.step()
        for i, frames in wires.take().items():
            got.setdefault(i, []).extend(frames)
        if expected and sum(map(len, got.values())) >= expected:
            quiet, expected = min(quiet, time.monotonic() + 0.02), 0      # is there more than expected?
    return {i: sorted(frames) for i, frames in sorted(got.items())}


def case_conntrack() -> str:
    """The kernel tracks connections: replies pass, what nobody asked for does not."""
    flows = ("table=0,arp,actions=NORMAL", "table=0,ip,ct_state=-trk,actions=ct(table=1)",
             "table=1,in_port=v1,ip,ct_state=+trk+new,actions=ct(commit),NORMAL",
             "table=1,ip,ct_state=+trk+est,actions=NORMAL", "table=1,priority=0,actions=drop")
    with switch(normal=False) as sw:
        bridge = sw["br0"]
        bridge.add_flows(flows)
        sw.start()
        for host, to, passes in ((1, 2, True), (2, 1, False)):
            server = lab.listener(to, 6000 + host)
            try:
                with lab.dial(host, to, 6000 + host, timeout=lab.DEADLINE if passes else 2.0) as client:
                    peer, _ = server.accept()
                    client.sendall(b"ping")
                    assert peer.recv(4) == b"ping" and passes
                    peer.close()
            except TimeoutError:
                assert not passes
            server.close()
        assert any("ct_state" in line for line in sw.dump_megaflows().splitlines())
        for words in CONNECTIONS:
            ours, theirs = (in_order(run(words)) for run in (own, reference))
            if "-s" in words:               # time passes between the two
                ours, theirs = (re.sub(r"timeout=\d+", "timeout", told) for told in (ours, theirs))
            assert ours == theirs, (words, ours, theirs)
        assert "tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=" in own(("dump-conntrack",))
        assert own(("flush-conntrack", "zone=7")) == own(("flush-conntrack", "zone=0")) == "status 0"
        assert "10.0.0.1" not in reference(("dump-conntrack",))
    return f"a connection one way, none the other; {len(CONNECTIONS)} commands equal"


def case_keys_come_back() -> str:
    """Flows of packets of all kinds are accepted, and dumped back as they were put."""
    r = random.Random(7)
    dpif, n = NetlinkDpif("fp-codec"), 0
    actions = parse_actions("set(eth(src=02:00:00:00:00:01)),push_vlan(vid=5,pcp=1),1,"
                            "sample(sample=50.0%,actions(2)),clone(3),trunc(100),2,recirc(0x7)")
    try:
        index = dpif.index
        for i in range(300):
            data = packet(r)
            while len(data) < 14:
                data = packet(r)                # the kernel takes none without a whole Ethernet header
            key = extract(data, in_port=1)
            if key.dl_type < 0x5FF or key.dl_type in (0x8100, 0x88A8):
                continue                        # nor one that ends within its tag, which it takes for another
            key.recirc_id, key.pkt_mark, key.ct_state = i, r.getrandbits(32), r.choice((0, 0x21))
            mask = FlowKey.from_bytes(bytes(r.choice((0, 255, r.getrandbits(8))) for _ in bytes(key)))
            mask.in_port = mask.recirc_id = 0xFFFFFFFF
            ufid = i.to_bytes(16, "big")
            data, bits = encode_key(key), encode_mask(key, mask)
            put, got = dpif.kernel.transact([
                dpif.kernel.flow_put(index, ufid, data, bits, encode_actions(actions, 1)),
                dpif.kernel.flow_get(index, ufid, omit=0)])
            assert not put.error, (i, put.note, key, data.hex(), bits.hex())
            found = read_flow(got.bodies[0][1])
            kept, sent = decode_key(found.key), decode_key(data)
            wanted = decode_mask(bits, sent)
            asked = decode_mask(found.mask, kept)
            assert kept.masked(wanted) == sent.masked(wanted), (i, kept, sent, wanted)
            assert asked.covers(wanted), (i, asked, wanted)
            assert decode_actions(found.actions) == actions, decode_actions(found.actions)
            n += 1
    finally:
        dpif.close()
    return f"{n} flows"


def case_dpctl() -> str:
    """fastpath dpctl answers a session as ovs-dpctl does, and each of the two reads what the other made."""
    write_files()
    ours, theirs = _session(own), _session(reference)
    wrong = [f"{' '.join(words)}\n--- ours\n{mine}\n--- ovs-dpctl\n{other}"
             for words, mine, other in zip(SESSION, ours, theirs, strict=True) if mine != other]
    assert not wrong, f"{len(wrong)} of {len(SESSION)} differ:\n" + "\n".join(wrong)
    made = [("add-dp", "dp0", "v1", "v2"), ("add-flow", "dp0", UDP, "2"), ("add-flow", "dp0", TCP, NESTED),
            ("add-flow", "dp0", VLAN, "1")]
    for make, name in ((own, "ours"), (reference, "ovs-dpctl's")):
        for words in made:
            assert make(words).endswith("status 0"), (words, make(words))
        for words in (("dump-flows", "-m", "dp0"), ("show", "dp0")):
            assert own(words) == reference(words), (name, words, own(words), reference(words))
        assert "packets:0" in own(("dump-flows", "dp0")) and own(("del-dp", "dp0")).endswith("status 0")
    return f"{len(SESSION)} commands equal"


def _session(run: Callable[[tuple[str, ...]], str]) -> list[str]:
    try:
        return [run(words) for words in SESSION]
    finally:
        _clean()


def case_taken_over() -> str:
    """A datapath left by a process that was killed is used again; what is not wanted any more goes."""
    old = NetlinkDpif("fp-left", keep=True)
    for name in ("v1", "v2"):
        old.port_add(KernelPort(name))
    old.port_add(KernelPort("fp-int", kind="internal"))
    key = FlowKey(in_port=1, dl_type=0x800)
    old.flow_install([key], [FlowKey(in_port=0xFFFFFFFF)], [(Output(2),)])
    index = old.index
    old.close()
    assert "fp-int" in link.names()
    new = NetlinkDpif("fp-left")
    assert new.index == index and not new.kernel.flow_dump(index)
    assert new.port_add(KernelPort("v2")) == 2
    new.drop_leftovers()
    assert [port.name for port in new.kernel.vport_dump(index)] == ["fp-left", "v2"]
    assert "fp-int" not in link.names()
    new.close()
    lab.check_nothing_left()
    return ""


def case_upcall_sockets() -> str:
    """Misses come by a socket for each port, too, and userdata with actions; devices that go are noticed."""
    data = scenarios.frame(1, 2)
    for per_cpu in (True, False):
        dpif = NetlinkDpif("fp-up", per_cpu=per_cpu)
        with Wires() as wires:
            for name in ("v1", "v2"):
                dpif.port_add(KernelPort(name))
            wires.send(1, data)
            assert dpif.wait(lab.DEADLINE)
            upcall, = dpif.recv(9)
            assert upcall.packet == data and upcall.key == extract(data, in_port=1), upcall
            slow = parse_actions("userspace(pid=0,slow_path(action)),2")
            dpif.flow_install([upcall.key], [FlowKey(in_port=0xFFFFFFFF)], [slow])
            wires.send(1, data)
            assert dpif.wait(lab.DEADLINE)
            upcall, = dpif.recv(9)
            assert str(upcall.userdata) == str(slow[0].userdata)         # type: ignore[union-attr]
            until("the frame", lambda: wires.take() == {2: [data]})
            if not per_cpu:
                sh("ip link add fp-a type veth peer name fp-b")
                number = dpif.port_add(KernelPort("fp-a"))
                sh("ip link del fp-a")
                dpif.set_now(time.monotonic() + 5)
                assert dpif.gone == {number}
        dpif.close()
    return "by processor and by port"


def case_meters_and_limits() -> str:
    """Meters drop what is above their rate; conntrack limits are set and told."""
    dpif = NetlinkDpif("fp-meter")
    try:
        dpif.meter_set(1, pktps=True, bands=[MeterBand(5, 5)])
        dpif.port_add(KernelPort("v1"))
        dpif.port_add(KernelPort("v2"))
        key = extract(scenarios.frame(1, 2), in_port=1)
        dpif.flow_install([key], [FlowKey(in_port=0xFFFFFFFF)], [parse_actions("meter(1),2")])
        with Wires() as wires:
            wires.send(1, *(40 * [scenarios.frame(1, 2)]))
            until("the meter", lambda: dpif.meter_stats(1).n_packets == 40)
            stats = dpif.meter_stats(1)
            assert 20 <= stats.bands[0][0] < 40, stats
        dpif.meter_del(1)
        try:
            dpif.meter_stats(1)
            raise AssertionError("the meter is still there")
        except NotFoundError:
            pass
        dpif.kernel.set_ct_limits(dpif.index, [(-1, 100), (5, 7)])
        limits = {(zone, limit) for zone, limit, _ in dpif.kernel.ct_limits(dpif.index)}
        assert {(-1, 100), (5, 7)} <= limits, limits
    finally:
        dpif.close()
    return f"{stats.bands[0][0]} of 40 dropped"


def case_conntrack_by_turns() -> str:
    """What no kernel does is done here, and connections are tracked there, in one list of actions."""
    echo = scenarios.frame(1, 2, scenarios.ICMP)[:34] + bytes.fromhex("0800f7fa00010004")
    with switch(normal=False) as sw, Wires() as wires:
        bridge = sw["br0"]
        bridge.add_flows(["icmp,in_port=v1,actions=ct(commit,zone=7,nat(src=10.0.0.77)),"
                          "set_field:13->icmp_type,output:v2,ct(table=1,zone=7)",
                          "table=1,ct_state=+trk+new,icmp,icmp_type=13,actions=output:v3",
                          "table=1,actions=output:v4"])
        sw.start()
        for _ in range(2):
            wires.send(1, echo)
            got: dict[int, list[bytes]] = {}
            until("frames", lambda got=got: got.update(wires.take()) or len(got) == 2)
            (changed,), *_ = got.values()
            assert extract(changed).tp_src == 13 and extract(changed).nw_src == 0x0A00004D, got
        assert sw.dpif.n_undone == 0
        told = own(("dump-conntrack", "zone=7"))
        assert told == reference(("dump-conntrack", "zone=7")) and "dst=10.0.0.77" in told, told
        assert own(("flush-conntrack", "zone=7", "ct_nw_proto=1")) == "status 0"
    return f"out by {sorted(got)}"


def case_run() -> str:
    """fastpath run --datapath system forwards between devices until told to stop, and leaves nothing."""
    from fastpath.cli import run
    from fastpath.cli.main import parser
    args = parser().parse_args(["run", "--datapath", "system", "--quiet", "--port", "v1", "--port",
                                "system:v2", "--port", "internal:lan0,mtu=1400"])
    stop, status = threading.Event(), list[int]()
    thread = threading.Thread(target=lambda: status.append(run.main(args, stop)))
    thread.start()
    try:
        until("the ports", lambda: "lan0" in link.names())
        until("an answer", lambda: _answers("10.0.0.2"))
        assert "2 received" in sh("ip netns exec n1 ping -c 2 -i 0.2 -W 20 10.0.0.2")
        assert link.device("lan0").mtu == 1400
    finally:
        stop.set()
        thread.join(lab.DEADLINE)
    assert status == [0]
    lab.check_nothing_left()
    return ""


def case_vswitchd() -> str:
    """fastpath-vswitchd serves a bridge by the kernel, and so does the next one when it is killed."""
    import stack
    stack.START_S = 200.0
    with stack.Stack(stack.OURS) as daemon:
        daemon.env["OVS_CTL_TIMEOUT"] = "100"
        wrong = daemon.run("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=system "
                           "-- add-port br0 v1 -- add-port br0 v2")
        assert not wrong, wrong + daemon.log
        shown = sh("ovs-dpctl show")
        assert _show_ports() == {"v1", "v2", "br0"} and "br0 (internal)" in shown, shown + daemon.log
        until("an answer", lambda: _answers("10.0.0.2"))
        sh("ip addr add 10.0.0.9/24 dev br0; ip link set br0 up")
        daemon.stop(how=signal.SIGKILL)
        assert "br0 (internal)" in sh("ovs-dpctl show")
        daemon.start()
        until("the ports", lambda: _show_ports() == {"v1", "v2", "br0"})
        assert "10.0.0.9" in sh("ip -o addr show br0")
        until("an answer", lambda: _answers("10.0.0.9"))     # what comes before it knows the ports is lost
        assert not (wrong := daemon.run("ovs-vsctl del-br br0")), wrong
        until("the end", lambda: not sh("ovs-dpctl dump-dps 2>/dev/null").strip())
    lab.check_nothing_left()
    return ""


# Queues, of which one has a DSCP, and two that no packet can be told to take.
_QUEUED = r"""
ovs-vsctl set port v2 qos=@n -- --id=@n create qos type=linux-htb queues=5=@q \
    -- --id=@q create queue dscp=10 > /dev/null
ovs-ofctl add-flows br0 - <<END
priority=9,in_port=v1,actions=set_queue:5,output:v2,pop_queue,output:v2,set_queue:61440,output:v2
priority=9,in_port=v2,actions=enqueue:v1:5,enqueue:v1:61440,enqueue:LOCAL:61439
END
for flow in in_port=v1,ip in_port=v2,ip in_port=v1,dl_type=0x1234; do ovs-appctl ofproto/trace br0 $flow; done
"""


def case_daemon_conntrack() -> str:
    """The daemon tells of the kernel's connections, and sets what can be set, as ovs-vswitchd does."""
    import stack
    stack.START_S = 200.0
    told, traced = list[list[str]](), list[str]()
    for program in (stack.OURS, stack.THEIRS):
        with stack.Stack(program) as daemon:
            daemon.env["OVS_CTL_TIMEOUT"] = "100"
            wrong = daemon.run("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=system; "
                               "ovs-vsctl add-port br0 v1; ovs-vsctl add-port br0 v2; "
                               "ovs-ofctl mod-port br0 br0 up; "
                               "ovs-ofctl del-flows br0; ovs-ofctl add-flows br0 - <<END\n"
                               "priority=2,udp,tp_dst=7 actions=ct(commit,zone=3),NORMAL\n"
                               "priority=1,udp actions=ct(commit),NORMAL\narp actions=NORMAL\nEND")
            assert not wrong, wrong + daemon.log
            # Other cases set limits and left connections.
            sh("ovs-dpctl ct-set-limits default=0; ovs-dpctl ct-del-limits zone=5; "
               "ovs-dpctl flush-conntrack; true")
            until("an answer", lambda: _tracked() >= {0, 3})
            path = str(daemon.dir / f"ovs-vswitchd.{daemon.pid()}.ctl")
            told.append([_without_times(_asked(path, line.split())) for line in DAEMON])
            traced.append(daemon.run(_QUEUED))
            daemon.run("ovs-appctl exit --cleanup; tc qdisc del dev v2 root")
        _clean()
    wrong = [f"{line}\n--- ours\n{ours}\n--- ovs-vswitchd\n{theirs}"
             for line, ours, theirs in zip(DAEMON, *told, strict=True) if ours != theirs]
    assert not wrong, f"{len(wrong)} of {len(DAEMON)} differ:\n" + "\n".join(wrong)
    assert traced[0] == traced[1] and "set(skb_priority(0x10006))" in traced[0], "\n--\n".join(traced)
    flushed = DAEMON.index("flush-conntrack")
    assert told[0][0].count("5555") == 4 and "zone=3" in told[0][0] and not told[0][flushed - 1], told[0]
    return f"{len(DAEMON)} commands equal"


def _tracked() -> set[int]:
    """Zones with connections, two of which host 1 has just begun."""
    with lab.datagrams(1, 5555) as udp:
        for port in (7, 8):
            udp.sendto(b"fastpath", (lab.ADDRESSES[2], port))
    return {connection.zone for connection in conntrack.dump() if connection.orig.src == lab.ADDRESSES[1]}


def _asked(path: str, words: list[str]) -> str:
    """What a daemon answers to a command of dpctl."""
    try:
        return remote.ask(path, words)
    except FastpathError as error:
        return f"{error} [refused]"


def _without_times(told: str) -> str:
    """*told* in order, without what goes by."""
    return in_order(re.sub(r"\b(timeout|id)=\d+", r"\1", told))


def _answers(address: str) -> bool:
    """Whether the host at *address* answers one of namespace 1."""
    return subprocess.run(["ip", "netns", "exec", "n1", "ping", "-c", "1", "-W", "3", address],
                          capture_output=True, timeout=60).returncode == 0


def _show_ports() -> set[str]:
    kernel = Kernel()
    try:
        dp = kernel.dp_get("ovs-system")
        return {port.name for port in kernel.vport_dump(dp.index) if port.number}
    finally:
        kernel.close()


def case_errors() -> str:
    """What cannot be is told in one line."""
    told = []
    dpif = NetlinkDpif("fp-err")
    dpif.port_add(KernelPort("v1"))
    other = NetlinkDpif("fp-err2")
    for call in (lambda: other.port_add(KernelPort("v1")),
                 lambda: dpif.kernel.vport_get(dpif.index, number=99),
                 lambda: dpif.kernel.dp_new("v2"), lambda: dpif.port_add(KernelPort("lo"))):
        try:
            call()
            raise AssertionError("no error")
        except FastpathError as error:
            told.append(str(error))
            assert "\n" not in str(error)
    dpif.close()
    other.close()
    return "; ".join(told)


def main(names: list[str]) -> int:
    """Run the cases whose names hold one of *names*, or all."""
    started = time.monotonic()
    lab.make_namespaces()
    assert parse_mac(lab.MACS[1])
    print(f"namespaces made after {time.monotonic() - started:.1f} s", flush=True)
    there = {**globals(), **vars(tunnel_cases), **vars(queue_cases)}
    cases = [(name.removeprefix("case_"), case) for name, case in there.items()
             if name.startswith("case_") and (not names or any(part in name for part in names))]
    failed = []
    for name, case in cases:
        began = time.monotonic()
        try:
            said = case()
        except Exception:
            failed.append(name)
            said = "FAILED\n" + traceback.format_exc()
            _clean()
        print(f"{name}: {time.monotonic() - began:.1f} s{': ' if said else ''}{said}", flush=True)
    print(f"{len(cases) - len(failed)} of {len(cases)} cases passed in {time.monotonic() - started:.0f} s",
          flush=True)
    return 1 if failed or not cases else 0


def _clean() -> None:
    """Remove the datapaths a failed case left."""
    kernel = Kernel()
    for dp in kernel.dp_dump():
        kernel.dp_del(dp.index, dp.name)
    kernel.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
