"""Makes a bridge what the database wants, step by step from what it is.

Ports that stay as they are keep their numbers, their counters and what was learned about them.  What cannot
be had (a device that is not there, a patch without a peer) is told in its interface's row and tried again
with the next change; the rest of the bridge does without it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fastpath.bridge import Bridge, Port
from fastpath.errors import FastpathError, PortError, TableFull
from fastpath.io import link
from fastpath.io._memory import MemoryPort
from fastpath.ofproto.table import UNLIMITED
from fastpath.ofproto.xlate.context import OFPP_LOCAL
from fastpath.runtime.log import Log
from fastpath.text import format_ipv4
from fastpath.vswitchd.datapaths import Datapath
from fastpath.vswitchd.device import DEVICE_MTU, Device, HostDevice
from fastpath.vswitchd.devices import DeviceError, Devices, Dummy
from fastpath.vswitchd.dummies import TUNNELS
from fastpath.vswitchd.port_numbers import LAST, PortNumbers
from fastpath.vswitchd.remotes import Remotes
from fastpath.vswitchd.settings import (
    BridgeWanted,
    InterfaceWanted,
    LocalWanted,
    PortWanted,
    TableWanted,
)

N_TABLES = 254
MAX_MACS = 1_000_000
NO_TABLE = TableWanted("", None, False, ())


@dataclass(slots=True)
class Interface:
    """One interface: what is wanted, and what came of it."""

    wanted: InterfaceWanted
    port: PortWanted
    device: Device | None = None
    of: Port | None = None
    number: int | None = None
    error: str | None = None


class ConfiguredBridge:
    """One bridge as the database wants it."""

    def __init__(self, wanted: BridgeWanted, datapath: Datapath, devices: Devices, log: Log, rundir: Path
                 ) -> None:
        self.wanted, self.datapath, self._devices = wanted, datapath, devices
        self._log, self._netdev, self._all_logs = log.module("bridge"), log.module("netdev"), log
        self._netdev_linux = log.module("netdev_linux")
        self.interfaces: dict[str, Interface] = {}
        self._numbers = PortNumbers()
        self._default_mac = random.getrandbits(48) & ~(1 << 40) | 1 << 41     # local, not multicast
        self.mac = 0
        self.dpid: int | None = None
        self._mirrored: object = None       # what the mirrors were made of
        self._is_new = True
        self.bridge: Bridge = datapath.switch.add_bridge(wanted.name, fail_mode=wanted.fail_mode)
        self.remotes = Remotes(self.bridge, rundir, log)

    @property
    def name(self) -> str:
        """Name, unique in the database."""
        return self.wanted.name

    def reconcile(self, wanted: BridgeWanted) -> None:
        """Make the bridge what *wanted* says."""
        before, self.wanted = self.wanted, wanted
        new = {i.name: (i, port) for port in wanted.ports for i in port.interfaces}
        for name, old in list(self.interfaces.items()):
            if name not in new or old.device is None or _is_other(old.wanted, new[name][0]) or (
                    isinstance(old.device, HostDevice) and old.device.is_stale):
                self._remove(old)
        for name in self._misnumbered({name: interface for name, (interface, _port) in new.items()}):
            self._remove(self.interfaces[name])
        for interface, port in sorted(new.values(), key=lambda pair: pair[0].ofport_request is None):
            found = self.interfaces.get(interface.name)
            if found is None:
                self._add(interface, port)
            else:
                self._update(found, interface, port)
        self._address()
        self._mtu()
        self._settings(before)
        self.remotes.set(wanted.controllers, dpid=self.dpid, versions=wanted.versions, tls=wanted.tls)
        self.remotes.reach(wanted.in_band, is_dummy=self._is_dummy)
        called = {c.target: c.local for c in before.controllers} if not self._is_new else {}
        for controller in wanted.controllers:
            if controller.local is not None and controller.local != called.get(controller.target):
                self._call_local(controller.local)
        self._is_new = False

    def _call_local(self, wanted: LocalWanted) -> None:
        """Give the local port's device the address that is asked for, to reach a controller by."""
        local = self.interfaces.get(self.name)
        if local is None or not isinstance(local.device, HostDevice):
            return
        try:
            local.device.set_up(True)
            link.set_ipv4(self.name, wanted.address, wanted.netmask)
            self._log.info(f"bridge {self.name}: configured IP address {format_ipv4(wanted.address)}, "
                           f"netmask {format_ipv4(wanted.netmask)}")
            if wanted.gateway:
                link.add_gateway(wanted.gateway)
                self._log.info(f"bridge {self.name}: configured gateway {format_ipv4(wanted.gateway)}")
        except PortError as error:
            cause = error.__cause__
            self._all_logs.module("netdev_linux").warn(
                f"ioctl(SIOCADDRT): {cause.strerror}" if isinstance(cause, OSError) else str(error))

    @property
    def _is_dummy(self) -> bool:
        """Whether the local port is no device of this host."""
        local = self.interfaces.get(self.name)
        return local is None or local.device is None or isinstance(local.device, Dummy)

    def _misnumbered(self, new: dict[str, InterfaceWanted]) -> set[str]:
        """Names of those that ask for another number than they have, with those that have it and do not ask
        for it.  What two ask for stays with the one that has it."""
        owners, found = {i.number: i for i in self.interfaces.values()}, set()
        for name, interface in self.interfaces.items():
            asked = new[name].ofport_request
            if asked is None or asked == interface.number or interface.number == OFPP_LOCAL:
                continue
            victim = owners.get(asked)
            if victim is None:
                found.add(name)
            elif new[victim.wanted.name].ofport_request != asked:
                found |= {name, victim.wanted.name}
        return found

    # -- interfaces --------------------------------------------------------------------------------

    def _add(self, wanted: InterfaceWanted, port: PortWanted) -> None:
        interface = self.interfaces[wanted.name] = Interface(wanted, port)
        try:
            interface.device = device = self._devices.open(
                wanted, self.datapath.type, in_kernel=self.datapath.switch.is_kernel)
        except DeviceError as error:
            interface.error = str(error)
            for module, level, text in error.lines:
                self._all_logs.module(module).write(level, text)
            return
        try:
            interface.of = self._enter(interface, device)
        except FastpathError as error:
            self._free(interface)
            device.discard()
            self._devices.close(device)
            if device.io is not None:
                device.io.close()
            interface.device = None
            interface.error = f"could not add network device {wanted.name} to ofproto ({error})"
            self._log.warn(f"bridge {self.name}: {interface.error}")
            return
        self._set_mtu(device, wanted.mtu_request)
        self._police(device, wanted)
        self._tell_notes(device)
        self.datapath.types[wanted.name] = device.type
        if interface.of.of.odp_port is not None:
            self.datapath.ports[wanted.name] = interface.of.of.odp_port
        self._log.info(f"bridge {self.name}: added interface {wanted.name} on port {interface.of.number}")

    def _enter(self, interface: Interface, device: Device) -> Port:
        wanted = interface.wanted
        number = OFPP_LOCAL if wanted.name == self.name else self._number(wanted.ofport)
        interface.number = number
        if device.type == "patch":
            port = self.bridge.add_patch(wanted.name, peer=wanted.option("peer"), number=number)
        elif device.type in TUNNELS and device.io is None:
            port = self.bridge.add_tunnel(wanted.name, device.type, number=number, **dict(wanted.options))
        else:
            is_down = isinstance(device, HostDevice) and device.opened() and not device.is_up
            port = self.bridge.add_port(wanted.name, device.io, number=number,
                                        odp_port=self.datapath.choose_port(wanted.name),
                                        hw_addr=device.mac, down=is_down)
        self._configure(port, interface.port)
        port.of.counts_faults = not isinstance(device, Dummy) and device.io is not None
        if isinstance(device, Dummy):
            port.queues.set(0)
            port.of.more_counts = device.more_counts
        elif isinstance(device, HostDevice):
            device.opened()             # once more: a port of the kernel's makes its device
            port.of.admin, port.of.faults = device.set_up, device.faults
            self._show(port, device)
            self._shape(port, device, interface.port)
        return port

    def _shape(self, port: Port, device: HostDevice, wanted: PortWanted) -> None:
        """Have a device send as the QoS row of its port says, and OpenFlow tell of its queues."""
        for text in device.shape(wanted.qos, self.datapath.switch.now):
            self._netdev_linux.warn(text)
        shaper = device.shaper
        with self.datapath.switch.lock:
            port.queues.clear()
            for number, settings in shaper.queues.items():
                port.queues.set(number, {name: str(n) for name, n in settings.items()},
                                partial(shaper.counted, number))

    def _show(self, port: Port, device: HostDevice) -> bool:
        """Have a port be what the host's device is; whether it was not."""
        with self.datapath.switch.lock:
            of = port.of
            link_up = device.io is not None and device.io.link_up()
            now = (0, 0, 0) if device.facts is None else device.facts.features.bits
            is_other = (of.down, of.link_up, of.features, of.hw_addr) != (
                not device.is_up, link_up, now, device.mac)
            if is_other:
                of.features, of.hw_addr = now, device.mac
                self.bridge.ofproto.set_port(of, link_up=link_up, flags={"down": not device.is_up})
        if is_other:
            self.datapath.switch.announce()
        return is_other

    def look(self, names: set[str] | None) -> tuple[bool, bool]:
        """Look at the devices of these *names* (None: all).  Whether any is not as it was, and whether that
        takes carrying out the settings anew."""
        changed = again = False
        for interface in self.interfaces.values():
            device, port = interface.device, interface.of
            if names is not None and interface.wanted.name not in names:
                continue
            if isinstance(device, HostDevice) and port is not None:
                mtu = device.mtu
                is_other = device.refresh()
                changed |= self._show(port, device) or is_other
                again |= device.is_stale or device.mtu != mtu
            elif device is None and interface.error is not None:
                again = True
        return changed, again

    def _number(self, asked: int | None) -> int:
        """The number asked for if it is free, or another."""
        if asked is not None and 0 < asked <= LAST and self._numbers.take(asked):
            return asked
        try:
            return self._numbers.choose(self.datapath.switch.now)
        except OverflowError as error:
            raise TableFull(str(error)) from None

    def _configure(self, port: Port, wanted: PortWanted) -> None:
        new = wanted.vlan, wanted.protected, wanted.qos.dscps
        with self.datapath.switch.lock:
            if (port.of.vlan, port.of.protected, port.of.dscps) != new:
                self.bridge.ofproto.set_port(port.of, vlan=wanted.vlan, dscps=wanted.qos.dscps,
                                             flags={"protected": wanted.protected})

    def _tell_notes(self, device: Device) -> None:
        while isinstance(device, Dummy) and device.notes:
            module, text = device.notes.pop(0)
            self._all_logs.module(module).warn(text)

    def _police(self, device: Device, wanted: InterfaceWanted) -> None:
        if not device.police(wanted.policing):
            self._netdev.warn(f"{device.name}: policing of what the kernel forwards is not supported")

    def _update(self, interface: Interface, wanted: InterfaceWanted, port: PortWanted) -> None:
        if isinstance(interface.device, Dummy) and interface.wanted.options != wanted.options:
            try:
                interface.device.configure(wanted)
            except DeviceError as error:
                self._log.warn(f"interface {wanted.name}: {error}")
        elif isinstance(interface.device, Dummy):
            interface.device.record_again(wanted)
        if interface.device is not None:
            self._set_mtu(interface.device, wanted.mtu_request)
            if interface.wanted.policing != wanted.policing:
                self._police(interface.device, wanted)
            self._tell_notes(interface.device)
        interface.wanted, interface.port = wanted, port
        if interface.of is not None:
            self._configure(interface.of, port)
            if isinstance(interface.device, HostDevice):
                self._shape(interface.of, interface.device, port)

    def _remove(self, interface: Interface, *, leave: bool = False) -> None:
        if interface.device is not None and not leave:
            interface.device.discard()
        del self.interfaces[interface.wanted.name]
        self.datapath.ports.pop(interface.wanted.name, None)
        self.datapath.types.pop(interface.wanted.name, None)
        if interface.of is not None:
            self.bridge.del_port(interface.of)
            self._log.info(f"bridge {self.name}: deleted interface {interface.wanted.name} on port "
                           f"{interface.number}")
            self._free(interface)
        if interface.device is not None:
            self._devices.close(interface.device)

    def renumber(self, name: str, odp_port: int) -> None:
        """Give the device of a dummy interface another number in the datapath."""
        interface = self.interfaces[name]
        assert isinstance(interface.device, Dummy) and interface.of is not None
        flags = interface.of.of
        self.bridge.del_port(interface.of)
        interface.device.io = MemoryPort(name, mtu=interface.device.mtu)
        interface.of = port = self.bridge.add_port(name, interface.device.io, number=interface.number,
                                                   odp_port=odp_port, hw_addr=interface.device.mac)
        self._configure(port, interface.port)
        port.of.counts_faults, port.of.down, port.of.queues = False, flags.down, flags.queues
        self.datapath.ports[name] = odp_port

    def _free(self, interface: Interface) -> None:
        if interface.number is not None:
            self._numbers.free(interface.number, self.datapath.switch.now)

    # -- the bridge's own --------------------------------------------------------------------------

    def _address(self) -> None:
        """Choose the Ethernet address of the local port, and the datapath id, which is made of it."""
        local = self.interfaces.get(self.name)
        outputs = {mirror.output_port for mirror in self.wanted.mirrors}
        candidates = sorted(
            i.device.mac for i in self.interfaces.values()
            if i.device is not None and i is not local and i.port.name not in outputs
            and _is_global(i.device.mac))
        self.mac = self.wanted.hwaddr or next(iter(candidates), self._default_mac)
        for interface in self.interfaces.values():
            chosen = self.mac if interface is local else interface.wanted.mac
            if interface.wanted.type != "internal":
                chosen = None               # other devices keep the address they have
            if interface.device is not None and chosen is not None:
                self._set_mac(interface.device, chosen)
            if interface.of is not None and interface.device is not None:
                interface.of.of.hw_addr = interface.device.mac
        dpid = self.wanted.dpid or self.mac
        if dpid != self.dpid:
            self.dpid = dpid
            self._log.info(f"bridge {self.name}: using datapath ID {dpid:016x}")

    def _mtu(self) -> None:
        """Give internal devices the least MTU of the others, unless they ask for their own."""
        devices = [(i.wanted, i.device) for i in self.interfaces.values()
                   if i.device is not None and i.device.io is not None]
        least = min((d.mtu for wanted, d in devices if wanted.type != "internal"), default=DEVICE_MTU)
        for wanted, device in devices:
            if wanted.type == "internal":
                self._set_mtu(device, wanted.mtu_request or least)

    def _set_mtu(self, device: Device, mtu: int | None) -> None:
        try:
            if mtu and mtu != device.mtu:
                device.set_mtu(mtu)
        except PortError as error:          # one device's trouble is no other's
            self._netdev.warn(f"failed to set MTU for network device {device.name}: {error}")

    def _set_mac(self, device: Device, mac: int) -> None:
        try:
            if mac != device.mac:
                device.set_mac(mac)
        except PortError as error:
            self._log.err(f"interface {device.name}: setting hardware address failed ({error})")

    def _settings(self, before: BridgeWanted) -> None:
        wanted, bridge = self.wanted, self.bridge
        if bridge.fail_mode != wanted.fail_mode:
            bridge.set_fail_mode(wanted.fail_mode)
        if self._is_new or _fdb(before) != _fdb(wanted):
            aging, size, flood_vlans = _fdb(wanted)
            bridge.set_fdb(mac_aging=aging, max_macs=size, flood_vlans=flood_vlans)
        self._snooping()
        bridge.description = wanted.description
        bridge.ofproto.forward_bpdu = wanted.forward_bpdu
        old, new = dict(() if self._is_new else before.tables), dict(wanted.tables)
        for number in sorted({*old, *new}):
            if number < N_TABLES and old.get(number) != new.get(number):
                self._table(number, new.get(number, NO_TABLE))
        outputs = tuple((i.port.name, i.of.number) for i in self.interfaces.values() if i.of is not None)
        if self._mirrored != (wanted.mirrors, outputs):
            self._mirrored = wanted.mirrors, outputs
            self._mirrors()

    def _snooping(self) -> None:
        wanted, bridge = self.wanted.snooping, self.bridge
        if wanted is None:
            bridge.set_snooping(False)
            return
        bridge.set_snooping(True, aging=wanted.aging_s, max_groups=wanted.max_groups,
                            flood_unregistered=wanted.floods_unregistered)
        for interface in self.interfaces.values():
            if interface.of is not None:
                bridge.set_multicast_port(interface.of, flood=interface.port.floods,
                                          flood_reports=interface.port.takes_reports)

    def _table(self, number: int, wanted: TableWanted) -> None:
        limit = UNLIMITED if wanted.flow_limit is None else wanted.flow_limit
        try:
            self.bridge.set_table(number, name=wanted.name, max_flows=limit,
                                  evict=(wanted.groups or True) if wanted.evicts else False,
                                  prefixes=wanted.prefixes)
        except FastpathError as error:
            self._log.warn(f"bridge {self.name}: table {number}: {error}")

    def _mirrors(self) -> None:
        counted = {}
        for old in self.bridge.mirrors:
            self.bridge.del_mirror(old.name)
            counted[old.name] = old.n_packets, old.n_bytes
        for mirror in self.wanted.mirrors:
            try:
                made = self.bridge.add_mirror(
                    mirror.name, select_all=mirror.select_all, select_src_port=self._of(mirror.src),
                    select_dst_port=self._of(mirror.dst), select_vlan=mirror.vlans or None,
                    output_port=next(self._of([mirror.output_port] if mirror.output_port else []), None),
                    output_vlan=mirror.output_vlan, snaplen=mirror.snaplen)
                made.credit(*counted.get(mirror.name, (0, 0)))
            except FastpathError as error:
                self._log.err(f"bridge {self.name}: mirror {mirror.name}: {error}")

    def _of(self, names: Iterable[str]) -> Iterator[Port]:
        """The OpenFlow ports of ports by name."""
        for interface in self.interfaces.values():
            if interface.port.name in names and interface.of is not None:
                yield interface.of

    def close(self, *, leave: bool = False) -> None:
        """Remove the bridge; *leave* its devices to their host, for the next daemon to take over."""
        for interface in list(self.interfaces.values()):
            self._remove(interface, leave=leave)
        self.datapath.switch.del_bridge(self.bridge)


def _fdb(wanted: BridgeWanted) -> tuple[int, int, tuple[int, ...]]:
    """Aging, size and unlearned VLANs of the MAC table, within the reference's bounds."""
    size = max(10, min(MAX_MACS, wanted.mac_table_size))
    return max(15, min(3600, wanted.mac_aging)), size, wanted.flood_vlans


def _is_other(old: InterfaceWanted, new: InterfaceWanted) -> bool:
    """Whether an interface has to be made anew."""
    if old.type != new.type:
        return True
    return old.type in ("patch", *TUNNELS) and old.options != new.options


def _is_global(mac: int) -> bool:
    """Whether an address was given to a device by its maker: not local, not multicast, not zero."""
    return mac != 0 and not mac >> 40 & 3
