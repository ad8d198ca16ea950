"""Which actions name a tunnel option (tun_metadata0 to 63).

Which option of the tunnel header a field stands for is said by a table of the switch, that of type, length
and value.  There is no such table yet.  A strict switch refuses rules that name one of the fields, as the
reference does while its table is empty; otherwise they are taken, for tables made for tunnels to be tried
without: the fields then read zero and writing them does nothing (``xlate.set_field``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from typing import Any

from fastpath.fields import Field
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.subfield import Subfield

_HOLDERS = ("Field", "Subfield", "Action", "Spec")      # what in an annotation may lead to a field


@cache
def _attributes(kind: Any) -> tuple[str, ...]:
    """Attributes of an action class whose values may name a field, or hold what does."""
    return tuple(f.name for f in fields(kind) if any(word in str(f.type) for word in _HOLDERS))


def _names(value: object) -> bool:
    if isinstance(value, Subfield):
        return value.field.name.startswith("tun_metadata")
    if isinstance(value, Field):
        return value.name.startswith("tun_metadata")
    if isinstance(value, tuple):
        return any(map(_names, value))
    return hasattr(value, "__dataclass_fields__") and name_option((value,))     # type: ignore[arg-type]


def name_option(actions: Iterable[Action]) -> bool:
    """Whether any of *actions*, nested ones too, reads or writes a tunnel option."""
    kinds: Iterable[tuple[Action, Any]] = ((a, type(a)) for a in actions)
    return any(_names(getattr(a, attribute)) for a, kind in kinds for attribute in _attributes(kind))
