"""Which events a controller is told: by kind, by its role and by reason, a bit for each.

A primary and an equal controller share one set.  Reasons that OpenFlow 1.4 added refine older ones: a mask
of an older version that has "action" has them too (OpenFlow 1.4 section 6.3.5).
"""

from __future__ import annotations

from fastpath.ofproto.actions.controller import PacketInReason
from fastpath.ofproto.actions.versions import OF13, OF14
from fastpath.openflow.messages.basic import GetAsyncReply, SetAsync
from fastpath.openflow.messages.role import KINDS, Masks

_ALL_PACKET_INS = sum(1 << r for r in PacketInReason if r not in (
    PacketInReason.INVALID_TTL, PacketInReason.IMPLICIT_MISS))
_PORT_BITS, _REMOVED10, _REMOVED13, _REMOVED14 = 7, 7, 0xF, 0x3F
_REFINED = sum(1 << r for r in (PacketInReason.ACTION_SET, PacketInReason.GROUP, PacketInReason.PACKET_OUT))
_MISSES = 1 << PacketInReason.EXPLICIT_MISS | 1 << PacketInReason.IMPLICIT_MISS
_LEGACY = ("packet_in", "port_status", "flow_removed")
_BITS = {"packet_in": 0x3F, "port_status": 7, "flow_removed": 0x3F}
INVALID_TTL_BIT = 1 << PacketInReason.INVALID_TTL


class AsyncConfig:
    """The masks of one connection, at first those of *version*, or none if it is not to *hear* by itself.
    *is_chosen*: who is told has said which it wants."""

    def __init__(self, version: int, *, hears: bool = True) -> None:
        self._version = version
        self.is_chosen = False
        if not hears:
            self._primary, self._secondary = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
            return
        packet_in = _ALL_PACKET_INS | (1 << PacketInReason.IMPLICIT_MISS if version < OF13 else 0)
        self._primary = dict.fromkeys(KINDS, 0) | {
            "packet_in": packet_in, "port_status": _PORT_BITS,
            "flow_removed": _REMOVED14 if version >= OF14 else _REMOVED13 if version >= OF13 else _REMOVED10}
        self._secondary = dict.fromkeys(KINDS, 0) | {"port_status": _PORT_BITS}

    def wants(self, kind: str, reason: int, *, secondary: bool) -> bool:
        """Whether an event is told."""
        return bool((self._secondary if secondary else self._primary)[kind] >> reason & 1)

    def set(self, masks: Masks) -> None:
        """Change the masks given, in the form of 1.4."""
        self.is_chosen = True
        for kind, secondary, bits in masks:
            if kind == "packet_in":
                bits = self._whole(bits)
            (self._secondary if secondary else self._primary)[kind] = bits

    def set_legacy(self, ask: SetAsync) -> None:
        """Set the masks older versions have, and clear those they have not."""
        self.is_chosen = True
        for role, masks in (("primary", self._primary), ("secondary", self._secondary)):
            masks.update(dict.fromkeys(KINDS, 0))
            for kind in _LEGACY:
                bits = getattr(ask, f"{kind}_{role}") & _BITS[kind]
                if kind == "packet_in":
                    bits = self._whole(bits)
                masks[kind] = bits

    def _whole(self, bits: int) -> int:
        """Bits of packet-in reasons with those that go with them."""
        bits &= ~_MISSES
        if self._version < OF14:
            bits &= ~_REFINED
            bits |= _REFINED if bits >> PacketInReason.ACTION & 1 else 0
        if bits >> PacketInReason.NO_MATCH & 1:
            bits |= 1 << PacketInReason.EXPLICIT_MISS
            bits |= 1 << PacketInReason.IMPLICIT_MISS if self._version < OF13 else 0
        return bits

    def set_invalid_ttl(self, on: bool) -> None:
        """Say whether packets whose TTL ran out are told, as a SetConfig before 1.3 does."""
        self.is_chosen = True
        self._primary["packet_in"] &= ~INVALID_TTL_BIT
        self._primary["packet_in"] |= INVALID_TTL_BIT if on else 0

    @property
    def invalid_ttl(self) -> bool:
        """Whether packets whose TTL ran out are told."""
        return bool(self._primary["packet_in"] & INVALID_TTL_BIT)

    def legacy(self) -> GetAsyncReply:
        """All masks that 1.3 has."""
        values = {f"{kind}_{role}": masks[kind] & (~(_MISSES | _REFINED) if kind == "packet_in" else ~0)
                  for kind in _LEGACY for role, masks in (("primary", self._primary),
                                                          ("secondary", self._secondary))}
        return GetAsyncReply(**values)

    def all(self) -> Masks:
        """All masks, in the form of 1.4."""
        hidden = _MISSES | (_REFINED if self._version < OF14 else 0)
        return tuple((kind, secondary, masks[kind] & (~hidden if kind == "packet_in" else ~0))
                     for kind in KINDS
                     for secondary, masks in ((True, self._secondary), (False, self._primary)))
