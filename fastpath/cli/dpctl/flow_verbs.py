"""The verbs of ``fastpath dpctl`` about the flows of the kernel's datapaths."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from fastpath.cli.dpctl.verbs import Every, chosen_dp
from fastpath.dpif import normalize
from fastpath.dpif.actions import Drop, OdpActions
from fastpath.dpif.keyparse import parse_key
from fastpath.dpif.netlink.actions import encode_actions
from fastpath.dpif.netlink.kernel import OMIT, DpInfo, FlowInfo, Kernel, read_flow
from fastpath.dpif.netlink.key import decode_key, decode_mask, encode_key, encode_mask
from fastpath.dpif.netlink.provider import PER_CPU_PID
from fastpath.dpif.netlink.text import format_kernel_flow, parse_ufid
from fastpath.dpif.netlink.verb import CommandError, Options
from fastpath.dpif.odptext import format_actions, parse_actions
from fastpath.dpif.terms import separated
from fastpath.errors import FastpathError, ParseError
from fastpath.io.genl import Reply, Request
from fastpath.ofproto.match import Match
from fastpath.runtime.clock import RealClock

_EXACT_PORT = 0xFFFFFFFF
_EINVAL = os.strerror(errno.EINVAL)


def _names(kernel: Kernel, dp: DpInfo) -> dict[int, str]:
    return {port.number: port.name for port in kernel.vport_dump(dp.index)}


def _with_names(options: Options) -> bool:
    return options.more if options.names is None else options.names


def dump_flows(kernel: Kernel, words: list[str], options: Options) -> str:
    """All flows of a datapath, or those a filter matches."""
    chosen = [word for word in words if word.startswith(("filter=", "type=", "pmd="))]
    rest = [word for word in words if word not in chosen]
    for word in chosen:
        if not word.startswith("filter="):
            kind = word.partition("=")[0]
            raise CommandError(f"Invalid argument '{kind}'. Use 'ovs-appctl dpctl/dump-flows' instead.")
    dp = chosen_dp(kernel, rest, 0)
    names = _names(kernel, dp)
    match = _filter(chosen[0].partition("=")[2], names) if chosen else None
    now = RealClock().now()
    shown = names if _with_names(options) else None
    return "".join(format_kernel_flow(flow, now, shown, verbose=options.more) + "\n"
                   for flow in kernel.flow_dump(dp.index) if match is None or _is_in(flow, match))


def _filter(text: str, names: dict[int, str]) -> Match:
    try:
        return Match.parse(text, ports={name: number for number, name in names.items()})
    except ParseError as error:
        raise CommandError(f"Failed to parse filter ({error}) ({_EINVAL})") from None


def _is_in(flow: FlowInfo, match: Match) -> bool:
    """Whether packets of a flow may be what is wanted."""
    key = decode_key(flow.key)
    both = decode_mask(flow.mask, key).masked(match.mask)
    return key.masked(both) == match.key.masked(both)


def add_flow(kernel: Kernel, words: list[str], options: Options) -> str:
    """Install a flow."""
    return _put(kernel, words, options, modify=False)


def mod_flow(kernel: Kernel, words: list[str], options: Options) -> str:
    """Give a flow other actions."""
    return _put(kernel, words, options, modify=True)


def _put(kernel: Kernel, words: list[str], options: Options, *, modify: bool) -> str:
    dp = chosen_dp(kernel, words, 2)
    return _put_in(kernel, dp, words, options, modify=modify)


def _put_in(kernel: Kernel, dp: DpInfo, words: list[str], options: Options, *, modify: bool) -> str:
    ports = {name: number for number, name in _names(kernel, dp).items()}
    ufid, text = _take_ufid(words[0])
    data, mask = _key(text, ports)
    request = kernel.flow_put(dp.index, ufid, data, mask, _actions(words[1], ports), modify=modify,
                              create=not modify or options.may_create, clear=options.clear)
    _carry_out(kernel, [request], "updating flow table")
    return ""


def _take_ufid(text: str) -> tuple[bytes, str]:
    """The name a flow's text begins with, b"" for none, and the rest."""
    if not text.startswith("ufid:"):
        return b"", text
    head, _, rest = text.partition(",")
    ufid = parse_ufid(head)
    if ufid is None:
        raise CommandError(f"parsing flow ufid ({_EINVAL})")
    return ufid, rest


def _key(text: str, ports: dict[str, int]) -> tuple[bytes, bytes]:
    try:
        key, mask = parse_key(text, ports)
    except ParseError as error:
        said = f"syntax error at {text[text.rfind(',') + 1:]}" if "unknown" in str(error) else str(error)
        raise CommandError(f"parsing flow key ({said}) ({_EINVAL})") from None
    if "eth(" not in text:
        key.packet_type = 1 << 16 | key.dl_type
    if "in_port(" not in text:
        key.in_port = _EXACT_PORT
    return encode_key(key), encode_mask(key, mask)


