"""Cut flow text into items: ``key``, ``key=value``, ``key:value``, ``key(value)``, ``key(value)->rest``.

The one lexer of matches, flows and actions.  Pure functions, any thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_KEY = re.compile(r"[, \t\r\n]*([^:=(, \t\r\n]*)")
_SIMPLE = re.compile(r"[^, \t\r\n()]*")
_SPACE = ", \t\r\n"
_FLAT = re.compile(r"([^:=, \t\r\n]+)(?:[:=]([^, \t\r\n]*))?")
_ODD = re.compile(r"[()]|(?:^|[, \t\r\n])[:=]")          # what _FLAT does not read right


def key_values(source: str) -> Iterable[tuple[str, str]]:
    """(key, value) of each item of *source*; the value is "" where there is none.

    A value may hold balanced parentheses with separators inside.  ``key(value)->rest`` yields
    ``value)->rest``, which keeps an argument and a destination apart.
    """
    if _ODD.search(source):
        return ((key, value) for key, value, _ in items(source))
    return _FLAT.findall(source)


def items(source: str) -> Iterator[tuple[str, str, int]]:
    """The same, each with where what follows it and its delimiter begins."""
    at, end = 0, len(source)
    match_key, match_simple = _KEY.match, _SIMPLE.match
    while True:
        m = match_key(source, at)
        assert m is not None        # the pattern matches the empty string
        key, at = m.group(1), m.end()
        if not key and at >= end:
            return
        delimiter = source[at:at + 1]
        if delimiter == "=" or delimiter == ":":
            at += 1
            simple = match_simple(source, at)
            assert simple is not None
            stop = simple.end()
            if stop < end and source[stop] in "()":
                stop = _value_end(source, at, _SPACE)
            yield key, source[at:stop], stop + 1
            at = stop
        elif delimiter == "(":
            at += 1
            stop = _value_end(source, at, ")")
            if source.startswith(")->", stop):
                stop = _value_end(source, stop + 1, _SPACE)
                yield key, source[at:stop], stop + 1
                at = stop
            else:
                yield key, source[at:stop], stop + 1
                at = stop + 1
        else:
            yield key, "", at + 1


def _value_end(source: str, at: int, delimiters: str) -> int:
    depth = 0
    while at < len(source):
        c = source[at]
        if depth == 0 and c in delimiters:
            return at
        if c == "(":
            depth += 1
        elif c == ")" and depth:
            depth -= 1
        at += 1
    return at
