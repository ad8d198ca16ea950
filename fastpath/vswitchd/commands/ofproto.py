"""``ofproto/trace``: what would be done with a packet, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.errors import FastpathError
from fastpath.vswitchd.commands.command import MANY, Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def trace(daemon: Daemon, args: list[str]) -> str:
    """Trace a packet of a bridge."""
    names, options = args[:2], args[2:]
    bridge = daemon.bridges.get(names[0])
    if bridge is None or len(names) < 2:
        raise CommandError("Unknown bridge")
    ct_next, generate = [], False
    while options:
        option = options.pop(0)
        if option == "--ct-next" and options:
            ct_next.append(options.pop(0))
        elif option in ("-generate", "--generate"):
            generate = True
        elif option not in ("--names", "--no-names"):
            raise CommandError(f"unknown option {option}")
    try:
        return str(bridge.bridge.trace(names[1], ct_next=ct_next, generate=generate)) + "\n"
    except FastpathError as error:
        raise CommandError(str(error)) from None


COMMANDS = (
    Command("ofproto/trace", "{[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet]", 1, MANY,
            trace),
)
