"""MacTable: which port of a bridge leads to which MAC address, per VLAN.

Entries age: one not seen for ``aging_s`` seconds goes.  When the table is full a new address replaces the
longest unseen one of the port that has most, so that one noisy port cannot push out everybody else's.
A gratuitous ARP locks its entry for a while, so that a copy of it reflected by a bond does not move
the address there.  Static entries neither age nor move nor make room.

Ports are numbers; which of them are bonds the caller says.  One owner, no clock: *now* is an argument.
``version`` grows with every change that may alter a forwarding decision.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

MAX_ENTRIES = 8192
AGING_S = 300.0
GRATUITOUS_LOCK_S = 5.0
_MULTICAST = 1 << 40
_Key = tuple[int, int]              # VLAN, MAC address


@dataclass(slots=True)
class MacEntry:
    """One address.  *expires* is infinite for a static entry; *locked_until* is the gratuitous-ARP lock."""

    mac: int
    vlan: int
    port: int
    expires: float
    locked_until: float = float("-inf")
    is_static: bool = False


class MacTable:
    """MAC addresses of one bridge."""

    def __init__(self, max_entries: int = MAX_ENTRIES, aging_s: float = AGING_S) -> None:
        self.max_entries, self.aging_s = max_entries, aging_s
        self.flood_vlans: frozenset[int] = frozenset()          # nothing is learned in these
        self.version = 0
        self.n_learned = self.n_expired = self.n_evicted = self.n_moved = self.n_static = 0
        # All learned entries, longest unseen first, and the same by port; static ones stand apart.
        self._entries: OrderedDict[_Key, MacEntry] = OrderedDict()
        self._by_port: dict[int, OrderedDict[_Key, MacEntry]] = {}
        self._static: dict[_Key, MacEntry] = {}

    def __len__(self) -> int:
        return len(self._entries) + len(self._static)

    def __iter__(self) -> Iterator[MacEntry]:
        """Entries, static ones first, then longest unseen first."""
        yield from self._static.values()
        yield from self._entries.values()

    def lookup(self, mac: int, vlan: int) -> int | None:
        """Port behind which *mac* is, None if unknown.  A multicast address is never known."""
        if mac & _MULTICAST or vlan in self.flood_vlans:
            return None
        key = (vlan, mac)
        entry = self._entries.get(key) or self._static.get(key)
        return None if entry is None else entry.port

    def update(self, mac: int, vlan: int, port: int, now: float, *, gratuitous: bool = False,
               bond: bool = False) -> bool:
        """Note that *mac* was seen as a source on *port*; return whether that was news.

        *gratuitous* says that the packet was a gratuitous ARP, *bond* that the port is a bond.
        """
        key = (vlan, mac)
        if mac & _MULTICAST or vlan in self.flood_vlans or key in self._static:
            return False
        entry = self._entries.get(key)
        if entry is None:
            if self.max_entries <= len(self):
                self._evict()
            entry = self._entries[key] = MacEntry(mac, vlan, port, now + self.aging_s)
            self._by_port.setdefault(port, OrderedDict())[key] = entry
            if gratuitous and not bond:
                entry.locked_until = now + GRATUITOUS_LOCK_S
            self.n_learned += 1
            self.version += 1
            return True
        entry.expires = now + self.aging_s
        self._entries.move_to_end(key)
        self._by_port[entry.port].move_to_end(key)
        if gratuitous:
            if not bond:
                entry.locked_until = now + GRATUITOUS_LOCK_S
            elif now < entry.locked_until:
                return False
        if entry.port == port:
            return False
        self._drop_from_port(key, entry)
        entry.port = port
        self._by_port.setdefault(port, OrderedDict())[key] = entry
        self.n_moved += 1
        self.version += 1
        return True

    def is_locked(self, mac: int, vlan: int, now: float) -> bool:
        """Whether a gratuitous ARP pinned *mac* a moment ago."""
        entry = self._entries.get((vlan, mac))
        return entry is not None and now < entry.locked_until

    def _drop_from_port(self, key: _Key, entry: MacEntry) -> None:
        of_port = self._by_port[entry.port]
        del of_port[key]
        if not of_port:
            del self._by_port[entry.port]

    def _evict(self) -> None:
        if not self._by_port:
            return
        fullest = max(self._by_port.values(), key=len)
        self._remove(next(iter(fullest)))
        self.n_evicted += 1

    def _remove(self, key: _Key) -> None:
        self._drop_from_port(key, self._entries.pop(key))
        self.version += 1

    def add_static(self, mac: int, vlan: int, port: int) -> bool:
        """Pin *mac* to *port*; return whether anything changed."""
        key = (vlan, mac)
        old = self._static.get(key)
        if old is not None and old.port == port:
            return False
        if key in self._entries:
            self._remove(key)
        self._static[key] = MacEntry(mac, vlan, port, float("inf"), is_static=True)
        self.n_static = len(self._static)
        self.version += 1
        return True

    def del_static(self, mac: int, vlan: int) -> bool:
        """Unpin *mac*; return whether it was pinned."""
        if self._static.pop((vlan, mac), None) is None:
            return False
        self.n_static = len(self._static)
        self.version += 1
        return True

    def next_deadline(self) -> float:
        """When the first entry ages out; infinite when none will."""
        first = next(iter(self._entries.values()), None)
        return float("inf") if first is None else first.expires

    def expire(self, now: float) -> list[MacEntry]:
        """Remove and return the entries whose time is up."""
        gone = []
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if now < entry.expires:
                break
            self._remove(key)
            gone.append(entry)
        self.n_expired += len(gone)
        return gone

    def set_aging(self, aging_s: float) -> None:
        """Change how long an unseen entry lives; those present get the difference."""
        delta, self.aging_s = aging_s - self.aging_s, aging_s
        for entry in self._entries.values():
            entry.expires += delta

    def set_max_entries(self, max_entries: int) -> None:
        """Change the size of the table, pushing out what no longer fits."""
        self.max_entries = max_entries
        while len(self) > max_entries and self._entries:
            self._evict()

    def set_flood_vlans(self, vlans: frozenset[int]) -> None:
        """Say in which VLANs nothing is learned; what was learned there is forgotten."""
        self.flood_vlans = vlans
        for key in [k for k in self._entries if k[0] in vlans]:
            self._remove(key)

    def flush(self) -> None:
        """Forget all learned addresses."""
        if self._entries:
            self.version += 1
        self._entries.clear()
        self._by_port.clear()

    def flush_port(self, port: int) -> None:
        """Forget what is behind *port*, static entries too."""
        for key in list(self._by_port.get(port, ())):
            self._remove(key)
        for entry in [e for e in self._static.values() if e.port == port]:
            self.del_static(entry.mac, entry.vlan)
