"""Which controllers a bridge reaches in band, and by what (``ofproto.in_band`` tells what that means).

Only who is named by an IPv4 address can be; without a port number LOCAL, which has the address that this
host speaks from, there is no such control.  What the rules are made of is looked up again whenever a
connection to a controller changes, and when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING

from fastpath.errors import ConfigError
from fastpath.io.next_hop import next_hop_mac
from fastpath.ofproto.in_band import NOTHING, InBand, Remote
from fastpath.ofproto.xlate.context import OFPP_LOCAL
from fastpath.runtime.addresses import parse_address
from fastpath.text import parse_mac

if TYPE_CHECKING:
    from fastpath.bridge import Bridge, Port


class InBandControl:
    """In-band control of one bridge; made by ``Controllers``."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._targets: dict[str, tuple[int, int]] = {}
        self._others: tuple[tuple[int, int], ...] = ()
        self._queue: int | None = None
        self.next_hop: Callable[[int], int] = next_hop_mac      # Ethernet address on the way to an IPv4 one

    def set(self, *, queue: int | None = None, others: Iterable[tuple[int, int]] = ()) -> None:
        """What goes by the rules leaves by *queue*; *others* (IPv4 address, TCP port) are reached as
        controllers are."""
        self._queue, self._others = queue, tuple(others)
        self.refresh()

    def add(self, target: str) -> None:
        """Reach *target*, if it has an IPv4 address."""
        place = place_of(target)
        if place is not None:
            self._targets[target] = place

    def remove(self, target: str) -> None:
        """Reach *target* no more."""
        self._targets.pop(target, None)

    def refresh(self) -> None:
        """Have the rules that things as they are now ask for."""
        bridge = self._bridge
        places = sorted({*self._targets.values(), *self._others})
        remotes = tuple(Remote(address, port, self.next_hop(address)) for address, port in places)
        with bridge.switch.lock:
            if bridge.is_deleted:
                return
            local = next((port for port in bridge.ports if port.number == OFPP_LOCAL), None)
            wanted = NOTHING if local is None or not remotes else InBand(
                hw_address(local), remotes, self._queue)
            if wanted != bridge.ofproto.in_band:
                bridge.switch.push_stats()
                bridge.ofproto.set_in_band(wanted, bridge.switch.now)
                bridge.switch.announce()


def place_of(target: str, default_port: int | None = None) -> tuple[int, int] | None:
    """IPv4 address and port of *target*, None if that is no ``tcp:`` or ``ssl:`` with such an address."""
    kind, _, rest = target.partition(":")
    if kind not in ("tcp", "ssl"):
        return None
    try:
        address = parse_address(target, passive=False)
        host = int(IPv4Address(address.host))
    except (ConfigError, AddressValueError):
        return None
    return host, default_port if default_port is not None and ":" not in rest else address.port


def hw_address(port: Port) -> int:
    """The Ethernet address of a port as controllers are told it, 0 for none."""
    return port.of.hw_addr or (parse_mac(port.io.mac) if port.io is not None and port.io.mac else 0)
