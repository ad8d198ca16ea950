"""value and record: classes that are their members, as dataclasses are, but made in a twentieth of the time.

    @value
    class Place:
        x: int
        y: int = 0

``@value`` is ``dataclass(frozen=True, slots=True)``, ``@record`` is ``dataclass(slots=True)``; what other
modules ask of dataclasses (``fields``, ``replace``, ``asdict``, ``match``, pickling) works with both.  Of the
dataclasses' options there are those that are used here.  Called while modules are imported.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from fastpath import _value
from fastpath._value import MISSING, Shape

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:
    def dataclass_transform(**_options: object) -> Callable[[Any], Any]:
        return lambda decorator: decorator

T = TypeVar("T")


class Member:
    """What ``field`` says of a member."""

    __slots__ = ("compare", "default", "default_factory", "init", "repr")

    def __init__(self, default: Any, default_factory: Callable[[], Any] | None, *, init: bool, repr: bool,
                 compare: bool) -> None:
        self.default, self.default_factory = default, default_factory
        self.init, self.repr, self.compare = init, repr, compare


def field(*, default: Any = MISSING, default_factory: Callable[[], Any] | None = None, init: bool = True,
          repr: bool = True, compare: bool = True) -> Any:
    """As ``dataclasses.field``."""
    return Member(default, default_factory, init=init, repr=repr, compare=compare)


@overload
def value(cls: type[T]) -> type[T]: ...
@overload
def value(*, eq: bool = True) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T] | None = None, *, eq: bool = True) -> type[T] | Callable[[type[T]], type[T]]:
    """The class *cls* with what its members make of it; instances never change."""
    return _decorated(cls, eq=eq, frozen=True)


@overload
def record(cls: type[T]) -> type[T]: ...
@overload
def record(*, eq: bool = True) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(field_specifiers=(field,))
def record(cls: type[T] | None = None, *, eq: bool = True) -> type[T] | Callable[[type[T]], type[T]]:
    """The same for instances that change."""
    return _decorated(cls, eq=eq, frozen=False)


def replace(old: T, /, **changes: Any) -> T:
    """As ``dataclasses.replace``, for values, records and dataclasses."""
    if hasattr(type(old), "__shape__"):
        return _value.replaced(old, **changes)
    import dataclasses
    return dataclasses.replace(old, **changes)      # type: ignore[type-var]


def _decorated(cls: type[T] | None, *, eq: bool, frozen: bool) -> type[T] | Callable[[type[T]], type[T]]:
    if cls is None:
        return lambda cls: _made(cls, eq=eq, frozen=frozen)
    return _made(cls, eq=eq, frozen=frozen)


def _made(cls: type[T], *, eq: bool, frozen: bool) -> type[T]:
    shape, own = _shape(cls)
    body = {name: what for name, what in vars(cls).items()
            if name not in own and name not in ("__dict__", "__weakref__")}
    body["__slots__"] = tuple(name for name in own if not any(name in vars(base) for base in cls.__mro__[1:]))
    body["__shape__"] = shape
    for name, method in (_METHODS | (_FROZEN if frozen else {}) | (_EQUAL if eq else {})).items():
        body.setdefault(name, method)
    if eq and not frozen:
        body["__hash__"] = None
    body["__match_args__"] = shape.names[:shape.n_given]
    body["__dataclass_fields__"] = _FIELDS
    meta: Any = type(cls)
    made: type[T] = meta(cls.__name__, cls.__bases__, body)
    made.__qualname__ = cls.__qualname__
    shape.fit(made)
    return made


def _shape(cls: type) -> tuple[Shape, list[str]]:
    """The members of *cls* and its bases, and the names of those in its own body."""
    members: dict[str, tuple[str, Member]] = {}
    for base in reversed(cls.__mro__[1:]):
        shape = vars(base).get("__shape__")
        if shape is not None:
            members.update(_members_of(shape))
    own = []
    for name, annotation in vars(cls).get("__annotations__", {}).items():
        if str(annotation).startswith("ClassVar"):
            continue
        own.append(name)
        default = vars(cls).get(name, MISSING)
        members[name] = (annotation, default if isinstance(default, Member) else field(default=default))
    rows = [(name, annotation, m) for name, (annotation, m) in members.items()]
    rows.sort(key=lambda row: not row[2].init)
    return Shape(names=tuple(name for name, _, _ in rows), annotations=tuple(text for _, text, _ in rows),
                 defaults=tuple(m.default for _, _, m in rows),
                 factories=tuple(m.default_factory for _, _, m in rows),
                 n_given=sum(m.init for _, _, m in rows),
                 compared=frozenset(name for name, _, m in rows if m.compare),
                 told=frozenset(name for name, _, m in rows if m.repr)), own


def _members_of(shape: Shape) -> dict[str, tuple[str, Member]]:
    """What *shape* was made of."""
    return {name: (shape.annotations[i], field(
        default=shape.defaults[i], default_factory=shape.factories[i], init=i < shape.n_given,
        repr=name in shape.told, compare=name in shape.compared)) for i, name in enumerate(shape.names)}


def _refuse_set(self: object, name: str, value: object) -> NoReturn:
    from dataclasses import FrozenInstanceError
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: object, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError
    raise FrozenInstanceError(f"cannot delete field {name!r}")


class _Fields:
    """``__dataclass_fields__``, made when somebody asks for it, which few do."""

    def __get__(self, _of: object, cls: type) -> dict[str, Any]:
        return _fields_of(cls)


@cache
def _fields_of(cls: type) -> dict[str, Any]:
    """The fields of *cls* as dataclasses has them.  Kept: who walks over values asks for each."""
    import dataclasses
    rows = []
    for name, (annotation, m) in _members_of(cls.__shape__).items():    # type: ignore[attr-defined]
        how: dict[str, Any] = {"init": m.init, "repr": m.repr, "compare": m.compare}
        if m.default is not MISSING:
            how["default"] = m.default
        elif m.default_factory is not None:
            how["default_factory"] = m.default_factory
        rows.append((name, annotation, dataclasses.field(**how)))
    twin: Any = dataclasses.make_dataclass(cls.__name__, rows)
    fields: dict[str, Any] = twin.__dataclass_fields__
    return fields


_FIELDS = _Fields()
_METHODS: dict[str, Any] = {"__init__": _value.init, "__repr__": _value.told, "__replace__": _value.replaced}
_EQUAL: dict[str, Any] = {"__eq__": _value.is_equal, "__hash__": _value.hashed}
_FROZEN: dict[str, Any] = {"__setattr__": _refuse_set, "__delattr__": _refuse_delete,
                           "__getstate__": _value.state, "__setstate__": _value.set_state}
