"""What structures of the OpenFlow wire are declared with: rows, walked in both directions.

A ``Layout`` is a list of rows, each a name, a kind and the versions it is there in; ``pack`` makes bytes
of values by name, ``unpack`` values of bytes.  Rows of fixed size that follow each other become one
``struct.Struct`` for each version, made when first needed.  Whatever input is too short or breaks a
rule raises OpenFlowError with the name of the error that OpenFlow has for it.  Any thread.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.value import value

NX_VENDOR, ONF_VENDOR = 0x00002320, 0x4F4E4600
VERSIONS = (OF10, OF11, OF12, OF13, OF14, OF15)
VERSION_NAMES = {v: f"1.{v - 1}" for v in VERSIONS}
PORT11_OFFSET, PORT11_MAX = 0xFFFF0000, 0xFFFFFF00      # ports since 1.1: reserved ones are sign-extended
PORT_MAX = 0xFF00
ZEROS = "NXBRC_MUST_BE_ZERO"


class Reader:
    """Bytes taken from the front, never past the end; *short* names the error of taking too many."""

    __slots__ = ("_end", "data", "depth", "pos", "short")

    def __init__(self, data: bytes, short: str = "OFPBRC_BAD_LEN", pos: int = 0,
                 end: int | None = None, depth: int = 0) -> None:
        self.data, self.pos, self.short = data, pos, short
        self._end = len(data) if end is None else end
        self.depth = depth              # how many parts this is inside of

    def __len__(self) -> int:
        return self._end - self.pos

    def take(self, size: int) -> bytes:
        """The next *size* bytes."""
        at = self._step(size)
        return self.data[at:at + size]

    def skip_padding(self, size: int) -> None:
        """Step over *size* bytes whatever they are."""
        self._step(size)

    def part(self, size: int, short: str | None = None) -> Reader:
        """A reader of the next *size* bytes alone; *short* names the error of their lack, too."""
        short = short or self.short
        at = self._step(size, short)
        return Reader(self.data, short, at, at + size, self.depth + 1)

    def unpack(self, s: struct.Struct) -> tuple[Any, ...]:
        """Items of the structure that comes next."""
        return s.unpack_from(self.data, self._step(s.size))

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self))

    def peek(self, size: int) -> bytes:
        """The next *size* bytes, fewer at the end, without stepping over them."""
        return self.data[self.pos:min(self.pos + size, self._end)]

    def _step(self, size: int, short: str = "") -> int:
        at = self.pos
        if size < 0 or at + size > self._end:
            raise OpenFlowError(short or self.short, f"{len(self)} bytes where {size} are needed")
        self.pos = at + size
        return at


@value
class Kind:
    """How one value lies in bytes: *code* for struct, another one in OpenFlow 1.0 if given, and what
    makes the item of the value and the value of the item."""

    code: str
    code10: str = ""
    put: Callable[[Any, int], Any] | None = None
    get: Callable[[Any, int], Any] | None = None


def put_port(port: int, version: int) -> int:
    return port + PORT11_OFFSET if version > OF10 and port >= PORT_MAX else port


def get_port(port: int, version: int) -> int:
    if version == OF10 or port < PORT_MAX:
        return port
    if port < PORT11_MAX:
        raise OpenFlowError("OFPBAC_BAD_OUT_PORT", f"port {port:#x} is between the last port and OFPP_MAX")
    return port - PORT11_OFFSET


def check_zero(data: bytes) -> None:
    """Raise OpenFlowError unless *data* is zeros."""
    if any(data):
        raise OpenFlowError(ZEROS, "bytes that must be zero are not")


def _get_zero(data: bytes, version: int) -> bytes:
    check_zero(data)
    return data


def _get_text(data: bytes, version: int) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "replace")


U8, U16, U32, U64 = Kind("B"), Kind("H"), Kind("I"), Kind("Q")
MAC = Kind("6s", put=lambda v, _: v.to_bytes(6, "big"), get=lambda v, _: int.from_bytes(v, "big"))
U128 = Kind("16s", put=lambda v, _: v.to_bytes(16, "big"), get=lambda v, _: int.from_bytes(v, "big"))
PORT = Kind("I", "H", put_port, get_port)             # 16 bits in 1.0, 32 since 1.1


def pad(n: int) -> Kind:
    """*n* bytes sent as zero and not looked at."""
    return Kind(f"{n}x")


def raw(n: int) -> Kind:
    """*n* bytes as they are."""
    return Kind(f"{n}s", put=lambda v, _: v or bytes(n))


def zeros(n: int) -> Kind:
    """*n* bytes that must be zero."""
    return Kind(f"{n}s", put=lambda _v, _: bytes(n), get=_get_zero)


def text(n: int) -> Kind:
    """Text in *n* bytes, the last of them zero."""
    return Kind(f"{n}s", put=lambda v, _: v.encode()[:n - 1], get=_get_text)


@value
class Row:
    """One member of a structure; "" names padding.  *until* is the last version that has it."""

    name: str
    kind: Kind
    since: int = OF10
    until: int = OF15


class _Compiled:
    """A layout in one version."""

    __slots__ = ("getters", "names", "putters", "struct")

    def __init__(self, rows: tuple[Row, ...], version: int) -> None:
        code = ">"
        self.names: list[str] = []
        self.putters: list[Callable[[Any, int], Any] | None] = []
        self.getters: list[tuple[str, Callable[[Any, int], Any]]] = []
        for row in rows:
            if not row.since <= version <= row.until:
                continue
            kind = row.kind
            code += kind.code10 if version == OF10 and kind.code10 else kind.code
            if kind.code.endswith("x"):
                continue
            self.names.append(row.name)
            self.putters.append(kind.put)
            if kind.get is not None:
                self.getters.append((row.name, kind.get))
        self.struct = struct.Struct(code)


class Layout:
    """The fixed part of a structure, in all versions."""

    def __init__(self, *rows: Row) -> None:
        self.rows = rows
        self._compiled: dict[int, _Compiled] = {}

    def _in(self, version: int) -> _Compiled:
        found = self._compiled.get(version)
        if found is None:
            found = self._compiled[version] = _Compiled(self.rows, version)
        return found

    def size(self, version: int) -> int:
        """Bytes it takes in *version*."""
        return self._in(version).struct.size

    def pack(self, version: int, values: Mapping[str, Any]) -> bytes:
        """Bytes of *values*; those of other versions are left out, missing ones are zero."""
        c = self._in(version)
        items = [values.get(name, 0) if put is None else put(values.get(name, 0), version)
                 for name, put in zip(c.names, c.putters, strict=True)]
        return c.struct.pack(*items)

    def unpack(self, version: int, reader: Reader) -> dict[str, Any]:
        """Values by name, of what *reader* has next."""
        c = self._in(version)
        values = dict(zip(c.names, reader.unpack(c.struct), strict=True))
        for name, get in c.getters:
            values[name] = get(values[name], version)
        values.pop("", None)
        return values


def padding(size: int, unit: int = 8) -> bytes:
    """Zeros that bring *size* to a multiple of *unit*."""
    return bytes(-size % unit)
