"""Addresses of a Bridge, as a program handles them; the part of ``Bridge`` that is about its MAC table.

What the table does with addresses is told in ``ofproto.learning``.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING

from fastpath.arguments import checked
from fastpath.errors import ConfigError, NotFoundError, ParseError
from fastpath.ofproto import views
from fastpath.ofproto.learning import MacCounters, MacEntry
from fastpath.ofproto.port import VLAN_MAX
from fastpath.part import BridgePart
from fastpath.text import parse_mac

if TYPE_CHECKING:
    from fastpath.bridge import Port


def check_fdb(aging: float, max_macs: int) -> None:
    """Raise ConfigError unless a MAC table may have these settings."""
    if not 0 < aging < inf:
        raise ConfigError(f"mac_aging {aging}: expected seconds, more than 0")
    if max_macs < 1:
        raise ConfigError(f"max_macs {max_macs}: expected 1 or more")


@checked
class Addresses(BridgePart):
    """What a Bridge can do with its MAC table."""

    def fdb(self) -> list[MacEntry]:
        """Learned and static addresses, longest unseen first."""
        with self._lock:
            self.switch.push_stats()
            return list(self.ofproto.macs)

    def dump_fdb(self) -> str:
        """The same as text, as ``fdb/show`` prints it."""
        return views.format_fdb(self.fdb(), self.switch.now)

    def add_mac(self, port: Port | str | int, mac: str | int, *, vlan: int = 0) -> None:
        """Pin an address to a port, as ``fdb/add`` does: it neither ages nor moves, nor makes room."""
        address = _checked(mac, vlan)
        with self._lock:
            self.ofproto.macs.add_static(address, vlan, self.port(port).number)

    def del_mac(self, mac: str | int, *, vlan: int = 0) -> None:
        """Unpin an address, as ``fdb/del`` does.  Raises NotFoundError if it was not pinned."""
        with self._lock:
            if not self.ofproto.macs.del_static(_checked(mac, vlan), vlan):
                raise NotFoundError(f"bridge {self.ofproto.name!r}: no static address {mac} in VLAN {vlan}")

    def flush_fdb(self) -> None:
        """Forget all learned addresses."""
        with self._lock:
            self.ofproto.macs.flush()

    def set_fdb(self, *, mac_aging: float | None = None, max_macs: int | None = None,
                flood_vlans: Iterable[int] | None = None) -> None:
        """Change settings of the MAC table, those given: seconds after which an unseen address goes, how many
        there may be, and VLANs in which nothing is learned, so that NORMAL floods."""
        with self._lock:
            self.switch.push_stats()        # which addresses go depends on when they were seen
            macs = self.ofproto.macs
            check_fdb(macs.aging_s if mac_aging is None else mac_aging,
                      macs.max_entries if max_macs is None else max_macs)
            if flood_vlans is not None:
                self.ofproto.set_flood_vlans(flood_vlans)
            if mac_aging is not None:
                macs.set_aging(mac_aging)
            if max_macs is not None:
                macs.set_max_entries(max_macs)

    def fdb_stats(self) -> MacCounters:
        """What happened to addresses since the counters were cleared, a copy."""
        with self._lock:
            self.switch.push_stats()
            return self.ofproto.macs.counters.copy()

    def dump_fdb_stats(self) -> str:
        """The same as text, as ``fdb/stats-show`` prints it."""
        with self._lock:
            self.switch.push_stats()
            return views.format_fdb_stats(self.ofproto.name, self.ofproto.macs)

    def clear_fdb_stats(self) -> None:
        """Count anew."""
        with self._lock:
            self.switch.push_stats()
            self.ofproto.macs.clear_counters()


def _checked(mac: str | int, vlan: int) -> int:
    """*mac* as a number, when it and *vlan* may be in a MAC table."""
    if type(vlan) is not int or not 0 <= vlan <= VLAN_MAX:
        raise ConfigError(f"VLAN {vlan!r}: not between 0 and {VLAN_MAX}")
    try:
        address = mac if type(mac) is int else parse_mac(str(mac))
    except ParseError as error:
        raise ConfigError(f"address {error}") from None
    if not 0 <= address < 1 << 48:
        raise ConfigError(f"address {mac!r}: not of 48 bits")
    return address
