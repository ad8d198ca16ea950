"""The verbs of ``fastpath dpctl`` over the kernel's datapaths: what each asks and prints.

Names, text and messages are those of ovs-dpctl.  What a verb prints is returned, so that it can be compared.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fastpath.dpif.actions import Drop, OdpActions
from fastpath.dpif.keyparse import parse_key
from fastpath.dpif.netlink import conntrack
from fastpath.dpif.netlink.actions import encode_actions
from fastpath.dpif.netlink.kernel import OMIT, DpInfo, FlowInfo, Kernel, VportInfo, read_flow
from fastpath.dpif.netlink.key import decode_key, decode_mask, encode_key, encode_mask
from fastpath.dpif.netlink.provider import PER_CPU_PID
from fastpath.dpif.netlink.text import format_kernel_flow, parse_ufid
from fastpath.dpif.odptext import format_actions, parse_actions
from fastpath.errors import (
    DatapathError,
    ExistsError,
    FastpathError,
    NotFoundError,
    ParseError,
    PrivilegeError,
)
from fastpath.io import link
from fastpath.io.genl import Reply, Request
from fastpath.io.vport import KINDS
from fastpath.ofproto.match import Match
from fastpath.runtime.clock import RealClock
from fastpath.value import value

_COUNTERS = Path("/sys/class/net")
_EXACT_PORT = 0xFFFFFFFF
_DEFAULT_ZONE = -1


class CommandError(FastpathError):
    """A command that failed: its messages, a line each, and what it had printed before."""

    def __init__(self, *lines: str, printed: str = "") -> None:
        super().__init__("\n".join(lines))
        self.printed = printed


@value
class Options:
    """Options, as given anywhere among the words."""

    statistics: bool = False
    more: bool = False
    names: bool | None = None
    may_create: bool = False
    clear: bool = False


def reason(error: FastpathError | int) -> str:
    """What strerror says of an error."""
    if isinstance(error, int):
        return os.strerror(error)
    if isinstance(error, DatapathError):
        return os.strerror(error.errno)
    kinds = {NotFoundError: errno.ENODEV, ExistsError: errno.EEXIST, PrivilegeError: errno.EPERM}
    return os.strerror(kinds.get(type(error), errno.EINVAL))


def split_name(name: str) -> str:
    """The name of a datapath without its type."""
    kind, at, rest = name.partition("@")
    if at and kind not in ("system", ""):
        raise CommandError(f"opening datapath {name} failed ({os.strerror(errno.EAFNOSUPPORT)})")
    return rest if at else name


def open_dp(kernel: Kernel, name: str, *, message: str = "opening datapath") -> DpInfo:
    """The datapath called *name*."""
    try:
        return kernel.dp_get(split_name(name))
    except FastpathError as error:
        if isinstance(error, CommandError):
            raise
        raise CommandError(f"{message} ({reason(error)})") from None


def chosen_dp(kernel: Kernel, words: list[str], least: int) -> DpInfo:
    """The datapath that a verb means: the first word if there are more than *least* and it names one, else
    the only one there is.  Takes the word away."""
    there = kernel.dp_dump()
    if len(words) > least:
        name = words[0].partition("@")[2] or words[0]
        found = next((dp for dp in there if dp.name == name), None)
        if found is not None:
            words.pop(0)
            return found
        if least or words[0].partition("=")[1] == "":
            raise CommandError(f"datapath not found ({os.strerror(errno.EINVAL)})")
    if len(there) == 1:
        return there[0]
    said = "no datapaths exist" if not there else "multiple datapaths, specify one"
    raise CommandError(said, f"datapath not found ({os.strerror(errno.EINVAL)})")


# -- datapaths and ports ----------------------------------------------------------------------------------

def add_dp(kernel: Kernel, words: list[str], options: Options) -> str:
    """Make a datapath, with ports."""
    name = words.pop(0)
    try:
        kernel.dp_new(split_name(name))
    except FastpathError as error:
        if not (options.may_create and isinstance(error, ExistsError)):
            raise CommandError(f"add_dp ({reason(error)})") from None
    return add_if(kernel, [name, *words], options) if words else ""


def del_dp(kernel: Kernel, words: list[str], options: Options) -> str:
    """Remove a datapath."""
    dp = open_dp(kernel, words[0])
    kernel.dp_del(dp.index, dp.name)
    return ""


def dump_dps(kernel: Kernel, words: list[str], options: Options) -> str:
    """Names of all datapaths."""
    return "".join(f"system@{dp.name}\n" for dp in sorted(kernel.dp_dump(), key=lambda dp: dp.name))


def add_if(kernel: Kernel, words: list[str], options: Options) -> str:
    """Add ports to a datapath."""
    dp = open_dp(kernel, words[0])
    errors = [said for spec in words[1:] if (said := _add_port(kernel, dp, spec))]
    if errors:
        raise CommandError(*errors)
    return ""


def _add_port(kernel: Kernel, dp: DpInfo, spec: str) -> str:
    """What is wrong with a port that was to be added, "" if it was."""
    name, *terms = spec.split(",")
    given = dict(term.partition("=")[::2] for term in terms)
    kind, number = given.get("type", "system"), given.get("port_no")
    kind = "netdev" if kind == "system" else kind
    if kind not in KINDS:
        return f"{name}: failed to open network device ({os.strerror(errno.EAFNOSUPPORT)})"
    if kind == "netdev" and name not in link.names():
        return f"{name}: failed to open network device ({os.strerror(errno.ENODEV)})"
    dst_port = int(given.get("dst_port", {"vxlan": 4789, "geneve": 6081}.get(kind, 0)))
    try:
        kernel.vport_new(dp.index, name, kind, number=int(number) if number else None, dst_port=dst_port)
        if kind == "netdev":
            link.configure(name, up=True)
    except FastpathError as error:
        return f"adding {name} to {dp.name} failed ({reason(error)})"
    return ""


def del_if(kernel: Kernel, words: list[str], options: Options) -> str:
    """Remove ports, by name or number."""
    dp = open_dp(kernel, words[0])
    errors = []
    for name in words[1:]:
        number = int(name) if name.isdecimal() else None
        try:
            if number is None:
                number = kernel.vport_get(dp.index, name=name).number
        except FastpathError:
            errors.append(f"no port named {name}")
            continue
        try:
            kernel.vport_del(dp.index, number)
        except FastpathError as error:
            errors.append(f"deleting port {name} from {dp.name} failed ({reason(error)})")
    if errors:
        raise CommandError(*errors)
    return ""


def show(kernel: Kernel, words: list[str], options: Options) -> str:
    """Datapaths with their ports and counters."""
    out, errors = "", []
    for name in words or sorted(dp.name for dp in kernel.dp_dump()):
        try:
            dp = kernel.dp_get(split_name(name))
        except FastpathError as error:
            errors.append(f"opening datapath {name} failed ({reason(error)})")
            continue
        out += "".join(f"{line}\n" for line in _show(kernel, dp, options))
    if errors:
        raise CommandError(*errors, printed=out)
    return out


def _show(kernel: Kernel, dp: DpInfo, options: Options) -> Iterator[str]:
    n_packets = dp.n_hit + dp.n_missed
    yield f"system@{dp.name}:"
    yield f"  lookups: hit:{dp.n_hit} missed:{dp.n_missed} lost:{dp.n_lost}"
    yield f"  flows: {dp.n_flows}"
    yield (f"  masks: hit:{dp.n_mask_hit} total:{dp.n_masks} "
           f"hit/pkt:{dp.n_mask_hit / n_packets if n_packets else 0:.2f}")
    if dp.n_cache_hit:
        yield f"  cache: hit:{dp.n_cache_hit} hit-rate:{100 * dp.n_cache_hit / max(1, n_packets):.2f}%"
    yield from _caches(dp)
    for port in kernel.vport_dump(dp.index):
        kind = "" if port.type == "netdev" else f" ({_kind(port)})"
        yield f"  port {port.number}: {port.name}{kind}"
        if options.statistics:
            yield from _counters(port)


def _kind(port: VportInfo) -> str:
    if port.type in ("vxlan", "geneve", "gre"):
        default = {"vxlan": 4789, "geneve": 6081}.get(port.type, 0)
        own = f"dst_port={port.dst_port}, " if port.dst_port != default else ""
        return f"{port.type}: {own}packet_type=ptap"
    return port.type


def _caches(dp: DpInfo) -> Iterator[str]:
    if dp.cache_size is not None:
        yield "  caches:"
        yield f"    masks-cache: size:{dp.cache_size}"


def _counters(port: VportInfo) -> Iterator[str]:
    rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped = port.stats
    rx_packets = _counter(port, "rx_packets", rx_packets)
    tx_packets = _counter(port, "tx_packets", tx_packets)
    rx_bytes, tx_bytes = _counter(port, "rx_bytes", rx_bytes), _counter(port, "tx_bytes", tx_bytes)
    more = {name: _counter(port, name, 0) for name in (
        "rx_over_errors", "rx_frame_errors", "tx_aborted_errors", "tx_carrier_errors", "collisions")}
    yield (f"    RX packets:{rx_packets} errors:{rx_errors} dropped:{rx_dropped} "
           f"overruns:{more['rx_over_errors']} frame:{more['rx_frame_errors']}")
    yield (f"    TX packets:{tx_packets} errors:{tx_errors} dropped:{tx_dropped} "
           f"aborted:{more['tx_aborted_errors']} carrier:{more['tx_carrier_errors']}")
    yield f"    collisions:{more['collisions']}"
    yield f"    RX bytes:{_human(rx_bytes)}  TX bytes:{_human(tx_bytes)}"


def _counter(port: VportInfo, name: str, otherwise: int) -> int:
    """The device's own counter, which tells of packets as they were on the wire."""
    with suppress(OSError, ValueError):
        return int((_COUNTERS / port.name / "statistics" / name).read_text())
    return otherwise


