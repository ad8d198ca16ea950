"""The verbs of ``fastpath dpctl`` over the kernel's datapaths: what each asks and prints.

Names, text and messages are those of ovs-dpctl.  What a verb prints is returned, so that it can be compared.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fastpath.dpif.netlink import tunnel_device
from fastpath.dpif.netlink.kernel import DpInfo, Kernel, VportInfo
from fastpath.dpif.netlink.verb import CommandError, Options, reason
from fastpath.errors import ExistsError, FastpathError
from fastpath.io import link
from fastpath.io.vport import KINDS, LINK_KINDS, TUNNEL_KINDS

_COUNTERS = Path("/sys/class/net")


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


class Every:
    """The kernel's datapaths, whoever made them."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def names(self, word: str) -> bool:
        """Whether *word* is the name of one, with its type or without."""
        return any(word in (dp.name, f"system@{dp.name}") for dp in self.kernel.dp_dump())

    def opened(self, words: list[str], most: int) -> DpInfo:
        """The datapath that *words* name, or the only one; of a type only the name counts."""
        there = self.kernel.dp_dump()
        name = words[0].partition("@")[2] or words[0] if words else ""
        found = next((dp for dp in there if dp.name == name), None)
        if found is not None:
            words.pop(0)
            return found
        if len(words) != most and len(there) == 1:
            return there[0]
        said = [] if len(words) == most else [
            "no datapaths exist" if not there else "multiple datapaths, specify one"]
        raise CommandError(*said, f"datapath not found ({os.strerror(errno.EINVAL)})")


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
        if kind in LINK_KINDS:
            tunnel_device.make(name, kind)
        kernel.vport_new(dp.index, name, "netdev" if kind in LINK_KINDS else kind,
                         number=int(number) if number else None, dst_port=dst_port)
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
        number, own_name = int(name) if name.isdecimal() else None, name
        try:
            if number is None:
                number = kernel.vport_get(dp.index, name=name).number
        except FastpathError:
            errors.append(f"no port named {name}")
            continue
        try:
            if name.isdecimal():
                own_name = kernel.vport_get(dp.index, number=number).name
            kernel.vport_del(dp.index, number)
            tunnel_device.remove_of(own_name)
        except FastpathError as error:
            errors.append(f"deleting port {name} from {dp.name} failed ({reason(error)})")
    if errors:
        raise CommandError(*errors)
    return ""


def set_if(kernel: Kernel, words: list[str], options: Options) -> str:
    """Change settings of ports, of which devices of the system and internal ones have none; what a port is
    and its number stay."""
    dp = open_dp(kernel, words[0])
    errors = [said for spec in words[1:] if (said := _set_port(kernel, dp, words[0], spec))]
    if errors:
        raise CommandError(*errors)
    return ""


def _set_port(kernel: Kernel, dp: DpInfo, given: str, spec: str) -> str:
    """What is wrong with the settings asked for, "" if nothing is."""
    name, *terms = spec.split(",")
    try:
        port = kernel.vport_get(dp.index, name=name)
    except FastpathError as error:
        return f"{name}: failed to query port in {given} ({reason(error)})"
    kind = "system" if port.type == "netdev" else port.type
    for term in terms:
        option, _, wanted = term.partition("=")
        if option == "type" and wanted != kind:
            return f"{name}: can't change type from {kind} to {wanted}"
        if option == "port_no" and (not wanted.isdecimal() or int(wanted) != port.number):
            return f"{name}: can't change port number from {port.number} to {wanted}"
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
        kind = f" ({told})" if (told := _kind(port)) else ""
        yield f"  port {port.number}: {port.name}{kind}"
        if options.statistics:
            yield from _counters(port)


def _kind(port: VportInfo) -> str:
    """What a port is, "" for a device of the system.  Tunnels that are devices are known by their names."""
    kind = port.type
    if kind == "netdev":
        kind = next((k for k, name in TUNNEL_KINDS.items() if port.name.startswith(name)), "")
    if kind in TUNNEL_KINDS:
        default = {"vxlan": 4789, "geneve": 6081}.get(kind, 0)
        own = f"dst_port={port.dst_port}, " if port.dst_port not in (0, default) else ""
        own += "erspan_ver=0, " if kind in LINK_KINDS else ""       # each flow says which
        return f"{kind}: {own}packet_type=ptap"
    return kind


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


# -- caches ---------------------------------------------------------------------------------

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