def _actions(text: str, ports: dict[str, int]) -> bytes:
    try:
        parsed: OdpActions = (Drop(0),) if text.strip() == "drop" else parse_actions(text, ports)
        return encode_actions(parsed, PER_CPU_PID, drops=True)
    except FastpathError:
        raise CommandError(f"parsing actions ({_EINVAL})") from None


def _carry_out(kernel: Kernel, requests: list[Request], what: str, printed: str = "") -> list[Reply]:
    replies = kernel.transact(requests)
    for reply in replies:
        if reply.error:
            raise CommandError(f"{what} ({os.strerror(reply.error)})", printed=printed)
    return replies


def get_flow(kernel: Kernel, words: list[str], options: Options) -> str:
    """One flow by its name."""
    dp = chosen_dp(kernel, words, 1)
    ufid = parse_ufid(words[0])
    if ufid is None:
        raise CommandError(f"parsing flow ufid ({_EINVAL})")
    reply, = _carry_out(kernel, [kernel.flow_get(dp.index, ufid, omit=0)], "getting flow")
    names = _names(kernel, dp) if _with_names(options) else None
    return format_kernel_flow(read_flow(reply.bodies[0][1]), RealClock().now(), names,
                              verbose=options.more) + "\n"


def del_flow(kernel: Kernel, words: list[str], options: Options) -> str:
    """Remove a flow, by its name or its key."""
    return _del_in(kernel, chosen_dp(kernel, words, 1), words, options)


def _del_in(kernel: Kernel, dp: DpInfo, words: list[str], options: Options) -> str:
    ports = {name: number for number, name in _names(kernel, dp).items()}
    ufid, text = _take_ufid(words[0])
    data = _key(text, ports)[0] if text or not ufid else b""
    request = kernel.flow_del(dp.index, ufid, key=data, omit=OMIT)
    reply, = _carry_out(kernel, [request], "deleting flow", "Perhaps you need to specify a UFID?\n")
    if options.statistics and reply.bodies:
        flow = read_flow(reply.bodies[0][1])
        return f"packets:{flow.n_packets}, bytes:{flow.n_bytes}, used:never\n"
    return ""


def add_flows(kernel: Kernel, words: list[str], options: Options) -> str:
    """Install, change or remove flows as the lines of a file say: by default install."""
    return _from_file(kernel, words, options, "add")


def mod_flows(kernel: Kernel, words: list[str], options: Options) -> str:
    """The same, but by default change."""
    return _from_file(kernel, words, options, "modify")


def del_flows(kernel: Kernel, words: list[str], options: Options) -> str:
    """Remove all flows of a datapath, or those of a file."""
    names = {name for dp in kernel.dp_dump() for name in (dp.name, f"system@{dp.name}")}
    if len(words) == 2 or (words and words[0] not in names):
        return _from_file(kernel, words, options, "delete")
    kernel.flow_flush(Every(kernel).opened(words, 1).index)
    return ""


def _from_file(kernel: Kernel, words: list[str], options: Options, default: str) -> str:
    """Carry out the lines of the file that is the last word.  What is wrong with them is told, and all that
    is: the status is that of success, as with the reference."""
    path = words.pop()
    try:
        lines = (sys.stdin.read() if path == "-" else Path(path).read_text()).splitlines()
    except OSError as error:
        raise CommandError(f'Opening file "{path}" failed ({error.strerror})', status=0) from None
    dp = Every(kernel).opened(words, 3)
    errors, printed = list[str](), ""
    for number, line in enumerate(lines, 1):
        given = line.partition("#")[0].split(None, 1)
        verb = default
        if given and given[0] in ("add", "modify", "delete"):
            verb, given = given[0], given[1].split(None, 1) if len(given) > 1 else []
        if not given and not line.partition("#")[0].strip():
            continue
        try:
            _carry_out_line(kernel, dp, verb, given, options)
        except IndexError:
            errors.append(f"Failed parsing line number {number}, skipped!")
        except FastpathError as error:
            errors += str(error).splitlines()
            printed += error.printed if isinstance(error, CommandError) else ""
    if errors:
        raise CommandError(*errors, printed=printed, status=0)
    return ""


def _carry_out_line(kernel: Kernel, dp: DpInfo, verb: str, words: list[str], options: Options) -> None:
    if verb == "delete":
        _del_in(kernel, dp, [words[0]], options)
    else:
        _put_in(kernel, dp, [words[0], words[1]], options, modify=verb == "modify")


def show_actions(words: list[str], options: Options) -> str:
    """Actions as they are printed."""
    out = ""
    for word in words:
        try:
            out += format_actions(parse_actions(separated(word))) + "\n"
        except ParseError:
            raise CommandError(f"odp_actions_from_string ({_EINVAL})", printed=out) from None
    return out


def normalize_actions(words: list[str], options: Options) -> str:
    """What actions do to the packets of a flow, by the tags they have then."""
    printed, wrong = normalize.tell(words, verbose=options.more, max_tags=2)
    if wrong:
        raise CommandError(wrong, printed=printed)
    return printed
