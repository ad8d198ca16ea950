"""``ofproto/*``: what would be done with a packet, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastpath._flow import FlowKey
from fastpath.bridge import Bridge
from fastpath.dpif.keyparse import parse_key
from fastpath.errors import FastpathError, ParseError
from fastpath.vswitchd.commands.command import MANY, Command, CommandError
from fastpath.vswitchd.commands.dpctl import chosen, find, port_names
from fastpath.vswitchd.datapaths import Datapath

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


@dataclass(slots=True)
class Asked:
    """The arguments of a trace, sorted."""

    words: list[str] = field(default_factory=list)
    ct_next: list[str] = field(default_factory=list)
    payload: bytes | None = None
    generate: bool = False
    consistent: bool = False

    @classmethod
    def of(cls, args: list[str]) -> Asked:
        """Sort *args*.  Raises CommandError."""
        asked, rest = cls(), list(args)
        while rest:
            word = rest.pop(0)
            if word == "--ct-next" and rest:
                asked.ct_next.append(rest.pop(0))
            elif word == "--l7" and rest:
                asked.payload = _bytes(rest.pop(0))
            elif word == "--l7-len" and rest:
                asked.payload = bytes(i & 0xFF for i in range(int(rest.pop(0))))
            elif word in ("-generate", "--generate"):
                asked.generate = True
            elif word in ("-consistent", "--consistent"):
                asked.consistent = True
            elif word not in ("--names", "--no-names"):
                asked.words.append(word)
        return asked


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise CommandError("Invalid l7 data") from None


def trace(daemon: Daemon, args: list[str]) -> str:
    """Trace a packet of a bridge, or one in datapath terms."""
    return _trace(daemon, Asked.of(args), None)


def trace_packet_out(daemon: Daemon, args: list[str]) -> str:
    """Trace what a packet-out of actions would do."""
    asked = Asked.of(args)
    if len(asked.words) < 2:
        raise CommandError("Must specify flow and actions")
    actions = asked.words.pop()
    return _trace(daemon, asked, actions)


def _trace(daemon: Daemon, asked: Asked, actions: str | None) -> str:
    words = list(asked.words)
    bridge, what, in_port = _question(daemon, words)
    try:
        trace = bridge.trace(what, in_port=in_port, ct_next=asked.ct_next, generate=asked.generate,
                            payload=asked.payload if asked.generate else None, actions=actions,
                            consistent=asked.consistent)
    except ParseError as error:
        unknown = str(error).removeprefix("unknown keyword ")
        told = f"{words[-1]}: unknown field {unknown}" if unknown != str(error) else str(error)
        raise CommandError(f"Bad openflow flow syntax: {told}") from None
    except FastpathError as error:
        raise CommandError(str(error)) from None
    return str(trace) + "\n"


def _question(daemon: Daemon, words: list[str]) -> tuple[Bridge, str | bytes | FlowKey, int | None]:
    """(bridge, flow or packet, port it came in by) of the words of a trace."""
    packet = None
    if len(words) > 1 and _is_hex(words[-1]):
        packet = bytes.fromhex(words.pop())
    if len(words) == 2 and words[0] in daemon.bridges:
        bridge, text = daemon.bridges[words[0]], words[1]
        if packet is not None:
            return bridge.bridge, packet, _in_port(bridge.bridge, text)
        if "(" in text:
            key = _key(bridge.datapath, text)
            return bridge.bridge, _as_openflow(bridge.datapath, key)[1], None
        return bridge.bridge, text, None
    if len(words) == 2 and "=" in words[1] and "(" not in words[1]:
        raise CommandError(f"{words[0]}: unknown bridge")
    if not words or len(words) > 2:
        raise CommandError("Must specify bridge name")
    datapath = find(daemon, words[0]) if len(words) == 2 else chosen(daemon, [])
    found, key = _as_openflow(datapath, _key(datapath, words[-1]))
    return found, packet or key, key.in_port if packet else None


def _is_hex(text: str) -> bool:
    return len(text) >= 28 and len(text) % 2 == 0 and all(c in "0123456789abcdefABCDEF" for c in text)


def _in_port(bridge: Bridge, text: str) -> int | None:
    """The port of a flow that goes with a packet."""
    value = next((term[8:] for term in text.split(",") if term.startswith("in_port=")), None)
    if value is None:
        return None
    return int(value) if value.isdecimal() else bridge.port(value).number


def _key(datapath: Datapath, text: str) -> FlowKey:
    try:
        return parse_key("".join(text.split()), {name: n for n, name in port_names(datapath).items()})[0]
    except ParseError as error:
        raise CommandError(f"Bad datapath flow syntax: {error}") from None


def _as_openflow(datapath: Datapath, key: FlowKey) -> tuple[Bridge, FlowKey]:
    """The bridge a datapath key came in by, and the key with its OpenFlow port."""
    where = datapath.switch.backer.where(key)
    if where is None:
        raise CommandError(f"no OpenFlow port for datapath port {key.in_port}")
    ofproto, port, _state = where
    found = key.copy()
    found.in_port = port.ofp_port
    return datapath.switch[ofproto.name], found


def list_bridges(daemon: Daemon, args: list[str]) -> str:
    """Names of all bridges."""
    return "".join(f"{name}\n" for name in sorted(daemon.bridges))


_FORM = "{[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet]"
COMMANDS = (
    Command("ofproto/list", "", 0, 0, list_bridges),
    Command("ofproto/trace", _FORM, 1, MANY, trace),
    Command("ofproto/trace-packet-out", f"[-consistent] {_FORM} actions", 2, MANY, trace_packet_out),
)
