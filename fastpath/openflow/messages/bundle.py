"""Bundles of messages: control and addition (OpenFlow 1.4, and an ONF extension of 1.3)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from fastpath.errors import OpenFlowError
from fastpath.ofproto.flow_mod import FlowMod
from fastpath.ofproto.group import GroupMod
from fastpath.openflow.codec import U16, U32, Layout, Reader, Row, pad
from fastpath.openflow.messages import flow, packet, port
from fastpath.openflow.messages.base import Message
from fastpath.value import value

if TYPE_CHECKING:
    from typing_extensions import Self

ATOMIC, ORDERED = 1, 2
_ADD = struct.Struct(">I2xH")
_HEADER_SIZE = 8                        # of the message inside
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

# What may be put into a bundle.
STEPS: tuple[type, ...] = (FlowMod, flow.NxFlowMod, GroupMod, port.PortMod, packet.PacketOut)


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

    def inside(self, version: int, xid: bytes) -> bytes:
        """The message to be put in by one of *version* and *xid*.  Raises OpenFlowError."""
        size = int.from_bytes(self.message[2:4], "big")
        if len(self.message) < _HEADER_SIZE:
            raise OpenFlowError("OFPBFC_MSG_BAD_LEN", f"a message of {len(self.message)} bytes in a bundle")
        if self.message[0] != version:
            raise OpenFlowError("OFPBFC_BAD_VERSION", f"version {self.message[0]} in one of {version}")
        if not _HEADER_SIZE <= size <= len(self.message):
            raise OpenFlowError("OFPBFC_MSG_BAD_LEN", f"a message of {size} bytes in {len(self.message)}")
        if self.message[4:8] != xid:
            raise OpenFlowError("OFPBFC_MSG_BAD_XID", "the message inside has another xid")
        return self.message[:size]
