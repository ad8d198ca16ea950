"""``netdev-dummy/*``: packets into dummy devices, and their state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath._flow import FlowKey
from fastpath.compose import compose, compose_sized
from fastpath.dpif.keyparse import DuplicateAttribute, parse_key, wrong_term
from fastpath.errors import FastpathError, ParseError
from fastpath.vswitchd.commands.command import MANY, Command, CommandError
from fastpath.vswitchd.devices import Dummy

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon

MAX_FRAME = 0xFFFF
MIN_FRAME = 14                  # shorter packets are no Ethernet frames


def receive(daemon: Daemon, args: list[str]) -> None:
    """Let packets come in by a device: hexadecimal bytes, or datapath keys that they are made of."""
    device = _device(daemon, args[0])
    at, queue = 1, 0
    if args[1] == "--qid":
        if len(args) < 4 or not args[2].isdecimal():
            raise CommandError("bad rx queue id.")
        queue = int(args[2])
        if queue >= device.n_rx:
            raise CommandError("bad rx queue id.")
        at = 3
    frames = []
    while at < len(args):
        text, size = args[at], None
        if at + 2 < len(args) and args[at + 1] == "--len":
            size = _length(args[at + 2])
            at += 2
        frames.append(_frame(text, size))
        at += 1
    for frame in frames:
        if len(frame) > MAX_FRAME:          # more than any device takes
            continue
        device.receive(frame, queue)
        daemon.move()


def _length(text: str) -> int:
    if not text.isdecimal() or int(text) < MIN_FRAME:
        raise CommandError("too small packet len")
    return int(text)


def _frame(text: str, size: int | None) -> bytes:
    """A frame from its hexadecimal bytes, or from a key, then *size* bytes long."""
    try:
        frame = bytes.fromhex(text)
    except ValueError:
        frame = b""
    if not frame:
        try:
            key, _mask = parse_key(text)
        except DuplicateAttribute as error:
            raise CommandError(str(error)) from None
        except ParseError:
            raise CommandError(f"syntax error at {text[wrong_term(text):]}") from None
        return _composed(key, size)
    if len(frame) < MIN_FRAME:
        raise CommandError(f"syntax error at {text}")
    return frame


def _composed(key: FlowKey, size: int | None) -> bytes:
    if size is not None and size > MAX_FRAME:
        return bytes(MAX_FRAME + 1)             # longer than any device takes
    try:
        return compose(key) if size is None else compose_sized(key, size)
    except ValueError:
        raise CommandError("too small packet len") from None


def _device(daemon: Daemon, name: str) -> Dummy:
    found = daemon.devices.dummies().get(name)
    if found is None:
        raise CommandError("no such dummy netdev")
    return found


def set_admin_state(daemon: Daemon, args: list[str]) -> str:
    """Take a device up or down, or all."""
    state = args[-1]
    if state not in ("up", "down"):
        raise CommandError("Invalid Admin State")
    dummies = daemon.devices.dummies()
    if len(args) == 2 and args[0] not in dummies:
        raise CommandError("Unknown Dummy Interface")
    for device in [dummies[args[0]]] if len(args) == 2 else list(dummies.values()):
        device.is_up = state == "up"
        daemon.set_down(device.name, not device.is_up)
    daemon.status_due()
    return "OK"


def conn_state(daemon: Daemon, args: list[str]) -> str:
    """How the streams of devices stand; those of a listener are not told."""
    linked = {name: "connected" if dummy.links.is_connected else "disconnected"
              for name, dummy in daemon.devices.dummies().items()
              if dummy.links is not None and not dummy.links.is_passive}
    if args:
        return f"{args[0]}: {linked.get(args[0], 'unknown')}"
    return "".join(f"{name}: {state}\n" for name, state in sorted(linked.items()))


def add_ip4(daemon: Daemon, args: list[str]) -> str:
    """Give a device an IPv4 address."""
    return _add_address(daemon, args, "IP")


def add_ip6(daemon: Daemon, args: list[str]) -> str:
    """Give a device an IPv6 address."""
    return _add_address(daemon, args, "IPv6")


def _add_address(daemon: Daemon, args: list[str], kind: str) -> str:
    found = daemon.devices.dummies().get(args[0])
    if found is None:
        raise CommandError("Unknown Dummy Interface")
    try:
        found.add_address(args[1])
    except FastpathError:
        raise CommandError(f"{args[1]}: invalid {kind} address") from None
    return "OK"


COMMANDS = (
    Command("netdev-dummy/conn-state", "[netdev]", 0, 1, conn_state),
    Command("netdev-dummy/ip4addr", "[netdev] ipaddr/mask-prefix-len", 2, 2, add_ip4),
    Command("netdev-dummy/ip6addr", "[netdev] ip6addr", 2, 2, add_ip6),
    Command("netdev-dummy/receive", "name [--qid queue_id] packet|flow [--len packet_len]", 2, MANY, receive),
    Command("netdev-dummy/set-admin-state", "[netdev] up|down", 1, 2, set_admin_state),
)