def _human(size: int) -> str:
    for limit, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << limit:
            return f"{size} ({size / (1 << limit):.1f} {unit})"
    return str(size)


# -- flows ------------------------------------------------------------------------------------------------

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
        raise CommandError(f"Failed to parse filter ({error}) ({os.strerror(errno.EINVAL)})") from None


def _is_in(flow: FlowInfo, match: Match) -> bool:
    key = decode_key(flow.key)
    return key.masked(decode_mask(flow.mask, key)).matches(match.key, match.mask)


def add_flow(kernel: Kernel, words: list[str], options: Options) -> str:
    """Install a flow."""
    return _put(kernel, words, options, modify=False)


def mod_flow(kernel: Kernel, words: list[str], options: Options) -> str:
    """Give a flow other actions."""
    return _put(kernel, words, options, modify=True)


def _put(kernel: Kernel, words: list[str], options: Options, *, modify: bool) -> str:
    dp = chosen_dp(kernel, words, 2)
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
        raise CommandError(f"parsing flow ufid ({os.strerror(errno.EINVAL)})")
    return ufid, rest


def _key(text: str, ports: dict[str, int]) -> tuple[bytes, bytes]:
    try:
        key, mask = parse_key(text, ports)
    except ParseError as error:
        said = f"syntax error at {text[text.rfind(',') + 1:]}" if "unknown" in str(error) else str(error)
        raise CommandError(f"parsing flow key ({said}) ({os.strerror(errno.EINVAL)})") from None
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
        raise CommandError(f"parsing actions ({os.strerror(errno.EINVAL)})") from None


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
        raise CommandError(f"parsing flow ufid ({os.strerror(errno.EINVAL)})")
    reply, = _carry_out(kernel, [kernel.flow_get(dp.index, ufid, omit=0)], "getting flow")
    names = _names(kernel, dp) if _with_names(options) else None
    return format_kernel_flow(read_flow(reply.bodies[0][1]), RealClock().now(), names,
                              verbose=options.more) + "\n"


