"""Actions that name tunnel options (tun_metadata0 to 63): checked, fitted and shown as a TLV table has them.

Rules keep their actions as a controller says them, where the fields are as wide as the widest option.  What
a bridge has for a field is narrower, so bits beyond that are refused and values are cut as the reference
cuts them.  A switch that is not strict takes actions on options that its table does not have, for tables
made for tunnels to be tried without: the fields read zero and writing them does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, cast

from fastpath.errors import OpenFlowError
from fastpath.fields import Field
from fastpath.ofproto.actions.base import Action, ActionList
from fastpath.ofproto.actions.set_field import Load, SetField
from fastpath.ofproto.subfield import Subfield
from fastpath.ofproto.values import full_mask
from fastpath.tlv import OPTION_OF, Options, Place
from fastpath.value import replace

_HOLDERS = ("Field", "Subfield", "Action", "Spec")      # what in an annotation may lead to a field
_T = TypeVar("_T")


@cache
def _attributes(kind: Any) -> tuple[str, ...]:
    """Attributes of an action class whose values may name a field, or hold what does."""
    return tuple(f.name for f in fields(kind) if any(word in str(f.type) for word in _HOLDERS))


def _leaves(value: object) -> Iterator[Subfield | Field]:
    """Fields and subfields in *value*, nested ones too, that are tunnel options."""
    if isinstance(value, Subfield):
        if value.field.name in OPTION_OF:
            yield value
    elif isinstance(value, Field):
        if value.name in OPTION_OF:
            yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _leaves(part)
    elif hasattr(value, "__dataclass_fields__"):
        kind: Any = type(value)
        for name in _attributes(kind):
            yield from _leaves(getattr(value, name))


def name_option(actions: Iterable[Action]) -> bool:
    """Whether any of *actions*, nested ones too, reads or writes a tunnel option."""
    return any(True for _ in _leaves(tuple(actions)))


def options_named(actions: Iterable[Action]) -> set[int]:
    """Numbers of the tunnel options that *actions* name."""
    return {OPTION_OF[(leaf.field if isinstance(leaf, Subfield) else leaf).name]
            for leaf in _leaves(tuple(actions))}


def _rebuilt(value: _T, change: Callable[[Any], Any]) -> _T:
    """*value* with every part of it, from the innermost out, as *change* makes it; the same where none is."""
    old: Any = value
    if isinstance(old, tuple):
        parts = tuple(_rebuilt(part, change) for part in old)
        return cast(_T, parts if any(a is not b for a, b in zip(parts, old, strict=True)) else old)
    kind: Any = type(old)
    if hasattr(old, "__dataclass_fields__") and not isinstance(old, Subfield | Field):
        new = {name: _rebuilt(getattr(old, name), change) for name in _attributes(kind)}
        new = {name: part for name, part in new.items() if part is not getattr(old, name)}
        old = replace(old, **new) if new else old
    return cast(_T, change(old))


# -- as a rule comes in ----------------------------------------------------------------------------------

def fitted(actions: ActionList, options: Options, *, strict: bool) -> ActionList:
    """*actions* with values no longer than *options* has room for.  Raises OpenFlowError for bits that are
    not there, and when *strict* for an option that is not."""
    if not (options or strict) or not name_option(actions):
        return actions

    def fit(part: Any) -> Any:
        part = as_set_field(part)
        place = options.get(OPTION_OF.get(part.field.name, -1)) if isinstance(part, SetField) else None
        return part if place is None else _cut(part, place)
    actions = _rebuilt(actions, fit)
    for leaf in _leaves(actions):
        f = leaf.field if isinstance(leaf, Subfield) else leaf
        place = options.get(OPTION_OF[f.name])
        if place is None:
            if strict:
                raise OpenFlowError("NXFMFC_INVALID_TLV_FIELD", f"no TLV table says what {f.name} stands for")
        elif isinstance(leaf, Subfield) and leaf.ofs + leaf.n_bits > 8 * place.size:
            raise OpenFlowError("OFPBAC_BAD_SET_LEN", f"{leaf}: {f.name} has {8 * place.size} bits")
    return actions


def as_set_field(part: Any) -> Any:
    """The set_field that a load is where it says which bits of a tunnel option to set."""
    if not isinstance(part, Load) or part.target.field.name not in OPTION_OF:
        return part
    target = part.target
    return SetField(target.field, part.value << target.ofs, target.limit << target.ofs)


def _cut(action: SetField, place: Place) -> SetField:
    """*action* with the first bytes of a value that is too long, which is what the reference keeps."""
    full = full_mask(action.field)
    value, mask = action.value, action.mask
    over = 8 * max(0, (max(value, mask if mask != full else 0).bit_length() + 7) // 8 - place.size)
    value, mask = value >> over, mask >> over
    mask = full if mask & place.limit == place.limit else mask
    return action if (value, mask) == (action.value, action.mask) else replace(action, value=value, mask=mask)


# -- as a trace shows it ---------------------------------------------------------------------------------

def mapped(value: _T, options: Options) -> _T:
    """An action, or a tuple of them, that names fields as wide as they are in *options*."""
    def narrow(part: Any) -> Any:
        if isinstance(part, Field | Subfield):
            return _narrowed(part, options)
        if isinstance(part, SetField) and part.field.name in OPTION_OF:
            return replace(part, mask=part.mask & full_mask(part.field))
        return part
    return _rebuilt(value, narrow) if options else value


def shown(sf: Subfield, options: Options) -> str:
    """Text of *sf* as a trace tells it."""
    return str(_narrowed(sf, options))


def _narrowed(leaf: Field | Subfield, options: Options) -> Field | Subfield:
    f = leaf.field if isinstance(leaf, Subfield) else leaf
    place = options.get(OPTION_OF.get(f.name, -1))
    if place is None:
        return leaf
    f = replace(f, bits=8 * place.size, n_bytes=place.size)
    return replace(leaf, field=f) if isinstance(leaf, Subfield) else f
