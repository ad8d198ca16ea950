"""``vlog/*``: what is logged, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.errors import ConfigError
from fastpath.vswitchd.commands.command import MANY, Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def set_levels(daemon: Daemon, args: list[str]) -> None:
    """Change levels or patterns."""
    for spec in args:
        try:
            daemon.log.set(spec)
        except ConfigError as error:
            raise CommandError(str(error)) from None


def show_levels(daemon: Daemon, args: list[str]) -> str:
    """Levels of all modules."""
    return daemon.log.format_levels()


def show_patterns(daemon: Daemon, args: list[str]) -> str:
    """Patterns of all destinations."""
    return daemon.log.format_patterns()


def reopen(daemon: Daemon, args: list[str]) -> None:
    """Open the log file anew, as after its rotation."""
    if daemon.log.path is None:
        raise CommandError("Logging to file not configured")
    daemon.log.close_file()
    error = daemon.log.open_file(daemon.log.path)
    if error is not None:
        raise CommandError(error)


def close(daemon: Daemon, args: list[str]) -> None:
    """Log to no file."""
    daemon.log.close_file()


def unlimit(daemon: Daemon, args: list[str]) -> None:
    """Log all there is of some modules, or of all."""
    _check(daemon, args)
    daemon.log.limit(args, on=False)


def limit(daemon: Daemon, args: list[str]) -> None:
    """Hold back lines of which there are too many."""
    _check(daemon, args)
    daemon.log.limit(args, on=True)


def _check(daemon: Daemon, modules: list[str]) -> None:
    if any(module not in daemon.log.levels for module in modules):
        raise CommandError("unknown module")


COMMANDS = (
    Command("vlog/close", "", 0, 0, close),
    Command("vlog/disable-rate-limit", "[module]...", 0, MANY, unlimit),
    Command("vlog/enable-rate-limit", "[module]...", 0, MANY, limit),
    Command("vlog/list", "", 0, 0, show_levels),
    Command("vlog/list-pattern", "", 0, 0, show_patterns),
    Command("vlog/reopen", "", 0, 0, reopen),
    Command("vlog/set", "{spec | PATTERN:destination:pattern}", 0, MANY, set_levels),
)
