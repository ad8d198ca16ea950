"""What the switch tells the database: rows and columns, with the values they should have.

Each function yields writes for what differs from what the database has, so that a round without news is no
transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastpath.bridge import Port
from fastpath.openflow.messages.port import kbps_of
from fastpath.ovsdb.idl import Row, Write, put
from fastpath.runtime.streams import HUNG_UP
from fastpath.text import format_mac
from fastpath.vswitchd.bridges import ConfiguredBridge, Interface
from fastpath.vswitchd.datapaths import Datapath
from fastpath.vswitchd.device import HostDevice
from fastpath.vswitchd.devices import Dummy
from fastpath.vswitchd.settings import ControllerWanted, column, texts

_ROLES = {"equal": "other", "primary": "master", "secondary": "slave"}
_END_OF_FILE = "End of file"            # what the reference calls it when the other side hangs up
_STATISTICS = ("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_dropped", "tx_dropped", "rx_errors",
               "tx_errors")


def _writes(row: Row | None, values: Iterable[tuple[str, Any]]) -> Iterator[Write]:
    if row is None:
        return
    for name, value in values:
        write = put(row, name, value)
        if write is not None:
            yield write


def of_switch(root: Row, *, datapath_types: list[str], iface_types: list[str]) -> Iterator[Write]:
    """What the switch can do."""
    yield from _writes(root, (("datapath_types", datapath_types), ("iface_types", iface_types),
                              ("dpdk_initialized", False), ("dpdk_version", "none")))


def of_system(root: Row, found: dict[str, str]) -> Iterator[Write]:
    """What the host and its daemons take."""
    yield from _writes(root, (("statistics", found),))


def of_datapaths(root: Row, found: Iterable[Datapath]) -> Iterator[Write]:
    """What the datapaths can do that the database has rows for."""
    rows = column(root, "datapaths", {})
    for datapath in found:
        if not datapath.is_extra:
            yield from _writes(rows.get(datapath.type), (("capabilities", datapath.capabilities),))


def of_bridge(bridge: ConfiguredBridge, now: float) -> Iterator[Write]:
    """What a bridge is, and all of its interfaces and controllers, at *now* (monotonic seconds)."""
    dpid = None if bridge.dpid is None else f"{bridge.dpid:016x}"
    yield from _writes(bridge.wanted.row, (("datapath_id", dpid), ("datapath_version", "<built-in>")))
    for interface in bridge.interfaces.values():
        yield from of_interface(interface, bridge.datapath.type)
        row = interface.wanted.row
        if row is not None and not texts(row, "statistics"):    # those of a new one are told at once
            yield from of_statistics(interface)
    for wanted in bridge.wanted.controllers:
        yield from of_controller(bridge, wanted, now)


def of_controller(bridge: ConfiguredBridge, wanted: ControllerWanted, now: float) -> Iterator[Write]:
    """How the connection to a controller stands."""
    found = bridge.remotes.controller(wanted.target)
    if found is None:               # one that may connect by itself, or cannot be had
        return
    link, up = found.link, found.is_connected
    told = {"state": link.state}
    for name, when in (("connect", link.connected_at), ("disconnect", link.disconnected_at)):
        if when is not None:
            told[f"sec_since_{name}"] = str(int(now - when))
    if link.last_error:
        told["last_error"] = _END_OF_FILE if link.last_error == HUNG_UP else link.last_error
    for kind, limiter in found.limiters.items():
        for name, n in (("backlog", len(limiter)), ("bypassed", limiter.n_passed),
                        ("queued", limiter.n_queued), ("dropped", limiter.n_dropped)):
            told[f"packet-in-{kind}-{name}"] = str(n)
    yield from _writes(wanted.row, (("is_connected", up), ("role", _ROLES[found.role] if up else None),
                                    ("status", told)))


def of_interface(interface: Interface, datapath_type: str) -> Iterator[Write]:
    """The number of an interface and what its device is; of one that could not be had, why."""
    device, port = interface.device, interface.of
    if device is None or port is None:
        yield from _writes(interface.wanted.row, (
            ("ofport", -1 if interface.error else None), ("error", interface.error), ("mac_in_use", None),
            ("ifindex", None), ("mtu", None), ("admin_state", None), ("link_state", None),
            ("link_speed", None), ("duplex", None), ("statistics", {}), ("status", {})))
        return
    if isinstance(device, HostDevice):
        yield from _of_host_device(interface, port, device)
        return
    is_virtual = device.io is None
    is_dummy = isinstance(device, Dummy)
    up = device.is_up and not port.of.down
    yield from _writes(interface.wanted.row, (
        ("ofport", port.number), ("error", _trouble(port, datapath_type)),
        ("mac_in_use", format_mac(device.mac)),
        ("ifindex", 0),
        ("mtu", None if is_virtual else device.mtu), ("admin_state", "up" if up else "down"),
        ("link_state", "up" if port.of.link_up and (up or not is_dummy) else "down"), ("link_resets", 0)))


def _of_host_device(interface: Interface, port: Port, device: HostDevice) -> Iterator[Write]:
    facts = device.facts
    yield from _writes(interface.wanted.row, (
        ("ofport", port.number), ("error", None), ("admin_state", "up" if device.is_up else "down"),
        ("link_state", "up" if port.of.link_up else "down"), ("link_resets", device.resets)))
    if facts is None:               # it went while it was a port
        yield from _writes(interface.wanted.row, (
            ("mac_in_use", None), ("ifindex", 0), ("mtu", None), ("link_speed", None), ("duplex", None),
            ("status", {})))
        return
    bps = kbps_of(facts.features.current) * 1000
    yield from _writes(interface.wanted.row, (
        ("mac_in_use", format_mac(device.mac)), ("ifindex", facts.index), ("mtu", device.mtu),
        ("link_speed", bps or None), ("status", dict(facts.status)),
        ("duplex", None if not bps else "full" if facts.features.is_full_duplex else "half")))


def _trouble(port: Port, datapath_type: str) -> str | None:
    """Why a port that is there is of no use."""
    if port.of.peer_name is None or port.of.peer is not None:
        return None
    return f"No usable peer '{port.of.peer_name}' exists in '{datapath_type}' datapath."


def of_statistics(interface: Interface) -> Iterator[Write]:
    """Counters of an interface."""
    if interface.of is None:
        return
    counters = interface.of.stats()
    values = {name: getattr(counters, name) for name in _STATISTICS if interface.of.of.counts_faults
              or name.rpartition("_")[2] in ("packets", "bytes")}
    if isinstance(interface.device, Dummy):
        values |= interface.device.more_counts(counters)
    if isinstance(interface.device, HostDevice):
        faults = interface.device.faults()
        values = values | faults if faults else {}      # a device that is gone counts nothing
    yield from _writes(interface.wanted.row, (("statistics", values),))


def of_mirrors(bridge: ConfiguredBridge) -> Iterator[Write]:
    """Counters of the mirrors of a bridge."""
    rows = {wanted.name: wanted.row for wanted in bridge.wanted.mirrors}
    for mirror in bridge.bridge.mirrors:
        told = {"tx_packets": mirror.n_packets, "tx_bytes": mirror.n_bytes}
        yield from _writes(rows.get(mirror.name), (("statistics", told),))