def del_flow(kernel: Kernel, words: list[str], options: Options) -> str:
    """Remove a flow, by its name or its key."""
    dp = chosen_dp(kernel, words, 1)
    ports = {name: number for number, name in _names(kernel, dp).items()}
    ufid, text = _take_ufid(words[0])
    data = _key(text, ports)[0] if text or not ufid else b""
    request = kernel.flow_del(dp.index, ufid, key=data, omit=OMIT)
    reply, = _carry_out(kernel, [request], "deleting flow", "Perhaps you need to specify a UFID?\n")
    if options.statistics and reply.bodies:
        flow = read_flow(reply.bodies[0][1])
        return f"packets:{flow.n_packets}, bytes:{flow.n_bytes}, used:never\n"
    return ""


def del_flows(kernel: Kernel, words: list[str], options: Options) -> str:
    """Remove all flows of a datapath."""
    kernel.flow_flush(chosen_dp(kernel, words, 0).index)
    return ""


def show_actions(kernel: Kernel, words: list[str], options: Options) -> str:
    """Actions as they are printed."""
    try:
        return format_actions(parse_actions(words[-1])) + "\n"
    except ParseError:
        raise CommandError(f"Parsing actions ({os.strerror(errno.EINVAL)})") from None


# -- caches and conntrack ---------------------------------------------------------------------------------

