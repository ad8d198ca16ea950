"""Hello, errors, echo, barriers and roles: what a connection is kept with."""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING, ClassVar

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF13
from fastpath.openflow.codec import U8, U16, U32, U64, Layout, Reader, Row, pad, padding, raw
from fastpath.openflow.errors import decode_error, encode_error
from fastpath.openflow.messages.base import Message
from fastpath.value import value

if TYPE_CHECKING:
    from typing_extensions import Self

_ELEMENT, _U32 = struct.Struct(">HH"), struct.Struct(">I")
VERSION_BITMAP = 1
_LAST_VERSION = 31                  # that a bitmap has a bit for
PACKET_IN2 = 2                      # the last format of packets
_log = logging.getLogger("fastpath.ofp_util")
_log.addHandler(logging.NullHandler())


@value
class Hello(Message):
    """The versions the sender speaks; None where it gives only that of the header.  *strange*: there was
    more, which nobody understands."""

    versions: frozenset[int] | None = None
    strange: bool = False

    def put(self, version: int) -> bytes:
        if self.versions is None:
            return b""
        bits = sum(1 << v for v in self.versions)
        return _ELEMENT.pack(VERSION_BITMAP, 8) + _U32.pack(bits)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        versions: frozenset[int] | None = None
        strange = False
        while len(reader):
            kind, size = _ELEMENT.unpack(reader.peek(4)) if len(reader) >= 4 else (0, 0)
            if size < 4 or size + len(padding(size)) > len(reader):
                reader.rest()
                return cls(versions, strange=True)      # what was understood holds
            body = reader.take(size + len(padding(size)))[4:size]
            told = _bitmap(body) if kind == VERSION_BITMAP else frozenset()
            strange |= not told
            versions = told or versions
        return cls(versions, strange)


def _bitmap(body: bytes) -> frozenset[int]:
    """Versions that a bitmap tells; none if it is not one.  What is beyond 32 bits is for the future."""
    if not body or len(body) % 4:
        return frozenset()
    bits = _U32.unpack_from(body)[0]
    if bits & 1:
        _log.warning("peer claims to support invalid OpenFlow version 0x00")
    versions = frozenset(v for v in range(1, _LAST_VERSION + 1) if bits >> v & 1)
    if not versions:
        _log.warning("peer does not support any OpenFlow version (between 0x01 and 0x1f)")
    return versions


@value
class Error(Message):
    """A refusal: *code* is the name of the error, *data* the beginning of what was refused."""

    code: str
    data: bytes = b""

    def put(self, version: int) -> bytes:
        return encode_error(self.code, version) + self.data

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        body = reader.rest()
        if len(body) < 4:
            raise OpenFlowError("OFPBRC_BAD_LEN", f"an error of {len(body)} bytes")
        code, size = decode_error(body, version)
        return cls(code, body[size:])


@value
class EchoRequest(Message):
    """Asks for an EchoReply with the same data."""

    data: bytes = b""
    tail: ClassVar[str] = "data"


@value
class EchoReply(Message):
    """Answers an EchoRequest."""

    data: bytes = b""
    tail: ClassVar[str] = "data"


@value
class BarrierRequest(Message):
    """Asks to be answered when all before it is done."""


@value
class BarrierReply(Message):
    """All before the request is done."""


ROLES = ("nochange", "equal", "primary", "secondary")
_NX_ROLES = {"equal": 0, "primary": 1, "secondary": 2}
_ROLE = Layout(Row("role", U32), Row("", pad(4)), Row("generation_id", U64))


@value
class RoleRequest(Message):
    """Asks for a role, by name, or with ``nochange`` which one the sender has."""

    role: str = "nochange"
    generation_id: int = (1 << 64) - 1

    def put(self, version: int) -> bytes:
        return _ROLE.pack(version, {"role": ROLES.index(self.role), "generation_id": self.generation_id})

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        v = _ROLE.unpack(version, reader)
        if v["role"] >= len(ROLES):
            raise OpenFlowError("OFPRRFC_BAD_ROLE", f"role {v['role']}")
        return cls(ROLES[v["role"]], v["generation_id"])


@value
class RoleReply(RoleRequest):
    """The role the receiver has now."""


@value
class NxRoleRequest(Message):
    """Asks for a role, before OpenFlow 1.2 had any."""

    role: str = "equal"

    def put(self, version: int) -> bytes:
        return _U32.pack(_NX_ROLES[self.role])

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        number = reader.unpack(_U32)[0]
        for name, n in _NX_ROLES.items():
            if n == number:
                return cls(name)
        raise OpenFlowError("OFPRRFC_BAD_ROLE", f"role {number}")


