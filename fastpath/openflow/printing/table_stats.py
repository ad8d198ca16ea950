"""Text of what tables count and can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastpath.openflow.messages import stats
from fastpath.openflow.printing.context import Context

_MISSES = ("controller", "continue", "drop")


def _tables(m: stats.TableReply, c: Context) -> str:
    out, last, n_same = "", None, 0
    for t in m.tables:
        text = f"    active={t.active_count}, lookup={t.lookup_count}, matched={t.matched_count}\n"
        text += f"    config={_MISSES[t.config & 3]}\n" if c.version in (2, 3) and t.config & 3 < 3 else ""
        text += f"    max_entries={t.max_entries}\n" if t.max_entries else ""
        if text == last:
            n_same += 1
            continue
        out += _ditto(t.table_id, n_same) + f"\n  table {t.table_id}{_named(t.name)}:\n{text}"
        last, n_same = text, 0
    return out + _ditto(m.tables[-1].table_id + 1 if m.tables else 0, n_same)


def _named(name: str) -> str:
    return f' ("{name}")' if name else ""


def _ditto(before: int, n: int) -> str:
    if not n:
        return ""
    which = f"table {before - 1}" if n == 1 else f"tables {before - n}...{before - 1}"
    return f"\n  {which}: ditto\n"


BODIES: dict[type, Callable[[Any, Context], str]] = {
    stats.TableRequest: lambda m, c: "", stats.TableReply: _tables,
    stats.TableFeaturesRequest: lambda m, c: "", stats.TableFeaturesReply: lambda m, c: "",
}
