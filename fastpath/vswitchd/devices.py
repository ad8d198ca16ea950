"""What carries the packets of an interface: opened by the type the database names.

Dummy devices have no device behind them: packets come in by ``netdev-dummy/receive`` or from a capture file,
and what is sent goes to a capture file or nowhere.  Their Ethernet addresses count up from aa:55:aa:55:00:00
in order of creation, as the reference's do.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fastpath.dpif.provider import PortStats
from fastpath.errors import FastpathError, PortError
from fastpath.io import link
from fastpath.io._af_packet import AfPacketPort
from fastpath.io._memory import MemoryPort
from fastpath.io._tap import TapPort
from fastpath.io.pcapfile import PcapWriter
from fastpath.io.vport import KernelPort
from fastpath.runtime.clock import wall_ns
from fastpath.runtime.log import Level
from fastpath.runtime.packet_stream import Links
from fastpath.vswitchd.device import Device, HostDevice
from fastpath.vswitchd.dummies import TUNNELS, Dummies
from fastpath.vswitchd.settings import InterfaceWanted, number_of

DUMMY_MTU = 1500
MIN_MTU, MAX_MTU = 68, 65535
MAX_QUEUES = 1024
DUMMY_TYPES = ("dummy", "dummy-internal", "dummy-pmd")
FIRST_DUMMY_MAC = 0xAA55AA550000
IFACE_TYPES = ("afxdp", "afxdp-nonpmd", *TUNNELS, "internal", "patch", "system", "tap")


class DeviceError(FastpathError):
    """A device cannot be had.  *lines* is what is logged of it: module, level, text."""

    def __init__(self, what: str, reason: str = "", *, lines: tuple[tuple[str, Level, str], ...] = ()
                 ) -> None:
        text = f"{what} ({reason})" if reason else what
        super().__init__(text)
        self.lines = lines or (("bridge", Level.WARN, text),)


@dataclass(eq=False, slots=True)
class Dummy(Device):
    """A device of the dummy kind.  *notes* is what of its settings made no sense, and the module that
    says so."""

    n_rx: int = 1                   # queues
    n_tx: int = 1
    n_received: int = 0
    other_queues: dict[int, list[int]] = field(default_factory=dict)    # packets, bytes that came by which
    notes: list[tuple[str, str]] = field(default_factory=list)
    _misses_file: bool = False
    _rx: PcapWriter | None = None
    _tx: PcapWriter | None = None
    links: Links | None = None

    @property
    def config(self) -> Mapping[str, int]:
        """What is told of it with its type."""
        if self.type != "dummy-pmd":
            return {}
        return {"configured_rx_queues": self.n_rx, "configured_tx_queues": self.n_tx,
                "requested_rx_queues": self.n_rx, "requested_tx_queues": self.n_tx}

    def receive(self, frame: bytes, queue: int = 0) -> None:
        """Let *frame* come in, by a queue."""
        assert isinstance(self.io, MemoryPort)
        if self._rx is not None:
            self._rx.write(frame, time_ns=wall_ns())
            self._rx.flush()
        self.n_received += 1
        if queue:
            counts = self.other_queues.setdefault(queue, [0, 0])
            counts[0] += 1
            counts[1] += len(frame)
        if not self.io.inject(frame):
            raise PortError(f"{self.name}: cannot take a frame of {len(frame)} bytes")

    def more_counts(self, of_port: PortStats) -> dict[str, int]:
        """Counters of its own and of its queues: what other queues do not account for went by the first."""
        counts = {"rx_custom_packets_1": self.n_received, "rx_custom_packets_2": self.n_received}
        for at, what in enumerate(("packets", "bytes")):
            others = {queue: counted[at] for queue, counted in self.other_queues.items()}
            counts[f"rx_q0_{what}"] = getattr(of_port, f"rx_{what}") - sum(others.values())
            counts[f"tx_q0_{what}"] = getattr(of_port, f"tx_{what}")
            counts |= {f"rx_q{queue}_{what}": others.get(queue, 0) for queue in range(1, self.n_rx)}
            counts |= {f"tx_q{queue}_{what}": 0 for queue in range(1, self.n_tx)}
        return counts

    def set_mtu(self, mtu: int) -> None:
        if not MIN_MTU <= mtu <= MAX_MTU:
            raise PortError(os.strerror(errno.EINVAL))
        assert isinstance(self.io, MemoryPort)
        self.mtu = self.io.mtu = mtu

    def sent(self) -> None:
        assert isinstance(self.io, MemoryPort)
        for frame in self.io.take():
            if self._tx is not None:
                self._tx.write(frame, time_ns=wall_ns())
            if self.links is not None:
                self.links.send(frame)
        if self._tx is not None:
            self._tx.flush()

    def hear(self, now: float) -> bool:
        """Take in what came by streams; whether anything did."""
        frames = [] if self.links is None else self.links.run(now)
        for frame in frames:
            self.receive(frame)
        return bool(frames)

    def configure(self, wanted: InterfaceWanted) -> None:
        """Exchange packets with the streams that the options name, and record them: ``pcap`` for both ways,
        or a file for each."""
        self._record(wanted)
        if self.type == "dummy-pmd":
            self._set_queues(*(max(1, number_of(wanted.option(name))) for name in ("n_rxq", "n_txq")))
        passive, active = wanted.option("pstream"), wanted.option("stream")
        address = passive or active
        if self.links is not None and (self.links.address, self.links.is_passive) != (address, bool(passive)):
            self.links.close()
            self.links = None
        if address and self.links is None:
            try:
                self.links = Links(address, passive=bool(passive))
            except FastpathError as error:
                raise DeviceError(f"{wanted.name}: {error}") from None

    def _set_queues(self, n_rx: int, n_tx: int) -> None:
        if max(n_rx, n_tx) > MAX_QUEUES:
            self.notes.append(("netdev_dummy", (
                f"The one or both of interface {self.name} queues(rxq: {n_rx}, txq: {n_tx}) "
                f"exceed {MAX_QUEUES}. Sets it {MAX_QUEUES}.")))
        self.n_rx, self.n_tx = min(n_rx, MAX_QUEUES), min(n_tx, MAX_QUEUES)

    def record_again(self, wanted: InterfaceWanted) -> None:
        """Try anew what files could not be opened."""
        if self._misses_file:
            self._record(wanted)

    def _record(self, wanted: InterfaceWanted) -> None:
        self._end_records()
        self._misses_file = False
        both = wanted.option("pcap")
        if both:
            self._rx = self._tx = self._writer(both)
        else:
            self._rx, self._tx = (self._writer(wanted.option(name)) for name in ("rxq_pcap", "tx_pcap"))

    def _writer(self, path: str) -> PcapWriter | None:
        """Appends to a file; one that cannot be had is noted and done without."""
        try:
            return PcapWriter(path, nanosecond=False, append=True) if path else None
        except OSError as error:
            self._misses_file = True
            why = error.strerror or str(error)
            self.notes.append(("pcap", f"{path}: failed to open pcap file for appending ({why})"))
            return None

    def close(self) -> None:
        self._end_records()
        if self.links is not None:
            self.links.close()
            self.links = None

    def _end_records(self) -> None:
        for writer in {self._rx, self._tx} - {None}:
            if writer is not None:
                writer.close()
        self._rx = self._tx = None


class Devices:
    """Opens devices; *dummies* says which of them have nothing behind them."""

    def __init__(self, dummies: Dummies) -> None:
        self.modes = dummies
        self._open: dict[str, Device] = {}
        self._n_dummies = 0

    @property
    def types(self) -> list[str]:
        """The interface types there are."""
        return sorted((*IFACE_TYPES, *(DUMMY_TYPES if self.modes.are_known else ())))

    def __iter__(self) -> Iterator[Device]:
        return iter(list(self._open.values()))

    def dummies(self) -> dict[str, Dummy]:
        """The dummy devices, by name."""
        return {name: device for name, device in self._open.items() if isinstance(device, Dummy)}

    def addresses(self, name: str) -> list[str]:
        """IP addresses that the device *name* was given, with the lengths of their prefixes."""
        found = self._open.get(name)
        return [] if found is None else found.addresses

    def config(self, name: str) -> str:
        """What is told of the device *name* with its type."""
        found = self._open.get(name)
        return "" if found is None else ", ".join(f"{what}={value}" for what, value in found.config.items())

    def open(self, wanted: InterfaceWanted, datapath_type: str, *, in_kernel: bool = False) -> Device:
        """The device of an interface on a datapath of a type, which may be the kernel's.  Raises
        DeviceError."""
        if wanted.name in self._open:
            raise DeviceError(f"could not open network device {wanted.name}", os.strerror(errno.EBUSY))
        kind = self._kind(wanted.type, datapath_type)
        try:
            device = self._in_kernel(wanted, kind) if in_kernel else None
            device = device or self._make(wanted, kind)
        except PortError as error:
            raise DeviceError(f"could not open network device {wanted.name}", _reason(error)) from None
        self._open[wanted.name] = device
        return device

    def _kind(self, kind: str, datapath_type: str) -> str:
        """The type an interface of type *kind* is on a datapath: dummies have no real devices."""
        on_dummies = datapath_type in self.modes.datapaths or kind in self.modes.interfaces
        return "dummy-internal" if kind == "internal" and on_dummies else kind

    @staticmethod
    def _in_kernel(wanted: InterfaceWanted, kind: str) -> Device | None:
        """The device of a port that the kernel forwards for, None for kinds that are the same anywhere."""
        if kind not in ("system", "internal", "tap"):
            return None
        io = KernelPort(wanted.name, kind="internal" if kind == "internal" else "netdev", up=False)
        io.persist(True)
        return HostDevice(wanted.name, kind, io)

    def _make(self, wanted: InterfaceWanted, kind: str) -> Device:
        name = wanted.name
        if kind in self.modes.interfaces or (kind in DUMMY_TYPES and self.modes.are_known):
            mac, self._n_dummies = FIRST_DUMMY_MAC + self._n_dummies, self._n_dummies + 1
            dummy = Dummy(name, kind, MemoryPort(name, mtu=DUMMY_MTU), mac, DUMMY_MTU)
            dummy.configure(wanted)
            return dummy
        if kind == "system":
            if name not in link.names():
                raise DeviceError(f"could not open network device {name}", os.strerror(errno.ENODEV))
            return HostDevice(name, kind, AfPacketPort(name))
        if kind in ("internal", "tap"):
            tap = TapPort(name, up=False)       # that is for its host to do
            tap.persist(True)           # the host's addresses outlive a restart
            return HostDevice(name, "tap", tap)
        if kind == "patch":
            _check_patch(wanted)
        if kind == "patch" or kind in TUNNELS:
            return Device(name, kind, mac=random.getrandbits(48) & ~(1 << 40) | 1 << 41)
        refused = f"could not open network device {name} ({os.strerror(errno.EAFNOSUPPORT)})"
        raise DeviceError(refused, lines=(
            ("netdev", Level.WARN, f"could not create netdev {name} of unknown type {kind}"),
            ("bridge", Level.WARN, refused)))

    def close(self, device: Device) -> None:
        """Forget a device; its port is closed by whoever takes it from the datapath."""
        if self._open.get(device.name) is device:
            del self._open[device.name]
        device.close()

    def hear(self, now: float) -> bool:
        """Take in what came to dummies by streams; whether anything did."""
        heard = [dummy.hear(now) for dummy in self._open.values() if isinstance(dummy, Dummy)]
        return any(heard)

    def fds(self) -> list[int]:
        """What tells that something comes."""
        return [fd for dummy in self._open.values() if isinstance(dummy, Dummy) and dummy.links is not None
                for fd in dummy.links.fds()]

    def sent(self) -> None:
        """Do away with what dummies sent."""
        for device in self._open.values():
            device.sent()


def _check_patch(wanted: InterfaceWanted) -> None:
    peer = wanted.option("peer")
    fault = (f"{wanted.name}: patch type requires valid 'peer' argument" if not peer else
             f"{wanted.name}: patch peer must not be self" if peer == wanted.name else None)
    if fault is not None:
        refused = f"{wanted.name}: could not set configuration ({os.strerror(errno.EINVAL)})"
        raise DeviceError(fault, lines=(("netdev_vport", Level.ERR, fault), ("netdev", Level.WARN, refused)))


def _reason(error: FastpathError) -> str:
    """The words of strerror for why a port could not be opened."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno)
    text = str(error).rsplit(": ", 1)[-1]
    for number in (errno.ENODEV, errno.EPERM, errno.EACCES, errno.EBUSY, errno.EINVAL, errno.ENOENT):
        if os.strerror(number).lower() in text.lower():
            return os.strerror(number)
    return text

