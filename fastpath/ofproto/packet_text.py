"""A packet as the reference prints it beside messages: its flow key and the checksum of its last header."""

from __future__ import annotations

from fastpath._extract import extract
from fastpath.flowtext import format_flow

_LATER_FRAGMENT = 2
# Where the checksum lies after the header that comes last, by protocol.
_CHECKSUMS = {1: ("icmp_csum", 2, 2), 6: ("tcp_csum", 16, 2), 17: ("udp_csum", 6, 2),
              58: ("icmp6_csum", 2, 2), 132: ("sctp_csum", 8, 4)}
_ETHERTYPES = {0x8100: 4, 0x88A8: 4}


def format_packet(frame: bytes) -> str:
    """One line, without an end."""
    key = extract(frame)
    text = format_flow(key)
    found = _CHECKSUMS.get(key.nw_proto)
    if found is None or key.dl_type not in (0x800, 0x86DD) or key.nw_frag & _LATER_FRAGMENT:
        return text
    name, at, size = found
    start = _transport(frame, key.dl_type)
    value = frame[start + at:start + at + size] if start is not None else b""
    return f"{text} {name}:{int.from_bytes(value, 'big'):x}" if len(value) == size else text


def _transport(frame: bytes, dl_type: int) -> int | None:
    """Where the transport header begins; None if that is not told by what comes before."""
    at = 12
    while (skip := _ETHERTYPES.get(int.from_bytes(frame[at:at + 2], "big"))) is not None:
        at += skip
    if int.from_bytes(frame[at:at + 2], "big") != dl_type or len(frame) < at + 3:
        return None
    at += 2
    return at + (4 * (frame[at] & 15) if dl_type == 0x800 else 40)
