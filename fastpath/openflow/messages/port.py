"""What the switch is and what ports it has: features, port descriptions, port status, port and table mods."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14
from fastpath.openflow.actions.base import get_property, put_property
from fastpath.openflow.codec import MAC, PORT, U8, U16, U32, U64, Kind, Layout, Reader, Row, pad, text
from fastpath.openflow.messages.base import Message, check_properties, get_items, get_records
from fastpath.value import value

if TYPE_CHECKING:
    from typing_extensions import Self

CAP_FLOW_STATS, CAP_TABLE_STATS, CAP_PORT_STATS, CAP_GROUP_STATS = 1, 2, 4, 8
CAP_QUEUE_STATS, CAP_ARP_MATCH_IP, CAP_BUNDLES = 64, 128, 512
CONFIG_DOWN, CONFIG_NO_RECV, CONFIG_NO_FLOOD, CONFIG_NO_FWD, CONFIG_NO_PACKET_IN = 1, 4, 16, 32, 64
CONFIG_NO_STP, CONFIG_NO_RECV_STP = 2, 8
CONFIG_OF10 = CONFIG_NO_FLOOD | CONFIG_NO_STP | CONFIG_NO_RECV_STP      # what only OpenFlow 1.0 has
CONFIG_NAMES = ((CONFIG_DOWN, "down"), (CONFIG_NO_STP, "no_stp"), (CONFIG_NO_RECV, "no_receive"),
                (CONFIG_NO_RECV_STP, "no_receive_stp"), (CONFIG_NO_FLOOD, "no_flood"),
                (CONFIG_NO_FWD, "no_forward"), (CONFIG_NO_PACKET_IN, "no_packet_in"))
STATE_LINK_DOWN, STATE_LIVE = 1, 4
# Mbit/s, and the features (OFPPF_*) that are so fast: half duplex, full duplex.
MBPS = ((10, 0x3), (100, 0xC), (1000, 0x30), (10_000, 1 << 6), (40_000, 1 << 7), (100_000, 1 << 8),
        (1_000_000, 1 << 9))
_NAME: Kind = text(16)
_SPEEDS = tuple(Row(name, U32) for name in ("curr", "advertised", "supported", "peer"))
_LAYOUT10 = Layout(Row("port", PORT), Row("mac", MAC), Row("name", _NAME), Row("config", U32),
                   Row("state", U32), *_SPEEDS)
_HEAD11 = (Row("port", PORT), Row("length", U16, since=OF14), Row("", pad(4), until=OF13),
           Row("", pad(2), since=OF14), Row("mac", MAC), Row("", pad(2)), Row("name", _NAME),
           Row("config", U32), Row("state", U32))
_ETHERNET = Layout(*_SPEEDS, Row("curr_speed", U32), Row("max_speed", U32))
_LAYOUT11, _LAYOUT14 = Layout(*_HEAD11, *_ETHERNET.rows), Layout(*_HEAD11)
_ETHERNET_PROPERTY = Layout(Row("", pad(4)), *_ETHERNET.rows)


def kbps_of(features: int) -> int:
    """Kilobits a second of the fastest of *features*, 0 for none."""
    return max((mbps * 1000 for mbps, bits in MBPS if features & bits), default=0)


def _features10(features: int) -> int:
    """*features* as OpenFlow 1.0 has them: nothing faster than 10 Gbit/s."""
    return features & 0x7F | (features & 0xF800) >> 4


def _features_of10(features: int) -> int:
    return features & 0x7F | (features & 0xF80) << 4


@value
class PortDesc:
    """One port.  Speeds are kbit/s, features bits of OFPPF_* since OpenFlow 1.1; *config* and *state* as each
    version has them."""

    port: int
    mac: int
    name: str
    config: int = 0
    state: int = 0
    curr: int = 0
    advertised: int = 0
    supported: int = 0
    peer: int = 0
    curr_speed: int = 0
    max_speed: int = 0

    def put(self, version: int) -> bytes:
        """Bytes in *version*."""
        values: dict[str, Any] = {name: getattr(self, name) for name in PortDesc.__match_args__}
        if version == OF10:
            values |= {row.name: _features10(values[row.name]) for row in _SPEEDS}
        if version < OF14:
            return (_LAYOUT10 if version == OF10 else _LAYOUT11).pack(version, values)
        ethernet = put_property(0, _ETHERNET_PROPERTY.pack(version, values))
        values["length"] = _LAYOUT14.size(version) + len(ethernet)
        return _LAYOUT14.pack(version, values) + ethernet

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The port that comes next; in 1.4 and up, all of *reader*."""
        if version == OF10:
            v = _LAYOUT10.unpack(version, reader)
            v |= {row.name: _features_of10(v[row.name]) for row in _SPEEDS}
            return cls(**v)
        if version < OF14:
            return cls(**_LAYOUT11.unpack(version, reader))
        v = _LAYOUT14.unpack(version, reader)
        del v["length"]
        while len(reader):
            kind, value = get_property(reader)
            if kind == 0:
                v |= _ETHERNET_PROPERTY.unpack(version, value)
        return cls(**v)


