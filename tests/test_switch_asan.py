"""A whole switch under AddressSanitizer and UBSan: any table, any program, any packet, and no packet kept."""

from __future__ import annotations

from pathlib import Path

import sanitize

MODULES = sorted(path.stem for path in (sanitize.ROOT / "fastpath").rglob("_*.pyx"))

DATAPATH = """
import sys
from random import Random
from model.hostile import action, hostile, vnet
from fastpath._flow import FlowKey
from fastpath.dpif.provider import Execute, FlowDel, FlowPut, MeterBand
from fastpath.dpif.userspace import UserspaceDpif
from fastpath.errors import FastpathError
from fastpath.io._memory import MemoryPort
from fastpath.io._pcap import PcapPort
from fastpath.io._python import PythonPort

sys.unraisablehook = lambda what: None
class Wild(PythonPort):
    def rx(self, limit):
        if r.random() < 0.3: raise ValueError("rx")
        return [hostile(r) for _ in range(r.randrange(3))] + [b"z" * 70000] * (r.random() < 0.1)
    def tx(self, frames):
        if r.random() < 0.3: raise ValueError("tx")

def put():
    key = FlowKey(in_port=r.randint(1, 6), recirc_id=r.choice((0, 0, 1, 2)))
    mask = FlowKey(dl_type=r.choice((0, 0, 0xffff)), nw_proto=r.choice((0, 0xff)))
    if mask.dl_type: key.dl_type = r.choice((0x800, 0x86dd, 0x8847, 0x806))
    if mask.nw_proto: key.nw_proto = r.choice((1, 6, 17, 58))
    return FlowPut(key, mask, tuple(action(r, ports=6) for _ in range(r.randrange(5))))

for seed in range(int(sys.argv[2]), int(sys.argv[2]) + int(sys.argv[1])):
    r = Random(seed)
    dpif = UserspaceDpif(seed=seed, pool_limit=r.choice((64, 200, 16384)), mask_cap=r.choice((1, 128)))
    ports = [MemoryPort("a", vnet=True), MemoryPort("b"), MemoryPort("c", vnet=True, capacity=10), Wild("d"),
             PcapPort("e", write="out.pcap"), MemoryPort("f", mtu=1500)]
    for number, port in enumerate(ports, 1): dpif.port_add(port, number)
    dpif.meter_set(0, pktps=True, bands=[MeterBand(10, 5)])
    dpif.meter_set(1, pktps=False, bands=[MeterBand(1, 1), MeterBand(2, 9, 1)])
    flows = []
    for step in range(60):
        dpif.set_now(1 + step / 10)
        flows += [f for f in dpif.operate([put() for _ in range(4)]) if isinstance(f, int)]
        for port in ports[:3]:
            for _ in range(r.choice((1, 8, 40))):
                try: port.inject(hostile(r), vnet(r))
                except ValueError: pass
        for _ in range(3): dpif.turn()
        assert dpif.n_held() == 0, dpif.n_held()
        upcalls = dpif.recv(50)
        dpif.operate([Execute(u.packet, u.key, tuple(action(r, ports=6) for _ in range(r.randrange(4))),
                              u.vnet) for u in upcalls])
        if r.random() < 0.1:
            number = r.randint(1, 6)
            dpif.port_del(number); dpif.port_add(ports[number - 1], number)
        if r.random() < 0.3 and flows:
            r.shuffle(flows)
            dpif.operate([FlowDel(flows.pop())])
        assert dpif.n_held() == 0
        for port in (ports[0], ports[1], ports[5]): port.take()
    dpif.close()
    for port in ports: port.close()
    assert dpif.n_held() == 0
print("whole")
"""

SWITCH = """
import sys
from random import Random
from model.hostile import hostile, vnet
from test_soundness import Universe
from fastpath import FastpathError, Switch
from fastpath.io._memory import MemoryPort

for seed in range(int(sys.argv[2]), int(sys.argv[2]) + int(sys.argv[1])):
    r, u = Random(seed), Universe(seed)
    sw = Switch(seed=seed, flow_limit=r.choice((20, 200_000)))
    br = sw.add_bridge("br0", normal=r.random() < 0.5)
    other = sw.add_bridge("br1", normal=True)
    sw.connect(br, other)
    ports = [MemoryPort(f"p{i}", vnet=i % 2 == 0) for i in range(1, 5)]
    for port in ports: br.add_port(port.name, port, tag=r.choice((None, None, 10)))
    other.add_port("q1", ports_q := MemoryPort("q1"))
    for step in range(40):
        for _ in range(r.randrange(3)):
            try: br.add_flow(u.rule(r.choice((0, 0, 1, 2, 3))))
            except FastpathError: pass
        if r.random() < 0.1: br.del_flows(f"in_port={r.randint(1, 4)}")
        for port in (*ports, ports_q):
            for _ in range(r.randrange(6)):
                try: port.inject(hostile(r), vnet(r))
                except ValueError: pass
        sw.run(r.choice((None, 0.1, 3)))
        assert sw.dpif.n_held() == 0
        for port in (*ports, ports_q): port.take()
        sw.stats(), sw.dump_megaflows(), br.dump_flows()
    sw.close()
print("whole")
"""


def test_any_flows_over_any_packets(more: int, tmp_path: Path) -> None:
    done = sanitize.run("address", MODULES, DATAPATH, args=[str(6 * more), "0"])
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr[-4000:]


def test_any_tables_over_any_packets(more: int) -> None:
    done = sanitize.run("address", MODULES, SWITCH, args=[str(3 * more), "0"])
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr[-4000:]
