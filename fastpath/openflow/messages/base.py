"""What every message is: a frozen value with ``put`` and ``get``, by its rows unless it says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from fastpath.errors import OpenFlowError
from fastpath.openflow.codec import Layout, Reader

if TYPE_CHECKING:
    from typing_extensions import Self


class Message:
    """Base of all messages.  Subclasses are values whose fields are named by *layout*."""

    __slots__ = ()
    layout: ClassVar[Layout] = Layout()
    tail: ClassVar[str] = ""            # field that holds the bytes after the fixed part

    def put(self, version: int) -> bytes:
        """The body in *version*, without header."""
        values = {row.name: getattr(self, row.name) for row in self.layout.rows if row.name}
        out = self.layout.pack(version, values)
        return out + getattr(self, self.tail) if self.tail else out

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The message whose body *reader* holds."""
        values = cls.layout.unpack(version, reader)
        if cls.tail:
            values[cls.tail] = reader.rest()
        return cls(**values)

    @classmethod
    def of_all(cls, items: Iterator[Any], *args: Any) -> Self:
        """The message with *args* and all of *items*; if one is wrong, the error tells those before it."""
        found: list[Any] = []
        try:
            found.extend(items)
        except OpenFlowError as error:
            error.so_far = cls(*args, tuple(found))  # type: ignore[call-arg]
            raise
        return cls(*args, tuple(found))  # type: ignore[call-arg]


def check_properties(reader: Reader) -> None:
    """Raise OpenFlowError unless what is left of a message could be properties."""
    if len(reader) % 8:
        raise OpenFlowError("OFPBRC_BAD_LEN", f"{len(reader)} bytes of properties")


def get_items(reader: Reader, get: Callable[[Reader, int], Any], version: int) -> Iterator[Any]:
    """What *get* reads, one by one up to the end."""
    while len(reader):
        yield get(reader, version)


def get_records(reader: Reader, size_at: int, least: int, *, short: str = "OFPBRC_BAD_LEN",
                unit: int = 1) -> Iterator[Reader]:
    """Records up to the end, each of which says its length in 16 bits at *size_at*; *least* is the
    smallest length there can be, all are multiples of *unit*, and *short* is the error of others."""
    while len(reader):
        head = reader.peek(size_at + 2)
        size = int.from_bytes(head[size_at:], "big") if len(reader) >= least else 0
        if size < least or size % unit:
            raise OpenFlowError(short, f"a record of {size} bytes, expected {least} at least")
        yield reader.part(size, short)
