"""A switch made up for answering a question: rules from a file, and memory ports for them to name."""

from __future__ import annotations

from collections.abc import Iterable

from fastpath.bridge import Bridge
from fastpath.cli.prelude import NONE, Prelude, placed
from fastpath.errors import ConfigError
from fastpath.io.textfile import read_text
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.flow_mod import FlowMod
from fastpath.ofproto.flow_text import parse_flows
from fastpath.ofproto.group_text import parse_group_mods
from fastpath.ofproto.xlate.context import OFPP_MAX
from fastpath.switch import Switch

MAX_PORTS = 1024            # a rule that names a higher number does not make that many ports


def ports_named(mods: Iterable[FlowMod]) -> set[int]:
    """Numbers of ordinary ports that rules match or send to."""
    found: set[int] = set()
    for mod in mods:
        if mod.match.mask.in_port:
            found.add(mod.match.key.in_port)
        found.update(_ports_of(mod.actions))
    return {number for number in found if 0 < number < OFPP_MAX}


def _ports_of(actions: Iterable[Action]) -> set[int]:
    found: set[int] = set()
    for action in actions:
        port = getattr(action, "port", None)
        if isinstance(port, int):
            found.add(port)
        found |= _ports_of(getattr(action, "actions", ()))
    return found


def ports_of_groups(prelude: Prelude) -> set[int]:
    """Numbers of ordinary ports that groups send to or watch; as the rules do."""
    found: set[int] = set()
    for place, text in prelude.groups:
        with placed(place):
            for gm in parse_group_mods([text]):
                for bucket in gm.buckets:
                    found |= _ports_of(bucket.actions) | {bucket.watch_port}
    return {number for number in found if 0 < number < OFPP_MAX}


def build(switch: Switch, flows: str, *, n_ports: int, in_port: int = 1, prelude: Prelude = NONE) -> Bridge:
    """A bridge with the rules of file *flows* and memory ports p1, p2, ...: *n_ports* of them at least,
    and every number the rules, the groups or *in_port* name."""
    if not 0 < in_port <= MAX_PORTS:
        raise ConfigError(f"--in-port {in_port}: not between 1 and {MAX_PORTS}")
    if not 0 < n_ports <= MAX_PORTS:
        raise ConfigError(f"--ports {n_ports}: not between 1 and {MAX_PORTS}")
    source = read_text(flows)
    mods = parse_flows(source.splitlines(), name=flows)
    bridge = switch.add_bridge("br0")
    for number in sorted({*range(1, n_ports + 1), in_port, *ports_named(mods), *ports_of_groups(prelude)}):
        bridge.add_port(f"p{number}", number=number)
    prelude.add_to(bridge)
    bridge.add_flows(mods)
    return bridge
