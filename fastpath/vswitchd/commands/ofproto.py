"""``ofproto/*``: what would be done with a packet, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastpath._flow import FlowKey
from fastpath.bridge import Bridge
from fastpath.dpif.keyparse import DuplicateAttribute, parse_key, wrong_term
from fastpath.errors import FastpathError, ParseError
from fastpath.geneve import is_raw, name_options
from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.tunnel import format_tunnel
from fastpath.ofproto.xlate.tunnel import is_tunnelled
from fastpath.vswitchd.commands.command import MANY, Command, CommandError
from fastpath.vswitchd.commands.dpctl import port_names
from fastpath.vswitchd.datapaths import Datapath

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon

MAX_WORDS = 3                   # a bridge or a datapath, a flow, a packet
MIN_FRAME = 14
MAX_PAYLOAD = 64000
GARBAGE = "Trailing garbage in packet data"


@dataclass(slots=True)
class Asked:
    """The arguments of a trace, sorted."""

    words: list[str] = field(default_factory=list)
    ct_next: list[str] = field(default_factory=list)
    payload: bytes | None = None
    generate: bool = False
    consistent: bool = False
    names: bool = False

    @classmethod
    def of(cls, args: list[str], *, packet_out: bool = False) -> Asked:
        """Sort *args*.  Raises CommandError."""
        asked, rest = cls(), list(args)
        while rest:
            word = rest.pop(0)
            if word in ("--ct-next", "--l7", "--l7-len"):
                if not rest:
                    raise CommandError(f"Missing argument for option {word}")
                asked._take(word, rest.pop(0))
            elif word in ("-generate", "--generate"):
                asked.generate = True
            elif word in ("-consistent", "--consistent") and packet_out:
                asked.consistent = True
            elif word == "--names":
                asked.names = True
            elif word.startswith("-"):
                raise CommandError(f"{word}: unknown option")
            else:
                asked.words.append(word)
        if len(asked.words) > MAX_WORDS:
            raise CommandError("too many arguments")
        if not asked.words:
            raise CommandError("Syntax error")
        return asked

    def _take(self, option: str, value: str) -> None:
        if option == "--ct-next":
            self.ct_next.append(value)
        elif option == "--l7":
            self.payload = _bytes(value)
        else:
            size = int(value) if value.isdecimal() else 0
            if size > MAX_PAYLOAD:
                raise CommandError(f"{value}: too much L7 data")
            self.payload = bytes(i & 0xFF for i in range(size))


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise CommandError(GARBAGE) from None


def trace(daemon: Daemon, args: list[str]) -> str:
    """Trace a packet of a bridge, or one in datapath terms."""
    return _trace(daemon, Asked.of(args), None)


def trace_packet_out(daemon: Daemon, args: list[str]) -> str:
    """Trace what a packet-out of actions would do."""
    try:
        parse_actions(args[-1])
    except ParseError as error:
        raise CommandError(str(error)) from None
    return _trace(daemon, Asked.of(args[:-1], packet_out=True), args[-1])


def _trace(daemon: Daemon, asked: Asked, actions: str | None) -> str:
    frame = None if asked.generate else _strip_frame(asked.words)
    bridge, flow = _question(daemon, asked.words)
    try:
        trace = bridge.trace(flow, frame=frame, ct_next=asked.ct_next, names=asked.names, actions=actions,
                             generate=asked.generate or frame is not None, consistent=asked.consistent,
                             payload=asked.payload if asked.generate else None)
    except FastpathError as error:
        is_flow = isinstance(error, ParseError) and str(error).startswith(f"{flow}: ")
        raise CommandError(f"Bad openflow flow syntax: {error}" if is_flow else str(error)) from None
    return str(trace)


def _strip_frame(words: list[str]) -> bytes | None:
    """The packet that stands last, taken off *words*; None if there is none."""
    if len(words) < 2:
        return None
    try:
        frame = bytes.fromhex(words[-1])
        if len(frame) >= MIN_FRAME:
            words.pop()
            return frame
        fault = "Packet data too short for Ethernet"
    except ValueError:
        fault = GARBAGE
    if len(words) == MAX_WORDS:                 # what stands third is a packet or nothing
        raise CommandError(fault)
    return None


def _question(daemon: Daemon, words: list[str]) -> tuple[Bridge, str | FlowKey]:
    """The bridge and flow *words* name, [DP] ODP_FLOW or BRIDGE FLOW.  Raises CommandError."""
    *heads, text = words
    datapath = _datapath(daemon, heads)
    names = {} if datapath is None else {name: n for n, name in port_names(datapath).items()}
    try:
        key = parse_key(text, names, max_tags=daemon.max_tags)[0]
    except DuplicateAttribute as error:
        raise CommandError("Cannot find the datapath" if datapath is None else str(error)) from None
    except ParseError:
        if not heads:
            raise CommandError(f"syntax error at {text[wrong_term(text, names):]} "
                               "(or the bridge name was omitted)") from None
        found = daemon.bridges.get(heads[0])
        if found is None:
            raise CommandError(f"{heads[0]}: unknown bridge") from None
        return found.bridge, text
    if datapath is None:
        raise CommandError("Cannot find the datapath")
    return _as_openflow(datapath, key)


def _datapath(daemon: Daemon, heads: list[str]) -> Datapath | None:
    """The datapath named, by its type with or without ``ovs-``; the only one if none is."""
    if heads:
        return daemon.datapaths.get(heads[0].removeprefix("ovs-"))
    every = list(daemon.datapaths)
    return every[0] if len(every) == 1 else None


def _as_openflow(datapath: Datapath, key: FlowKey) -> tuple[Bridge, FlowKey]:
    """The bridge a datapath key came in by, and the key with its OpenFlow port."""
    where = datapath.switch.backer.where(key)
    if where is None:
        recirc_id = key.recirc_id
        if recirc_id and datapath.switch.backer.recirc.get(recirc_id) is None:
            raise CommandError(f"no recirculation data for recirc_id {recirc_id:#x}")
        raise CommandError("no OpenFlow tunnel port for this packet" if is_tunnelled(key)
                           else f"no OpenFlow port for datapath port {key.in_port}")
    ofproto, port, _state = where
    found = key.copy()
    found.in_port = port.ofp_port
    if is_raw(found) and not name_options(found, ofproto.options):
        raise CommandError("Failed to parse Geneve options")
    return datapath.switch[ofproto.name], found


def list_bridges(daemon: Daemon, args: list[str]) -> str:
    """Names of all bridges."""
    return "".join(f"{name}\n" for name in sorted(daemon.bridges))


def list_tunnels(daemon: Daemon, args: list[str]) -> str:
    """Tunnel ports of all bridges, in the order in which they are looked at."""
    return "".join(format_tunnel(port.name, port.odp_port, port.tunnel) + "\n"
                   for datapath in daemon.datapaths for _bridge, port in datapath.switch.backer.tunnels
                   if port.tunnel is not None and port.odp_port is not None)


_FORM = "{[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet]"
COMMANDS = (
    Command("ofproto/list", "", 0, 0, list_bridges),
    Command("ofproto/list-tunnels", "", 0, 0, list_tunnels),
    Command("ofproto/trace", _FORM, 1, MANY, trace),
    Command("ofproto/trace-packet-out", f"[-consistent] {_FORM} actions", 2, MANY, trace_packet_out),
)
