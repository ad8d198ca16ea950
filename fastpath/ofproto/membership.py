"""What an IGMP or MLD message tells a bridge that snoops: who joins which groups, who leaves, who asks.

IGMP is that of RFC 1112, 2236 and 3376, MLD that of RFC 2710 and 3810.  A message that is cut short tells
what is whole of it, as in the reference; one whose checksum is wrong is none.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastpath._csum import checksum, l4_checksum
from fastpath.value import value

IGMP_QUERY, IGMP_REPORT, IGMP2_REPORT, IGMP_LEAVE, IGMP3_REPORT = 0x11, 0x12, 0x16, 0x17, 0x22
IGMP_MEMBERSHIP = frozenset((IGMP_REPORT, IGMP2_REPORT, IGMP_LEAVE, IGMP3_REPORT))
MLD_QUERY, MLD_REPORT, MLD_DONE, MLD2_REPORT = 130, 131, 132, 143
MLD = frozenset((MLD_QUERY, MLD_REPORT, MLD_DONE, MLD2_REPORT))
_ICMPV6 = 58
_HEADER = 8                     # bytes of IGMP and of MLD before groups or records
_RECORD = 4                     # bytes of a record before its group
_KINDS = range(1, 7)            # of records that are known
_INCLUDE, _TO_INCLUDE = 1, 3
_VLANS = (0x8100, 0x88A8)
# Extension headers before ICMPv6 (RFC 8200 section 4): hop-by-hop, routing, options; the others by name.
_OPTIONS, _FRAGMENT, _AUTHENTICATION = (0, 43, 60), 44, 51


@value
class Change:
    """Somebody joins *group*, or leaves it."""

    group: int
    joins: bool


def igmp_of(frame: bytes) -> bytes | None:
    """The IGMP message in an IPv4 frame, None for none that is whole and right."""
    at, kind = _network(frame)
    if kind != 0x0800 or len(frame) < at + 20:
        return None
    begin, end = at + (frame[at] & 15) * 4, at + int.from_bytes(frame[at + 2:at + 4], "big")
    message = frame[begin:end]
    return message if len(message) >= _HEADER and checksum(message) == 0 else None


def mld_of(frame: bytes) -> bytes | None:
    """The MLD message in an IPv6 frame, None for none that is whole and right."""
    at, kind = _network(frame)
    if kind != 0x86DD or len(frame) < at + 40:
        return None
    end = at + 40 + int.from_bytes(frame[at + 4:at + 6], "big")
    begin = _past_extensions(frame[:end], at + 40, frame[at + 6])
    if begin is None:
        return None
    message, addresses = frame[begin:end], frame[at + 8:at + 40]
    if len(message) < _HEADER or l4_checksum(addresses[:16], addresses[16:], _ICMPV6, message) != 0:
        return None
    return message


def _network(frame: bytes) -> tuple[int, int]:
    """Where the network header is, and its type."""
    at = 12
    while int.from_bytes(frame[at:at + 2], "big") in _VLANS:
        at += 4
    return at + 2, int.from_bytes(frame[at:at + 2], "big")


def _past_extensions(packet: bytes, at: int, kind: int) -> int | None:
    """Where ICMPv6 begins behind extension headers."""
    while kind != _ICMPV6:
        if len(packet) < at + 8:
            return None
        if kind in _OPTIONS:
            size = (packet[at + 1] + 1) * 8
        elif kind == _FRAGMENT:
            size = 8
        elif kind == _AUTHENTICATION:
            size = (packet[at + 1] + 2) * 4
        else:
            return None
        kind, at = packet[at], at + size
    return at


def igmp3_changes(message: bytes) -> Iterator[Change]:
    """What a report of IGMPv3 tells."""
    return _records(message, size=4)


def mld_changes(message: bytes) -> Iterator[Change]:
    """What a report or a "done" of MLD tells."""
    kind = message[0]
    if kind == MLD2_REPORT:
        yield from _records(message, size=16)
    elif len(message) >= _HEADER + 16:
        yield Change(int.from_bytes(message[_HEADER:_HEADER + 16], "big"), kind == MLD_REPORT)


def _records(message: bytes, *, size: int) -> Iterator[Change]:
    """Records with addresses of *size* bytes each.  To include nobody is to leave.  Auxiliary data is counted
    in words, as the RFCs have it; the reference counts bytes."""
    at = _HEADER
    for _ in range(int.from_bytes(message[6:8], "big")):
        begin = at + _RECORD
        if len(message) < begin + size:
            return
        kind, auxiliary = message[at], message[at + 1]
        n_sources = int.from_bytes(message[at + 2:begin], "big")
        if kind in _KINDS:
            group = int.from_bytes(message[begin:begin + size], "big")
            yield Change(group, bool(n_sources) or kind not in (_INCLUDE, _TO_INCLUDE))
        at = begin + size + n_sources * size + auxiliary * 4
