"""A network device of this host as the database and controllers are told of it, and news of devices.

``facts`` asks the kernel each time, over rtnetlink and ethtool.  ``LinkNews`` hears of devices that came,
went or changed.  For one thread, the daemon's.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import socket
import struct
import sys
from collections.abc import Iterator, Mapping

from fastpath.errors import FormatError, PortError
from fastpath.io import genl
from fastpath.io.link import IFF_UP, SIOCETHTOOL, check_name
from fastpath.value import field, value

IFF_RUNNING = 0x40
_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18               # RTM_*
_GROUP_LINK = 1                                         # RTNLGRP_LINK
_ADDRESS, _IFNAME, _MTU, _STATS64 = 1, 3, 4, 23         # IFLA_*
_INFO = struct.Struct("=BxHiII")                        # struct ifinfomsg
_ATTR = struct.Struct("=HH")
_STATS = struct.Struct("=24Q")
# Counters of struct rtnl_link_stats64 that only a device has, and the database's words for them.
_FAULTS = ((8, "rx_multicast_packets"), (9, "collisions"), (11, "rx_over_err"), (12, "rx_crc_err"),
           (13, "rx_frame_err"), (15, "rx_missed_errors"))

_GSET, _GDRVINFO = 0x01, 0x03                           # ETHTOOL_*
_SETTINGS = struct.Struct("=III HBBBBBB II HBB I 8x")   # struct ethtool_cmd
_PORT_TP, _PORT_FIBRE = 0, 3
_COPPER, _FIBER, _AUTONEG, _PAUSE, _PAUSE_ASYM = (1 << bit for bit in range(11, 16))    # as OpenFlow's
# Mbit/s and the bits of OpenFlow for it in half and full duplex; 0 where there is none.
_SPEEDS = ((10, 1 << 0, 1 << 1), (100, 1 << 2, 1 << 3), (1000, 1 << 4, 1 << 5), (10_000, 1 << 6, 1 << 6),
          (40_000, 1 << 7, 1 << 7), (100_000, 1 << 8, 1 << 8), (1_000_000, 1 << 9, 1 << 9))
_HALF_DUPLEX = 1 << 0 | 1 << 2 | 1 << 4
# Bits that ethtool names SUPPORTED_ and ADVERTISED_, and those of OpenFlow.
_ABILITIES = ((0x1, 1 << 0), (0x2, 1 << 1), (0x4, 1 << 2), (0x8, 1 << 3), (0x10, 1 << 4),
              (0x20 | 1 << 17, 1 << 5), (1 << 12 | 1 << 18 | 1 << 19 | 1 << 20, 1 << 6),
              (0xF << 23, 1 << 7), (1 << 7, _COPPER), (1 << 10, _FIBER), (1 << 6, _AUTONEG),
              (1 << 13, _PAUSE), (1 << 14, _PAUSE_ASYM))


@value
class Features:
    """What a device can do and does, in the bits of OpenFlow 1.1's OFPPF_*."""

    current: int = 0
    advertised: int = 0
    supported: int = 0

    @property
    def bits(self) -> tuple[int, int, int]:
        """What it does, what it tells others that it can, what it can."""
        return self.current, self.advertised, self.supported

    @property
    def is_full_duplex(self) -> bool:
        """Whether it sends and receives at one time."""
        return not self.current & _HALF_DUPLEX


NO_FEATURES = Features()


@value
class Facts:
    """A device at one moment.  *running*: it is up and has carrier.  *status* names its driver, *faults*
    counts what only the device sees."""

    index: int
    mac: int
    mtu: int
    up: bool
    running: bool
    features: Features = NO_FEATURES
    status: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)


def facts(name: str) -> Facts | None:
    """What the kernel says of device *name* in the caller's namespace; None when there is none."""
    link = _link(name)
    if link is None:
        return None
    index, flags, attributes = link
    stats = attributes.get(_STATS64, b"")
    counters = _STATS.unpack(stats[:_STATS.size]) if len(stats) >= _STATS.size else (0,) * 24
    return Facts(index, int.from_bytes(attributes.get(_ADDRESS, b"")[:6], "big"),
                 int.from_bytes(attributes.get(_MTU, b"")[:4], sys.byteorder), bool(flags & IFF_UP),
                 bool(flags & IFF_UP and flags & IFF_RUNNING), _features(name), _driver(name),
                 {what: counters[at] for at, what in _FAULTS})


