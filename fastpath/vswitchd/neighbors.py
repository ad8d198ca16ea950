"""Ethernet addresses of the other ends of tunnels: those told, as none is learned yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastpath.vswitchd.routes import Address, mapped

AGING_S, MAX_AGING_S = 900, 3600
FIRST_PORT, LAST_PORT = 32768, 61000


@dataclass(frozen=True, slots=True)
class Neighbor:
    """One entry: *bridge* reaches *address* at *mac*."""

    bridge: str
    address: Address
    mac: int


class Neighbors:
    """The entries, and the settings of tunnels that belong to no row."""

    def __init__(self) -> None:
        self.aging_s = AGING_S
        self.source_ports = FIRST_PORT, LAST_PORT       # UDP source ports that tunnels send from
        self._entries: dict[tuple[str, Address], Neighbor] = {}

    def __iter__(self) -> Iterator[Neighbor]:
        return iter(sorted(self._entries.values(), key=lambda n: (mapped(n.address), n.bridge)))

    def set(self, bridge: str, address: Address, mac: int) -> None:
        """Enter an address, or change it."""
        self._entries[bridge, address] = Neighbor(bridge, address, mac)

    def flush(self) -> None:
        """Forget all."""
        self._entries.clear()
