"""No access outside a packet, under AddressSanitizer: any program over any packet in a block of its size."""

from __future__ import annotations

import sanitize

MODULES = ["_flow", "_csum", "_extract", "_packet", "_port", "_rewrite", "_headers", "_meter", "_offload",
           "_actions", "_value"]

CODE = """
import sys
from random import Random
from model.hostile import action, packet, vnet
from fastpath._actions import ActionRunner
from fastpath._offload import finish
from fastpath.dpif.program import compile_actions

runner = ActionRunner(limit=40)
for seed in range(int(sys.argv[1])):
    r = Random(seed)
    for _ in range(6000):
        frame = packet(r)
        program = compile_actions(tuple(action(r) for _ in range(r.randrange(1, 7))))
        if r.random() < 0.2:
            bad = bytearray(program)
            bad[r.randrange(len(bad))] = r.randrange(256)
            program = bytes(bad[:r.randrange(len(bad) + 1)])
        owed = vnet(r)
        runner.run(program, frame, vnet=owed, borrow=r.random() < 0.7, repeat=r.choice((1, 3)))
        finish(frame, owed)
        assert runner.n_held == 0
print("whole")
"""


def test_any_program_over_any_packet(more: int) -> None:
    done = sanitize.run("address", MODULES, CODE, args=[str(more)])
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr[-4000:]


def test_the_sanitizer_would_see_a_missing_check() -> None:
    edit = ("fastpath/_rewrite.pyx", "if p.len >= ETH_LEN and p.packet_type == 0:\n",
            "if p.len and p.packet_type == 0:\n")
    done = sanitize.run("address", MODULES, CODE, args=["1"], edits=[edit])
    assert done.returncode == sanitize.FAILED and "AddressSanitizer" in done.stderr
