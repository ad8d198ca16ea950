"""Flow text that is plainly written is read in one call: the readers ``_matchtext.scan`` is to use.

They say of each name the same as ``match`` and ``flow_reader`` do; a law over generated text holds both
equal.  Made at the first use.  Any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TypeAlias

from fastpath._flow import Patch
from fastpath._matchtext import PlainField, PlainNumber, PlainReader, scan
from fastpath.fields import BY_NAME, Field, Fmt, Prereq
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.match import FORMS, PROTOCOL_PATCHES, SLOTS, Match, read_item
from fastpath.ofproto.rule import FLAG_BY_TEXT, Rule
from fastpath.ofproto.values import full_mask
from fastpath.tlv import OPTION_OF

_Reader: TypeAlias = "PlainField | PlainNumber | Patch | Callable[[str], Patch] | int | None"
_KINDS = {Fmt.DEC: "number", Fmt.HEX: "number", Fmt.ETH: "mac", Fmt.IPV4: "ipv4", Fmt.OFP_PORT: "port"}
_PASSED_OVER = ("duration", "n_packets", "n_bytes", "idle_age", "hard_age")
_U16, _U64 = 0xFFFF, (1 << 64) - 1
# What an added flow has beside its match, under the names of FlowMod.
_NUMBERS = {
    "table":        PlainNumber("table_id", 0xFF, True),
    "priority":     PlainNumber("priority", _U16),
    "idle_timeout": PlainNumber("idle_timeout", _U16),
    "hard_timeout": PlainNumber("hard_timeout", _U16),
    "importance":   PlainNumber("importance", _U16),
    "cookie":       PlainNumber("new_cookie", _U64),
}


def _field(f: Field) -> _Reader | None:
    """What reads *f*; None for what is never plain."""
    if f.name in OPTION_OF or f.fmt is Fmt.OFP_PORT32:
        return None
    slot = SLOTS[f.name]
    if f.fmt not in _KINDS or slot.window.size > 8 or slot.window.lsb or f.name == "dl_vlan":
        return partial(read_item, f.name)
    return PlainField(_KINDS[f.fmt], slot.window, lsb=slot.lsb, n_bytes=f.n_bytes, maskable=f.maskable,
                      ethernet=f.prereq is not Prereq.NONE, full=full_mask(f), bits=slot.bits,
                      exact=slot.exact, present=slot.present)


@cache
def _readers() -> dict[str, _Reader]:
    readers: dict[str, _Reader] = {}
    for name, f in BY_NAME.items():
        reader = _field(f)
        if reader is not None:
            readers[name] = reader
    return {**readers, **PROTOCOL_PATCHES, **FLAG_BY_TEXT, **dict.fromkeys(_PASSED_OVER), **_NUMBERS}


def read_plainly(source: str, match: Match, values: dict[str, int]) -> bool:
    """Read what stands before the actions of a flow to add into *match*, which is new, and *values*, by the
    names of FlowMod.  False if it is not plain; then both are of no use.  Raises ParseError, perhaps of
    another item than the first that is wrong."""
    return scan(source, _readers(), match.key, match.mask, values)


def plain_reader(actions: Callable[[str, Match, int], ActionList]) -> PlainReader:
    """Reads whole flows to add; *actions* those of a text, for a match and a table."""
    return PlainReader(_readers(), FORMS, actions, mod=FlowMod, match=Match, rule=Rule,
                       command=Command.ADD)
