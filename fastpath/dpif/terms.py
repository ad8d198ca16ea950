"""The grammar of odp text: terms with commas between them, ``name``, ``name=value`` or ``name(terms)``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fastpath import text
from fastpath.errors import ParseError

_NAME = re.compile(r"[^(),]+")
_WORD = re.compile(r"[,\s]*([^(),\s]+)?")


def split_terms(source: str) -> Iterator[tuple[str, str | None]]:
    """Yield (name, what stands in its parentheses or None) of each term of ``a(b),c``."""
    at = 0
    while at < len(source):
        m = _NAME.match(source, at)
        if not m:
            raise ParseError(f"{source[at:]!r}: expected a name or a number")
        name, at, inside = m.group().strip(), m.end(), None
        if source[at:at + 1] == "(":
            end = _closing(source, at)
            inside, at = source[at + 1:end], end + 1
        yield name, inside
        if at < len(source):
            if source[at] != ",":
                raise ParseError(f"{source[at:]!r}: expected a comma")
            at += 1
            if at == len(source):
                raise ParseError(f"{source!r}: nothing after the last comma")


def split_attributes(source: str) -> Iterator[tuple[int, str, str | None]]:
    """Yield (where it begins, name, what stands in its parentheses or None) of each attribute of a key.  Any
    commas and blanks are between them; of one that is not closed the parentheses are left open."""
    at = 0
    while True:
        m = _WORD.match(source, at)
        assert m is not None
        if m.end() == len(source) and m[1] is None:
            return
        start, at, inside = m.end() if m[1] is None else m.start(1), m.end(), None
        if m[1] is not None and source[at:at + 1] == "(":
            try:
                end = _closing(source, at)
            except ParseError:
                yield start, source[start:], None
                return
            inside, at = source[at + 1:end], end + 1
        elif m[1] is None:
            yield start, source[start:], None
            return
        yield start, m[1], inside


def separated(source: str) -> str:
    """Actions with one comma between two of them, where the reference takes any run of commas and blanks."""
    return ",".join(source.replace(",", " ").split())


def _closing(source: str, at: int) -> int:
    depth = 0
    for i in range(at, len(source)):
        depth += (source[i] == "(") - (source[i] == ")")
        if not depth:
            return i
    raise ParseError(f"{source[at:]!r}: a parenthesis is not closed")


def fields(name: str, inside: str, *known: str) -> dict[str, str]:
    """``a=1,b(2)`` as a dict, a word alone having an empty value; only names *known* may be there, once."""
    out = {}
    for key, nested in split_terms(inside):
        key, _, value = key.partition("=")
        if key not in known or key in out:
            raise ParseError(f"{name}({inside}): {key!r} is twice or not one of {', '.join(known)}")
        out[key] = nested if nested is not None else value
    return out


def need(name: str, fields: dict[str, str], key: str, *, bits: int = 32, default: str | None = None) -> int:
    """Number of *bits* bits that *fields* has as *key*.  Raises ParseError without it or a default."""
    value = fields.get(key, default)
    if value is None:
        raise ParseError(f"{name}: {key}= is missing")
    return text.parse_int(value, bits=bits, what=key)
