"""The TLV table on the wire (Open vSwitch's extensions 24 to 26): which tunnel option a field stands for."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastpath.errors import OpenFlowError
from fastpath.fields import TUN_OPTS_LEN
from fastpath.ofproto.tlv_table import TlvMapping, check_mappings
from fastpath.openflow.codec import Reader
from fastpath.openflow.messages.base import Message
from fastpath.tlv import N_OPTIONS
from fastpath.value import value

if TYPE_CHECKING:
    from typing_extensions import Self

_log = logging.getLogger("fastpath.ofp_match")
_log.addHandler(logging.NullHandler())
ADD, DELETE, CLEAR = range(3)
_MOD, _REPLY, _MAPPING = struct.Struct(">H6x"), struct.Struct(">IH10x"), struct.Struct(">HBBH2x")


def _put(mappings: Iterable[TlvMapping]) -> bytes:
    return b"".join(_MAPPING.pack(m.cls, m.type, m.size, m.index) for m in mappings)


def _get(reader: Reader) -> tuple[TlvMapping, ...]:
    mappings = []
    while len(reader):
        mappings.append(TlvMapping(*reader.unpack(_MAPPING)))
        try:
            check_mappings(mappings[-1:])
        except OpenFlowError as error:
            _log.warning("%s", error.detail)        # as the reference, which says so while it reads
            raise
    return tuple(mappings)


@value
class TlvTableMod(Message):
    """Add mappings (*command* ADD), delete those of their fields (DELETE) or all (CLEAR)."""

    command: int
    mappings: tuple[TlvMapping, ...] = ()

    def put(self, version: int) -> bytes:
        return _MOD.pack(self.command) + _put(self.mappings)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        (command,) = reader.unpack(_MOD)
        if command > CLEAR:
            raise OpenFlowError("NXTTMFC_BAD_COMMAND", f"TLV table command {command}")
        return cls(command, _get(reader))


@value
class TlvTableRequest(Message):
    """Ask for all mappings."""


@value
class TlvTableReply(Message):
    """All mappings; *max_space* bytes and *max_fields* fields are the most there can be."""

    mappings: tuple[TlvMapping, ...]
    max_space: int = TUN_OPTS_LEN
    max_fields: int = N_OPTIONS

    def put(self, version: int) -> bytes:
        return _REPLY.pack(self.max_space, self.max_fields) + _put(self.mappings)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        space, fields = reader.unpack(_REPLY)
        mappings = _get(reader)
        if any(m.index >= fields for m in mappings):
            raise OpenFlowError("NXTTMFC_BAD_FIELD_IDX", f"a field beyond the {fields} there are")
        return cls(mappings, space, fields)