@value
class NxRoleReply(NxRoleRequest):
    """The role the receiver has now."""


# -- features and configuration --------------------------------------------------------------------

@value
class FeaturesRequest(Message):
    """Asks what the switch is."""


@value
class GetConfigRequest(Message):
    """Asks for SwitchConfig."""


_FLAGS = struct.Struct(">HH")
_CONFIG = Layout(Row("flags", U16), Row("miss_send_len", U16))
FRAG_NORMAL, FRAG_DROP, FRAG_REASM, FRAG_NX_MATCH, FRAG_MASK, INVALID_TTL = 0, 1, 2, 3, 3, 4


@value
class GetConfigReply(Message):
    """What happens to fragments, and how much of a missed packet goes to the controller."""

    flags: int = 0
    miss_send_len: int = 0
    layout: ClassVar[Layout] = _CONFIG


@value
class SetConfig(GetConfigReply):
    """Sets what GetConfigReply tells."""

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        flags, miss_send_len = reader.unpack(_FLAGS)
        if flags & ~(FRAG_MASK | (INVALID_TTL if version < OF13 else 0)):
            raise OpenFlowError("OFPSCFC_BAD_FLAGS", f"configuration flags {flags:#x}")
        return cls(flags, miss_send_len)


# -- Nicira's settings of a connection ----------------------------------------------------------------

@value
class SetFlowFormat(Message):
    """Whether OpenFlow 1.0 speaks of flows in its own matches (0) or in NXM (2)."""

    format: int = 0
    layout: ClassVar[Layout] = Layout(Row("format", U32))


@value
class FlowAge(Message):
    """Asked once for ages in flow statistics, which always have them."""


@value
class FlowModTableId(Message):
    """Whether the upper half of a flow mod's command names the table, in OpenFlow 1.0."""

    set: int = 0
    layout: ClassVar[Layout] = Layout(Row("set", U8), Row("", pad(7)))


@value
class SetPacketInFormat(Message):
    """How packets are to be sent: 0 as the version does, 1 NXT_PACKET_IN, 2 NXT_PACKET_IN2."""

    format: int = 0
    layout: ClassVar[Layout] = Layout(Row("format", U32))

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        number = reader.unpack(_U32)[0]
        if number > PACKET_IN2:
            _log.warning("NXT_SET_PACKET_IN_FORMAT message specified invalid packet-in format %d", number)
            raise OpenFlowError("OFPBRC_EPERM", f"packet-in format {number}")
        return cls(number)


@value
class SetControllerId(Message):
    """The id that controller actions name this connection by."""

    controller_id: int = 0
    zero: bytes = bytes(6)              # which the switch insists on
    layout: ClassVar[Layout] = Layout(Row("zero", raw(6)), Row("controller_id", U16))


_MASKS = Layout(*(Row(f"{name}_{role}", U32) for name in ("packet_in", "port_status", "flow_removed")
                  for role in ("primary", "secondary")))


@value
class SetAsync(Message):
    """Which events are sent, by kind and role: a bit for each reason."""

    packet_in_primary: int = 0
    packet_in_secondary: int = 0
    port_status_primary: int = 0
    port_status_secondary: int = 0
    flow_removed_primary: int = 0
    flow_removed_secondary: int = 0
    layout: ClassVar[Layout] = _MASKS


@value
class GetAsyncRequest(Message):
    """Asks for GetAsyncReply."""


@value
class GetAsyncReply(SetAsync):
    """What SetAsync set."""


def hello_of(versions: frozenset[int]) -> Hello:
    """What tells of *versions* if its header has the highest; that alone tells of all below, too."""
    return Hello(None if versions == frozenset(range(OF10, max(versions) + 1)) else versions)


def hello_versions(message: Hello, header: int) -> frozenset[int]:
    """Versions that a sender of *message* speaks, known here or not, *header* being that of the message
    itself."""
    if message.versions is not None:
        return message.versions
    return frozenset(range(OF10, min(header, _LAST_VERSION) + 1))


def versions_text(versions: frozenset[int]) -> str:
    """*versions* as the reference has them in errors and in its log."""
    if not versions:
        return "no versions"
    highest = max(versions)
    if len(versions) == 1:
        return f"version 0x{highest:02x}"
    if len(versions) == highest:
        return f"version 0x{highest:02x} and earlier"
    return f"versions {', '.join(f'0x{version:02x}' for version in sorted(versions))}"
