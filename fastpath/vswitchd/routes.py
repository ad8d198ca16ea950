"""Routes that ``ovs/route/add`` makes, for tunnels: where a packet for an address goes, and its source.

A route needs a device with an address of its gateway's network, or without a gateway of its own: the
source of what is sent along it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_interface, ip_network
from typing import TypeAlias

from fastpath.errors import ConfigError, NotFoundError

Address: TypeAlias = IPv4Address | IPv6Address
_MAPPED = 0xFFFF << 32          # IPv4 addresses among those of IPv6
BITS = 128


@dataclass(frozen=True, slots=True)
class Route:
    """The way to *network*, which counts its prefix in bits of IPv6."""

    network: IPv6Network
    device: str
    gateway: Address | None
    source: Address
    mark: int

    def __str__(self) -> str:
        is_4 = self.network.network_address.ipv4_mapped
        shown = f"{is_4}/{self.network.prefixlen - 96}" if is_4 is not None else str(self.network)
        mark = f" MARK {self.mark}" if self.mark else ""
        gateway = f" GW {self.gateway}" if self.gateway is not None else ""
        return f"User: {shown}{mark} dev {self.device}{gateway} SRC {self.source}"


class Routes:
    """The routes; *addresses* tells those of a device, such as ``10.0.0.5/24``."""

    def __init__(self, addresses: Callable[[str], Iterable[str]]) -> None:
        self._addresses = addresses
        self._routes: dict[tuple[int, IPv6Network], Route] = {}

    def __iter__(self) -> Iterator[Route]:
        return iter(sorted(self._routes.values(), key=lambda r: (r.network, r.mark)))

    def add(self, prefix: str, device: str, gateway: Address | None, mark: int) -> None:
        """Take a route in.  Raises ConfigError if the device has no address to send from."""
        network = parse_network(prefix)
        source = self._source(network, device, gateway)
        self._routes[mark, network] = Route(network, device, gateway, source, mark)

    def _source(self, network: IPv6Network, device: str, gateway: Address | None) -> Address:
        wanted = gateway or unmapped(network.network_address)
        for text in self._addresses(device):
            own = ip_interface(text)
            if own.version == wanted.version and wanted in own.network:
                return own.ip
        raise ConfigError(f"{device} has no address of the network of {wanted}")

    def remove(self, prefix: str, mark: int) -> None:
        """Forget a route.  Raises NotFoundError."""
        if self._routes.pop((mark, parse_network(prefix)), None) is None:
            raise NotFoundError("Not found")

    def find(self, address: Address, mark: int) -> Route | None:
        """The most specific route to *address* for packets with *mark*."""
        key = mapped(address)
        fit = [r for r in self._routes.values() if r.mark == mark and key in r.network]
        return max(fit, key=lambda r: r.network.prefixlen, default=None)


def mapped(address: Address) -> IPv6Address:
    """*address* as one of IPv6."""
    return address if isinstance(address, IPv6Address) else IPv6Address(_MAPPED | int(address))


def unmapped(address: IPv6Address) -> Address:
    """The address of IPv4 that *address* stands for, or itself."""
    return address.ipv4_mapped or address


def parse_network(text: str) -> IPv6Network:
    """A prefix of either family.  Raises ConfigError."""
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if isinstance(network, IPv6Network):
        return network
    return IPv6Network((mapped(network.network_address), network.prefixlen + BITS - 32))


def parse_address(text: str) -> Address:
    """An address of either family.  Raises ConfigError."""
    try:
        return ip_address(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None
