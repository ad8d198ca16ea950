"""Make one operation of a run of sets, as ``_headers`` takes it.

Routing sets both Ethernet addresses and the TTL, NAT an address and a port: what such a run comes to is
a few bytes to keep and to or in.  Called by program.py, which has checked the members' values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from fastpath.dpif.actions import OdpAction, OdpActions, SetMasked

PROTO_TCP, PROTO_UDP = 6, 17

# Attribute -> member -> (first bit from the most significant one, bits) of the header.
_PLACES = {
    "eth": {"dst": (0, 48), "src": (48, 48)},
    "ipv4": {"tos": (8, 8), "ttl": (64, 8), "src": (96, 32), "dst": (128, 32)},
    "ipv6": {"tclass": (4, 8), "label": (12, 20), "hlimit": (56, 8)},       # not what L4 sums
    "tcp": {"src": (0, 16), "dst": (16, 16)},
    "udp": {"src": (0, 16), "dst": (16, 16)},
}
_FAMILIES = ({"eth", "ipv4", "tcp"}, {"eth", "ipv4", "udp"}, {"eth", "ipv6"})      # what goes into one run
_ETH, _IPV4, _L4, _IPV6 = range(4)      # ODP_HEADERS_*


class _Blend:
    """The first bytes of a header, and which bits of them are set."""

    def __init__(self, size: int) -> None:
        self._size, self._value, self._mask = size, 0, 0

    def put(self, first: int, bits: int, value: int, mask: int) -> None:
        up = 8 * self._size - first - bits
        mask &= (1 << bits) - 1
        self._value = self._value & ~(mask << up) | (value & mask) << up
        self._mask |= mask << up

    @property
    def value(self) -> bytes:
        return self._value.to_bytes(self._size, "big")

    @property
    def keep(self) -> bytes:
        return (~self._mask & (1 << 8 * self._size) - 1).to_bytes(self._size, "big")

    def __bool__(self) -> bool:
        return bool(self._mask)

    def pair(self, first: int, end: int) -> bytes:
        """Bytes [first, end) of what to or in, then of what to keep."""
        return self.value[first:end] + self.keep[first:end]


def _is_fused(action: OdpAction) -> TypeGuard[SetMasked]:
    return isinstance(action, SetMasked) and action.attr in _PLACES and all(
        name in _PLACES[action.attr] for name, _, _ in action.members)


def runs(actions: OdpActions) -> Iterator[OdpActions]:
    """Cut *actions* into runs that fuse_sets() takes, and single other ones, in order."""
    run: list[SetMasked] = []
    for action in actions:
        if _is_fused(action):
            attrs = {a.attr for a in (*run, action)}
            if not any(attrs <= family for family in _FAMILIES):
                yield tuple(run)
                run = []
            run.append(action)
            continue
        if run:
            yield tuple(run)
            run = []
        yield (action,)
    if run:
        yield tuple(run)


def fuse_sets(run: OdpActions) -> bytes | None:
    """Arguments of the one operation *run* comes to; None for a run that is not of fused sets."""
    blends = {"eth": _Blend(16), "ipv4": _Blend(20), "ipv6": _Blend(8), "tcp": _Blend(4), "udp": _Blend(4)}
    for action in run:
        if not _is_fused(action):
            return None
        for name, value, mask in action.members:
            blends[action.attr].put(*_PLACES[action.attr][name], value, mask)
    eth, ip, ipv6, tcp, udp = blends.values()
    ports, proto = (tcp, PROTO_TCP) if tcp else (udp, PROTO_UDP) if udp else (udp, 0)
    kind = (_L4 if ports or ip.keep[12:] != b"\xff" * 8 else _IPV4 if ip else _IPV6 if ipv6 else _ETH)
    return b"".join((
        bytes((kind, proto, 0, 0, 0, 0, 0, 0)), eth.pair(0, 16), ip.pair(0, 2), ip.pair(8, 10),
        ip.pair(12, 16), ip.pair(16, 20), ports.pair(0, 4), ipv6.pair(0, 8)))
