"""FlowReader: flow text -> FlowMod, one reader for as many flows as share their port and table names.

A table of a hundred thousand flows says the same few things over and over, so a reader remembers the
lists of actions it has read, and which of them it found to agree with what kind of match: their rules
share one list.  What it remembers goes with it; make one for a file, not one for a program.

Which keys are allowed depends on the command, as in the reference, whose order of checks and whose
error texts are kept.  One thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from fastpath.errors import InvalidFlow, ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.check import check_actions
from fastpath.ofproto.actions.state import signature
from fastpath.ofproto.actions.table import ActionReader
from fastpath.ofproto.flow_mod import GROUP_ANY, TABLE_ALL, Command, FlowMod
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.match import Match, check_widths, missing_prerequisite
from fastpath.ofproto.normal_log import tell_normalized
from fastpath.ofproto.numbers import PortNames
from fastpath.ofproto.plain import plain_reader, read_plainly
from fastpath.ofproto.plain_adds import PLAIN
from fastpath.ofproto.rule import FLAG_BY_TEXT, FlowFlags, Rule
from fastpath.value import replace

COMMANDS = {"add": Command.ADD, "delete": Command.DELETE, "delete_strict": Command.DELETE_STRICT,
            "modify": Command.MODIFY, "modify_strict": Command.MODIFY_STRICT}
_COMMAND = re.compile(r"\s*(" + "|".join(COMMANDS) + r"),*(?:\s|\Z)")
_IGNORED = frozenset(("duration", "n_packets", "n_bytes", "idle_age", "hard_age"))
_IGNORED_WORDS = frozenset(("no_readonly_table", "allow_hidden_fields"))
_REMEMBERED = 4096            # lists of actions, and pairs of list and match
_GROUP_ALL = 0xFFFFFFFC


class FlowReader:
    """Reads flows; *ports* maps port names to numbers, *tables* table names."""

    def __init__(self, ports: PortNames | None = None, tables: Mapping[str, int] | None = None) -> None:
        self.ports, self.tables = ports, tables
        self._lists = ActionReader(ports, tables)
        self._actions: dict[str, ActionList] = {}
        self._agreed: set[tuple[object, ...]] = set()
        self._plain = plain_reader(self._read_actions)

    def read(self, source: str, command: Command | None = None) -> FlowMod:
        """FlowMod of *source*, which with *command* None may begin with a command (a missing one means
        add).  The match is normalized.  Raises ParseError in the words of ovs-ofctl."""
        if command is None or command is Command.ADD:
            fm: FlowMod | None = self._plain.read(source)
            if fm is not None:
                return fm
        if command is None:
            command, source = _leading_command(source)
        return self._read(source, command)

    def read_to_add(self, source: str, command: Command | None = None) -> FlowMod | Rule:
        """The same for *command* ADD or None, in less room where it can be: the rule that is to be added."""
        rule: Rule | None = self._plain.read_rule(source)
        if rule is not None:
            return rule
        mod = self.read(source, command)
        return PLAIN.rule_of(mod) or mod

    def read_filter(self, source: str) -> FlowMod:
        """The filter of a dump: match, table, cookie/mask, out_port, out_group; the command is DELETE."""
        return replace(self._read(source, None), command=Command.DELETE)

    def _read(self, source: str, command: Command | None) -> FlowMod:
        has_actions = command in _WITH_ACTIONS
        actions: ActionList = ()
        if has_actions:
            source, actions_text = _split_actions(source)
        match, values = self._read_items(source, command)
        match.finish()
        if has_actions:
            actions = self._read_actions(actions_text, match, values.get("table_id", TABLE_ALL))
        check_widths(match)
        missing = missing_prerequisite(match)
        if missing is not None:
            raise InvalidFlow("OFPBMC_BAD_PREREQ", f"prerequisites not met for setting {missing}")
        if "new_cookie" not in values:
            # A modify that selects by cookie leaves it alone and never adds.
            values["new_cookie"] = None if values.get("cookie_mask") else 0
        normal = match.normalized()
        tell_normalized(match, normal)
        fm = FlowMod(command=Command.DELETE if command is None else command, match=normal, actions=actions,
                     **values)
        fm.admit()
        return fm

    def _read_items(self, source: str, command: Command | None) -> tuple[Match, dict[str, Any]]:
        """The match of *source*, and the rest of it by the names of FlowMod."""
        if command is Command.ADD:
            match, values = Match(), dict[str, Any]()
            with suppress(ParseError):              # the first thing wrong is to be told, below
                if read_plainly(source, match, values):
                    return match, values
        return self._read_each(source, command)

    def _read_each(self, source: str, command: Command | None) -> tuple[Match, dict[str, Any]]:
        """The same, one item after the other."""
        match, values = Match(), dict[str, Any]()
        keys, flags = _KEYS_OF[command], FlowFlags.NONE
        for name, value in key_values(source):
            if name in keys and value:
                keys[name](self, values, value)
            elif match.parse_item(name, value, self.ports):
                pass
            elif command in _WITH_ACTIONS and name in FLAG_BY_TEXT:
                values["flags"] = flags = flags | FLAG_BY_TEXT[name]
            elif name in _IGNORED_WORDS:
                pass
            elif not value:
                raise ParseError(f"field {name} missing value")
            elif name not in _IGNORED:
                raise ParseError(f"unknown keyword {name}")
        return match, values

    def _read_actions(self, source: str, match: Match, table_id: int) -> ActionList:
        """Actions of *source*, which agree with *match*."""
        actions = self._actions.get(source)
        if actions is None:
            actions = self._lists.read(source)
            if len(self._actions) > _REMEMBERED:
                self._actions.clear()
            self._actions[source] = actions
        if actions:
            pair = source, table_id, signature(match)
            if pair not in self._agreed:
                check_actions(actions, match, table_id=table_id)
                if len(self._agreed) > _REMEMBERED:
                    self._agreed.clear()
                self._agreed.add(pair)
        return actions


def _leading_command(source: str) -> tuple[Command, str]:
    m = _COMMAND.match(source)
    return (COMMANDS[m[1]], source[m.end(1):]) if m else (Command.ADD, source)


def _split_actions(source: str) -> tuple[str, str]:
    head, found, tail = source.partition("action")
    _, equals, actions = tail.partition("=")
    if not found or not equals:
        raise ParseError("must specify an action")
    return head, actions


# -- keys beside the match ------------------------------------------------------------------------

def _table(reader: FlowReader, values: dict[str, int], text: str) -> None:
    table = numbers.table(text, reader.tables)
    if table is None:
        raise ParseError(f'unknown table "{text}"')
    values["table_id"] = table


def _out_port(reader: FlowReader, values: dict[str, int], text: str) -> None:
    port = numbers.port(text, reader.ports)
    if port is None:
        raise ParseError(f"{text} is not a valid OpenFlow port")
    values["out_port"] = port


def _out_group(reader: FlowReader, values: dict[str, int], text: str) -> None:
    group = {"any": GROUP_ANY, "all": _GROUP_ALL}.get(text.lower(), numbers.c_int(text))
    if group is None or not 0 <= group <= GROUP_ANY:
        raise ParseError(f"{text} is not a valid OpenFlow group")
    values["out_group"] = group


def _cookie(reader: FlowReader, values: dict[str, int], text: str) -> None:
    values["new_cookie"] = numbers.u64(text)


def _cookie_to_add(reader: FlowReader, values: dict[str, int], text: str) -> None:
    if "/" in text:
        raise ParseError("flow additions cannot use a cookie mask")
    _cookie(reader, values, text)


def _cookie_to_find(reader: FlowReader, values: dict[str, int], text: str) -> None:
    cookie, slash, mask = text.partition("/")
    if not slash:
        raise ParseError("cannot set cookie (to match on a cookie, specify a mask, "
                         f"e.g. cookie={text}/-1)")
    values["cookie"], values["cookie_mask"] = numbers.u64(cookie), numbers.u64(mask)


def _cookie_to_find_or_set(reader: FlowReader, values: dict[str, int], text: str) -> None:
    (_cookie_to_find if "/" in text else _cookie)(reader, values, text)


def _priority(reader: FlowReader, values: dict[str, int], text: str) -> None:
    values["priority"] = numbers.u16(text, "priority")


def _idle_timeout(reader: FlowReader, values: dict[str, int], text: str) -> None:
    values["idle_timeout"] = numbers.u16(text, "idle_timeout")


def _hard_timeout(reader: FlowReader, values: dict[str, int], text: str) -> None:
    values["hard_timeout"] = numbers.u16(text, "hard_timeout")


def _importance(reader: FlowReader, values: dict[str, int], text: str) -> None:
    values["importance"] = numbers.u16(text, "importance")


_Key = Callable[[FlowReader, dict[str, int], str], None]
_WITH_ACTIONS = frozenset((Command.ADD, Command.MODIFY, Command.MODIFY_STRICT))
_CHANGE: dict[str, _Key] = {"table": _table, "priority": _priority, "idle_timeout": _idle_timeout,
                            "hard_timeout": _hard_timeout, "cookie": _cookie_to_find_or_set}
_FIND: dict[str, _Key] = {"table": _table, "out_port": _out_port, "out_group": _out_group,
                          "cookie": _cookie_to_find}
_KEYS_OF: dict[Command | None, dict[str, _Key]] = {
    None:                   _FIND,          # the filter of a dump
    Command.ADD:            {**_CHANGE, "importance": _importance, "cookie": _cookie_to_add},
    Command.MODIFY:         _CHANGE,
    Command.MODIFY_STRICT:  _CHANGE,
    Command.DELETE:         _FIND,
    Command.DELETE_STRICT:  {**_FIND, "priority": _priority},
}
