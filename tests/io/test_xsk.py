"""Chunks of a UMEM, refusals of a socket, and the kernel's description of its types."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.io._xsk import Umem, bind_socket, btf_function, statistics


def test_memory_comes_in_whole_huge_pages_and_is_free_at_first() -> None:
    for n in (1, 1000, 1024, 1025):
        umem = Umem(n)
        assert umem.n_free == umem.n_chunks
        assert n <= umem.n_chunks < n + 1024
        assert umem.n_chunks % 1024 == 0


def test_what_is_no_xdp_socket_is_refused() -> None:
    with socket.socket() as sock:
        with pytest.raises(OSError, match="not supported"):
            statistics(sock.fileno())
        with pytest.raises(OSError, match="Address family"):
            bind_socket(sock.fileno(), ifindex=1, queue=0, flags=0)


# One type of each kind, by the words behind its header.
KINDS = {1: 1, 2: 0, 3: 3, 4: 6, 5: 3, 6: 4, 7: 0, 8: 0, 9: 0,
         12: 0, 13: 2, 14: 1, 15: 3, 16: 0, 17: 1, 18: 0, 19: 3}
MEMBERS = {4: 2, 5: 1, 6: 2, 13: 1, 15: 1, 19: 1}


def types_of(kinds: list[int], names: list[int], strings: bytes) -> bytes:
    """A description of types of these kinds, each with the offset of its name."""
    types = b"".join(struct.pack("=III", name, kind << 24 | MEMBERS.get(kind, 0), 0) + bytes(4 * KINDS[kind])
                     for kind, name in zip(kinds, names, strict=True))
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + types + strings


@given(st.lists(st.sampled_from(sorted(KINDS)), max_size=30), st.integers(0, 30))
def test_a_function_is_found_by_counting_the_types_before_it(kinds: list[int], at: int) -> None:
    strings = b"\0other\0wanted\0"
    kinds.insert(min(at, len(kinds)), 12)
    place = min(at, len(kinds) - 1)
    names = [7 if i == place or kind != 12 else 1 for i, kind in enumerate(kinds)]
    data = types_of(kinds, names, strings)
    assert btf_function(data, b"wanted") == place + 1
    assert btf_function(data, b"want") == 0
    for size in range(len(data)):           # cut anywhere, it is no description
        if size >= 24:
            assert btf_function(data[:size], b"wanted") == 0
