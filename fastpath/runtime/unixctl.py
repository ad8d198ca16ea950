"""Control sockets that answer as those of the reference's programs do, by the ``ovs`` package, which is
loaded with this module: line ends, the list of commands, and ``vlog/*``."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import ovs.unixctl
import ovs.unixctl.server

from fastpath.errors import ConfigError
from fastpath.runtime.log import Log

MANY = 1 << 30


class Connection(ovs.unixctl.server.UnixctlConnection):  # type: ignore[misc]
    """A client's connection, whose replies end their last line, as ovs-vswitchd's do."""

    def reply(self, body: str | None) -> None:
        """Answer with *body*."""
        super().reply(_line(body))

    def reply_error(self, body: str | None) -> None:
        """Refuse with *body*."""
        if body is not None and body.endswith("is not a valid command"):
            body += ' (use "list-commands" to see a list of valid commands)'
        super().reply_error(_line(body))


def _line(text: str | None) -> str:
    return text + "\n" if text and not text.endswith("\n") else text or ""


def prepare(hidden: Collection[str] = ()) -> None:
    """Have servers that are made from now on answer so, and list all commands but those *hidden*."""
    def list_commands(connection: Any, args: list[str], aux: object) -> None:
        told = {name: command.usage for name, command in sorted(ovs.unixctl.commands.items())
                if name != "set-options" and name not in hidden}
        connection.reply("The available commands are:\n"
                         + "".join(f"  {name:<23} {usage}\n" for name, usage in told.items()))
    ovs.unixctl.server.UnixctlConnection = Connection       # what the server makes of those who connect
    for name in ("help", "list-commands"):
        ovs.unixctl.commands.pop(name, None)
    ovs.unixctl.command_register("list-commands", "", 0, 0, list_commands, None)


def register(name: str, usage: str, least: int, most: int, answer: Callable[..., None],
             aux: object = None) -> None:
    """Have *answer* (connection, arguments, *aux*) answer a command, in the place of the package's own."""
    ovs.unixctl.commands.pop(name, None)
    ovs.unixctl.command_register(name, usage, least, most, answer, aux)


# -- what is logged, and where -----------------------------------------------------------------------

class LogCommand(NamedTuple):
    """A command about a log; *answer* raises ConfigError for what makes no sense."""

    name: str
    usage: str
    max_args: int
    answer: Callable[[Log, list[str]], str | None]


def set_levels(log: Log, args: list[str]) -> None:
    """Change levels or patterns."""
    for spec in args:
        log.set(spec)


def show_levels(log: Log, args: list[str]) -> str:
    """Levels of all modules."""
    return log.format_levels()


def show_patterns(log: Log, args: list[str]) -> str:
    """Patterns of all destinations."""
    return log.format_patterns()


def reopen(log: Log, args: list[str]) -> None:
    """Open the log file anew, as after its rotation."""
    if log.path is None:
        raise ConfigError("Logging to file not configured")
    log.close_file()
    error = log.open_file(log.path)
    if error is not None:
        raise ConfigError(error)


def close(log: Log, args: list[str]) -> None:
    """Log to no file."""
    log.close_file()


def unlimit(log: Log, args: list[str]) -> None:
    """Log all there is of some modules, or of all."""
    _check(log, args)
    log.limit(args, on=False)


def limit(log: Log, args: list[str]) -> None:
    """Hold back lines of which there are too many."""
    _check(log, args)
    log.limit(args, on=True)


def _check(log: Log, modules: list[str]) -> None:
    if any(module not in log.levels for module in modules):
        raise ConfigError("unknown module")


LOG_COMMANDS = (
    LogCommand("vlog/close", "", 0, close),
    LogCommand("vlog/disable-rate-limit", "[module]...", MANY, unlimit),
    LogCommand("vlog/enable-rate-limit", "[module]...", MANY, limit),
    LogCommand("vlog/list", "", 0, show_levels),
    LogCommand("vlog/list-pattern", "", 0, show_patterns),
    LogCommand("vlog/reopen", "", 0, reopen),
    LogCommand("vlog/set", "{spec | PATTERN:destination:pattern}", MANY, set_levels),
)
