"""Readers without the GIL beside a writer: no race, no torn answer, no memory that was freed.

The readers are threads in `lookup_many`, which lets the GIL go; the writer inserts, replaces and
removes rules so that subtables, hash tables, tries and chains come, grow and go.  Two rules under all
this never change, so that every key has an answer and half the answers are known.
"""

from __future__ import annotations

import pytest
import sanitize

MODULES = ["_flow", "_epoch", "_trie", "_stagegroup", "_subtable", "_sieve", "_unwildcard", "_grid",
           "_tuplesearch", "_manylookups", "_classifier"]

CODE = """
import random, sys, threading, time
import numpy as np
from fastpath._classifier import Classifier
from fastpath._flow import FlowKey

seconds = float(sys.argv[1])
rng = random.Random(4)
cls = Classifier(prefixes=("nw_dst", "nw_src", "ipv6_dst"), seed=1)
cls.insert(FlowKey(), FlowKey(), 0, "rest")
cls.insert(FlowKey(in_port=7), FlowKey(in_port=0xffffffff), 99, "top")
keys = [FlowKey(dl_type=0x0800, in_port=7 * (i % 2), nw_src=rng.getrandbits(4) << 28,
                nw_dst=rng.getrandbits(6) << 26, tp_src=rng.getrandbits(3), tp_dst=rng.getrandbits(3) << 13,
                ipv6_dst=rng.getrandbits(2) << 126) for i in range(512)]
array = np.frombuffer(b"".join(map(bytes, keys)), np.uint64).reshape(512, -1)
masks = [FlowKey(nw_src=0xf0000000), FlowKey(nw_src=0xc0000000, nw_dst=0xff000000),
         FlowKey(in_port=0xffffffff, nw_dst=0xf0000000, tp_dst=0xe000),
         FlowKey(tp_src=0xffff, dl_type=0xffff),
         FlowKey(ipv6_dst=3 << 126, dl_type=0xffff), FlowKey(tp_src=0xffff, tp_dst=0xffff)]
stop, errors, rounds = threading.Event(), [], [0, 0]

def read(n):
    while not stop.is_set():
        ids, wc = cls.lookup_many(array, wc=True) if n else (cls.lookup_many(array), None)
        rounds[n] += 1
        if not ((ids[1::2] == 1).all() and (ids >= 0).all()):
            errors.append(ids)
            return

readers = [threading.Thread(target=read, args=(n,)) for n in range(2)]
for t in readers:
    t.start()
sys.setswitchinterval(1e-4)
until, there, version = time.monotonic() + seconds, [], 1
cls.patience = 0                            # be worked out at each lookup
parts, worked_out = 0.0, 0
while time.monotonic() < until and not errors:
    step = rng.random()
    if step < 0.5 or not there:
        rule = (rng.choice(keys), rng.choice(masks), rng.randrange(1, 40))
        if cls.replace(*rule, "x", version if rng.random() < .5 else None,
                       [(1, rng.randrange(2), 2)] if rng.random() < parts else ()) is None:
            there.append(rule)
    else:
        rule = there.pop(rng.randrange(len(there)))
        cls.remove(*rule, version if rng.random() < .5 else None)
    if rng.random() < .05:
        version += 1
        cls.purge(version)
    if rng.random() < .01:                  # all gone: subtables are freed
        for rule in there:
            cls.remove(*rule)
        there, parts = [], .2 - parts       # parts of conjunctions, or none: then it can be worked out
    worked_out += cls.is_worked_out()
stop.set()
for t in readers:
    t.join()
assert not errors, errors[0]
assert min(rounds) > 3, rounds
assert worked_out
print(rounds, len(cls))
"""



@pytest.mark.parametrize("kind", ["thread", "address"])
def test_readers_beside_a_writer(kind: str, more: int) -> None:
    done = sanitize.run(kind, MODULES, CODE, args=[str(3 * more)])
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize("edit", [
    ("fastpath/_epoch.pyx", "if e.waiting[i].epoch <= oldest:", "if e.waiting[i].epoch:"),      # free at once
    ("fastpath/_subtable.pyx", "store_release64(&b.rule[way], way_of_rule(r))",
     "b.rule[way] = way_of_rule(r)"),
], ids=["frees-too-early", "plain-store"])
def test_the_stress_finds_a_spoilt_classifier(edit: sanitize.Edit) -> None:
    assert sanitize.finds(MODULES, CODE, edit)
