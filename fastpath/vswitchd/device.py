"""A device of an interface, and one that the host has.

What is known of the host's devices is as fresh as the last ``refresh``, which whoever hears of changes calls
(``daemon.Daemon``).  Dummies are in ``devices``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface

from fastpath._port import Port as IoPort
from fastpath.errors import ConfigError, PortError
from fastpath.io import link
from fastpath.io._af_packet import AfPacketPort
from fastpath.io._policer import police
from fastpath.io._tap import TapPort
from fastpath.io.netdev import Facts, facts
from fastpath.io.tc import Root
from fastpath.io.vport import KernelPort
from fastpath.text import format_mac
from fastpath.vswitchd.qos import PolicingWanted, QosWanted
from fastpath.vswitchd.shaping import TYPES, Shaper, speed

DEVICE_MTU = 1500


@dataclass(eq=False, slots=True)
class Device:
    """One device.  *type* is the one it is shown as."""

    name: str
    type: str
    io: IoPort | None = None
    mac: int = 0
    mtu: int = DEVICE_MTU
    is_up: bool = True
    addresses: list[str] = field(default_factory=list)

    def discard(self) -> None:
        """Have a device that was made for the switch go with its port."""

    def set_mac(self, mac: int) -> None:
        """Give it the Ethernet address *mac*."""
        self.mac = mac

    def set_mtu(self, mtu: int) -> None:
        """Take frames with payloads of up to *mtu* bytes."""
        self.mtu = mtu

    @property
    def qos_types(self) -> tuple[str, ...]:
        """The types of QoS it takes."""
        return ()

    def police(self, wanted: PolicingWanted) -> bool:
        """Drop what comes in beyond what is *wanted*; False if that cannot be had."""
        return True                     # as in the reference dummies let everything in

    @property
    def config(self) -> Mapping[str, int]:
        """What is told of it with its type."""
        return {}

    def add_address(self, address: str) -> None:
        """Give it the IP *address*, with or without the length of its prefix.  Raises ConfigError."""
        try:
            self.addresses.append(str(ip_interface(address)))
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def sent(self) -> None:
        """Do away with what was sent, where no device took it."""

    def close(self) -> None:
        """Give up what goes beyond the port itself."""


@dataclass(eq=False, slots=True)
class HostDevice(Device):
    """A device that the host has.  *facts* is what its kernel last said, None when there is no such device;
    *resets* counts how often its carrier came or went since."""

    facts: Facts | None = None
    resets: int = 0
    shaper: Shaper = field(init=False)
    _index: int = 0                 # of the device its port is on

    def __post_init__(self) -> None:
        self.shaper = Shaper(Root(self.name))

    def refresh(self) -> bool:
        """Ask the kernel anew; whether it has something other than counters to tell."""
        before, self.facts = self.facts, facts(self.name)
        now = self.facts
        if before is not None and before.running != (now is not None and now.running):
            self.resets += 1
        if now is not None:
            self.mac, self.mtu = now.mac, now.mtu
        self.is_up = now is not None and now.up
        return _lasting(before) != _lasting(now)

    def opened(self) -> bool:
        """Its port is made, on the device there is now, if there is one."""
        self.refresh()
        self._index = 0 if self.facts is None else self.facts.index
        return self.facts is not None

    @property
    def is_stale(self) -> bool:
        """Whether the device its port is on went and another of the name came: the kernel's datapath sees to
        that itself."""
        return (self.facts is not None and self.facts.index != self._index
                and isinstance(self.io, AfPacketPort))

    def discard(self) -> None:
        """Have a device that was made for the switch go with its port."""
        if isinstance(self.io, TapPort | KernelPort):
            self.io.persist(False)

    def set_up(self, up: bool) -> bool:
        """Take the device up, or down; False if it would not."""
        if self.is_up == up:
            return True
        try:
            link.configure(self.name, up=up)
        except PortError:
            return False
        self.refresh()
        return True

    def set_mac(self, mac: int) -> None:
        """Give it the Ethernet address *mac*."""
        if not isinstance(self.io, AfPacketPort) and mac != self.mac:
            link.configure(self.name, mac=format_mac(mac))
        self.mac = mac

    def set_mtu(self, mtu: int) -> None:
        """Take frames with payloads of up to *mtu* bytes."""
        if mtu != self.mtu:
            link.configure(self.name, mtu=mtu)
        self.mtu = mtu

    @property
    def qos_types(self) -> tuple[str, ...]:
        """The types of QoS it takes."""
        return TYPES

    def shape(self, wanted: QosWanted, now: float) -> Iterator[str]:
        """Shape what it sends by a QoS row.  Yields what is to be warned of."""
        features = 0 if self.facts is None else self.facts.features.current
        return self.shaper.apply(wanted, mtu=self.mtu, bps=speed(features), now=now)

    def police(self, wanted: PolicingWanted) -> bool:
        """Drop what comes in beyond what is *wanted*; False for what the kernel forwards."""
        if isinstance(self.io, TapPort | AfPacketPort):
            police(self.io, **wanted.limits)
        return not isinstance(self.io, KernelPort) or not (wanted.kbps or wanted.kpps)

    def faults(self) -> dict[str, int]:
        """What only the device counts, now.  To one that ends in the switch nothing happens on the way."""
        found = facts(self.name)
        is_ours = isinstance(self.io, TapPort)
        return {name: 0 if is_ours and name.endswith(("_err", "_errors")) else n
                for name, n in ({} if found is None else found.faults).items()}


def _lasting(of: Facts | None) -> object:
    """What is told of a device but for its counters."""
    return None if of is None else (of.index, of.mac, of.mtu, of.up, of.running, of.features, of.status)
