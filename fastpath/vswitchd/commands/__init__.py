"""What ovs-appctl can ask, and the control socket it asks at."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import ovs.unixctl.server

from fastpath.errors import FastpathError
from fastpath.runtime import unixctl
from fastpath.vswitchd.commands import (
    absent,
    bridge,
    conntrack,
    counters,
    dpctl,
    dpif,
    dummy,
    fdb,
    interfaces,
    mdb,
    normalize,
    ofproto,
    pmd,
    qos,
    route,
    time,
    upcall,
    vlog,
)
from fastpath.vswitchd.commands.command import MANY, Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon

COMMANDS: tuple[Command, ...] = (
    *absent.COMMANDS, *bridge.COMMANDS, *conntrack.COMMANDS, *counters.COMMANDS, *dpctl.COMMANDS,
    *dpif.COMMANDS, *dummy.COMMANDS, *fdb.COMMANDS, *interfaces.COMMANDS, *mdb.COMMANDS,
    *normalize.COMMANDS, *ofproto.COMMANDS, *pmd.COMMANDS, *qos.COMMANDS, *route.COMMANDS, *time.COMMANDS,
    *upcall.COMMANDS, *vlog.COMMANDS)
DPCTL = "dpctl/"
_HIDDEN = {command.name for command in COMMANDS if command.usage is None}


def _check_number(command: Command, args: list[str]) -> None:
    """Raise CommandError unless *command* takes so many arguments, of which options of dpctl are none."""
    if not command.name.startswith(DPCTL):
        return                          # checked before
    n = sum(1 for arg in args if not arg.startswith("-"))
    if n < command.min_args:
        raise CommandError(f'"{command.name}" command requires at least {command.min_args} arguments')
    if n > command.max_args:
        raise CommandError(f'"{command.name}" command takes at most {command.max_args} arguments')


def serve(daemon: Daemon, path: str | None, version: str) -> Any:
    """The control socket at *path* (None: the usual one), which answers all commands; None if it cannot be
    made, which was logged then."""
    log = daemon.log.module("unixctl")

    def answer(connection: Any, args: list[str], command: Command) -> None:
        log.dbg(f"received request {command.name}[{', '.join(args)}], id=0")
        daemon.stir()
        try:
            _check_number(command, args)
            text = command.answer(daemon, args)
        except FastpathError as error:
            for module, level, line in error.lines if isinstance(error, CommandError) else ():
                daemon.log.module(module).write(level, line)
            log.dbg(f'replying with error, id=0: "{error}"')
            connection.reply_error(str(error))
            return
        except Exception as error:              # a fault of ours: the switch goes on without that answer
            log.err(f"{command.name}[{', '.join(args)}]: {traceback.format_exc()}")
            connection.reply_error(f"{command.name}: internal error ({error})")
            return
        log.dbg(f'replying with success, id=0: "{text or ""}"')
        connection.reply(text)

    for command in COMMANDS:
        least, most = (0, MANY) if command.name.startswith(DPCTL) else (command.min_args, command.max_args)
        unixctl.register(command.name, command.usage or "", least, most, answer, command)
    unixctl.prepare(_HIDDEN)
    error, server = ovs.unixctl.server.UnixctlServer.create(path, version)
    return None if error else server
