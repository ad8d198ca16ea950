"""What a switch says its tables can do, taken in from what each version has for it: the side of who asks.

``Abilities`` is the same for all: OpenFlow 1.0 to 1.2 give hints beside the statistics of a table, later ones
properties.  Fields are told in the order of the field table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastpath.errors import OpenFlowError
from fastpath.fields import FIELDS
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF14
from fastpath.ofproto.flow_mod import TABLE_ALL
from fastpath.openflow import oxm
from fastpath.openflow.actions.base import get_property
from fastpath.openflow.codec import Reader
from fastpath.openflow.messages import stats
from fastpath.value import value

_ORDER = {f.name: i for i, f in enumerate(FIELDS)}
_INSTRUCTIONS = {6: "meter", 4: "apply_actions", 5: "clear_actions", 3: "write_actions", 2: "write_metadata",
                 1: "goto_table"}
# Numbers of actions in 1.1, and in 1.2 and later, by name, in the order they are told in.
ACTIONS11 = {"output": 0, "group": 22, "set_vlan_vid": 1, "set_vlan_pcp": 2, "strip_vlan": 18,
              "push_vlan": 17, "mod_dl_src": 3, "mod_dl_dst": 4, "mod_nw_src": 5, "mod_nw_dst": 6,
              "mod_nw_tos": 7, "mod_nw_ecn": 8, "mod_nw_ttl": 23, "mod_tp_src": 9, "mod_tp_dst": 10,
              "dec_ttl": 24, "set_mpls_label": 13, "set_mpls_tc": 14, "set_mpls_ttl": 15,
              "dec_mpls_ttl": 16, "push_mpls": 19, "pop_mpls": 20, "set_queue": 21}
ACTIONS12 = {"output": 0, "group": 22, "set_field": 25, "strip_vlan": 18, "push_vlan": 17, "mod_nw_ttl": 23,
              "dec_ttl": 24, "set_mpls_ttl": 15, "dec_mpls_ttl": 16, "push_mpls": 19, "pop_mpls": 20,
              "set_queue": 21}
# Fields by bits of the wildcards of 1.0, and of the words of 1.1.
_FIELDS10 = {"in_port": 1, "vlan_vid": 2, "eth_src": 4, "eth_dst": 8, "eth_type": 16, "nw_proto": 32,
             "tcp_src": 64, "tcp_dst": 128, "ip_src": 0x3F00, "ip_dst": 0xFC000, "vlan_pcp": 1 << 20,
             "nw_tos": 1 << 21}
_FIELDS11 = {name: 1 << bit for bit, name in enumerate((
    "in_port", "vlan_vid", "vlan_pcp", "eth_type", "nw_tos", "nw_proto", "tcp_src", "tcp_dst", "mpls_label",
    "mpls_tc", "", "eth_src", "eth_dst", "ip_src", "ip_dst", "metadata")) if name}
_OXM_CLASS = 0x8000
_OF12 = {oxm.field_id(f, OF12).number: f.name for f in FIELDS
         if f.ids and oxm.field_id(f, OF12).cls == _OXM_CLASS and oxm.field_id(f, OF12).of <= OF12}
_EVICTION, _VACANCY = 1 << 2, 1 << 3        # of a table's configuration since 1.4
Names = tuple[str, ...]
BAD_LEN = "OFPBPC_BAD_LEN"
_MATCH, _WILDCARDS = 8, 10                  # properties that are not of what is done


@value
class Doing:
    """What can be done with packets that hit a rule, or with those that miss."""

    next_tables: frozenset[int] = frozenset()
    instructions: Names = ()
    write: tuple[Names, Names] = ((), ())           # actions, and fields that can be set
    apply: tuple[Names, Names] = ((), ())


@value
class Abilities:
    """What table *table_id* can do; None where a version does not say."""

    table_id: int
    name: str = ""
    metadata_match: int = 0
    metadata_write: int = 0
    miss: str | None = None
    eviction: bool | None = None
    vacancy: bool | None = None
    max_entries: int = 0
    hit: Doing = Doing()
    missed: Doing = Doing()
    matched: Names = ()
    masked: Names = ()
    wildcarded: Names = ()


def _sorted(names: Iterable[str]) -> Names:
    return tuple(sorted(set(names), key=_ORDER.__getitem__))


def _of_bits(bits: int, rows: dict[str, int], *, numbers: bool = False) -> Names:
    """Names of *rows* whose bits are among *bits*; *numbers*: rows have bits' numbers."""
    return tuple(name for name, row in rows.items() if bits & (1 << row if numbers else row))


# -- hints beside statistics -----------------------------------------------------------------------

_MISSES = ("controller", "continue", "drop")


