"""``dpctl/normalize-actions``: actions in a form in which two lists that do the same are the same text."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from fastpath.dpif.keyparse import parse_key, wrong_term
from fastpath.dpif.normalize import fitness, format_group, format_source, normalize, tags_of
from fastpath.dpif.odptext import format_actions, parse_actions
from fastpath.errors import ParseError
from fastpath.vswitchd.commands.command import MANY, Command, CommandError
from fastpath.vswitchd.commands.dpctl import separated

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon

_EINVAL = os.strerror(errno.EINVAL)


def normalize_actions(daemon: Daemon, args: list[str]) -> str:
    """What is done to the packets of a flow, by the tags they have then; ports may be named."""
    verbose, words = "-m" in args or "--more" in args, [arg for arg in args if arg not in ("-m", "--more")]
    ports = dict(_port(word) for word in words[2:])
    source, text = "".join(words[0].split()), words[1]
    try:
        key, _mask = parse_key(source, ports)
    except ParseError:
        wrong = source[wrong_term(source, ports):]
        raise CommandError(f"ovs-vswitchd: odp_flow_key_from_string (syntax error at {wrong}) ({_EINVAL})"
                           ) from None
    said = f"input flow: {format_source(source)}\n"
    fault = fitness(source)
    if fault:
        raise CommandError(f"{said}ovs-vswitchd: odp_flow_key_to_flow failed (reason unknown) "
                           f"({os.strerror(fault)})")
    try:
        actions = parse_actions(separated(text))
    except ParseError:
        raise CommandError(f"{said}ovs-vswitchd: odp_actions_from_string ({_EINVAL})") from None
    if verbose:
        said += f"input actions: {format_actions(actions)}\n"
    groups = normalize(key, actions)
    if text.strip() == "drop":              # which is an action here
        groups = [(tags_of(key), ())]
    return said + "".join(format_group(key, tags, done) for tags, done in groups)


def _port(text: str) -> tuple[str, int]:
    name, equals, number = text.partition("=")
    if not equals or not number.isdecimal():
        raise CommandError(f"ovs-vswitchd: {text}: expected NAME=NUMBER")
    return name, int(number)


COMMANDS = (Command("dpctl/normalize-actions", "actions", 2, MANY, normalize_actions),)
