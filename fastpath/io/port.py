"""Names and options of port types: from ``TYPE:NAME,key=value`` to an open port.

    eth0                                    the network device eth0
    af_packet:p1,ifname=eth0,netns=red      device eth0 of another namespace, as port p1
    afxdp:eth0                              the same device, taken from the host's stack: faster, no offloads
    tap:lan0,mac=02:00:00:00:00:01,mtu=9000
    memory:p2,capacity=1000
    pcap:in,read=trace.pcap,pace=real,loop=yes
    tap:lan0,drop=0.01,capture=lan0.pcap    any port may be recorded, traced and made lossy

The tables below are the whole list.  A value cannot contain a comma.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import isfinite, nan
from typing import Any, TextIO

from fastpath._port import Port
from fastpath.arguments import checks_arguments
from fastpath.errors import ParseError, PortError
from fastpath.io._af_packet import AfPacketPort
from fastpath.io._af_xdp import AfXdpPort
from fastpath.io._memory import MemoryPort
from fastpath.io._pcap import PcapPort
from fastpath.io._tap import TapPort
from fastpath.io._wrap import PcapTap
from fastpath.io.fault import FaultInjector
from fastpath.io.tracer import Tracer
from fastpath.text import format_mac, parse_mac
from fastpath.value import value

DEFAULT_TYPE = "af_packet"
BOOLEANS = {"yes": True, "true": True, "on": True, "1": True,
            "no": False, "false": False, "off": False, "0": False}


def _boolean(text: str) -> bool:
    if text.lower() not in BOOLEANS:
        raise ValueError("expected yes or no")
    return BOOLEANS[text.lower()]


def _count(text: str) -> int:
    if not text.isdigit() or int(text) >= 1 << 32:
        raise ValueError("expected a whole number")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not isfinite(value):
        raise ValueError("expected a number")
    return value


def _mac(text: str) -> str:
    try:
        return format_mac(parse_mac(text))
    except ParseError:
        raise ValueError("expected an Ethernet address such as 02:00:00:00:00:01") from None


Reader = Callable[[str], object]


@value
class PortType:
    """What makes a port of one type, and the options it knows."""

    make: Callable[..., Port]
    options: dict[str, Reader]
    text: str
    one_of: tuple[str, ...] = ()        # options of which at least one is needed


PORT_TYPES = {
    "af_packet": PortType(AfPacketPort, {"ifname": str, "netns": str, "ring": _boolean, "promisc": _boolean,
                                         "qdisc_bypass": _boolean}, "network device"),
    "afxdp":     PortType(AfXdpPort, {"ifname": str, "netns": str, "native": _boolean, "zero_copy": _boolean},
                          "network device, past the host's stack"),
    "tap":       PortType(TapPort, {"ifname": str, "netns": str, "mac": _mac, "mtu": _count, "up": _boolean},
                          "device of the host that ends in the switch"),
    "memory":    PortType(MemoryPort, {"capacity": _count, "vnet": _boolean, "mtu": _count},
                          "queues in memory"),
    "pcap":      PortType(PcapPort, {"read": str, "write": str, "pace": str, "loop": _boolean,
                                     "epoch_s": _number, "mtu": _count}, "capture files", ("read", "write")),
}
# The reference switch's names of the same things.
ALIASES = {"system": "af_packet", "internal": "tap", "dummy": "memory"}

FAULTS: dict[str, Reader] = {"drop": _number, "duplicate": _number, "corrupt": _number, "reorder": _number,
                             "delay": _number, "seed": _count, "direction": str}
RECORDERS: dict[str, Reader] = {"capture": str, "trace": str}      # file names; trace=- is standard output


@checks_arguments
def open_port(spec: str) -> Port:
    """Return the open port that *spec* describes.  Raises PortError and PrivilegeError."""
    type_name, name, settings = parse_spec(spec)
    kind = PORT_TYPES[type_name]
    known = {**kind.options, **FAULTS, **RECORDERS}
    for key in settings:
        if key not in known:
            raise PortError(f"port {spec!r}: option {key!r}, expected one of {', '.join(known)}")
    read = {key: read_option(spec, key, text, known[key]) for key, text in settings.items()}
    if kind.one_of and not any(key in read for key in kind.one_of):
        raise PortError(f"port {spec!r}: {kind.text} need {'=FILE or '.join(kind.one_of)}=FILE")
    own = {key: value for key, value in read.items() if key in kind.options}
    port = kind.make(name, **own)
    try:
        return _wrapped(port, read)
    except BaseException:
        port.close()
        raise


def with_name(spec: str, name: str) -> str:
    """*spec*, which as a type alone (``memory``, ``tap,mtu=9000``) is that of a port called *name*."""
    head, comma, terms = spec.partition(",")
    return f"{head}:{name}{comma}{terms}" if ALIASES.get(head, head) in PORT_TYPES else spec


def parse_spec(spec: str) -> tuple[str, str, dict[str, str]]:
    """Return (type, name, settings as text) of a port description.  Raises PortError."""
    head, *terms = spec.split(",")
    type_name, colon, name = head.partition(":")
    if not colon:
        type_name, name = DEFAULT_TYPE, head
    type_name = ALIASES.get(type_name, type_name)
    if type_name not in PORT_TYPES:
        raise PortError(f"port {spec!r}: type {type_name!r}, expected one of {', '.join(PORT_TYPES)}")
    if not name:
        raise PortError(f"port {spec!r}: no name, expected TYPE:NAME[,key=value...]")
    settings: dict[str, str] = {}
    for term in terms:
        key, equals, value = term.partition("=")
        if not equals or not key:
            raise PortError(f"port {spec!r}: {term!r}, expected key=value")
        if key in settings:
            raise PortError(f"port {spec!r}: {key} is given twice")
        settings[key] = value
    return type_name, name, settings


def read_option(spec: str, key: str, text: str, reader: Reader) -> Any:
    """The value of an option, read by *reader*.  Raises PortError."""
    try:
        return reader(text)
    except ValueError as error:
        raise PortError(f"port {spec!r}: {key}={text}: {error}") from None


def _wrapped(port: Port, settings: dict[str, object]) -> Port:
    """Put around *port* what the common options ask for; faults come first, so recordings show them."""
    faults = {key: value for key, value in settings.items() if key in FAULTS}
    if faults:
        port = FaultInjector(port, **faults)  # type: ignore[arg-type]
    if "capture" in settings:
        port = PcapTap(port, str(settings["capture"]))
    if "trace" in settings:
        path = str(settings["trace"])
        port = Tracer(port, sys.stdout) if path == "-" else Tracer(port, _trace_file(path), owns_file=True)
    return port


def _trace_file(path: str) -> TextIO:
    try:
        return open(path, "w", buffering=1, encoding="utf-8")
    except OSError as error:
        raise PortError(f"trace file {path!r}: {(error.strerror or str(error)).lower()}") from error
