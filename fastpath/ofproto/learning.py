"""MacTable: which port of a bridge leads to which MAC address, per VLAN.

Entries age: one not seen for ``aging_s`` seconds goes.  When the table is full a new address replaces the
longest unseen one of the port that has most, so that one noisy port cannot push out everybody else's
(``port_usage``).  A gratuitous ARP locks its entry for a while, so that a copy of it reflected by a bond does
not move the address there.

Static entries neither age nor move.  They count among the entries of their port, but never make room:
in the reference, whose order of entries and choice of ports this table keeps, traffic can push them out,
which is not what they are for.  A table full of them learns nothing.

Ports are numbers; which of them are bonds the caller says.  One owner, no clock: *now* is an argument.
``version`` grows with every change that may alter a forwarding decision.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator

from fastpath.ofproto.port_usage import PortUsage
from fastpath.value import record, replace

MAX_ENTRIES = 8192
AGING_S = 300.0
GRATUITOUS_LOCK_S = 5.0
_MULTICAST = 1 << 40
_Key = tuple[int, int]              # VLAN, MAC address


@record
class MacEntry:
    """One address, last seen at *seen*.  *expires* is infinite for a static entry; *locked_until* is the
    gratuitous-ARP lock; *turn* grows with every sight of any entry."""

    mac: int
    vlan: int
    port: int
    expires: float
    seen: float = 0.0
    turn: int = 0
    locked_until: float = float("-inf")
    is_static: bool = False


@record
class MacCounters:
    """What happened to entries."""

    n_learned: int = 0
    n_expired: int = 0
    n_evicted: int = 0
    n_moved: int = 0

    def copy(self) -> MacCounters:
        """The counters as they are now."""
        return replace(self)

    def since(self, before: MacCounters) -> MacCounters:
        """What was counted since they were as *before*."""
        return MacCounters(self.n_learned - before.n_learned, self.n_expired - before.n_expired,
                           self.n_evicted - before.n_evicted, self.n_moved - before.n_moved)

    def add(self, more: MacCounters) -> None:
        """Count what others counted, too."""
        self.n_learned += more.n_learned
        self.n_expired += more.n_expired
        self.n_evicted += more.n_evicted
        self.n_moved += more.n_moved


class MacTable:
    """MAC addresses of one bridge."""

    def __init__(self, max_entries: int = MAX_ENTRIES, aging_s: float = AGING_S) -> None:
        self.max_entries, self.aging_s = max_entries, aging_s
        self.flood_vlans: frozenset[int] = frozenset()          # nothing is learned in these
        self.version = 0
        self.ever, self._cleared = MacCounters(), MacCounters()
        self._turn = 0
        # Learned entries, longest unseen first; static ones stand apart, in the order they were added.
        self._entries: OrderedDict[_Key, MacEntry] = OrderedDict()
        self._static: dict[_Key, MacEntry] = {}
        self._usage: PortUsage[_Key] = PortUsage()

    def __len__(self) -> int:
        return len(self._entries) + len(self._static)

    def __iter__(self) -> Iterator[MacEntry]:
        """Entries, longest unseen first; a static one was seen when it was added."""
        return heapq.merge(self._entries.values(), self._static.values(), key=lambda entry: entry.turn)

    @property
    def counters(self) -> MacCounters:
        """What happened since the counters were cleared; *ever* has all that did."""
        return self.ever.since(self._cleared)

    @property
    def n_static(self) -> int:
        """Static entries there are."""
        return len(self._static)

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
        if entry is not None and now <= entry.seen and port == entry.port and (bond or not gratuitous):
            return False                        # nothing new, and its turn stays, as in the reference
        self._turn += 1
        if entry is None:
            if len(self) >= self.max_entries and not self._evict():
                return False
            entry = self._entries[key] = MacEntry(mac, vlan, port, now + self.aging_s, now, self._turn)
            self._usage.add(port, key)
            if gratuitous and not bond:
                entry.locked_until = now + GRATUITOUS_LOCK_S
            self.ever.n_learned += 1
            self.version += 1
            return True
        entry.seen, entry.turn = max(now, entry.seen), self._turn
        entry.expires = entry.seen + self.aging_s
        self._entries.move_to_end(key)
        self._usage.seen(entry.port, key)
        if gratuitous:
            if not bond:
                entry.locked_until = now + GRATUITOUS_LOCK_S
            elif now < entry.locked_until:
                return False
        if entry.port == port:
            return False
        self._usage.remove(entry.port, key)
        entry.port = port
        self._usage.add(port, key)
        self.ever.n_moved += 1
        self.version += 1
        return True

    def is_news(self, mac: int, vlan: int, port: int) -> bool:
        """Whether a packet from *mac* at *port* would bring or move an entry (a lock left aside).  An address
        that can only push out another is none: in a table too small every packet would bring news."""
        key = (vlan, mac)
        if mac & _MULTICAST or vlan in self.flood_vlans or key in self._static:
            return False
        entry = self._entries.get(key)
        return len(self) < self.max_entries if entry is None else entry.port != port

    def is_locked(self, mac: int, vlan: int, now: float) -> bool:
        """Whether a gratuitous ARP pinned *mac* a moment ago."""
        entry = self._entries.get((vlan, mac))
        return entry is not None and now < entry.locked_until

    def _evict(self) -> bool:
        """Make room for an entry; False if there are none but static ones."""
        victim = self._usage.victim()
        if victim is None:
            return False
        self._remove(victim)
        self.ever.n_evicted += 1
        return True

    def _remove(self, key: _Key) -> None:
        self._usage.remove(self._entries.pop(key).port, key)
        self.version += 1

    def find(self, mac: int, vlan: int) -> MacEntry | None:
        """Entry of an address, which is not asked for forwarding."""
        return self._static.get((vlan, mac)) or self._entries.get((vlan, mac))

    def add_static(self, mac: int, vlan: int, port: int) -> bool:
        """Pin *mac* to *port*, even in a table full of static entries; return whether anything changed."""
        key = (vlan, mac)
        self._turn += 1
        old = self._static.get(key)
        if old is not None and old.port == port:
            old.turn = self._turn
            self._static[key] = self._static.pop(key)
            return False
        if old is not None:
            self.del_static(mac, vlan)
        elif key in self._entries:
            self._remove(key)
        elif len(self) >= self.max_entries:
            self._evict()
        self._static[key] = MacEntry(mac, vlan, port, float("inf"), turn=self._turn, is_static=True)
        self._usage.add(port, None)
        self.version += 1
        return True

    def del_static(self, mac: int, vlan: int) -> bool:
        """Unpin *mac*; return whether it was pinned."""
        entry = self._static.pop((vlan, mac), None)
        if entry is None:
            return False
        self._usage.remove(entry.port, None)
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
        self.ever.n_expired += len(gone)
        return gone

    def set_aging(self, aging_s: float) -> None:
        """Change how long an unseen entry lives, those present too."""
        self.aging_s = aging_s
        for entry in self._entries.values():
            entry.expires = entry.seen + aging_s

    def set_max_entries(self, max_entries: int) -> None:
        """Change the size of the table.  What no longer fits expires, longest unseen first."""
        self.max_entries = max_entries
        while len(self) > max_entries and self._entries:
            self._remove(next(iter(self._entries)))
            self.ever.n_expired += 1

    def set_flood_vlans(self, vlans: frozenset[int]) -> None:
        """Say in which VLANs nothing is learned.  A change forgets all that was learned anywhere."""
        if vlans != self.flood_vlans:
            self.flood_vlans = vlans
            self.flush()

    def clear_counters(self) -> None:
        """Count anew."""
        self._cleared = self.ever.copy()

    def flush(self) -> None:
        """Forget all learned addresses."""
        for key in list(self._entries):
            self._remove(key)

    def flush_port(self, port: int) -> list[tuple[int, int]]:
        """Forget what is behind *port*, static entries too; return (address, VLAN) of each."""
        learned = list(self._usage.of(port))
        for key in learned:
            self._remove(key)
        pinned = [entry for entry in self._static.values() if entry.port == port]
        for entry in pinned:
            self.del_static(entry.mac, entry.vlan)
        return [(mac, vlan) for vlan, mac in learned] + [(entry.mac, entry.vlan) for entry in pinned]

    def forget(self, mac: int, vlan: int) -> bool:
        """Forget one address, pinned or not; return whether it was known."""
        if self.del_static(mac, vlan):
            return True
        if (vlan, mac) not in self._entries:
            return False
        self._remove((vlan, mac))
        return True
