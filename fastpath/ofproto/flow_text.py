"""Flow text <-> FlowMod: the argument of ``ovs-ofctl add-flow`` and the lines of a flow file.

``priority=10,tcp,tp_dst=80,actions=output:2``; ``actions=`` ends the match part.  How text is read is
in flow_reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fastpath.arguments import checks_arguments
from fastpath.errors import ParseError
from fastpath.ofproto.actions.output import OFPP_ANY, format_port
from fastpath.ofproto.actions.versions import OF10, OF12, OF13, OF14, format_actions, match_as_version
from fastpath.ofproto.flow_change import COOKIE_KEEP
from fastpath.ofproto.flow_mod import BUFFER_NONE, TABLE_ALL, Command, FlowMod
from fastpath.ofproto.flow_reader import COMMANDS, FlowReader
from fastpath.ofproto.numbers import PortNames
from fastpath.ofproto.rule import DEFAULT_PRIORITY, FlowFlags


@checks_arguments
def parse_flow(source: str, command: str | Command | None = "add", *,
               ports: PortNames | None = None) -> FlowMod:
    """FlowMod of *source*.

    *command* is one of add, modify, modify_strict, delete, delete_strict, or None where *source*
    may begin with one (a missing one means add).  *ports* maps port names to numbers.  The match
    is normalized.  Raises ParseError in the words of ovs-ofctl.
    """
    return FlowReader(ports).read(source, _command(command))


def _command(word: str | Command | None) -> Command | None:
    if not isinstance(word, str):
        return word
    if word not in COMMANDS:
        raise ParseError(f"{word!r}: no command, expected one of {', '.join(COMMANDS)}")
    return COMMANDS[word]


def parse_filter(source: str, *, ports: PortNames | None = None) -> FlowMod:
    """The filter of a dump: match, table, cookie/mask, out_port, out_group; the command is DELETE."""
    return FlowReader(ports).read_filter(source)


def parse_flows(lines: Iterable[str], command: str | Command | None = None, *, ports: PortNames | None = None,
                name: str = "flows") -> list[FlowMod]:
    """FlowMods of the lines of a flow file: one flow a line, ``#`` starts a comment.

    Errors name the file (*name*) and the line: ``flows:3: unknown keyword foo``.
    """
    return list(iter_flows(lines, command, ports=ports, name=name))


def iter_flows(lines: Iterable[str], command: str | Command | None = None, *, ports: PortNames | None = None,
               tables: Mapping[str, int] | None = None, name: str = "flows") -> Iterator[FlowMod]:
    """As parse_flows, one at a time; *tables* maps table names to numbers."""
    reader = FlowReader(ports, tables)
    chosen = _command(command)
    for number, line in enumerate(lines, 1):
        source = line.partition("#")[0].strip()
        if not source:
            continue
        try:
            yield reader.read(source, chosen)
        except ParseError as e:
            raise ParseError(f"{name}:{number}: {e}") from None


_COMMAND_TEXT = {Command.ADD: "ADD", Command.MODIFY: "MOD", Command.MODIFY_STRICT: "MOD_STRICT",
                 Command.DELETE: "DEL", Command.DELETE_STRICT: "DEL_STRICT"}

_FLAG_SINCE = {FlowFlags.RESET_COUNTS: OF12, FlowFlags.NO_PKT_COUNTS: OF13, FlowFlags.NO_BYT_COUNTS: OF13}


def format_flow_mod(fm: FlowMod, version: int = OF10, *, ports: Mapping[int, str] | None = None,
                    is_wire: bool = False, given: str | None = None) -> str:
    """*fm* as ``ovs-ofctl parse-flow`` prints it for OpenFlow *version*, without the message's name; as
    messages are printed if it *is_wire*, where all tables are a number, too.  *given* is said in place of its
    match."""
    out = [_COMMAND_TEXT[fm.command]]
    if fm.table_id and (is_wire or fm.table_id != TABLE_ALL):
        out.append(f"table:{fm.table_id}")
    priority = None if fm.priority == DEFAULT_PRIORITY else fm.priority
    match = match_as_version(fm.match, version).format(priority=priority, ports=ports)
    if given is not None:
        match = given
    if match:
        out.append(match)
    if fm.new_cookie and fm.new_cookie != COOKIE_KEEP:
        out.append(f"cookie:{fm.new_cookie:#x}")
    if fm.cookie_mask:
        out.append(f"cookie:{fm.cookie:#x}/{fm.cookie_mask:#x}")
    timeouts = (("idle", fm.idle_timeout), ("hard", fm.hard_timeout),
                ("importance", fm.importance if version >= OF14 else 0))
    out += [f"{word}:{value:g}" for word, value in timeouts if value]
    if given is not None and priority is not None:
        out.append(f"pri:{priority}")
    if fm.buffer_id != BUFFER_NONE:
        out.append(f"buf:{fm.buffer_id:#x}")
    if fm.out_port != OFPP_ANY:
        out.append(f"out_port:{format_port(fm.out_port, ports)}")
    flags = fm.flags & ~sum((f for f, since in _FLAG_SINCE.items() if version < since), FlowFlags.NONE)
    if flags:
        out.append(flags.text.rstrip())
    out.append(f"actions={format_actions(fm.actions, version, match=fm.match, ports=ports)}")
    return " ".join(out)
