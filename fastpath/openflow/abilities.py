"""What a switch says its tables can do, taken in from what each version has for it: the side of who asks.

``Abilities`` is the same for all: OpenFlow 1.0 to 1.2 give hints beside the statistics of a table, later ones
properties.  Fields are told in the order of the field table.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastpath.errors import OpenFlowError
from fastpath.fields import FIELDS, Field
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF14
from fastpath.openflow import oxm
from fastpath.openflow.actions.base import get_property
from fastpath.openflow.codec import Reader
from fastpath.openflow.messages import stats
from fastpath.value import value

_ORDER = {f.name: i for i, f in enumerate(FIELDS)}
_INSTRUCTIONS = {6: "meter", 4: "apply_actions", 5: "clear_actions", 3: "write_actions", 2: "write_metadata",
                 1: "goto_table"}
# Numbers of actions in 1.1, and in 1.2 and later, by name, in the order they are told in.
_ACTIONS11 = {"output": 0, "group": 22, "set_vlan_vid": 1, "set_vlan_pcp": 2, "strip_vlan": 18,
              "push_vlan": 17, "mod_dl_src": 3, "mod_dl_dst": 4, "mod_nw_src": 5, "mod_nw_dst": 6,
              "mod_nw_tos": 7, "mod_nw_ecn": 8, "mod_nw_ttl": 23, "mod_tp_src": 9, "mod_tp_dst": 10,
              "dec_ttl": 24, "set_mpls_label": 13, "set_mpls_tc": 14, "set_mpls_ttl": 15,
              "dec_mpls_ttl": 16, "push_mpls": 19, "pop_mpls": 20, "set_queue": 21}
_ACTIONS12 = {"output": 0, "group": 22, "set_field": 25, "strip_vlan": 18, "push_vlan": 17, "mod_nw_ttl": 23,
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
        actions = _of_bits(t.write_actions, _ACTIONS11, numbers=True)
        doing = Doing(frozenset(), instructions, (actions, ()), (actions, ()))
        match, wild = (_of_bits(bits, _FIELDS11) for bits in (t.match, t.wildcards))
    else:
        write, apply = (
            (_of_bits(bits, _ACTIONS12, numbers=True), _of12(fields)) for bits, fields in (
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
    found: dict[int, Reader] = {}
    reader = Reader(t.properties, "OFPBPC_BAD_LEN")
    while len(reader):
        kind, body = get_property(reader)
        found.setdefault(kind, body)
    matched, masked = _fields(found.get(_MATCH))
    wild, _masks = _fields(found.get(_WILDCARDS))
    hit, missed = (_doing(found, miss) for miss in (0, 1))
    eviction, vacancy = (bool(t.config & bit) if version >= OF14 else None for bit in (_EVICTION, _VACANCY))
    return Abilities(
        t.table_id, t.name, t.metadata_match, t.metadata_write, None, eviction, vacancy,
        max_entries=t.max_entries, hit=hit, missed=missed, matched=_sorted(matched),
        masked=_sorted(masked), wildcarded=_sorted({*wild, *masked} & {*matched}))


def _doing(found: dict[int, Reader], miss: int) -> Doing:
    def body(kind: int) -> Reader:
        """Of a miss that nothing is said of, what is said of a hit."""
        given = found.get(kind + miss) or found.get(kind)
        return Reader(b"") if given is None else Reader(given.data, given.short, given.pos,
                                                        given.pos + len(given))
    instructions = _numbers(body(0))
    write, apply = (
        (tuple(name for name, number in _ACTIONS12.items() if number in _numbers(body(kind))),
         _sorted(_fields(body(kind + 8))[0])) for kind in (4, 6))
    names = tuple(name for number, name in _INSTRUCTIONS.items() if number in instructions)
    return Doing(frozenset(body(2).rest()), names, write, apply)


def _numbers(reader: Reader) -> frozenset[int]:
    """Types of the instructions or actions of a property; those of experimenters are left out."""
    out = set()
    while len(reader) >= 4:
        kind, size = (int.from_bytes(reader.take(2), "big") for _ in range(2))
        if size < 4 or size - 4 > len(reader):
            raise OpenFlowError("OFPTFFC_BAD_FEATURES", f"{size} bytes of one of a table's features")
        reader.skip_padding(size - 4)
        out.add(kind)
    return frozenset(out)


def _fields(reader: Reader | None) -> tuple[Names, Names]:
    """Fields that headers name, and those named with a mask."""
    names, masked = list[str](), list[str]()
    while reader is not None and len(reader) >= 4:
        f: Field | None
        f, _length, has_mask = oxm.get_header(reader)
        if f is not None:
            (masked if has_mask else names).append(f.name)
            names.append(f.name)
    return tuple(names), tuple(masked)
