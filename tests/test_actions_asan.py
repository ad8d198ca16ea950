"""No access outside a packet, under AddressSanitizer: any program over any packet in a block of its size."""

from __future__ import annotations

import sanitize

MODULES = ["_flow", "_csum", "_extract", "_packet", "_port", "_rewrite", "_meter", "_offload", "_actions"]

CODE = """
import struct, sys
from random import Random
from model.frames import ICMP, ICMPV6, SCTP, TCP, UDP, Frame
from fastpath._actions import ActionRunner
from fastpath._offload import finish
from fastpath.dpif.actions import *
from fastpath.dpif.program import compile_actions

FULL = {"eth": (("src", 48), ("dst", 48)), "ipv4": (("src", 32), ("dst", 32), ("tos", 8), ("ttl", 8)),
        "ipv6": (("src", 128), ("dst", 128), ("label", 20), ("tclass", 8), ("hlimit", 8)),
        "tcp": (("src", 16), ("dst", 16)), "udp": (("src", 16),), "sctp": (("dst", 16),),
        "icmp": (("type", 8), ("code", 8)), "icmpv6": (("type", 8),), "mpls": (("lse", 32),),
        "nd": (("target", 128), ("sll", 48), ("tll", 48)),
        "nd_ext": (("nd_reserved", 32), ("nd_options_type", 8)),
        "arp": (("sip", 32), ("tip", 32), ("op", 16), ("sha", 48), ("tha", 48)),
        "nsh": (("flags", 8), ("ttl", 8), ("spi", 24), ("si", 8), ("c1", 32), ("c4", 32)),
        "tunnel": (("tun_id", 64), ("dst", 32))}

def packet(r):
    v6 = r.random() < 0.5
    f = Frame(v6=v6, proto=r.choice((TCP, UDP, SCTP, ICMPV6 if v6 else ICMP)), later=r.random() < 0.1,
              tags=((0x8100, 5),) * r.randrange(3), labels=(0x1040, 0x2140)[2 - r.randrange(3):],
              routed=v6 and r.random() < 0.2, word=bytes([r.choice((8, 135, 136)), 0, 0, 0]),
              payload=r.randbytes(r.choice((0, 24, 60))))
    data = bytearray(f.build())
    if r.random() < 0.5:
        for _ in range(r.randrange(4)):
            data[r.randrange(12, len(data))] = r.randrange(256)
    return bytes(data[:r.randrange(1, len(data) + 1)] if r.random() < 0.7 else data)

def action(r, depth=0):
    k = r.randrange(14)
    if k < 6:
        attr = r.choice(list(FULL))
        return SetMasked(attr, tuple((n, r.getrandbits(b), (1 << b) - 1) for n, b in FULL[attr]))
    inner = tuple(action(r, depth + 1) for _ in range(r.randrange(3))) if depth < 2 else ()
    return [lambda: PushVlan(0x8100, 5), PopVlan, lambda: PushMpls(0x8847, 0x140),
            lambda: PopMpls(r.choice((0x800, 0x8847))), lambda: Trunc(r.randrange(80)),
            lambda: CheckPktLen(40, inner, ()), lambda: r.choice((Clone(inner), Sample(1 << 31, inner))),
            lambda: r.choice((Output(1), Hash("l4", 0), Recirc(2), Userspace(SlowPath(("cfm",)))))][k - 6]()

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
        vnet = r.choice((b"", b"", r.randbytes(10), struct.pack("=BBHHHH", 1, r.choice((0, 1, 4, 5)), 54,
                         r.randrange(20), r.randrange(60), r.choice((6, 16)))))
        runner.run(program, frame, vnet=vnet, borrow=r.random() < 0.7, repeat=r.choice((1, 3)))
        finish(frame, vnet)
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
