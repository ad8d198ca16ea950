"""``time/stop`` and ``time/warp``: the clock of dummy datapaths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.vswitchd.commands.command import Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def stop(daemon: Daemon, args: list[str]) -> None:
    """Let time stand still."""
    daemon.datapaths.clock.stop()


def warp(daemon: Daemon, args: list[str]) -> str:
    """Let milliseconds pass: all at once, or in steps of the second number until the first has passed."""
    numbers = [int(arg) if arg.isdecimal() else 0 for arg in args]
    total, step = (numbers[0], numbers[-1])
    if total <= 0 or step <= 0:
        raise CommandError("invalid MSECS")
    passed = 0
    while passed < total:
        daemon.datapaths.clock.warp(min(step, total - passed) / 1000)
        passed += step
        daemon.move()
    for bridge in daemon.bridges.values():
        bridge.remotes.wake()
    return "warped"


COMMANDS = (
    Command("time/stop", "", 0, 0, stop),
    Command("time/warp", "[large_msecs] msecs", 1, 2, warp),
)