def _link(name: str) -> tuple[int, int, dict[int, bytes]] | None:
    raw = check_name(name) + b"\0"
    body = _INFO.pack(0, 0, 0, 0, 0) + _ATTR.pack(_ATTR.size + len(raw), _IFNAME) + raw
    with genl.open_socket(protocol=genl.ROUTE) as sock:
        sock.settimeout(genl.TIMEOUT_S)
        try:
            sock.send(genl.pack(_GETLINK, genl.REQUEST, 1, body))
            for message in genl.walk(sock.recv(genl.MESSAGE_MAX)):
                if message.type == _NEWLINK:
                    return _read(message.body)
        except OSError as error:
            raise PortError(f"network device {name!r}: {error.strerror or error}") from error
    return None


def _read(body: bytes) -> tuple[int, int, dict[int, bytes]]:
    """Index, flags and attributes of a link.  Raises FormatError."""
    if len(body) < _INFO.size:
        raise FormatError(f"rtnetlink: link of {len(body)} bytes, expected {_INFO.size} or more")
    _family, _type, index, flags, _change = _INFO.unpack_from(body)
    return index, flags, dict(attributes(body[_INFO.size:]))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTR.size <= len(data):
        size, kind = _ATTR.unpack_from(data, at)
        if not _ATTR.size <= size <= len(data) - at:
            raise FormatError(f"rtnetlink: attribute of {size} bytes, {len(data) - at} are left")
        yield kind & 0x3FFF, data[at + _ATTR.size:at + size]
        at += size + -size % 4


def _ask(name: str, request: bytes) -> bytes | None:
    """Ask the driver of a device by ethtool; None when it does not know."""
    answer = ctypes.create_string_buffer(request, len(request))
    ifreq = struct.pack("16sP16x", check_name(name), ctypes.addressof(answer))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            fcntl.ioctl(sock.fileno(), SIOCETHTOOL, ifreq)
        except OSError:
            return None
    return answer.raw


def _driver(name: str) -> dict[str, str]:
    answer = _ask(name, struct.pack("I", _GDRVINFO) + bytes(192))
    if answer is None:
        return {}
    return {what: answer[at:at + 32].partition(b"\0")[0].decode(errors="replace")
            for at, what in ((4, "driver_name"), (36, "driver_version"), (68, "firmware_version"))}


def _features(name: str) -> Features:
    answer = _ask(name, struct.pack("I", _GSET) + bytes(_SETTINGS.size - 4))
    if answer is None:
        return NO_FEATURES
    (_command, supported, advertising, speed, duplex, port, _phy, _transceiver, autoneg, _mdio, _max_tx,
     _max_rx, speed_hi, _mdix, _control, _peer) = _SETTINGS.unpack(answer)
    mbps = speed | speed_hi << 16
    current = next((full if duplex else half for known, half, full in _SPEEDS if known == mbps), 0)
    current |= {_PORT_TP: _COPPER, _PORT_FIBRE: _FIBER}.get(port, 0) | (_AUTONEG if autoneg else 0)
    return Features(current, _abilities(advertising), _abilities(supported))


def _abilities(bits: int) -> int:
    return sum(ours for theirs, ours in _ABILITIES if bits & theirs)


class LinkNews:
    """Hears from the kernel which devices of the caller's namespace came, went or changed."""

    def __init__(self) -> None:
        self._sock = genl.open_socket((_GROUP_LINK,), genl.ROUTE)
        self._sock.setblocking(False)

    def fileno(self) -> int:
        """What is readable when there are news."""
        return self._sock.fileno()

    def take(self) -> set[str] | None:
        """Names of the devices there are news of; None when some were lost, and any may have changed."""
        names: set[str] = set()
        while True:
            try:
                data = self._sock.recv(genl.MESSAGE_MAX)
                for message in genl.walk(data):
                    if message.type in (_NEWLINK, _DELLINK):
                        raw = _read(message.body)[2].get(_IFNAME, b"")
                        names.add(raw.rstrip(b"\0").decode(errors="replace"))
            except BlockingIOError:
                return names
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise PortError(f"news of devices: {error.strerror or error}") from error
                return None
            except FormatError:
                return None

    def close(self) -> None:
        """Hear no more."""
        self._sock.close()
