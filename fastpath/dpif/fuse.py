"""Make one operation of a run of sets, as ``_headers`` takes it.

Routing sets both Ethernet addresses and the TTL, NAT an address and a port: what such a run comes to is
a few bytes to keep and to or in.  Called by program.py, which has checked the members' values.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastpath.dpif.actions import OdpAction, OdpActions, SetMasked

PROTO_TCP, PROTO_UDP = 6, 17
_PORTS = {"tcp": PROTO_TCP, "udp": PROTO_UDP}

# Attribute -> member -> (first byte, bytes): of the Ethernet header, of the IP header, behind it.
_PLACES = {
    "eth": {"dst": (0, 6), "src": (6, 6)},
    "ipv4": {"tos": (1, 1), "ttl": (8, 1), "src": (12, 4), "dst": (16, 4)},
    "tcp": {"src": (0, 2), "dst": (2, 2)},
    "udp": {"src": (0, 2), "dst": (2, 2)},
}

class _Blend:
    """Bytes of a header, and which bits of them are set."""

    def __init__(self, size: int) -> None:
        self._size, self._value, self._mask = size, 0, 0

    def put(self, at: int, size: int, value: int, mask: int) -> None:
        up = 8 * (self._size - at - size)
        mask &= (1 << 8 * size) - 1
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


def runs(actions: OdpActions) -> Iterator[OdpActions]:
    """Cut *actions* into runs that fuse_sets() takes, and single other ones, in order."""
    run: list[OdpAction] = []
    for action in actions:
        if isinstance(action, SetMasked) and action.attr in _PLACES:
            ports = {a.attr for a in (*run, action) if isinstance(a, SetMasked)} & set(_PORTS)
            if len(ports) < 2:
                run.append(action)
                continue
        if run:
            yield tuple(run)
        run = []
        if isinstance(action, SetMasked) and action.attr in _PLACES:
            run.append(action)
        else:
            yield (action,)
    if run:
        yield tuple(run)


def fuse_sets(run: OdpActions) -> bytes | None:
    """Arguments of the one operation *run* comes to; None for a run that is not of fused sets."""
    eth, ip, ports, proto = _Blend(16), _Blend(20), _Blend(4), 0
    for action in run:
        if not isinstance(action, SetMasked) or action.attr not in _PLACES:
            return None
        proto = _PORTS.get(action.attr, proto)
        into = eth if action.attr == "eth" else ip if action.attr == "ipv4" else ports
        for name, value, mask in action.members:
            into.put(*_PLACES[action.attr][name], value, mask)
    has_l4 = bool(ports) or ip.keep[12:] != b"\xff" * 8
    return b"".join((
        bytes((bool(ip) or bool(ports), has_l4, proto, 0, 0, 0, 0, 0)), eth.pair(0, 16),
        ip.pair(0, 2), ip.pair(8, 10), ip.pair(12, 16), ip.pair(16, 20), ports.pair(0, 4)))