def cache_get_size(kernel: Kernel, words: list[str], options: Options) -> str:
    """Sizes of a datapath's caches."""
    out = ""
    for name in words or sorted(dp.name for dp in kernel.dp_dump()):
        dp = open_dp(kernel, name)
        out += "".join(f"{line}\n" for line in (f"system@{dp.name}:", *_caches(dp)))
    return out


def cache_set_size(kernel: Kernel, words: list[str], options: Options) -> str:
    """Set the size of a cache."""
    dp = open_dp(kernel, words[0])
    if words[1] != "masks-cache" or not words[2].isdecimal():
        raise CommandError(f"Failed to set cache size ({os.strerror(errno.EINVAL)})")
    try:
        kernel.dp_set(dp.index, dp.name, user_features=dp.features, masks_cache_size=int(words[2]))
    except FastpathError as error:
        raise CommandError(f"Setting cache size failed ({reason(error)})") from None
    return f"Setting cache size successful, new size {words[2]}\n"


def dump_conntrack(kernel: Kernel, words: list[str], options: Options) -> str:
    """Connections that the kernel tracks, of all zones or one."""
    zone = _take_zone(words)
    chosen_dp(kernel, words, 0)
    return "".join(conntrack.format_connection(c, verbose=options.more, statistics=options.statistics) + "\n"
                   for c in conntrack.dump(zone))


def flush_conntrack(kernel: Kernel, words: list[str], options: Options) -> str:
    """Forget connections, of all zones or one."""
    zone = _take_zone(words)
    chosen_dp(kernel, words, 0)
    conntrack.flush(zone)
    return ""


def _take_zone(words: list[str]) -> int | None:
    found = next((word for word in words if word.startswith("zone=")), None)
    if found is None:
        return None
    words.remove(found)
    return _zone(found.removeprefix("zone="))


def ct_get_limits(kernel: Kernel, words: list[str], options: Options) -> str:
    """Limits of conntrack."""
    zones: list[int] = []
    if words and words[-1].startswith("zone="):
        zones = [_zone(text) for text in words.pop().removeprefix("zone=").split(",")]
    dp = chosen_dp(kernel, words, 0)
    found = kernel.ct_limits(dp.index, [_DEFAULT_ZONE, *zones] if zones else [])
    out = "".join(f"default limit={limit}\n" for zone, limit, _ in found if zone == _DEFAULT_ZONE)
    told = {zone: (limit, n) for zone, limit, n in found if zone != _DEFAULT_ZONE}
    return out + "".join(f"zone={zone},limit={told[zone][0]},count={told[zone][1]}\n"
                         for zone in (zones or sorted(told)) if zone in told)


def ct_set_limits(kernel: Kernel, words: list[str], options: Options) -> str:
    """Set limits: ``default=N``, ``zone=Z,limit=N``."""
    wanted: list[tuple[int, int]] = []
    rest = [word for word in words if "=" not in word]
    for word in [word for word in words if "=" in word]:
        given = dict(term.partition("=")[::2] for term in word.split(","))
        if "default" in given:
            wanted.append((_DEFAULT_ZONE, int(given["default"])))
        else:
            wanted.append((_zone(given.get("zone", "")), int(given.get("limit", "0"))))
    dp = chosen_dp(kernel, rest, 0)
    kernel.set_ct_limits(dp.index, wanted)
    return ""


def ct_del_limits(kernel: Kernel, words: list[str], options: Options) -> str:
    """Let zones have the default limit."""
    zones = [_zone(text) for text in words.pop().removeprefix("zone=").split(",")]
    kernel.del_ct_limits(chosen_dp(kernel, words, 0).index, zones)
    return ""


def _zone(text: str) -> int:
    if not text.isdecimal() or int(text) > 0xFFFF:
        raise CommandError(f"failed to parse field zone ({os.strerror(errno.EINVAL)})")
    return int(text)
