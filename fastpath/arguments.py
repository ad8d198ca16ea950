"""What public methods take is what their annotations say, and they say so when they are given something else.

    @checked
    class Switch:
        def advance(self, seconds: float) -> None: ...

    >>> switch.advance("1")
    ArgumentError: advance: seconds '1', expected a number

Only kinds of things are judged here, before anything is done; which values make sense is for the method.
Numbers are whole where ``int`` is asked for, True is no number, anything that holds bytes serves as
``bytes``; elements are looked at in containers, not in iterators, which can be walked once only.  Annotations
are read at the first call: names a module imports for the type checker alone are those of the package.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from importlib import import_module
from inspect import Parameter, signature
from numbers import Integral, Real
from pathlib import Path
from reprlib import Repr
from typing import Any, TypeVar, Union, cast, get_args, get_origin

from fastpath.errors import ArgumentError

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])

_NAMES: dict[object, str] = {
    int: "a whole number", float: "a number", str: "text", bool: "True or False", bytes: "bytes",
    type(None): "None", Path: "a Path"}
_PLAIN: dict[str, type] = {
    "int": int, "float": float, "str": str, "bool": bool, "bytes": bytes, "None": type(None)}
_ANYTHING = (object, Any)
_UNIONS = (Union, types.UnionType)
_BUFFERS = (bytes, bytearray, memoryview)
_SEVERAL = {Iterable, Sequence, Iterator, tuple, list, Mapping, dict}
_short = Repr()
_short.maxstring = _short.maxother = 60


class _Kind:
    """One parameter: exact types that need no further look, what else is right, and how that is told."""

    __slots__ = ("_annotation", "_function", "exact", "judges", "text")

    def __init__(self, annotation: object, function: Callable[..., object] | None = None) -> None:
        self._annotation, self._function = annotation, function
        self.exact: set[type] = set()
        if isinstance(annotation, str):         # what is plain needs no reading
            parts = annotation.split(" | ") if "[" not in annotation else [annotation.rpartition(" | ")[2]]
            self.exact.update(_PLAIN[part] for part in parts if part in _PLAIN)
        self.judges: list[Callable[[object], bool]] | None = None       # not read yet
        self.text = ""
        if function is None:
            self.read()

    def read(self) -> None:
        """Find out what the annotation means."""
        annotation = self._annotation
        if isinstance(annotation, str) and self._function is not None:
            try:
                annotation = eval(annotation, {}, _Names(self._function.__globals__))
            except NameError:       # of the type checker's alone: the method judges such a thing itself
                annotation = object
        kinds = get_args(annotation) if get_origin(annotation) in _UNIONS else (annotation,)
        self.text = " or ".join(_told(kind) for kind in kinds)
        self.judges = [_judge(kind) for kind in kinds]
        self.exact.update(kind for kind in kinds if isinstance(kind, type) and get_origin(kind) is None)

    def accepts(self, given: object) -> bool:
        """Whether *given* is right."""
        if self.judges is None:
            self.read()
        return any(judge(given) for judge in self.judges or ())


def checked(cls: C) -> C:
    """Have the public methods of *cls*, and its making, judge what they are given."""
    for name, member in list(vars(cls).items()):
        is_public = name == "__init__" or not name.startswith("_")
        if is_public and isinstance(member, types.FunctionType):
            setattr(cls, name, checks_arguments(member, cls.__name__ if name == "__init__" else name))
    return cls


def checks_arguments(function: F, label: str = "") -> F:
    """*function*, which now judges what it is given; *label* is what messages call it.

    What is returned is made of text, as dataclasses make their methods: one call with the same parameters and
    a look at the type of each costs a fifth of one that goes through ``*args`` and ``**kwargs``.
    """
    parameters = list(signature(function).parameters.values())
    names: dict[str, object] = {
        "_function": function, "_label": label or function.__name__, "_refuse": _refuse}
    looks, passed = [], []
    for p in parameters:
        names[f"_default_{p.name}"] = p.default
        passed.append(_PASSED.get(p.kind, "{0}").format(p.name))
        if p.annotation is not Parameter.empty:
            names[f"_kind_{p.name}"] = kind = _Kind(p.annotation, function)
            names[f"_exact_{p.name}"] = kind.exact
            looks += [line.format(p.name) for line in _LOOKS.get(p.kind, _LOOK)]
    if not looks:
        return function
    lines = [f"def call({_declared(parameters)}):", *looks, f" return _function({', '.join(passed)})"]
    exec("\n".join(lines), names)
    return cast(F, wraps(function)(cast(F, names["call"])))


_REFUSAL = (" {1}if type({0}) not in _exact_{2} and not _kind_{2}.accepts({0}): "
            "_refuse(_label, '{2}', {0}, _kind_{2})")
_LOOK = (_REFUSAL.format("{0}", "", "{0}"),)
_LOOKS: dict[object, tuple[str, ...]] = {
    Parameter.VAR_POSITIONAL: (" for _each in {0}:", _REFUSAL.format("_each", " ", "{0}")),
    Parameter.VAR_KEYWORD: (
        " for _name, _each in {0}.items():",
        "  if not _kind_{0}.accepts(_each): _refuse(_label, _name, _each, _kind_{0})")}
_PASSED: dict[object, str] = {
    Parameter.VAR_POSITIONAL: "*{0}", Parameter.VAR_KEYWORD: "**{0}", Parameter.KEYWORD_ONLY: "{0}={0}"}


def _declared(parameters: list[Parameter]) -> str:
    """*parameters* as text, their defaults by name."""
    out = []
    is_open = True                      # whether names alone may still be given by position
    for p in parameters:
        if p.kind is Parameter.KEYWORD_ONLY and is_open:
            out.append("*")
        is_open = is_open and p.kind is Parameter.POSITIONAL_OR_KEYWORD
        if p.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            out.append(_PASSED[p.kind].format(p.name))
        else:
            out.append(p.name if p.default is Parameter.empty else f"{p.name}=_default_{p.name}")
    return ", ".join(out)


def _refuse(label: str, at: str, given: object, kind: _Kind) -> None:
    raise ArgumentError(f"{label}: {at} {_short.repr(given)}, expected {kind.text}")


def check_each(label: str, at: str, given: Iterable[object], kind: type) -> None:
    """Raise ArgumentError unless all elements of *given*, walked by now, are of one kind."""
    for one in given:
        if not isinstance(one, kind):
            raise ArgumentError(f"{label}: {at} with {_short.repr(one)}, expected several ({_told(kind)})")


# -- what annotations mean -------------------------------------------------------------------------------

class _Names(dict[str, object]):
    """Names an annotation may use: those of its module, or the package's public ones."""

    def __init__(self, known: dict[str, object]) -> None:
        super().__init__()
        self.known = known

    def __missing__(self, name: str) -> object:
        if name in self.known:
            known = self.known[name]
            return eval(known, {}, self) if isinstance(known, str) else known      # an alias of names
        try:
            return getattr(import_module("fastpath"), name)
        except AttributeError:
            raise KeyError(name) from None


