"""No read past the end of a packet, under AddressSanitizer, over buffers of exactly its size."""

from __future__ import annotations

import pytest
import sanitize

MODULES = ["_flow", "_packet", "_extract", "_extract_batch"]

# Each frame is alone in a block from malloc, so the byte behind it is poisoned.
CODE = """
import ctypes, sys
from random import Random
from model import packets
from fastpath._extract import extract, forms, set_form
from fastpath._extract_batch import Reader

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def check(frame):
    at = libc.malloc(len(frame))
    ctypes.memmove(at, frame, len(frame))
    there = (ctypes.c_char * len(frame)).from_address(at)
    key = extract(there)
    for form in shapes:
        set_form(form)
        assert reader.read([(there, {})])[0][0] == key
    libc.free(at)
    assert key == extract(frame)

reader, shapes = Reader(), [form for form, has in forms().items() if has and form != "walk"]

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


@pytest.mark.parametrize(
    ("source", "check", "spoilt"),
    [
        ("_extract.pyx", "if unlikely(c.left < n):\n        return NULL",
         "if unlikely(c.left + 2 < n):\n        return NULL"),
        ("_shapes.h", "#define SHAPE_LEFT 20 ", "#define SHAPE_LEFT 12 "),
    ],
)
def test_the_sanitizer_would_see_one(source: str, check: str, spoilt: str) -> None:
    edit = (f"fastpath/{source}", check, spoilt)
    done = sanitize.run("address", MODULES, CODE, args=["1"], edits=[edit])
    assert done.returncode == sanitize.FAILED
    assert "AddressSanitizer" in done.stderr
