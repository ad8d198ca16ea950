"""Colours of rules on a terminal, as ``ovs-ofctl dump-flows --color`` has them.

A rule is painted when it is text: what a word is follows from where it stands and what comes behind it.  Any
thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

# Codes for terminals by what they are for (OVS_COLORS in ovs-ofctl(8)): "actions=", "drop", learn, names of
# fields, what has arguments in parentheses, special words, fields without a value.
DEFAULTS = {"ac": "1;31", "dr": "34", "le": "31", "pm": "36", "pr": "35", "sp": "33", "vl": "32"}
_FLAGS = frozenset(("send_flow_rem", "check_overlap", "reset_counts", "no_packet_counts", "no_byte_counts"))
_SPECIAL = frozenset(("table", "priority", "set_field", "load", "move", "output", "group", "resubmit"))
_VALUES = frozenset(("pop_vlan", "strip_vlan", "pop_queue", "ct_clear", "clear_actions", "dec_mpls_ttl"))
_LONE = {"drop": "dr", "exit": "sp", "dec_nsh_ttl": "sp", "dec_ttl": "pr"} | dict.fromkeys(_VALUES, "vl")
_NESTING = frozenset(("clone", "write_actions"))
_PLAIN = frozenset(("resubmit", "decap", "conjunction", "multipath", "bundle", "bundle_load"))     # arguments
_HEAD = re.compile(r"(?P<name>[a-zA-Z_][\w.]*)(?P<is>=(?:\([^)]*\)|\"[^\"]*\"|[^, ])*)?|[ ,]+|.")
_WORD = re.compile(r"[a-zA-Z_]\w*(?:\[[^]]*\])?")


def palette(wanted: str | None) -> dict[str, str]:
    """The codes of OVS_COLORS; what is not in it, or not of digits and semicolons, is as usual."""
    out = dict(DEFAULTS)
    for item in (wanted or "").split(":"):
        name, is_set, code = item.partition("=")
        if is_set and name in out and not code.strip("0123456789;"):
            out[name] = code
    return out


def painter(codes: Mapping[str, str]) -> Callable[[str], str]:
    """What paints an entry of a dump with *codes*."""
    def paint(kind: str, text: str) -> str:
        return f"\33[{codes[kind]}m\33[K{text}\33[m\33[K"

    def rule(text: str) -> str:
        head, found, actions = text.partition("actions=")
        return _match(head, paint) + (paint("ac", found) + _Actions(actions, paint).all() if found else "")
    return rule


def _match(text: str, paint: Callable[[str, str], str]) -> str:
    """Counters, times, flags and the match."""
    out = []
    for item in _HEAD.finditer(text):
        name, value = item["name"], item["is"]
        if not name or name in _FLAGS or name == "packet_type":
            out.append(item[0])
        elif value is None:
            out.append(paint("vl", name))
        else:
            out.append(paint("sp" if name in _SPECIAL else "pm", name + "=") + value[1:])
    return "".join(out)


class _Actions:
    """Paints actions from left to right."""

    def __init__(self, text: str, paint: Callable[[str, str], str]) -> None:
        self._text, self._paint, self._at = text, paint, 0
        self._out: list[str] = []

    def all(self) -> str:
        """The whole."""
        while self._at < len(self._text):
            self._items(self._action)
            self._plain(1)                  # what closes nothing
        return "".join(self._out)

    def _is(self, what: str) -> bool:
        return self._text.startswith(what, self._at)

    def _plain(self, n: int) -> None:
        self._out.append(self._text[self._at:self._at + n])
        self._at += n

    def _painted(self, kind: str, n: int) -> None:
        text = self._text[self._at:self._at + n]
        if text:
            self._out.append(self._paint(kind, text))
        self._at += n

    def _word(self) -> str:
        found = _WORD.match(self._text, self._at)
        return found[0] if found else ""

    def _value(self, arrows: bool = False) -> None:
        """What stands up to the next comma or parenthesis that is not its own, with *arrows* painted."""
        start, depth = self._at, 0
        for at in range(start, len(self._text)):
            c = self._text[at]
            if depth == 0 and c in ",)":
                break
            depth += (c == "(") - (c == ")")
        else:
            at = len(self._text)
        arrow = self._text.find("->", start, at) if arrows else -1
        if arrow >= 0:
            self._plain(arrow - start)
            self._painted("sp", 2)
        self._plain(at - self._at)

    def _items(self, item: Callable[[], None]) -> None:
        """Items up to the parenthesis that closes them."""
        while self._at < len(self._text) and not self._is(")"):
            begin = self._at
            item()
            if self._is(",") or self._at == begin:          # what is no item is passed over
                self._plain(1)

    def _action(self) -> None:
        word = self._word()
        after = self._text[self._at + len(word):self._at + len(word) + 1]
        if after == "(" and word:
            self._with_arguments(word)
        elif after == ":" and word and word != "CONTROLLER":
            self._painted("sp" if word in _SPECIAL else "pm", len(word) + 1)
            self._value(arrows=word in _SPECIAL)
        else:
            if word in _LONE:
                self._painted(_LONE[word], len(word))
            self._value()

    def _with_arguments(self, word: str) -> None:
        if word == "output":
            self._painted("sp", len(word))
            self._value()
        elif word == "check_pkt_larger":
            self._painted("pm", len(word) + 1)
            self._value()
            self._plain(1)
            self._value()
        elif word == "dec_ttl":
            self._painted("pr", len(word))
            self._enclosed("pr", self._value, 1)
        elif word == "learn":
            self._enclosed("le", self._learnt, len(word) + 1)
        elif word == "encap":
            self._enclosed("pr", self._header, len(word) + 1)
        elif word in _PLAIN:
            self._enclosed("pr", self._member if word.startswith("bundle") else self._value, len(word) + 1)
        else:
            self._enclosed("pr", self._action if word in _NESTING else self._argument, len(word) + 1)

    def _enclosed(self, kind: str, item: Callable[[], None], opening: int) -> None:
        self._painted(kind, opening)
        self._items(item)
        self._painted(kind, 1)

    def _header(self) -> None:
        self._plain(len(self._word()))
        if self._is("("):
            self._enclosed("pr", self._value, 1)

    def _member(self) -> None:
        if self._is("members:") or self._is("slaves:"):
            self._painted("pm", len(self._word()) + 1)
        self._value()

    def _argument(self) -> None:
        word = self._word()
        after = self._text[self._at + len(word):self._at + len(word) + 1]
        if word == "exec":
            self._painted("pr", len(word) + 1)
            self._items(self._action)
            self._painted("pr", 2 if self._is("),") else 1)
        elif word == "nat":
            self._painted("pr", len(word))
            if self._is("("):
                self._enclosed("pr", self._translation, 1)
        elif after in ("=", ":") and word:
            self._painted("sp" if word in _SPECIAL else "pm", len(word) + 1)
            self._value()
        else:
            if word in ("egress", "ingress"):
                self._painted("pm", len(word))
            elif word and after in (",", ")"):
                self._painted("vl", len(word))
            self._value()

    def _translation(self) -> None:
        word = self._word()
        if self._text.startswith("=", self._at + len(word)):
            self._painted("pm", len(word))
            self._painted("pm", 1)
            self._value()
        else:
            self._painted("vl", len(word))

    def _learnt(self) -> None:
        word = self._word()
        after = self._text[self._at + len(word):self._at + len(word) + 1]
        if after == ":":
            self._painted("sp", len(word) + 1)
            self._value(arrows=True)
        elif after == "=" and not word.endswith("]"):
            if word == "priority" and self._out[-1] == ",":
                self._out.pop()
                self._out.append(self._paint("sp", ",priority="))
                self._at += len("priority=")
            else:
                self._painted("sp" if word in _SPECIAL else "pm", len(word) + 1)
            self._value()
        elif after == "=":
            self._painted("pm", len(word))
            self._painted("pm", 1)
            self._value()
        else:
            self._painted("pm" if word.endswith("]") else "vl", len(word))

