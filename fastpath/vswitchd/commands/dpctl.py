"""``dpctl/*``: the datapaths themselves: ports, flows and actions in their own terms."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from fastpath._flow import FlowKey
from fastpath.dpif.actions import OdpActions
from fastpath.dpif.keyparse import DuplicateAttribute, parse_key, wrong_term
from fastpath.dpif.odptext import format_actions, parse_actions
from fastpath.dpif.provider import FlowDel, FlowPut, PortStats
from fastpath.dpif.sourcetext import format_source
from fastpath.dpif.terms import separated, split_attributes
from fastpath.errors import FastpathError, ParseError
from fastpath.ofproto.exact_flow import parse_filter
from fastpath.ofproto.flow_log import format_ufid
from fastpath.ofproto.match import Match
from fastpath.ofproto.views import Megaflow
from fastpath.runtime.log import Level
from fastpath.vswitchd.commands.command import MANY, Command, CommandError
from fastpath.vswitchd.datapaths import Datapath

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon

EXACT_PORT = 0xFFFFFFFF
FLOW_TYPES = ("ovs", "tc", "dpdk", "offloaded", "non-offloaded", "partially-offloaded")
_EINVAL = os.strerror(errno.EINVAL)


def show(daemon: Daemon, args: list[str]) -> str:
    """Ports and counters of all datapaths, or of those named."""
    with_counters, names = "-s" in args, [arg for arg in args if not arg.startswith("-")]
    wanted = [_shown(daemon, name) for name in names] if names else list(daemon.datapaths)
    return "".join(line + "\n" for datapath in wanted for line in _show(daemon, datapath, with_counters))


def _shown(daemon: Daemon, name: str) -> Datapath:
    try:
        return find(daemon, name)
    except CommandError:
        raise CommandError(f"ovs-vswitchd: opening datapath {name} failed ({os.strerror(errno.ENODEV)})"
                           ) from None


def _show(daemon: Daemon, datapath: Datapath, with_counters: bool) -> Iterator[str]:
    counted = datapath.switch.stats().datapath
    yield f"{datapath.type}@{datapath.name}:"
    yield f"  lookups: hit:{counted.n_hit} missed:{counted.n_missed} lost:{counted.n_lost}"
    yield f"  flows: {counted.n_flows}"
    for number, name in sorted(port_names(datapath).items()):
        kind = datapath.type_of(name)
        if config := daemon.devices.config(name):
            kind += f": {config}"
        yield f"  port {number}: {name}" + ("" if kind == "system" else f" ({kind})")
        if with_counters:
            yield from _counters(datapath.switch.dpif.port_stats(number) if number else PortStats())


def _counters(s: PortStats) -> Iterator[str]:
    yield f"    RX packets:{s.rx_packets} errors:? dropped:? overruns:? frame:?"
    yield f"    TX packets:{s.tx_packets} errors:? dropped:? aborted:? carrier:?"
    yield "    collisions:?"
    yield f"    RX bytes:{s.rx_bytes}  TX bytes:{s.tx_bytes}"


def dump_dps(daemon: Daemon, args: list[str]) -> str:
    """Names of all datapaths."""
    return "".join(f"{datapath.type}@{datapath.name}\n" for datapath in daemon.datapaths)


# -- flows ---------------------------------------------------------------------------------------------


def dump_flows(daemon: Daemon, args: list[str]) -> str:
    """All flows of a datapath."""
    options = [arg for arg in args if arg.startswith("-") or "=" in arg]
    verbose = "-m" in options or "--more" in options
    datapath = chosen(daemon, [arg for arg in args if arg not in options])
    wanted, is_ours = _filter(options), _wants_ours(options)
    names = port_names(datapath) if verbose or "--names" in options else None
    lines = [flow_line(datapath, flow, names, verbose) for flow in _flows(datapath)
             if is_ours and (wanted is None or _fits(flow, wanted))]
    return "".join(["flow-dump from the main thread:\n", *(line + "\n" for line in lines)]) if lines else ""


def _filter(options: list[str]) -> Match | None:
    """What flows should be about."""
    text = next((option[7:] for option in options if option.startswith("filter=")), None)
    if text is None:
        return None
    try:
        return parse_filter(text)
    except ParseError as error:
        raise CommandError(f"ovs-vswitchd: Failed to parse filter ({error})") from None


def _fits(flow: Megaflow, wanted: Match) -> bool:
    """Whether packets of a flow may be what is wanted."""
    both = flow.mask.masked(wanted.mask)
    return flow.key.masked(both) == wanted.key.masked(both)


def _wants_ours(options: list[str]) -> bool:
    """Whether flows of the main thread, in no device, are asked for."""
    if any(option.startswith("pmd=") and option != "pmd=-1" for option in options):
        return False
    kinds = next((option[5:].split(",") for option in options if option.startswith("type=")), None)
    for kind in kinds or ():
        if kind not in FLOW_TYPES:
            raise CommandError(f"ovs-vswitchd: Failed to parse type ({kind}) ({_EINVAL})")
    return kinds is None or bool({"ovs", "non-offloaded"} & set(kinds))


def _flows(datapath: Datapath) -> list[Megaflow]:
    """All flows: those ofproto looks after with the whole key of the packet that made them."""
    with datapath.switch.lock:
        known = {flow.ufid: flow for flow in datapath.switch.megaflows()}
        return [known.get(f.ufid) or Megaflow("", f.ufid, f.key, f.mask, f.actions, f.stats)
                for f in datapath.switch.dpif.flow_dump()]


def flow_line(datapath: Datapath, flow: Megaflow, names: dict[int, str] | None, verbose: bool) -> str:
    """One line of dump-flows."""
    text = flow.format(datapath.switch.now, names=names, verbose=verbose)
    if not verbose:
        return text
    head, actions, rest = text.partition(", actions:")
    return f"ufid:{format_ufid(flow.ufid)}, {head}, dp:ovs{actions}{rest}"


def add_flow(daemon: Daemon, args: list[str]) -> None:
    """Install a flow, or give the one that is there other actions."""
    _put(daemon, args, must_exist=False)


def mod_flow(daemon: Daemon, args: list[str]) -> None:
    """Give a flow other actions."""
    _put(daemon, args, must_exist=True)


def _put(daemon: Daemon, args: list[str], *, must_exist: bool) -> None:
    datapath = chosen(daemon, args[:-2])
    key, mask = _key(datapath, args[-2])
    if datapath.is_userspace and "".join(args[-2].split()) and not _names_port(args[-2]):
        what = "put[modify]" if must_exist else "put[create]"
        raise CommandError(f"ovs-vswitchd: updating flow table ({_EINVAL})", (
            "dpif_netdev", Level.ERR, f"failed to {what} flow: in_port is not an exact match"),
            _failed(datapath, what, args[-2], errno.EINVAL, f", actions:{args[-1]}"))
    old = _find(datapath, key, mask)
    actions = _actions(datapath, args[-1])
    if (old is not None) != must_exist:
        reason = os.strerror(errno.ENOENT if must_exist else errno.EEXIST)
        lines = [_missing(datapath, "put[modify]", args[-2], f", actions:{format_actions(actions)}")]
        raise CommandError(f"ovs-vswitchd: updating flow table ({reason})", *(lines if must_exist else ()))
    _operate(datapath, FlowPut(key, mask, actions, None if old is None else old.ufid), "updating flow table")


def add_flows(daemon: Daemon, args: list[str]) -> str:
    """Install, change or remove flows as the lines of a file say: by default install."""
    return _from_file(daemon, args, "add")


def mod_flows(daemon: Daemon, args: list[str]) -> str:
    """The same, but by default change."""
    return _from_file(daemon, args, "modify")


def _from_file(daemon: Daemon, args: list[str], default: str) -> str:
    """What was wrong with the file; lines that make no sense are left out."""
    names, path = args[:-1], Path(args[-1])
    told = ""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        return f'ovs-vswitchd: Opening file "{path}" failed ({error.strerror})'
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        verb = words.pop(0) if words and words[0] in _VERBS else default
        try:
            if words:
                _VERBS[verb](daemon, [*names, *words])
        except (IndexError, ValueError, CommandError):
            told += f"ovs-vswitchd: Failed parsing line number {number}, skipped!\n"
    return told


def del_flow(daemon: Daemon, args: list[str]) -> None:
    """Remove a flow."""
    datapath = chosen(daemon, args[:-1])
    if args[-1].startswith("ufid:"):
        old = _by_ufid(datapath, args[-1])
    else:
        old = _find(datapath, *_key(datapath, args[-1], "syntax error at {}"))
    if old is None:
        raise CommandError(f"ovs-vswitchd: deleting flow ({os.strerror(errno.ENOENT)})\n"
                           "Perhaps you need to specify a UFID?", _missing(datapath, "flow_del", args[-1]))
    _operate(datapath, FlowDel(old.ufid), "deleting flow")


def del_flows(daemon: Daemon, args: list[str]) -> str | None:
    """Remove all flows of a datapath, or those of a file."""
    is_named = bool(args) and is_datapath(daemon, args[0])
    if len(args) > is_named:
        return _from_file(daemon, args, "delete")
    datapath = chosen(daemon, args)
    with datapath.switch.lock:
        datapath.switch.revalidator.delete_all()
        datapath.switch.dpif.flow_flush()
    return None


def get_flow(daemon: Daemon, args: list[str]) -> str:
    """One flow by its handle."""
    datapath = chosen(daemon, args[:-1])
    if not args[-1].startswith("ufid:"):
        return "ovs-vswitchd: parsing flow ufid"
    found = _by_ufid(datapath, args[-1])
    if found is None:
        line = _missing(datapath, "flow_get", args[-1], ", packets:0, bytes:0, used:never")
        raise CommandError(f"ovs-vswitchd: getting flow ({os.strerror(errno.ENOENT)})", line)
    return flow_line(datapath, found, None, verbose=False)


def _names_port(flow: str) -> bool:
    """Whether a key says where packets come from, as a flow of userspace must."""
    return any(name == "in_port" for _at, name, _inside in split_attributes(flow))


def _missing(datapath: Datapath, what: str, flow: str, more: str = "") -> tuple[str, Level, str]:
    """What is logged of a flow that is not there."""
    return _failed(datapath, what, flow, errno.ENOENT, more)


def _failed(datapath: Datapath, what: str, flow: str, number: int, more: str) -> tuple[str, Level, str]:
    """What is logged of a flow, named by its handle or by its key, that something could not be done with."""
    source, key = "".join(flow.split()), "<empty>"
    if source.startswith("ufid:"):
        name = source
    else:
        name, key = f"ufid:{format_ufid(crc32(source.encode()))}", format_source(source)
    return ("dpif", Level.WARN, f"{datapath.type}@{datapath.name}: failed to {what} "
                                f"({os.strerror(number)}) {name} {key}{more}")


def _by_ufid(datapath: Datapath, text: str) -> Megaflow | None:
    digits = text.removeprefix("ufid:").replace("-", "")
    try:
        ufid = int(digits, 16)
    except ValueError:
        raise CommandError("ovs-vswitchd: parsing flow key (Invalid argument)") from None
    return next((flow for flow in _flows(datapath) if flow.ufid == ufid), None)


def _find(datapath: Datapath, key: FlowKey, mask: FlowKey) -> Megaflow | None:
    """The flow of exactly this match."""
    wanted = key.masked(mask), mask
    return next((flow for flow in _flows(datapath) if (flow.key.masked(flow.mask), flow.mask) == wanted),
                None)


def _key(datapath: Datapath, text: str, fault: str = "parsing flow key (syntax error at {})"
         ) -> tuple[FlowKey, FlowKey]:
    ports = {name: n for n, name in port_names(datapath).items()}
    try:
        key, mask = parse_key(text, ports)
    except DuplicateAttribute:
        raise CommandError(f"ovs-vswitchd: updating flow table ({_EINVAL})") from None
    except ParseError:
        wrong = text[wrong_term(text, ports):]
        raise CommandError(f"ovs-vswitchd: {fault.format(wrong)} ({_EINVAL})") from None
    mask.in_port = mask.recirc_id = EXACT_PORT
    return key, mask


def _actions(datapath: Datapath, text: str) -> OdpActions:
    try:
        return parse_actions(separated(text), {name: n for n, name in port_names(datapath).items()})
    except ParseError:
        raise CommandError("ovs-vswitchd: parsing actions (Invalid argument)") from None


def _operate(datapath: Datapath, operation: FlowPut | FlowDel, what: str) -> None:
    with datapath.switch.lock:
        (result,) = datapath.switch.dpif.operate([operation])
    if isinstance(result, FastpathError):
        raise CommandError(f"ovs-vswitchd: {what} ({result})")


def show_actions(daemon: Daemon, args: list[str]) -> str:
    """Actions as the datapath prints them."""
    try:
        return format_actions(parse_actions(separated(args[0])))
    except ParseError:
        raise CommandError("ovs-vswitchd: odp_actions_from_string (Invalid argument)") from None


# -- datapaths -----------------------------------------------------------------------------------------


def port_names(datapath: Datapath) -> dict[int, str]:
    """Names of the ports by their numbers."""
    return {0: datapath.name, **{number: name for name, number in datapath.ports.items()}}


def find(daemon: Daemon, name: str) -> Datapath:
    """The datapath called ``type@name`` or ``name``."""
    kind, at, own = name.partition("@")
    for datapath in daemon.datapaths:
        if (datapath.type, datapath.name) == (kind, own) or (not at and datapath.name == name):
            return datapath
    raise CommandError("ovs-vswitchd: datapath not found (Invalid argument)")


def is_datapath(daemon: Daemon, name: str) -> bool:
    """Whether a datapath goes by *name*."""
    return any(name in (d.name, f"{d.type}@{d.name}") for d in daemon.datapaths)


def chosen(daemon: Daemon, names: list[str]) -> Datapath:
    """The datapath named, or the only one there is."""
    if names:
        return find(daemon, names[0])
    every = list(daemon.datapaths)
    if len(every) != 1:
        why = "multiple datapaths, specify one" if every else "no datapaths exist"
        raise CommandError(f"ovs-vswitchd: {why}\novs-vswitchd: datapath not found (Invalid argument)")
    return every[0]


_VERBS = {"add": add_flow, "modify": mod_flow, "delete": del_flow}


def list_commands(daemon: Daemon, args: list[str]) -> str:
    """All of dpctl's."""
    from fastpath.vswitchd.commands import COMMANDS as every
    lines = [f"  {c.name:<28}  {c.usage}" for c in every if c.name.startswith("dpctl/")]
    return "".join(line + "\n" for line in ["The available commands are:", *sorted(lines)])


COMMANDS = (
    Command("dpctl/add-flow", "[dp] flow actions", 2, 3, add_flow),
    Command("dpctl/add-flows", "[dp] file", 1, 2, add_flows),
    Command("dpctl/del-flow", "[dp] flow", 1, 2, del_flow),
    Command("dpctl/del-flows", "[dp] [file]", 0, 2, del_flows),
    Command("dpctl/dump-dps", "", 0, 0, dump_dps),
    Command("dpctl/dump-flows", "[-m] [--names] [dp] [filter=..] [type=..] [pmd=..]", 0, 6, dump_flows),
    Command("dpctl/get-flow", "[dp] ufid", 1, 2, get_flow),
    Command("dpctl/list-commands", "", 0, MANY, list_commands),
    Command("dpctl/mod-flow", "[dp] flow actions", 2, 3, mod_flow),
    Command("dpctl/mod-flows", "[dp] file", 1, 2, mod_flows),
    Command("dpctl/parse-actions", "actions", 1, MANY, show_actions),
    Command("dpctl/show", "[-s] [dp...]", 0, MANY, show),
)
