"""Text of what tables count and can do: each table in full, or as far as it differs from the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastpath.errors import OpenFlowError
from fastpath.openflow.abilities import Abilities, Doing, Names, all_of_features, of_stats
from fastpath.openflow.codec import Reader
from fastpath.openflow.messages import stats
from fastpath.openflow.printing.context import Context, c_hex
from fastpath.value import replace

_N_TABLES = 255
Counts = tuple[int, int, int]


def _tables(m: stats.TableReply, c: Context) -> str:
    return format_abilities((of_stats(t, c.version), (t.active_count, t.lookup_count, t.matched_count))
                            for t in m.tables)


def _features(m: stats.TableFeaturesReply, c: Context) -> str:
    return format_abilities((a, None) for a in all_of_features(m.tables, c.version))


def _features_request(m: stats.TableFeaturesRequest, c: Context) -> str:
    found: list[stats.TableFeatures] = []
    try:
        found.extend(stats.get_features(Reader(m.data), c.version))
    except OpenFlowError as error:
        error.so_far = stats.TableFeaturesReply(tuple(found))
        raise
    return _features(stats.TableFeaturesReply(tuple(found)), c)


def format_abilities(tables: Iterable[tuple[Abilities, Counts | None]]) -> str:
    """Lines of *tables*, each with its counters if there are any."""
    out, last, last_counts = "", None, None
    first_ditto = last_ditto = -1
    for t, counts in tables:
        same_counts = counts is None or counts == last_counts
        same = last is not None and _same(t, last)
        if same and same_counts and not t.name:
            first_ditto, last_ditto = t.table_id if first_ditto < 0 else first_ditto, t.table_id
        else:
            out += _ditto(first_ditto, last_ditto)
            first_ditto = -1
            out += f"\n  table {t.table_id}" + (f' ("{t.name}"):' if t.name else ":")
            out += " ditto" if same and same_counts else "\n" + _table(t, counts, last, same)
        last, last_counts = t, counts
    return out + _ditto(first_ditto, last_ditto)


def _ditto(first: int, last: int) -> str:
    if first < 0:
        return ""
    which = f"table {first}" if first == last else f"tables {first}...{last}"
    return f"\n  {which}: ditto\n"


def _table(t: Abilities, counts: Counts | None, last: Abilities | None, same: bool) -> str:
    out = ""
    if counts is not None:
        out += "    active={}, lookup={}, matched={}\n".format(*counts)
    if same:
        return out + ("" if t == Abilities(t.table_id, t.name) else "    (same features)\n")
    if t.metadata_match or t.metadata_write:
        out += f"    metadata: match={c_hex(t.metadata_match)} write={c_hex(t.metadata_write)}\n"
    out += f"    config={t.miss}\n" if t.miss is not None else ""
    for name, can in (("eviction", t.eviction), ("vacancy events", t.vacancy)):
        out += "" if can is None else f"    {name}: {'' if can else 'not '}supported\n"
    out += f"    max_entries={t.max_entries}\n" if t.max_entries else ""
    return out + _doings(t, last) + _matching(t, last)


def _same(t: Abilities, last: Abilities) -> bool:
    """Whether *t* can do what *last* can, and follows it where tables lead to those behind them."""
    alike = replace(t, table_id=0, name="", hit=Doing(), missed=Doing(), masked=(), wildcarded=())
    return (alike == replace(last, table_id=0, name="", hit=Doing(), missed=Doing(), masked=(), wildcarded=())
            and _same_doing(t.hit, t, last.hit, last) and _same_doing(t.missed, t, last.missed, last))


def _same_doing(a: Doing, of_a: Abilities, b: Doing, of_b: Abilities) -> bool:
    first, second, behind = ((a, b, of_b) if of_b.table_id == of_a.table_id + 1 else (b, a, of_a))
    next_tables = first.next_tables
    if abs(of_a.table_id - of_b.table_id) == 1 and behind.table_id in first.next_tables:
        next_tables -= {behind.table_id}
    return next_tables == second.next_tables and replace(a, next_tables=frozenset()) == replace(
        b, next_tables=frozenset())


def _doings(t: Abilities, last: Abilities | None) -> str:
    none = Doing()
    if last is not None and _same_doing(t.hit, t, last.hit, last) and _same_doing(
            t.missed, t, last.missed, last):
        return "" if t.hit == none else "    (same instructions)\n"
    before = (None, None) if last is None else (last.hit, last.missed)
    if t.hit != t.missed:
        return (f"    instructions (other than table miss):\n{_doing(t.hit, before[0])}"
                f"    instructions (table miss):\n{_doing(t.missed, before[1])}")
    return "" if t.hit == none else f"    instructions (table miss and others):\n{_doing(t.hit, before[0])}"


def _doing(d: Doing, before: Doing | None) -> str:
    out = ""
    if d.next_tables & frozenset(range(_N_TABLES)):
        out += f"      next tables: {_ranges(sorted(d.next_tables))}\n"
    if d.instructions:
        same = before is not None and d.instructions == before.instructions
        out += "      (same instructions)\n" if same else f"      instructions: {' '.join(d.instructions)}\n"
    if before is not None and d.write == before.write and d.apply == before.apply and d.write[1]:
        return f"{out}      (same actions)\n"
    if d.write != d.apply:
        return (f"{out}      Write-Actions features:\n{_actions(d.write)}"
                f"      Apply-Actions features:\n{_actions(d.apply)}")
    if d.write != ((), ()):
        out += f"      Write-Actions and Apply-Actions features:\n{_actions(d.write)}"
    return out


def _ranges(numbers: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _actions(doing: tuple[Names, Names]) -> str:
    actions, fields = doing
    out = f"        actions: {' '.join(actions)}\n" if actions else ""
    return out + (f"        supported on Set-Field: {format_names(fields)}\n" if fields else "")


def _matching(t: Abilities, last: Abilities | None) -> str:
    if not t.matched:
        return ""
    if last is not None and t.matched == last.matched:
        return "    (same matching)\n"
    masked, wild = set(t.masked), set(t.wildcarded)
    rows = (("arbitrary mask", [f for f in t.matched if f in masked]),
            ("exact match or wildcard", [f for f in t.matched if f not in masked and f in wild]),
            ("must exact match", [f for f in t.matched if f not in masked and f not in wild]))
    return "    matching:\n" + "".join(
        f"      {title}: {format_names(names)}\n" for title, names in rows if names)


# -- names -----------------------------------------------------------------------------------------

def format_names(names: Sequence[str], prefix: int = 0) -> str:
    """*names* in short: ``eth_{src,dst}`` have a part in common, ``reg0...reg15`` are numbered.  The first
    *prefix* characters, which all have, are left out."""
    out = []
    while names:
        together, extra = _prefix_run(names, prefix)
        numbered = _numbered_run(names)
        run = max(together, numbered)
        if numbered >= together:
            out.append(names[0][prefix:] + (f"...{names[run - 1][prefix:]}" if run > 1 else ""))
        else:
            out.append(f"{names[0][prefix:prefix + extra]}{{{format_names(names[:run], prefix + extra)}}}")
        names = names[run:]
    return ("," if prefix else " ").join(out)


def _prefix_run(names: Sequence[str], prefix: int) -> tuple[int, int]:
    """How many of the first *names* go together, and the length of what they have in common."""
    if len(names) < 2:
        return len(names), 0
    extra = _common(names[0][prefix:], names[1][prefix:])
    run = 2 if extra else 1
    while extra and run < len(names) and _common(names[0][prefix:], names[run][prefix:]):
        run += 1
    return run, extra


def _common(a: str, b: str) -> int:
    """Length of the beginning of *a* and *b* up to an underscore."""
    n = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:n].rfind("_") + 1


def _numbered_run(names: Sequence[str]) -> int:
    run = 1
    while run < len(names) and _follows(names[run - 1], names[run]):
        run += 1
    return 1 if run == 2 else run


def _follows(a: str, b: str) -> bool:
    stem_a, stem_b = a.rstrip("0123456789"), b.rstrip("0123456789")
    digits = a[len(stem_a):], b[len(stem_b):]
    return stem_a == stem_b and all(digits) and int(digits[0]) + 1 == int(digits[1])


BODIES: dict[type, Callable[[Any, Context], str]] = {
    stats.TableRequest: lambda m, c: "", stats.TableReply: _tables,
    stats.TableFeaturesRequest: _features_request, stats.TableFeaturesReply: _features,
}