def of_stats(t: stats.TableStats, version: int) -> Abilities:
    """What is said beside the statistics of a table."""
    if version > OF12:
        return Abilities(t.table_id)
    if version == OF10:
        fields = _sorted(_of_bits(t.wildcards, _FIELDS10))
        return Abilities(t.table_id, t.name, max_entries=t.max_entries, matched=fields, wildcarded=fields)
    miss = _MISSES[t.config & 3] if t.config & 3 < len(_MISSES) else None
    instructions = tuple(name for number, name in _INSTRUCTIONS.items()
                         if t.instructions >> number & 1 and number != 6)
    if version == OF11:
        actions = _of_bits(t.write_actions, ACTIONS11, numbers=True)
        doing = Doing(frozenset(), instructions, (actions, ()), (actions, ()))
        match, wild = (_of_bits(bits, _FIELDS11) for bits in (t.match, t.wildcards))
    else:
        write, apply = (
            (_of_bits(bits, ACTIONS12, numbers=True), _of12(fields)) for bits, fields in (
                (t.write_actions, t.write_setfields), (t.apply_actions, t.apply_setfields)))
        doing = Doing(frozenset(), instructions, write, apply)
        match, wild = _of12(t.match), _of12(t.wildcards)
    return Abilities(t.table_id, t.name, t.metadata_match, t.metadata_write, miss, max_entries=t.max_entries,
                     hit=doing, missed=doing, matched=_sorted((*match, *wild)), wildcarded=_sorted(wild))


def _of12(bits: int) -> Names:
    return _sorted(name for number, name in _OF12.items() if bits >> number & 1)


# -- features --------------------------------------------------------------------------------------

def of_features(t: stats.TableFeatures, version: int) -> Abilities:
    """What the features of a table say.  Raises OpenFlowError for what is none."""
    if t.table_id == TABLE_ALL:
        raise OpenFlowError("OFPTFFC_BAD_TABLE", "the features of all tables")
    found: dict[int, Any] = {}
    reader = Reader(t.properties, BAD_LEN)
    while len(reader):
        kind, body = get_property(reader)
        read = _READERS.get(kind)
        if read is not None:
            found[kind] = read(body)
    matched, masked = found.get(_MATCH, ((), ()))
    wild = found.get(_WILDCARDS, ())
    if not found.keys() >= _REQUIRED:
        raise OpenFlowError("OFPTFFC_BAD_FEATURES", "properties are missing")
    hit, missed = (_doing(found, miss) for miss in (0, 1))
    eviction, vacancy = (bool(t.config & bit) if version >= OF14 else None for bit in (_EVICTION, _VACANCY))
    return Abilities(
        t.table_id, t.name, t.metadata_match, t.metadata_write, None, eviction, vacancy,
        max_entries=t.max_entries, hit=hit, missed=missed, matched=_sorted((*matched, *masked)),
        masked=_sorted(masked), wildcarded=_sorted({*wild, *masked} & {*matched, *masked}))


def all_of_features(tables: Iterable[stats.TableFeatures], version: int) -> tuple[Abilities, ...]:
    """The same of *tables*.  Where one is wrong, the error tells the message of those before it."""
    found: list[Abilities] = []
    good: list[stats.TableFeatures] = []
    try:
        for t in tables:
            found.append(of_features(t, version))
            good.append(t)
    except OpenFlowError as error:
        error.so_far = stats.TableFeaturesReply(tuple(good))
        raise
    return tuple(found)


def _doing(found: dict[int, Any], miss: int) -> Doing:
    def said(kind: int) -> Any:
        """Of a miss that nothing is said of, what is said of a hit."""
        return found.get(kind + miss, found.get(kind, ()))
    write, apply = (
        (tuple(name for name, number in ACTIONS12.items() if number in said(kind)), _sorted(said(kind + 8)))
        for kind in (4, 6))
    names = tuple(name for number, name in _INSTRUCTIONS.items() if number in said(0))
    return Doing(frozenset(said(2)), names, write, apply)


def _numbers(reader: Reader) -> frozenset[int]:
    """Types of the instructions or actions of a property; those of experimenters are left out."""
    out = set()
    while len(reader):
        kind, size = (int.from_bytes(reader.take(2), "big") for _ in range(2))
        if size < 4:
            raise OpenFlowError(BAD_LEN, f"{size} bytes of one of a table's features")
        reader.skip_padding(size - 4)
        out.add(kind)
    return frozenset(out)


def _next_tables(reader: Reader) -> frozenset[int]:
    tables = frozenset(reader.rest())
    if TABLE_ALL in tables:
        raise OpenFlowError("OFPBPC_BAD_VALUE", "all tables as the next one")
    return tables


def _fields(reader: Reader) -> tuple[Names, Names]:
    """Fields that headers name without a mask and with one."""
    names, masked = list[str](), list[str]()
    reader.short = "OFPBMC_BAD_LEN"
    while len(reader):
        f, length, has_mask = oxm.get_header(reader)
        if f is not None and length == f.n_bytes * (1 + has_mask):
            (masked if has_mask else names).append(f.name)
    return tuple(names), tuple(masked)


def _bare_fields(reader: Reader) -> Names:
    names, masked = _fields(reader)
    if masked:
        raise OpenFlowError("OFPBMC_BAD_MASK", f"{masked[0]} with a mask")
    return names


_REQUIRED = frozenset(range(0, 16, 2))
# What reads each property.
_READERS: dict[int, Callable[[Reader], object]] = {
    0: _numbers, 1: _numbers, 2: _next_tables, 3: _next_tables, 4: _numbers, 5: _numbers, 6: _numbers,
    7: _numbers, _MATCH: _fields, _WILDCARDS: _bare_fields, 12: _bare_fields, 13: _bare_fields,
    14: _bare_fields, 15: _bare_fields}
