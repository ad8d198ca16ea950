"""Everything at once under ThreadSanitizer: threads, packets, rules, ports, revalidation, counters."""

from __future__ import annotations

import sanitize

MODULES = sorted(path.stem for path in (sanitize.ROOT / "fastpath").rglob("_*.pyx"))

CODE = """
import sys, threading, time
from random import Random
from fastpath import FastpathError, Switch
from fastpath.io._memory import MemoryPort
from fastpath.io._python import PythonPort
from fastpath.testing import frame
from model.hostile import hostile, vnet
from test_soundness import Universe

class Echo(PythonPort):
    def rx(self, limit): return [frame("udp", src=3, dst=1)] if self.now % 0.01 < 0.001 else []
    def tx(self, frames): pass

u, end = Universe(5), time.monotonic() + float(sys.argv[1])
sw = Switch(seed=1, realtime=True, flow_limit=60, max_idle=0.2)
br = sw.add_bridge("br0", normal=True)
ports = [MemoryPort(f"p{i}", vnet=i % 2 == 0) for i in range(1, 5)]
for port in ports: br.add_port(port.name, port)
br.add_port("echo", Echo("echo"))
events, failed, counts = [], [], [0, 0, 0]
br.on_packet_in(events.append)

def task(step):
    def run():
        try:
            while time.monotonic() < end: step()
        except BaseException as error:
            failed.append(error)
    return threading.Thread(target=run)

def send(r):
    for _ in range(20):
        r.choice(ports).inject(frame("udp", src=r.randint(1, 9), dst=r.randint(1, 9), sport=r.randint(1, 40)))
    try: r.choice(ports).inject(hostile(r), vnet(r))
    except ValueError: pass
    counts[0] += 1
    time.sleep(0.001)

def take():
    for port in ports: port.take(), port.stats(), port.pending
    time.sleep(0.001)

def rules():
    try: br.add_flow(u.rule(0))
    except FastpathError: pass
    if len(br.rules()) > 20: br.del_flows("ip")
    counts[1] += 1
    time.sleep(0.003)

def come_and_go():
    br.add_port("x")
    time.sleep(0.002)
    br.del_port("x")

def read():
    sw.stats(), sw.dump_megaflows(), br.dump_flows(), br.dump_ports(), sw.push_stats(), br.fdb()
    counts[2] += 1
    time.sleep(0.002)

sw.start(2)
one, two = Random(1), Random(2)
tasks = [task(step) for step in (lambda: send(one), lambda: send(two), take, rules, come_and_go, read)]
for t in tasks: t.start()
for t in tasks: t.join()
sw.stop()
assert not failed, failed
assert sw.dpif.n_held() == 0 and min(counts) > 0
stats = sw.stats().datapath
assert stats.n_hit and stats.n_missed
sw.close()
print("whole")
"""


def test_all_of_a_switch_at_once_without_a_race(more: int) -> None:
    done = sanitize.run("thread", MODULES, CODE, args=[str(4 * more)])
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr[-6000:]
