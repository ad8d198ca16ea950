"""Datapath threads beside a writer that puts and deletes flows: no race, no freed memory, no wrong answer.

The readers are the datapath's own threads at full speed over bench ports; the writer makes subtables and
buckets come, grow and go, reuses records, ranks, replaces programs and collects upcalls.
"""

from __future__ import annotations

import pytest
import sanitize

MODULES = ["_flow", "_csum", "_extract", "_packet", "_port", "_rewrite", "_headers", "_actions", "_meter",
           "_offload", "_line", "_megaflow", "_flowbulk", "_sigcache", "_upcall", "_patience", "_turn",
           "_datapath", "_bench"]

CODE = """
import random, struct, sys, time
from fastpath._datapath import Datapath
from fastpath._flow import FlowKey
from fastpath.errors import ExistsError
from fastpath.io._bench import BenchPort

def frame(n):
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 50, 0, 0, 64, 17, 0, 0x0A010000 + n, 0x0A020000)
    return bytes(12) + bytes([8, 0]) + ip + struct.pack(">HHHH", n, 9, 30, 0) + bytes(22)

def output(port):
    return struct.pack("=HHIII", 1, 0, 16, port, 0)

seconds, rng = float(sys.argv[1]), random.Random(4)
N = 200
dp = Datapath(seed=1, mask_cap=6)
sources = [BenchPort(f"in{i}", [frame(n) for n in range(N)]) for i in range(2)]
good, bad = BenchPort("good"), BenchPort("bad")
for port in (*sources, good, bad):
    dp.add_port(port)                   # 0, 1: sources; 2: what must come; 3: what must not
exact = FlowKey(nw_src=0xffffffff)
mixed = [exact, FlowKey(nw_src=0xffffffff, tp_dst=0xffff), FlowKey(nw_src=0xffffffff, nw_proto=0xff),
         FlowKey(nw_src=0xffffffff, dl_src=0xffffffffffff, ipv6_src=2**128-1, ipv6_dst=2**128-1, nd_target=1),
         FlowKey(nw_src=0xffffffff, nw_tos=0xff), FlowKey(nw_src=0xffffffff, nw_ttl=0xff)]
def key(port, n):
    return FlowKey(in_port=port, nw_src=0x0A010000 + n, tp_dst=9, nw_proto=17, nw_ttl=64)
dp.start(2)
for source in sources:
    source.budget = 1 << 60
there, until = {}, time.monotonic() + seconds
rounds = 0
while time.monotonic() < until:
    rounds += 1
    for _ in range(40):
        where = (rng.randrange(2), rng.randrange(N))
        if where not in there:
            there[where] = dp.flows.put(key(*where), rng.choice(mixed), output(2))
        else:
            dp.flows.replace(there[where], output(2) * rng.randrange(1, 3))
    gone = [there.pop(w) for w in rng.sample(sorted(there), rng.randrange(len(there)))]
    assert None not in dp.delete(gone)
    # These lead to the other port: packets would be seen there if a record answered for another's key.
    decoys = [dp.flows.put(FlowKey(in_port=i % 2, nw_src=i), exact, output(3)) for i in range(60)]
    dp.delete(decoys)
    dp.recv(1000)
    dp.flows.rank()
    if rounds % 20 == 0:
        dp.flows.flush()
        there = {}
    if rounds % 7 == 0:
        assert dp.del_port(3) is bad and dp.add_port(bad, 3) == 3
dp.stop()
assert bad.stats()["tx_packets"] == 0
n = dp.counters()
received = sum(s.stats()["rx_packets"] for s in sources)
assert n["hit"] + n["missed"] == received and n["hit"] > 1000, (n, received)
assert rounds > 5, rounds
print(rounds, n, dp.drops())
"""


@pytest.mark.parametrize("kind", ["thread", "address"])
def test_datapath_threads_beside_a_writer(kind: str, more: int) -> None:
    done = sanitize.run(kind, MODULES, CODE, args=[str(3 * more)])
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


@pytest.mark.parametrize("edit", [
    ("fastpath/_megaflow.pyx", "and t.retired[done].epoch <= oldest", "and oldest"),        # free at once
    ("fastpath/_megaflow.pyx", "store_release_ptr(<void **>&t.lists[slot], fresh)", "t.lists[slot] = fresh"),
], ids=["frees-too-early", "plain-store"])
def test_the_stress_finds_a_spoilt_table(edit: sanitize.Edit) -> None:
    assert sanitize.finds(MODULES, CODE, edit)
