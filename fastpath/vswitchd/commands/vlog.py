"""``vlog/*``: what is logged, and where (``runtime.unixctl``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.runtime.unixctl import LOG_COMMANDS, LogCommand
from fastpath.vswitchd.commands.command import Command

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def _of_daemon(row: LogCommand) -> Command:
    def answer(daemon: Daemon, args: list[str]) -> str | None:
        return row.answer(daemon.log, args)
    return Command(row.name, row.usage, 0, row.max_args, answer)


COMMANDS = tuple(map(_of_daemon, LOG_COMMANDS))
