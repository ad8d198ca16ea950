"""What tells controllers of each other: role status and forwarded requests; and async configuration as
properties (OpenFlow 1.4, and extensions of older versions)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF14
from fastpath.openflow.actions.base import get_property, put_property
from fastpath.openflow.codec import U8, U32, U64, Layout, Reader, Row, pad
from fastpath.openflow.messages.base import Message, check_properties
from fastpath.openflow.messages.basic import ROLES
from fastpath.value import value

if TYPE_CHECKING:
    from typing_extensions import Self

_HEADER_SIZE = 8                        # of the request inside
NO_GENERATION = (1 << 64) - 1
PRIMARY_REQUEST = 0
GROUP_MOD, METER_MOD = 0, 1             # reasons of forwarded requests


@value
class RoleStatus(Message):
    """The receiver's role changed without its asking."""

    role: str
    reason: int = PRIMARY_REQUEST
    generation_id: int = NO_GENERATION
    layout: ClassVar[Layout] = Layout(Row("role", U32), Row("reason", U8), Row("", pad(3)),
                                      Row("generation_id", U64))

    def put(self, version: int) -> bytes:
        return self.layout.pack(version, {"role": ROLES.index(self.role), "reason": self.reason,
                                          "generation_id": self.generation_id})

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        v = cls.layout.unpack(version, reader)
        if v["role"] >= len(ROLES):
            raise OpenFlowError("OFPRRFC_BAD_ROLE", f"role {v['role']}")
        return cls(ROLES[v["role"]], v["reason"], v["generation_id"])


@value
class RequestForward(Message):
    """A request that another controller made; *request* is all of that message."""

    request: bytes = b""
    tail: ClassVar[str] = "request"

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        inner = reader.rest()
        size = int.from_bytes(inner[2:4], "big")
        if not _HEADER_SIZE <= size <= len(inner):
            raise OpenFlowError("OFPBFC_MSG_BAD_LEN", f"a request of {size} bytes in {len(inner)}")
        return cls(inner[:size])


# -- async configuration ---------------------------------------------------------------------------

KINDS = ("packet_in", "port_status", "flow_removed", "role_status", "table_status", "requestforward")
_U32 = struct.Struct(">I")
# Bits of reasons that each kind has on the wire, before 1.4 and since.
_KNOWN = {"packet_in": (7, 0x3F), "port_status": (7, 7), "flow_removed": (0x3F, 0x3F), "role_status": (7, 7),
          "table_status": (0x18, 0x18), "requestforward": (3, 3)}


def known(kind: str, version: int) -> int:
    """Bits of the reasons that *kind* has in *version*."""
    return _KNOWN[kind][version >= OF14]


Masks = tuple[tuple[str, bool, int], ...]


@value
class SetAsync14(Message):
    """Which events are sent; *masks* are (kind, whether for a secondary, bits of reasons)."""

    masks: Masks = ()
    is_loose: ClassVar[bool] = False    # whether what nobody knows is left out, not refused

    def put(self, version: int) -> bytes:
        return b"".join(put_property(KINDS.index(kind) * 2 + (not secondary), _U32.pack(bits))
                        for kind, secondary, bits in self.masks)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        out = []
        check_properties(reader)
        while len(reader):
            number, value = get_property(reader)
            if number >= 2 * len(KINDS):
                if cls.is_loose:
                    continue
                raise OpenFlowError("OFPACFC_UNSUPPORTED", f"async property {number}")
            if len(value) != _U32.size:
                raise OpenFlowError("OFPBPC_BAD_LEN", f"an async property of {len(value)} bytes")
            kind, bits = KINDS[number // 2], value.unpack(_U32)[0]
            allowed = known(kind, version)
            if bits & ~allowed and not cls.is_loose:
                raise OpenFlowError("OFPACFC_INVALID", f"reasons {bits:#x} of {kind}")
            out.append((kind, number % 2 == 0, bits & allowed))
        return cls(tuple(out))


@value
class GetAsyncReply14(SetAsync14):
    """What SetAsync14 set."""

    is_loose: ClassVar[bool] = True
