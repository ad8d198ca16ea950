"""Settings of tables, answered for a Session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF11, OF12, OF14
from fastpath.ofproto.flow_mod import TABLE_ALL
from fastpath.ofproto.table import Miss
from fastpath.openflow.codec import Reader
from fastpath.openflow.messages import port, stats, tables
from fastpath.openflow.replies import pages
from fastpath.openflow.table_features import N_TABLES, features, hints
from fastpath.value import value

if TYPE_CHECKING:
    from fastpath.openflow.service import Session

_MISSES = {tables.MISS_CONTROLLER: Miss.CONTROLLER, tables.MISS_CONTINUE: Miss.CONTINUE,
           tables.MISS_DROP: Miss.DROP, tables.MISS_MASK: Miss.DEFAULT}
_MISS_NUMBERS = {miss: number for number, miss in _MISSES.items()}
# What the reference tells in OpenFlow 1.1, one more than it is told.
_MISS_NUMBERS11 = {Miss.DEFAULT: 0, Miss.CONTROLLER: 1, Miss.CONTINUE: 2, Miss.DROP: 3}


@value
class TableView:
    """Settings of one table as a bridge tells them."""

    miss: Miss
    evicts: bool
    vacancy: tuple[int, int] | None
    free_percent: int


def config_of(view: TableView | None, version: int) -> int:
    """The config word of a table in *version*; None is a table nobody touched."""
    if version < OF14:
        miss = Miss.DEFAULT if view is None else view.miss
        if version == OF11:
            return _MISS_NUMBERS11[miss]
        return _MISS_NUMBERS[miss] if version == OF12 and miss is not Miss.DEFAULT else 0
    if view is None:
        return 0
    return (tables.CONFIG_EVICTION if view.evicts else 0) | (
        tables.CONFIG_VACANCY if view.vacancy is not None else 0)


def describe(table_id: int, view: TableView | None, version: int) -> tables.TableDesc:
    """A table as 1.4 and up describe it."""
    vacancy = None
    if view is not None and view.vacancy is not None:
        vacancy = *view.vacancy, view.free_percent
    return tables.TableDesc(table_id, config_of(view, version), tables.TableSettings(
        tables.EVICTION_FLAGS, vacancy))


def _table_mod(session: Session, ask: port.TableMod) -> Iterator[object]:
    changes = _changes(ask, session.connection.version)
    if ask.table_id >= N_TABLES and ask.table_id != TABLE_ALL:
        raise OpenFlowError("OFPTMFC_EPERM" if ask.table_id == N_TABLES else "OFPTMFC_BAD_TABLE",
                            f"table {ask.table_id}")
    for table_id in range(N_TABLES) if ask.table_id == TABLE_ALL else (ask.table_id,):
        session.bridge.set_table(table_id, **changes)
    yield from ()


def _changes(ask: port.TableMod, version: int) -> dict[str, Any]:
    if version < OF14:
        if version not in (OF11, OF12):
            return {}
        miss = _MISSES[ask.config & tables.MISS_MASK]
        return {"miss": Miss.CONTROLLER if miss is Miss.DEFAULT else miss}      # which cannot be asked for
    settings = tables.TableSettings.get(Reader(ask.properties))
    vacancy: tuple[int, int] | bool = False
    if ask.config & tables.CONFIG_VACANCY:
        vacancy = (settings.vacancy or (0, 0, 0))[:2]
    return {"evicts": bool(ask.config & tables.CONFIG_EVICTION), "vacancy": vacancy}


def _table_stats(session: Session, _ask: stats.TableRequest) -> Iterator[object]:
    bridge, version = session.bridge, session.connection.version
    counts = bridge.table_counts()
    yield stats.TableReply(tuple(stats.TableStats(
        i, *counts.get(i, (0, 0, 0)), name=bridge.table_name(i), max_entries=bridge.table_size(i),
        config=config_of(bridge.table_view(i), version), **hints(version, i)) for i in range(N_TABLES)))


def _table_desc(session: Session, _ask: tables.TableDescRequest) -> Iterator[object]:
    version = session.connection.version
    entries = [describe(i, session.bridge.table_view(i), version) for i in range(N_TABLES)]
    yield from pages(tables.TableDescReply, entries, version)


HANDLERS: dict[type, Callable[[Session, Any], Iterator[object]]] = {
    port.TableMod: _table_mod, stats.TableRequest: _table_stats, stats.TableFeaturesRequest: features,
    tables.TableDescRequest: _table_desc,
}
