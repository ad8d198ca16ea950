"""Capture files in classic pcap form, read and written in plain Python.

For tools and tests, a record at a time; PcapPort moves whole files through a switch and shares the file
header with this module.  Not read: pcapng, and link types other than Ethernet.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from fastpath.errors import FormatError
from fastpath.value import value

# Magic number as the first four bytes of a file -> (byte order for struct, nanosecond stamps).
MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", False),
    b"\xa1\xb2\xc3\xd4": (">", False),
    b"\x4d\x3c\xb2\xa1": ("<", True),
    b"\xa1\xb2\x3c\x4d": (">", True),
}
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
FILE_HEADER_SIZE = 24       # magic, version 2.4, zone, accuracy, snapshot length, link type
RECORD_HEADER_SIZE = 16     # seconds, micro- or nanoseconds, captured bytes, bytes on the wire
LINKTYPE_ETHERNET = 1
SNAPLEN = 262144            # what we write, as tcpdump does
FRAME_LIMIT = 65600         # a 64 KiB IP packet with its Ethernet header and tags: no packet is larger


@value
class FileHeader:
    """How to read the records: *byte_order* is ``<`` or ``>``."""

    byte_order: str
    nanosecond: bool
    snaplen: int
    linktype: int


@value
class Record:
    """One captured frame; *size* is what it had on the wire, *frame* may be shorter."""

    time_ns: int
    frame: bytes
    size: int


def parse_header(data: bytes, path: str | Path) -> FileHeader:
    """Return what the first 24 bytes of a capture say.  Raises FormatError naming *path*."""
    if data[:4] == PCAPNG_MAGIC:
        raise FormatError(f"{path}: offset 0: pcapng, expected classic pcap (editcap -F pcap converts)")
    if data[:4] not in MAGICS:
        raise FormatError(f"{path}: offset 0: not a pcap file, it begins with {data[:4].hex() or 'nothing'}")
    if len(data) < FILE_HEADER_SIZE:
        raise FormatError(f"{path}: offset {len(data)}: file header cut short, {len(data)} of "
                          f"{FILE_HEADER_SIZE} bytes")
    order, nanosecond = MAGICS[data[:4]]
    snaplen, linktype = struct.unpack_from(order + "II", data, 16)
    if linktype & 0x0FFFFFFF != LINKTYPE_ETHERNET:      # the top bits say how long the frame check is
        raise FormatError(f"{path}: offset 20: link type {linktype}, expected {LINKTYPE_ETHERNET} (Ethernet)")
    return FileHeader(order, nanosecond, snaplen, linktype)


def read_pcap(path: str | Path) -> Iterator[Record]:
    """Yield the records of the file.  Raises FormatError naming the file and the offset of the bad record."""
    with open(path, "rb") as file:
        header = parse_header(file.read(FILE_HEADER_SIZE), path)
        layout = struct.Struct(header.byte_order + "IIII")
        unit = 1 if header.nanosecond else 1000
        offset = FILE_HEADER_SIZE
        while head := file.read(RECORD_HEADER_SIZE):
            if len(head) < RECORD_HEADER_SIZE:
                raise FormatError(f"{path}: offset {offset}: record header cut short, {len(head)} of "
                                  f"{RECORD_HEADER_SIZE} bytes")
            seconds, fraction, captured, size = layout.unpack(head)
            if captured > FRAME_LIMIT:
                raise FormatError(f"{path}: offset {offset}: record of {captured} bytes, "
                                  f"at most {FRAME_LIMIT}")
            frame = file.read(captured)
            if len(frame) < captured:
                raise FormatError(f"{path}: offset {offset}: record cut short, {len(frame)} of "
                                  f"{captured} bytes")
            yield Record(seconds * 1_000_000_000 + fraction * unit, frame, size)
            offset += RECORD_HEADER_SIZE + captured


class PcapWriter:
    """Writes frames to a new capture file, or with *append* to the end of one that was written so before; a
    context manager that closes it.  *path* may be the number of an open file, which stays open."""

    def __init__(self, path: str | Path | int, *, nanosecond: bool = True, byte_order: str = "<",
                 append: bool = False) -> None:
        magic = next(m for m, form in MAGICS.items() if form == (byte_order, nanosecond))
        self._unit = 1 if nanosecond else 1000
        self._layout = struct.Struct(byte_order + "IIII")
        self._file: BinaryIO = open(  # noqa: SIM115 -- closed by close()
            path, "ab" if append else "wb", closefd=not isinstance(path, int))
        if not append or not self._file.tell():
            head = struct.pack(byte_order + "HHiIII", 2, 4, 0, 0, SNAPLEN, LINKTYPE_ETHERNET)
            self._file.write(magic + head)

    def write(self, frame: bytes, *, time_ns: int = 0, size: int | None = None) -> None:
        """Append *frame*; *size* is what it had on the wire when that is more than its bytes here."""
        seconds, rest = divmod(time_ns, 1_000_000_000)
        head = self._layout.pack(seconds, rest // self._unit, len(frame), size or len(frame))
        self._file.write(head + frame)

    def flush(self) -> None:
        """Hand what was written to the file system, for others to read."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close the file."""
        self._file.close()

    def __enter__(self) -> PcapWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()