def get_ports(reader: Reader, version: int) -> Iterator[PortDesc]:
    """Ports to the end of *reader*, one by one."""
    if version < OF14:
        return get_items(reader, PortDesc.get, version)
    return (PortDesc.get(r, version) for r in get_records(reader, 4, _LAYOUT14.size(version)))


@value
class FeaturesReply(Message):
    """What the switch is; its ports too, before OpenFlow 1.3."""

    datapath_id: int = 0
    n_buffers: int = 0
    n_tables: int = 0
    auxiliary_id: int = 0
    capabilities: int = 0
    actions: int = 0
    ports: tuple[PortDesc, ...] = ()
    layout: ClassVar[Layout] = Layout(
        Row("datapath_id", U64), Row("n_buffers", U32), Row("n_tables", U8),
        Row("auxiliary_id", U8, since=OF13), Row("", pad(1), until=OF12), Row("", pad(2)),
        Row("capabilities", U32), Row("actions", U32, until=OF10), Row("", pad(4), since=OF11))

    def put(self, version: int) -> bytes:
        values: dict[str, Any] = {name: getattr(self, name) for name in FeaturesReply.__match_args__}
        out = self.layout.pack(version, values)
        return out if version >= OF13 else out + b"".join(p.put(version) for p in self.ports)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        v = cls.layout.unpack(version, reader)
        rest = [v.get(name, 0) for name in FeaturesReply.__match_args__[:-1]]
        return cls(*rest) if version >= OF13 else cls.of_all(get_ports(reader, version), *rest)

MODIFIED = 2


@value
class PortStatus(Message):
    """A port was added (0), deleted (1) or modified (2)."""

    reason: int
    desc: PortDesc
    _layout: ClassVar[Layout] = Layout(Row("reason", U8), Row("", pad(7)))

    def put(self, version: int) -> bytes:
        return self._layout.pack(version, {"reason": self.reason}) + self.desc.put(version)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        reason = cls._layout.unpack(version, reader)["reason"]
        if reason > MODIFIED:
            raise OpenFlowError("NXBRC_BAD_REASON", f"port status reason {reason}")
        for desc in get_ports(reader, version):
            return cls(reason, desc)
        raise OpenFlowError("OFPBRC_BAD_LEN", "the status of no port")


_PORT_MOD = Layout(
    Row("port", PORT), Row("", pad(4), since=OF11), Row("mac", MAC), Row("", pad(2), since=OF11),
    Row("config", U32), Row("mask", U32), Row("advertise", U32, until=OF13), Row("", pad(4), until=OF13))
_ADVERTISE = struct.Struct(">I")


_CONFIG_ALL = sum(bit for bit, _name in CONFIG_NAMES)


@value
class PortMod(Message):
    """Asks to change the bits *mask* of a port's configuration."""

    port: int
    mac: int = 0
    config: int = 0
    mask: int = 0
    advertise: int = 0

    def put(self, version: int) -> bytes:
        out = _PORT_MOD.pack(version, {name: getattr(self, name) for name in PortMod.__match_args__})
        if version >= OF14 and self.advertise:
            out += put_property(0, _ADVERTISE.pack(self.advertise))
        return out

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        v = _PORT_MOD.unpack(version, reader)
        check_properties(reader)
        while version >= OF14 and len(reader):
            kind, value = get_property(reader)
            if kind == 0:
                v["advertise"] = value.unpack(_ADVERTISE)[0]
        known = _CONFIG_ALL if version == OF10 else _CONFIG_ALL & ~CONFIG_OF10
        v["config"] &= known                # what else is said means nothing
        v["mask"] &= known
        return cls(**v)


@value
class TableMod(Message):
    """Asks to configure a table (255 = all)."""

    table_id: int
    config: int = 0
    properties: bytes = b""
    layout: ClassVar[Layout] = Layout(Row("table_id", U8), Row("", pad(3)), Row("config", U32))
    tail: ClassVar[str] = "properties"

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        v = cls.layout.unpack(version, reader)
        if version >= OF14:
            check_properties(reader)
            v["properties"] = reader.rest()
        return cls(**v)
