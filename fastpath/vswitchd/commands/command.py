"""What a command of ovs-appctl is: a row of a table, and a function that answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastpath.errors import FastpathError
from fastpath.runtime.log import Level

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon

MANY = 1 << 30                  # arguments, where there is no limit


class CommandError(FastpathError):
    """A command that cannot be done; its text is what ovs-appctl prints first.  *lines* is what is logged of
    it: module, level, text."""

    def __init__(self, text: str, *lines: tuple[str, Level, str]) -> None:
        super().__init__(text)
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Command:
    """A command, what its arguments are called (None: the command is not listed), how many it takes, and what
    answers it."""

    name: str
    usage: str | None
    min_args: int
    max_args: int
    answer: Callable[[Daemon, list[str]], str | None]
