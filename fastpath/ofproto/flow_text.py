"""Flow text <-> FlowMod: the argument of ``ovs-ofctl add-flow`` and the lines of a flow file.

``priority=10,tcp,tp_dst=80,actions=output:2``; ``actions=`` ends the match part.  Which keys are
allowed depends on the command, as in the reference, whose error texts are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from enum import Flag, auto

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.check import check_actions
from fastpath.ofproto.actions.output import OFPP_ANY, format_port
from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.actions.versions import OF10, OF12, OF13, OF14, format_actions, match_as_version
from fastpath.ofproto.flow_mod import GROUP_ANY, TABLE_ALL, Command, FlowMod
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.match import Match, missing_prerequisite
from fastpath.ofproto.numbers import PortNames
from fastpath.ofproto.rule import DEFAULT_PRIORITY, FLAG_BY_TEXT, FlowFlags


class _Allow(Flag):
    """Which keys beside the match a command takes."""

    OUT_PORT = auto()
    ACTIONS = auto()
    IMPORTANCE = auto()
    TIMEOUT = auto()
    PRIORITY = auto()
    FLAGS = auto()


_CHANGE = _Allow.ACTIONS | _Allow.TIMEOUT | _Allow.PRIORITY | _Allow.FLAGS
_ALLOWED: dict[Command | None, _Allow] = {
    None:                   _Allow.OUT_PORT,        # the filter of a dump
    Command.ADD:            _CHANGE | _Allow.IMPORTANCE,
    Command.MODIFY:         _CHANGE,
    Command.MODIFY_STRICT:  _CHANGE,
    Command.DELETE:         _Allow.OUT_PORT,
    Command.DELETE_STRICT:  _Allow.OUT_PORT | _Allow.PRIORITY,
}
_COMMANDS = {"add": Command.ADD, "delete": Command.DELETE, "delete_strict": Command.DELETE_STRICT,
             "modify": Command.MODIFY, "modify_strict": Command.MODIFY_STRICT}
_IGNORED = frozenset(("duration", "n_packets", "n_bytes", "idle_age", "hard_age"))
_IGNORED_WORDS = frozenset(("no_readonly_table", "allow_hidden_fields"))


class _Draft:
    """What has been read of a flow so far."""

    __slots__ = ("allowed", "command", "match", "ports", "values")

    def __init__(self, command: Command | None, ports: PortNames | None) -> None:
        self.command, self.ports = command, ports
        self.allowed = _ALLOWED[command]
        self.match = Match()
        self.values: dict[str, int] = {}


def _table(d: _Draft, value: str) -> None:
    table = numbers.c_int(value)
    if table is None or not 0 <= table <= 255:
        raise ParseError(f'unknown table "{value}"')
    d.values["table_id"] = table


def _out_port(d: _Draft, value: str) -> None:
    port = numbers.port(value, d.ports)
    if port is None:
        raise ParseError(f"{value} is not a valid OpenFlow port")
    d.values["out_port"] = port


def _out_group(d: _Draft, value: str) -> None:
    group = {"any": GROUP_ANY, "all": 0xFFFFFFFC}.get(value.lower(), numbers.c_int(value))
    if group is None or not 0 <= group <= GROUP_ANY:
        raise ParseError(f"{value} is not a valid OpenFlow group")
    d.values["out_group"] = group


def _u16(name: str) -> Callable[[_Draft, str], None]:
    def read(d: _Draft, value: str) -> None:
        d.values[name] = numbers.u16(value, name)
    return read


def _cookie(d: _Draft, value: str) -> None:
    cookie, slash, mask = value.partition("/")
    if slash:
        if d.command is Command.ADD:
            raise ParseError("flow additions cannot use a cookie mask")
        d.values["cookie"], d.values["cookie_mask"] = numbers.u64(cookie), numbers.u64(mask)
    else:
        if d.command not in (Command.ADD, Command.MODIFY, Command.MODIFY_STRICT):
            raise ParseError("cannot set cookie")
        d.values["new_cookie"] = numbers.u64(value)


_KEYS: dict[str, tuple[_Allow, Callable[[_Draft, str], None]]] = {
    "table":        (_Allow(0), _table),
    "out_port":     (_Allow.OUT_PORT, _out_port),
    "out_group":    (_Allow.OUT_PORT, _out_group),
    "priority":     (_Allow.PRIORITY, _u16("priority")),
    "idle_timeout": (_Allow.TIMEOUT, _u16("idle_timeout")),
    "hard_timeout": (_Allow.TIMEOUT, _u16("hard_timeout")),
    "importance":   (_Allow.IMPORTANCE, _u16("importance")),
    "cookie":       (_Allow(0), _cookie),
}


def parse_flow(source: str, command: str | Command | None = "add", *,
               ports: PortNames | None = None) -> FlowMod:
    """FlowMod of *source*.

    *command* is one of add, modify, modify_strict, delete, delete_strict, or None where *source*
    may begin with one (a missing one means add).  *ports* maps port names to numbers.  The match
    is normalized.  Raises ParseError in the words of ovs-ofctl.
    """
    if command is None:
        word = source.split(None, 1)[0].rstrip(",") if source.strip() else ""
        if word in _COMMANDS:
            source = source.strip()[len(word):]
            command = _COMMANDS[word]
        else:
            command = Command.ADD
    elif not isinstance(command, Command):
        command = _COMMANDS[command]
    return _parse(source, command, ports)


def parse_filter(source: str, *, ports: PortNames | None = None) -> FlowMod:
    """The filter of a dump: match, table, cookie/mask, out_port, out_group; the command is DELETE."""
    return replace(_parse(source, None, ports), command=Command.DELETE)


def _parse(source: str, command: Command | None, ports: PortNames | None) -> FlowMod:
    d = _Draft(command, ports)
    actions_text: str | None = None
    if _Allow.ACTIONS in d.allowed:
        source, actions_text = _split_actions(source)
    flags = _parse_items(d, source)
    d.match.finish()
    missing = missing_prerequisite(d.match)
    if missing is not None:
        raise ParseError(f"prerequisites not met for setting {missing}")
    actions = () if actions_text is None else parse_actions(actions_text, ports=ports)
    values = d.values
    if actions:
        check_actions(actions, d.match, table_id=values.get("table_id", TABLE_ALL))
    new_cookie: int | None = values.get("new_cookie", 0)
    if values.get("cookie_mask") and "new_cookie" not in values:
        new_cookie = None       # a modify that selects by cookie leaves it alone and never adds
    return FlowMod(
        command=Command.DELETE if command is None else command, match=d.match.normalized(), actions=actions,
        new_cookie=new_cookie, flags=flags, **{k: v for k, v in values.items() if k != "new_cookie"})


def _split_actions(source: str) -> tuple[str, str]:
    head, found, tail = source.partition("action")
    _, equals, actions = tail.partition("=")
    if not found or not equals:
        raise ParseError("must specify an action")
    return head, actions


def _parse_items(d: _Draft, source: str) -> FlowFlags:
    flags = FlowFlags.NONE
    takes_flags = _Allow.FLAGS in d.allowed
    for name, value in key_values(source):
        if d.match.parse_item(name, value, d.ports):
            continue
        if takes_flags and name in FLAG_BY_TEXT:
            flags |= FLAG_BY_TEXT[name]
        elif name in _IGNORED_WORDS:
            pass
        elif not value:
            raise ParseError(f"field {name} missing value")
        else:
            _parse_key(d, name, value)
    return flags


def _parse_key(d: _Draft, name: str, value: str) -> None:
    row = _KEYS.get(name)
    if row is not None and row[0] in d.allowed:
        row[1](d, value)
    elif name not in _IGNORED:
        raise ParseError(f"unknown keyword {name}")


def parse_flows(lines: Iterable[str], command: str | Command | None = None, *, ports: PortNames | None = None,
                name: str = "flows") -> list[FlowMod]:
    """FlowMods of the lines of a flow file: one flow a line, ``#`` starts a comment.

    Errors name the file (*name*) and the line: ``flows:3: unknown keyword foo``.
    """
    return list(iter_flows(lines, command, ports=ports, name=name))


def iter_flows(lines: Iterable[str], command: str | Command | None = None, *, ports: PortNames | None = None,
               name: str = "flows") -> Iterator[FlowMod]:
    """As parse_flows, one at a time."""
    for number, line in enumerate(lines, 1):
        source = line.partition("#")[0].strip()
        if not source:
            continue
        try:
            yield parse_flow(source, command, ports=ports)
        except ParseError as e:
            raise ParseError(f"{name}:{number}: {e}") from None


_COMMAND_TEXT = {Command.ADD: "ADD", Command.MODIFY: "MOD", Command.MODIFY_STRICT: "MOD_STRICT",
                 Command.DELETE: "DEL", Command.DELETE_STRICT: "DEL_STRICT"}

_FLAG_SINCE = {FlowFlags.RESET_COUNTS: OF12, FlowFlags.NO_PKT_COUNTS: OF13, FlowFlags.NO_BYT_COUNTS: OF13}


def format_flow_mod(fm: FlowMod, version: int = OF10, *, ports: Mapping[int, str] | None = None) -> str:
    """*fm* as ``ovs-ofctl parse-flow`` prints it for OpenFlow *version*, without the message's name."""
    out = [_COMMAND_TEXT[fm.command]]
    if fm.table_id not in (0, TABLE_ALL):
        out.append(f"table:{fm.table_id}")
    priority = None if fm.priority == DEFAULT_PRIORITY else fm.priority
    match = match_as_version(fm.match, version).format(priority=priority, ports=ports)
    if match:
        out.append(match)
    if fm.new_cookie is not None and fm.new_cookie:
        out.append(f"cookie:{fm.new_cookie:#x}")
    if fm.cookie_mask:
        out.append(f"cookie:{fm.cookie:#x}/{fm.cookie_mask:#x}")
    timeouts = (("idle", fm.idle_timeout), ("hard", fm.hard_timeout),
                ("importance", fm.importance if version >= OF14 else 0))
    out += [f"{word}:{value:g}" for word, value in timeouts if value]
    if fm.out_port != OFPP_ANY:
        out.append(f"out_port:{format_port(fm.out_port, ports)}")
    flags = fm.flags & ~sum((f for f, since in _FLAG_SINCE.items() if version < since), FlowFlags.NONE)
    if flags:
        out.append(flags.text.rstrip())
    out.append(f"actions={format_actions(fm.actions, version, match=fm.match, ports=ports)}")
    return " ".join(out)
