"""No read past the end of a packet, under AddressSanitizer, over buffers of exactly its size."""

from __future__ import annotations

import sanitize

MODULES = ["_flow", "_extract"]

# Each frame is alone in a block from malloc, so the byte behind it is poisoned.
CODE = """
import ctypes, sys
from random import Random
from model import packets
from fastpath._extract import extract

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def check(frame):
    at = libc.malloc(len(frame))
    ctypes.memmove(at, frame, len(frame))
    key = extract((ctypes.c_char * len(frame)).from_address(at))
    libc.free(at)
    assert key == extract(frame)

for seed in range(int(sys.argv[1])):
    for frame in packets.mutated(Random(seed), 3000):
        check(frame)
    for frame in packets.samples(Random(seed)):
        for n in range(1, len(frame)):
            check(frame[:n])
print("whole")
"""


def test_no_read_past_the_end(more: int) -> None:
    done = sanitize.run("address", MODULES, CODE, args=[str(more)])
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr[-4000:]


def test_the_sanitizer_would_see_one() -> None:
    source = "fastpath/_extract.pyx"
    check = "if unlikely(c.left{} < n):\n        return NULL"
    edit = (source, check.format(""), check.format(" + 2"))
    done = sanitize.run("address", MODULES, CODE, args=["1"], edits=[edit])
    assert done.returncode == sanitize.FAILED
    assert "AddressSanitizer" in done.stderr
