"""``mdb/*``: members of multicast groups that bridges heard of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.errors import NotFoundError
from fastpath.vswitchd.commands.command import Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def show(daemon: Daemon, args: list[str]) -> str:
    """All members in a bridge, and its routers."""
    bridge = daemon.find(args[0])
    try:
        return bridge.dump_mdb() + "\n"
    except NotFoundError as error:
        raise CommandError(str(error)) from None


def flush(daemon: Daemon, args: list[str]) -> str:
    """Forget what a bridge heard, or all bridges that listen."""
    try:
        for bridge in [daemon.find(args[0])] if args else daemon.open_bridges():
            if args or bridge.is_snooping:
                bridge.flush_mdb()
    except NotFoundError as error:
        raise CommandError(str(error)) from None
    return "table successfully flushed"


COMMANDS = (
    Command("mdb/flush", "[bridge]", 0, 1, flush),
    Command("mdb/show", "bridge", 1, 1, show),
)
