"""OpenFlow in captures of TCP connections: ``ofp-parse-pcap``.

As with ovs-ofctl, each direction of a connection is read from its SYN, or else from its first data, on; what
comes again or too early is left out, so what follows a lost segment is not read.
"""

from __future__ import annotations

import logging
import struct
import sys
from collections.abc import Iterator
from datetime import datetime, timezone

from fastpath.cli.ofctl.talk import Options
from fastpath.errors import FastpathError
from fastpath.io.pcapfile import Record, read_pcap
from fastpath.ofproto import numbers
from fastpath.openflow.messages.table import HEADER
from fastpath.openflow.printing.context import PACKETS
from fastpath.openflow.printing.message import format_message
from fastpath.text import format_ipv4
from fastpath.value import value

_log = logging.getLogger("fastpath.pcap")
_log.addHandler(logging.NullHandler())
PORTS = frozenset((6633, 6653))         # where OpenFlow is spoken, if nobody says
_TAGS, _IPV4, _TCP = (0x8100, 0x88A8), 0x0800, 6
_FIN, _SYN, _RST = 1, 2, 4
_IP, _TCP_HEAD = struct.Struct(">BxH2xHxB2xII"), struct.Struct(">HHI4xBB")
Stream = tuple[int, int, int, int]      # addresses and ports, those of the sender first


@value
class Segment:
    """A segment of TCP over IPv4, whole or the first of its fragments."""

    stream: Stream
    seq: int
    flags: int
    data: bytes


def segment(frame: bytes) -> Segment | None:
    """The segment in *frame*, None for anything else."""
    at = 12
    try:
        while (kind := int.from_bytes(frame[at:at + 2], "big")) in _TAGS:
            at += 4
        at += 2
        first, size, fragment, proto, src, dst = _IP.unpack_from(frame, at)
        if kind != _IPV4 or first >> 4 != 4 or proto != _TCP or fragment & 0x1FFF:
            return None
        tcp = at + (first & 15) * 4
        sport, dport, seq, offset, flags = _TCP_HEAD.unpack_from(frame, tcp)
    except struct.error:
        return None
    return Segment((src, dst, sport, dport), seq, flags, frame[tcp + (offset >> 4) * 4:at + size])


class TcpReader:
    """Puts streams together."""

    def __init__(self) -> None:
        self._streams: dict[Stream, tuple[int, bytearray]] = {}

    def read(self, s: Segment) -> bytearray | None:
        """All data of the segment's stream that was not taken out yet, None if it adds nothing to it."""
        found = self._streams.get(s.stream)
        if found is None and not (s.flags & _SYN or s.data):
            return None
        seq, data = found or (s.seq, bytearray())
        if s.flags & _SYN:
            self._streams[s.stream] = (s.seq + 1) & 0xFFFFFFFF, bytearray()
            return None
        if s.flags & (_FIN | _RST):
            self._streams.pop(s.stream, None)
            return None
        self._streams[s.stream] = seq, data
        if s.seq != seq:
            return None
        data += s.data
        self._streams[s.stream] = (seq + len(s.data)) & 0xFFFFFFFF, data
        return data


def _messages(data: bytearray) -> Iterator[bytes]:
    """Take whole messages out of *data*."""
    while len(data) >= HEADER.size:
        size = HEADER.unpack_from(data)[2]
        if len(data) < size:
            return
        yield bytes(data[:max(size, 1)])
        del data[:max(size, 1)]


def captured(name: str) -> Iterator[Record]:
    """Records of the file *name*.  Raises OSError, which is logged, if it cannot be opened."""
    try:
        yield from read_pcap(name)
    except OSError as error:
        _log.warning("%s: failed to open pcap file for reading (%s)", name, error.strerror)
        raise


def ofp_parse_pcap(args: list[str], options: Options) -> None:
    ports = {numbers.atoi(word, 16) for word in args[1:]} or PORTS
    reader, first = TcpReader(), True
    try:
        for record in captured(args[0]):
            s = segment(record.frame)
            if s is None or ports.isdisjoint(s.stream[2:]):
                continue
            src, dst, sport, dport = s.stream
            for message in _messages(reader.read(s) or bytearray()):
                when = ""
                if options.timestamp:
                    moment = datetime.fromtimestamp(record.time_ns // 1_000_000 / 1000, timezone.utc)
                    when = f"{moment:%H:%M:%S.%f}"[:-3] + " "
                sys.stdout.write(f"{'' if first else chr(10)}{when}{format_ipv4(src)}.{sport} > "
                                 f"{format_ipv4(dst)}.{dport}:\n")
                sys.stdout.write(format_message(message, verbosity=PACKETS + options.more))
                first = False
    except OSError as error:
        raise FastpathError(f"{args[0]}: open failed ({error.strerror})") from None