def _judge(kind: object) -> Callable[[object], bool]:
    """Whether something is of *kind*, one that is no union."""
    origin = get_origin(kind)
    if kind is None or kind is type(None):
        return lambda given: given is None
    if kind is int:
        return lambda given: isinstance(given, Integral) and not isinstance(given, bool)
    if kind is float:
        return lambda given: isinstance(given, Real) and not isinstance(given, bool)
    if kind is bytes:
        return lambda given: isinstance(given, _BUFFERS)
    if origin in _SEVERAL:
        elements = [_Kind(element) for element in get_args(kind) if element is not Ellipsis]
        return lambda given: isinstance(given, cast(type, origin)) and _hold(given, origin, elements)
    if origin is not None or kind is Callable:
        return (lambda given: isinstance(given, type)) if origin is type else callable
    if not isinstance(kind, type) or kind in _ANYTHING:
        return lambda given: True
    if getattr(kind, "_is_protocol", False):
        members = [name for name in vars(kind) if not name.startswith("_")]
        return lambda given: all(hasattr(given, name) for name in members)
    return lambda given: isinstance(given, kind)


def _hold(given: object, origin: object, elements: list[_Kind]) -> bool:
    """Whether the elements of something that can be walked are what they should be."""
    if isinstance(given, (str, *_BUFFERS)):
        return False                    # which hold text and numbers, but are never meant as several
    if not isinstance(given, Collection):
        return True
    if origin in (Mapping, dict):
        return all(elements[0].accepts(key) and elements[1].accepts(given[key])     # type: ignore[index]
                   for key in given)
    if origin is tuple:
        return len(given) == len(elements) and all(
            kind.accepts(one) for kind, one in zip(elements, given, strict=True))
    (kind,) = elements
    return all(type(one) in kind.exact or kind.accepts(one) for one in given)


def _told(kind: object) -> str:
    """*kind* in words, nothing for anything at all."""
    origin = get_origin(kind)
    if kind is None:
        return "None"
    if origin is tuple:
        return "a pair" if len(get_args(kind)) == 2 else "several"
    if origin in (Mapping, dict):
        return "a mapping"
    if origin in _SEVERAL:
        inside = _Kind(get_args(kind)[0]).text
        return f"several ({inside})" if inside else "several"
    if origin is type:
        return "a class"
    if origin is not None or kind is Callable:
        return "something that can be called"
    if not isinstance(kind, type) or kind in _ANYTHING:
        return ""
    return _NAMES.get(kind) or f"a {kind.__name__}"
