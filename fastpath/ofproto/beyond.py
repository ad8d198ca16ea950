"""What a strict switch refuses though OpenFlow has it: what Open vSwitch 3.1 knows nothing of.

Codes are what the reference says on the wire; words those of ovs-ofctl, which cannot read the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass

from fastpath.errors import InvalidFlow
from fastpath.fields import BEYOND, Field
from fastpath.ofproto.actions import mpls, pbb
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.check import sets_type
from fastpath.ofproto.actions.ct import Ct
from fastpath.ofproto.actions.instructions import WriteActions
from fastpath.ofproto.actions.misc import Clone
from fastpath.ofproto.actions.set_field import Load, SetField
from fastpath.ofproto.match import Match

_UNKNOWN = (mpls.CopyTtlOut, mpls.CopyTtlIn, pbb.PushPbb, pbb.PopPbb)


def refuse_match(match: Match) -> None:
    """Raise InvalidFlow if *match* names a field the reference has not."""
    for name in BEYOND:
        if getattr(match.mask, name):
            raise InvalidFlow("OFPBMC_BAD_FIELD", f"unknown keyword {name}")


def refuse_actions(actions: Iterable[Action]) -> None:
    """Raise InvalidFlow if one of *actions*, nested ones too, is none of the reference's."""
    for a in actions:
        if isinstance(a, _UNKNOWN):
            raise InvalidFlow("OFPBAC_BAD_TYPE", f"unknown action {str(a).partition(':')[0]}")
        if isinstance(a, (SetField, Load)) and sets_type(a):
            raise InvalidFlow("OFPBAC_BAD_SET_ARGUMENT", f"{a.target.field.name} is read-only")
        if isinstance(a, (Clone, WriteActions, Ct)):
            refuse_actions(a.actions)
            continue
        for f in _fields(a):
            if f.name in BEYOND:
                code = "OFPBAC_BAD_SET_TYPE" if isinstance(a, SetField) else "OFPBMC_BAD_FIELD"
                raise InvalidFlow(code, f"{f.name} is not a valid OXM field name")


def _fields(value: object) -> Iterator[Field]:
    """Match fields named anywhere in *value*."""
    if isinstance(value, Field):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _fields(part)
    elif is_dataclass(value):
        for f in fields(value):
            yield from _fields(getattr(value, f.name))
