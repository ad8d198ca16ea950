"""Views of a running instance, and changes of its ports: a Unix socket on its side, a question and an answer
on ours.

One JSON object a line each way: ``{"command": "dump-flows", "args": {"bridge": "br0"}}`` is answered by
``{"text": "..."}`` or ``{"error": "..."}``.  The socket belongs to its user alone (mode 0600).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from fastpath.bridge import Bridge
from fastpath.cli import table
from fastpath.errors import ConfigError, FastpathError, PortError
from fastpath.runtime.addresses import unlink_stale
from fastpath.switch import Switch

MAX_LINE = 1 << 20              # bytes of a request
TIMEOUT_S = 10.0
Args = Mapping[str, Any]


# -- the answers ---------------------------------------------------------------------------------------

def _bridges(switch: Switch, args: Args) -> list[Bridge]:
    name = args.get("bridge")
    return list(switch) if name is None else [switch[name]]


def _each(switch: Switch, args: Args, view: Callable[[Bridge], str]) -> str:
    """A view of each bridge asked for, under its name when there are several."""
    bridges = _bridges(switch, args)
    if len(bridges) == 1:
        return view(bridges[0])
    return "\n".join(f"{bridge.name}:\n{view(bridge)}" for bridge in bridges)


def _mdb(bridge: Bridge) -> str:
    return bridge.dump_mdb() if bridge.is_snooping else "multicast snooping is disabled"


def _show(switch: Switch, args: Args) -> str:
    lines = []
    for bridge in _bridges(switch, args):
        n_rules, n_macs = len(bridge.ofproto.tables), len(bridge.ofproto.macs)
        lines.append(f"{bridge.name}: {n_rules} rules, {n_macs} addresses")
        for port in bridge.ports:
            to = f"patch to {port.of.peer_name}" if port.of.is_patch else type(port.io).__name__
            lines.append(f"  {port.number}: {port.name} ({to}{'' if port.of.link_up else ', link down'})")
    stats = switch.stats()
    return "\n".join([*lines, table.summary(stats.datapath)])


def _trace(switch: Switch, args: Args) -> str:
    bridges = _bridges(switch, args)
    if not bridges:
        raise ConfigError("trace: this instance has no bridge")
    packet = args.get("packet")
    in_port = args.get("in_port")
    if isinstance(in_port, str) and in_port.isdecimal():
        in_port = int(in_port)
    what = str(args.get("flow")) if packet is None else bytes.fromhex(packet)
    payload = args.get("payload")
    trace = bridges[0].trace(
        what, in_port=in_port, ct_next=args.get("ct_next") or (), generate=bool(args.get("generate")),
        payload=None if payload is None else bytes.fromhex(payload), actions=args.get("actions"),
        consistent=bool(args.get("consistent")))
    return f"{trace}\n\n{trace.why()}" if args.get("why") else str(trace)


def _controllers(bridge: Bridge) -> str:
    return "\n".join(f"{c.target} ({'connected, ' + c.role if c.is_connected else c.link.state.lower()})"
                     for c in bridge.controllers)


def _add_port(switch: Switch, args: Args) -> str:
    (bridge, *_others) = _bridges(switch, args)
    number = args.get("number")
    spec = str(args.get("port"))
    io = switch.open_port(spec)
    try:
        bridge.add_port(io.name, io, number=None if number is None else int(number))
    except BaseException:
        io.close()
        raise
    return ""


def _del_port(switch: Switch, args: Args) -> str:
    name = str(args.get("port"))
    found = next((bridge for bridge in _bridges(switch, args)
                  if any(port.name == name for port in bridge.ports)), None)
    if found is None:
        raise ConfigError(f"port {name!r}: no bridge has it")
    found.del_port(name)
    return ""


COMMANDS: dict[str, Callable[[Switch, Args], str]] = {
    "show": _show,
    "dump-flows": lambda sw, args: _each(sw, args, lambda br: br.dump_flows(args.get("match") or "")),
    "dump-groups": lambda sw, args: _each(sw, args, Bridge.dump_groups),
    "dump-group-stats": lambda sw, args: _each(sw, args, Bridge.dump_group_stats),
    "dump-meters": lambda sw, args: _each(sw, args, Bridge.dump_meters),
    "meter-stats": lambda sw, args: _each(sw, args, Bridge.dump_meter_stats),
    "dump-megaflows": lambda sw, args: _each(sw, args, Bridge.dump_megaflows),
    "dump-ports": lambda sw, args: _each(sw, args, Bridge.dump_ports),
    "fdb": lambda sw, args: _each(sw, args, Bridge.dump_fdb),
    "mdb": lambda sw, args: _each(sw, args, _mdb),
    "mirrors": lambda sw, args: _each(sw, args, Bridge.dump_mirrors),
    "fdb-stats": lambda sw, args: _each(sw, args, Bridge.dump_fdb_stats),
    "controllers": lambda sw, args: _each(sw, args, _controllers),
    "trace": _trace,
    "add-port": _add_port,
    "del-port": _del_port,
}


def answer(switch: Switch, request: bytes) -> dict[str, str]:
    """Answer to one line.  Whatever is wrong with it is said in the answer."""
    try:
        asked = json.loads(request)
        command = COMMANDS.get(asked.get("command"))
        if command is None:
            return {"error": f"command {asked.get('command')!r}: not one of {', '.join(COMMANDS)}"}
        return {"text": command(switch, asked.get("args") or {})}
    except FastpathError as error:
        return {"error": str(error)}
    except (ValueError, AttributeError, TypeError) as error:
        return {"error": f"request cannot be read: {error}"}


# -- serving -------------------------------------------------------------------------------------------

class Server:
    """Answers on the socket *path* until closed, one client after the other, in a thread of its own."""

    def __init__(self, switch: Switch, path: str) -> None:
        self._switch, self._path = switch, path
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._bind()
        except OSError as error:
            self._socket.close()
            raise PortError(f"--socket {path}: {(error.strerror or str(error)).lower()}") from None
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="fastpath-control", daemon=True)
        self._thread.start()

    def _bind(self) -> None:
        unlink_stale(self._path)        # left behind by one that was killed
        old = os.umask(0o177)
        try:
            self._socket.bind(self._path)
        finally:
            os.umask(old)
        self._socket.listen()

    def _serve(self) -> None:
        while not self._closing:
            try:
                client, _address = self._socket.accept()
            except OSError:
                return
            with client:
                try:
                    client.settimeout(TIMEOUT_S)
                    self._talk(client)
                except OSError:
                    pass                # the client went away: its own affair

    def _talk(self, client: socket.socket) -> None:
        with client.makefile("rb") as lines:
            while not self._closing and (request := lines.readline(MAX_LINE)):
                client.sendall(json.dumps(answer(self._switch, request)).encode() + b"\n")

    def close(self) -> None:
        """Stop answering and remove the socket."""
        self._closing = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)     # wakes accept()
        self._socket.close()
        self._thread.join(TIMEOUT_S)
        with suppress(FileNotFoundError):
            os.unlink(self._path)


# -- asking --------------------------------------------------------------------------------------------

def ask(path: str, command: str, args: Args) -> str:
    """Text of the running instance behind *path*.  Raises ConfigError with what it has against it."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(TIMEOUT_S)
        try:
            client.connect(path)
            client.sendall(json.dumps({"command": command, "args": dict(args)}).encode() + b"\n")
            with client.makefile("rb") as lines:
                reply = json.loads(lines.readline() or b"{}")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise PortError(f"--socket {path}: {reason}, expected that of a running instance") from None
    if "text" not in reply:
        raise ConfigError(str(reply.get("error", f"--socket {path}: closed without an answer")))
    return str(reply["text"])


def view(args: argparse.Namespace) -> int:
    """Print one view."""
    given = {name: value for name, value in vars(args).items()
             if name in ("bridge", "match", "port", "number")}
    text = ask(args.socket, args.view, given)
    if text:
        print(text)
    return 0
