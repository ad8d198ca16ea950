"""Printing what a switch says until told to stop, by the control socket that monitor and snoop have.

What comes goes to standard error, as with ovs-ofctl: standard output has the answers to what was asked
before.  The socket, and going on in the background, take the ``ovs`` package; without it there are neither.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastpath import __version__
from fastpath.cli.ofctl.flow_verbs import parse_packet_out
from fastpath.cli.ofctl.talk import Talk
from fastpath.errors import FastpathError, OpenFlowError
from fastpath.openflow.formats import of_actions, of_match, of_version
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.packet import NxPacketIn2, NxResume
from fastpath.openflow.messages.table import HEADER, decode
from fastpath.openflow.printing.context import PAYLOADS
from fastpath.openflow.printing.message import format_message
from fastpath.runtime import background

_PROGRAM = "ovs-ofctl"              # as ovs-appctl looks for it
_BARRIER_REPLY10, _BARRIER_REPLY, _ECHO_REQUEST = 19, 21, 2
_MANY = 1 << 30


class Follower:
    """Prints what *talk* hears; *answers*: echo requests are answered, *resumes*: paused packets go on."""

    def __init__(self, talk: Talk, *, answers: bool, resumes: bool = False) -> None:
        self._talk, self._answers, self._resumes = talk, answers, resumes
        self._names, self._tables = (talk.shown_names, talk.shown_tables) if answers else (None, None)
        self._is_blocked = self._is_exiting = False
        self._waiting: Any = None           # who asked for a barrier

    def run(self) -> None:
        """Print until told to stop or the time is up.  Raises FastpathError when the switch hangs up."""
        wanted = self._talk.options.daemon
        if find_spec("ovs") is None:
            if wanted.detach or wanted.unixctl is not None or wanted.pidfile is not None:
                raise FastpathError("--detach, --pidfile and --unixctl need the package ovs")
            self._print_all(self._talk.client.received())
            return
        background.name_program(_PROGRAM)
        background.begin(wanted)
        server = self._serve(wanted.unixctl)
        background.complete(keep_stderr=True)
        if wanted.detach and self._talk.options.log is not None:
            self._talk.options.log.set("console:off")       # standard error is for what is heard
        try:
            self._loop(server)
        finally:
            if server is not None:
                server.run()
                server.close()

    def _loop(self, server: Any) -> None:
        import ovs.poller
        dial = self._talk.dialled
        while True:
            if server is not None:
                server.run()
            if not self._is_blocked:
                self._print_all(dial.arrived())
            if self._is_exiting or (dial.until is not None and time.monotonic() > dial.until):
                return
            poller = ovs.poller.Poller()
            if server is not None:
                server.wait(poller)
            if not self._is_blocked:
                poller.fd_wait(dial.fileno(), ovs.poller.POLLIN)
            if dial.until is not None:
                poller.timer_wait(max(0, int((dial.until - time.monotonic()) * 1000)) + 1)
            poller.block()

    # -- what comes ----------------------------------------------------------------------------------

    def _print_all(self, messages: Iterable[bytes]) -> None:
        try:
            for data in messages:
                when = ""
                if self._talk.options.timestamp:
                    when = f"{datetime.now():%Y-%m-%d %H:%M:%S.%f}"[:-3] + ": "
                self._print(data, PAYLOADS, when)
                self._react(data)
        except TimeoutError:
            return
        except ConnectionError:
            raise FastpathError("vconn_recv (End of file)") from None
        except OpenFlowError as error:
            raise FastpathError(f"{self._talk.name}: {error}") from None

    def _print(self, data: bytes, verbosity: int, before: str = "") -> None:
        sys.stderr.write(before)                    # ahead of what is warned of meanwhile
        sys.stderr.write(format_message(data, ports=self._names, tables=self._tables,
                                        verbosity=verbosity + self._talk.options.more))
        sys.stderr.flush()

    def _react(self, data: bytes) -> None:
        version, kind, _size, xid = HEADER.unpack_from(data)
        if kind == (_BARRIER_REPLY10 if version == 1 else _BARRIER_REPLY) and self._waiting is not None:
            self._waiting.reply(None)
            self._waiting = None
        elif kind == _ECHO_REQUEST and self._answers:
            self._talk.client.send(basic.EchoReply(data[HEADER.size:]), xid)
        elif self._resumes:
            self._resume(data)

    def _resume(self, data: bytes) -> None:
        try:
            message = decode(data).message
        except OpenFlowError as error:
            print(f"decoding packet-in failed: {error.code}", end="", file=sys.stderr)
            return
        if isinstance(message, NxPacketIn2) and message.continuation:
            reply = self._talk.client.encoded(NxResume(
                **{name: getattr(message, name) for name in NxPacketIn2.__match_args__}))
            self._print(reply, PAYLOADS, "send: ")
            self._talk.dialled.send(reply)

    # -- the control socket --------------------------------------------------------------------------

    def _serve(self, path: str | None) -> Any:
        import ovs.unixctl.server

        from fastpath.runtime import unixctl
        commands: tuple[tuple[str, str, int, int, Callable[[Any, list[str]], None]], ...] = (
            ("exit", "", 0, 0, self._exit), ("ofctl/send", "OFMSG...", 1, _MANY, self._send),
            ("ofctl/packet-out", '"in_port=<port> packet=<hex data> actions=..."', 1, 1, self._packet_out),
            ("ofctl/barrier", "", 0, 0, self._barrier),
            ("ofctl/set-output-file", "FILE", 1, 1, _set_output_file),
            ("ofctl/block", "", 0, 0, self._block), ("ofctl/unblock", "", 0, 0, self._unblock))
        for name, usage, least, most, call in commands:
            unixctl.register(name, usage, least, most,
                             lambda connection, args, call: call(connection, args), call)
        for row in unixctl.LOG_COMMANDS:
            unixctl.register(row.name, row.usage, 0, row.max_args, self._about_log, row)
        unixctl.prepare()
        if path is None and not Path(ovs.dirs.RUNDIR).is_dir():
            return None                 # there is no usual place for it here, and nobody asked for it
        error, server = ovs.unixctl.server.UnixctlServer.create(path, __version__)
        if error:
            raise FastpathError(f"failed to create unixctl server ({os.strerror(abs(error))})")
        return server

    def _about_log(self, connection: Any, args: list[str], row: Any) -> None:
        try:
            connection.reply(row.answer(self._talk.options.log, args))
        except FastpathError as error:
            connection.reply_error(str(error))

    def _exit(self, connection: Any, args: list[str]) -> None:
        self._is_exiting = True
        connection.reply(None)

    def _send(self, connection: Any, args: list[str]) -> None:
        lines, fine = "", True
        for word in args:
            fault, data = _message(word)
            if fault is None:
                self._print(data, 0, "send: ")
                self._talk.dialled.send(data)
            fine = fine and fault is None
            lines += (fault or "sent") + "\n"
        (connection.reply if fine else connection.reply_error)(lines)

    def _packet_out(self, connection: Any, args: list[str]) -> None:
        try:
            out = parse_packet_out(args[0], self._talk)
        except FastpathError as error:
            connection.reply_error(f"{error}\n")
            return
        if not of_actions(out.actions) & of_match(out.match) & of_version(self._talk.version):
            connection.reply_error("PACKET_OUT actions are incompatible with the OpenFlow connection.\n")
            return
        data = self._talk.client.encoded(out)
        self._print(data, 0)
        self._talk.dialled.send(data)
        connection.reply("")

    def _barrier(self, connection: Any, args: list[str]) -> None:
        if self._waiting is not None:
            connection.reply_error("already waiting for barrier reply")
            return
        self._waiting = connection
        self._talk.client.send(basic.BarrierRequest())

    def _block(self, connection: Any, args: list[str]) -> None:
        connection.reply("already blocking\n" if self._is_blocked else None)
        self._is_blocked = True

    def _unblock(self, connection: Any, args: list[str]) -> None:
        connection.reply(None if self._is_blocked else "already unblocked\n")
        self._is_blocked = False


def _message(text: str) -> tuple[str | None, bytes]:
    """What is wrong with *text* as a message, or None, and its bytes."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return "Trailing garbage in hex data", b""
    if len(data) < HEADER.size:
        return "Message too short for OpenFlow", data
    if HEADER.unpack_from(data)[2] != len(data):
        return "Message size does not match length in OpenFlow header", data
    return None, data


def _set_output_file(connection: Any, args: list[str]) -> None:
    try:
        fd = os.open(args[0], os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o666)
    except OSError as error:
        connection.reply_error(f"{error.strerror}\n")
        return
    sys.stderr.flush()
    os.dup2(fd, 2)
    os.close(fd)
    connection.reply(None)


