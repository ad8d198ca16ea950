"""Bundles of messages: control and addition (OpenFlow 1.4, and an ONF extension of 1.3)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from fastpath.openflow.codec import U16, U32, Layout, Reader, Row, pad
from fastpath.openflow.messages.base import Message
from fastpath.value import value

if TYPE_CHECKING:
    from typing_extensions import Self

ATOMIC, ORDERED = 1, 2
_ADD = struct.Struct(">I2xH")
_LAYOUT = Layout(Row("bundle_id", U32), Row("type", U16), Row("flags", U16))


class BundleType(IntEnum):
    """What a BundleControl asks for; each has the reply of the next number."""

    OPEN_REQUEST = 0
    OPEN_REPLY = 1
    CLOSE_REQUEST = 2
    CLOSE_REPLY = 3
    COMMIT_REQUEST = 4
    COMMIT_REPLY = 5
    DISCARD_REQUEST = 6
    DISCARD_REPLY = 7


@value
class BundleControl(Message):
    """Opens, closes, commits or discards a bundle, or answers that; *type* is a BundleType, *properties* are
    bytes of the wire."""

    bundle_id: int
    type: int = BundleType.OPEN_REQUEST
    flags: int = 0
    properties: bytes = b""
    layout: ClassVar[Layout] = _LAYOUT
    tail: ClassVar[str] = "properties"


@value
class BundleAdd(Message):
    """Puts a message into a bundle; *message* is all of it, header first, with what may follow it."""

    bundle_id: int
    flags: int = 0
    message: bytes = b""
    layout: ClassVar[Layout] = Layout(Row("bundle_id", U32), Row("", pad(2)), Row("flags", U16))
    tail: ClassVar[str] = "message"

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        bundle_id, flags = reader.unpack(_ADD)
        return cls(bundle_id, flags, reader.rest())
