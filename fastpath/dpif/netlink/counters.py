"""Counters of all flows at once: a dump read by its layout, as thousands of flows are asked twice a second.

Dumped without key, mask and actions, a flow that was hit is its id, when it was used, its counters and TCP
flags, in this order and without padding on most machines: one ``struct`` reads it.  Whatever looks different
is read attribute by attribute.
"""

from __future__ import annotations

import struct
import sys

from fastpath.dpif.netlink.kernel import read_flow
from fastpath.dpif.netlink.rows import FLOW_ATTR
from fastpath.dpif.provider import COUNTERS
from fastpath.errors import FormatError

HEADER = 16 + 4                         # of netlink and generic netlink
NEVER = COUNTERS.pack(0, 0, 0, 0)
# Bytes of the message; after the datapath's index: id, used, counters, flags.
_HIT = struct.Struct("=I16xi HH16s HHQ HHQQ HHB3x".replace(" ", ""))
_ATTRS = (20, FLOW_ATTR["ufid"], 12, FLOW_ATTR["used"], 20, FLOW_ATTR["stats"], 5, FLOW_ATTR["tcp_flags"])


def read_counters(data: bytes, out: dict[bytes, bytes]) -> None:
    """Enter COUNTERS of the flows that a datagram tells of into *out*, by their id.  Raises FormatError."""
    at, end = 0, len(data)
    while at < end:
        size = int.from_bytes(data[at:at + 4], sys.byteorder) if end - at >= HEADER else 0
        if size == _HIT.size - 3 or size == _HIT.size:
            (_, _, a, b, ufid, c, d, used, e, f, n_packets, n_bytes, g, h, flags) = _HIT.unpack_from(
                data, at) if end - at >= _HIT.size else (0,) * 15
            if (a, b, c, d, e, f, g, h) == _ATTRS:
                out[ufid] = COUNTERS.pack(n_packets, n_bytes, used * 1000, flags)
                at += _HIT.size
                continue
        if not HEADER <= size <= end - at:
            raise FormatError(f"ovs_flow: message of {size} bytes, {end - at} are left")
        if size > HEADER:
            flow = read_flow(data[at + HEADER:at + size])
            out[flow.ufid] = COUNTERS.pack(flow.n_packets, flow.n_bytes, flow.used_ms * 1000,
                                           flow.tcp_flags) if flow.n_packets else NEVER
        at += size + -size % 4
