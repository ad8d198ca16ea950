"""What tables are set to: descriptions and status (OpenFlow 1.4)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar

from fastpath.errors import OpenFlowError
from fastpath.openflow.actions.base import get_property, put_property
from fastpath.openflow.codec import U8, U16, U32, Layout, Reader, Row, pad
from fastpath.openflow.errors import NAMELESS
from fastpath.openflow.messages.base import Message, get_records
from fastpath.value import field, value

if TYPE_CHECKING:
    from typing_extensions import Self

CONFIG_EVICTION, CONFIG_VACANCY = 4, 8
MISS_MASK, MISS_CONTROLLER, MISS_CONTINUE, MISS_DROP = 3, 0, 1, 2
_EVICTION, _VACANCY = 2, 3
VACANCY_DOWN, VACANCY_UP = 3, 4         # reasons
EVICTION_FLAGS = 1 | 2 | 4              # other, importance, lifetime: how rules are chosen to be evicted
_U32, _MARKS = struct.Struct(">I"), struct.Struct(">BBBx")
_DESC = Layout(Row("length", U16), Row("table_id", U8), Row("", pad(1)), Row("config", U32))


@value
class TableSettings:
    """Properties of a table: flags of how rules are evicted, and vacancy marks (down, up, free percent)."""

    eviction: int | None = None
    vacancy: tuple[int, int, int] | None = None

    def put(self) -> bytes:
        """The properties."""
        out = b"" if self.eviction is None else put_property(_EVICTION, _U32.pack(self.eviction))
        return out if self.vacancy is None else out + put_property(_VACANCY, _MARKS.pack(*self.vacancy))

    @classmethod
    def get(cls, reader: Reader, *, is_loose: bool = False) -> Self:
        """Properties to the end of *reader*; a *loose* reader, of what a switch says, leaves out those nobody
        knows; requests set marks that make sense, and no free percent."""
        eviction: int | None = None
        vacancy: tuple[int, int, int] | None = None
        while len(reader):
            number, value = get_property(reader)
            if number not in (_EVICTION, _VACANCY):
                if is_loose:
                    continue
                raise OpenFlowError("OFPBRC_BAD_TYPE", f"table property {number}")
            if len(value) != _U32.size:
                raise OpenFlowError("OFPBPC_BAD_LEN", f"a table property of {len(value)} bytes")
            if number == _EVICTION:
                eviction = value.unpack(_U32)[0]
            else:
                down, up, free = vacancy = value.unpack(_MARKS)
                if not is_loose and (not down <= up <= 100 or free):
                    raise OpenFlowError("OFPBPC_BAD_VALUE", f"vacancy marks {vacancy}")
        return cls(eviction, vacancy)


@value
class TableDesc:
    """What one table is set to."""

    table_id: int
    config: int = 0
    settings: TableSettings = field(default_factory=TableSettings)

    def put(self, version: int) -> bytes:
        """Bytes in *version*."""
        properties = self.settings.put()
        return _DESC.pack(version, {"length": _DESC.size(version) + len(properties),
                                    "table_id": self.table_id, "config": self.config}) + properties

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The table that is all of *reader*."""
        v = _DESC.unpack(version, reader)
        return cls(v["table_id"], v["config"], TableSettings.get(reader, is_loose=True))


@value
class TableDescRequest(Message):
    """Asks what the tables are set to."""


@value
class TableDescReply(Message):
    """What the tables are set to."""

    tables: tuple[TableDesc, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(table.put(version) for table in self.tables)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(TableDesc.get(r, version) for r in get_records(reader, 0, _DESC.size(version)))


@value
class TableStatus(Message):
    """The free room of a table passed a mark (3 below, 4 above)."""

    reason: int
    table: TableDesc
    _head: ClassVar[Layout] = Layout(Row("reason", U8), Row("", pad(7)))

    def put(self, version: int) -> bytes:
        return self._head.pack(version, {"reason": self.reason}) + self.table.put(version)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        reason = cls._head.unpack(version, reader)["reason"]
        if reason not in (VACANCY_DOWN, VACANCY_UP):
            raise OpenFlowError("OFPBPC_BAD_VALUE", f"table status reason {reason}")
        for record in get_records(reader, 0, _DESC.size(version)):
            return cls(reason, TableDesc.get(record, version))
        raise OpenFlowError(NAMELESS, "the status of no table")
