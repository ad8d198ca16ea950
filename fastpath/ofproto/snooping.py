"""SnoopTable: which ports of a bridge lead to members of which multicast groups, and which to routers.

Hosts say which groups they are in (IGMP, MLD), and routers ask them; a bridge that listens (RFC 4541) sends
a group's packets to its members and to routers instead of everywhere.  Members that are not heard for
``aging_s`` seconds go, and routers after ``ROUTER_AGING_S``, counted in whole seconds as in the reference.
Groups are kept in the order they were heard of, and looked at in that order: while the first has members,
later ones keep members that are due.  A full table gives up the group that was longest not heard of.

Addresses are numbers of 128 bits, IPv4 ones mapped (``mapped``).  Ports are numbers.  One owner, no clock.
What translations ask is written to *asked*, and whose answers change to *changed*, as keys of the kind that
learned addresses have; their numbers are beyond those of any.  *counters* may be those of many bridges.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastpath.text import format_ipv4, format_ipv6
from fastpath.value import record, value

if TYPE_CHECKING:
    from fastpath.ofproto.backer import MacKey

AGING_S, MIN_AGING_S, MAX_AGING_S = 300, 15, 3600
MAX_GROUPS, LEAST_GROUPS, MOST_GROUPS = 2048, 10, 1_000_000
ROUTER_AGING_S = 180
_MAPPED = 0xFFFF << 32
_GROUP, _ROUTERS = 1 << 128, 1 << 129           # in keys


def mapped(ipv4: int) -> int:
    """An IPv4 address among IPv6 ones (RFC 4291 section 2.5.5.2)."""
    return _MAPPED | ipv4


def format_group(address: int) -> str:
    """An address as people know it."""
    return format_ipv4(address & 0xFFFFFFFF) if address >> 32 == 0xFFFF else format_ipv6(address)


@value
class SnoopSettings:
    """Seconds a member lives, how many groups there may be, within bounds; and whether packets to groups that
    nobody is in go everywhere."""

    aging_s: int = AGING_S
    max_groups: int = MAX_GROUPS
    floods_unregistered: bool = True

    def bounded(self) -> SnoopSettings:
        """The same within the bounds there are."""
        return SnoopSettings(max(MIN_AGING_S, min(MAX_AGING_S, self.aging_s)),
                             max(LEAST_GROUPS, min(MOST_GROUPS, self.max_groups)), self.floods_unregistered)


@record
class SnoopCounters:
    """Groups and routers learned; groups, members and routers that expired."""

    n_learned: int = 0
    n_expired: int = 0


@value
class Member:
    """A port in a group; of a router *group* is None.  *age* is in seconds."""

    port: int
    vlan: int
    group: int | None
    age: int


_Key = tuple[int, int]                          # VLAN and group, or VLAN and port
_Members = OrderedDict[int, int]                # when they go, by port; longest unheard first


class SnoopTable:
    """Members and routers of one bridge, called *bridge* in keys."""

    def __init__(self, settings: SnoopSettings, bridge: str = "", asked: list[MacKey] | None = None,
                 changed: set[MacKey] | None = None, counters: SnoopCounters | None = None) -> None:
        self.settings = settings.bounded()
        self.counters = SnoopCounters() if counters is None else counters
        self.flooded: dict[int, None] = {}      # ports that all groups' packets go to
        self.reported: dict[int, None] = {}     # ports that reports go to
        self._bridge = bridge
        self._asked = [] if asked is None else asked
        self._changed: set[MacKey] = set() if changed is None else changed
        self._groups: OrderedDict[_Key, _Members] = OrderedDict()
        self._routers: OrderedDict[_Key, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._groups)

    def set(self, settings: SnoopSettings) -> None:
        """Other settings, members that are there live accordingly longer or shorter."""
        wanted = settings.bounded()
        more = wanted.aging_s - self.settings.aging_s
        if more:
            for members in self._groups.values():
                for port in members:
                    members[port] += more
        self.settings = wanted

    def set_port(self, port: int, *, floods: bool, takes_reports: bool) -> bool:
        """Say whether all groups' packets go to *port*, and all reports; return whether that is news."""
        before = port in self.flooded, port in self.reported
        for ports, on in ((self.flooded, floods), (self.reported, takes_reports)):
            if on:
                ports.setdefault(port)
            else:
                ports.pop(port, None)
        return before != (floods, takes_reports)

    # -- what translations ask ----------------------------------------------------------------------

    def members(self, group: int, vlan: int) -> list[int] | None:
        """Ports in a group, None for one that nobody was in lately."""
        self._asked.append((self._bridge, vlan, _GROUP | group))
        found = self._groups.get((vlan, group))
        return None if found is None else list(found)

    def routers(self, vlan: int) -> list[tuple[int, int]]:
        """VLAN and port of routers, longest unheard first.  Packets of *vlan* go to its own only: changes of
        others change what is told, not what is done."""
        self._asked.append((self._bridge, vlan, _ROUTERS))
        return list(self._routers)

    # -- what messages tell -------------------------------------------------------------------------

    def join(self, group: int, vlan: int, port: int, now: float) -> bool:
        """Note that somebody behind *port* is in a group; return whether nobody was before."""
        if (vlan, port) in self._routers or port in self.flooded:
            return False                        # they get all of it anyway
        key = (vlan, group)
        members = self._groups.get(key)
        is_new = members is None
        if members is None:
            if len(self) >= self.settings.max_groups:
                self._flush_group(next(iter(self._groups)))
            members = self._groups[key] = OrderedDict()
            self.counters.n_learned += 1
        else:
            self._groups.move_to_end(key)
        if port not in members:
            self._touch(vlan, group)
        members[port] = int(now) + self.settings.aging_s
        members.move_to_end(port)
        return is_new

    def leave(self, group: int, vlan: int, port: int) -> bool:
        """Note that somebody behind *port* left a group; return whether that changes anything.  Ports that
        take reports may have more members behind them."""
        members = self._groups.get((vlan, group))
        if port in self.reported or members is None or members.pop(port, None) is None:
            return False
        self._touch(vlan, group)
        return True

    def add_router(self, vlan: int, port: int, now: float) -> bool:
        """Note that a router is behind *port*; return whether that is news."""
        if port in self.flooded:
            return False
        key = (vlan, port)
        is_new = key not in self._routers
        self._routers[key] = int(now) + ROUTER_AGING_S
        self._routers.move_to_end(key)
        if is_new:
            self.counters.n_learned += 1
            self._touch_routers(vlan)
        return is_new

    # -- time, and ports that go --------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When ``expire`` next has something to do; infinite for never."""
        first = next(iter(self._groups.values()), None)
        due = float("inf") if first is None else float(next(iter(first.values()), 0))
        return min(due, float(next(iter(self._routers.values()), float("inf"))))

    def expire(self, now: float) -> None:
        """Forget members and routers whose time is up, and groups beyond those there may be."""
        second = int(now)
        while self._groups:
            key, members = next(iter(self._groups.items()))
            if len(self) > self.settings.max_groups:
                self._flush_group(key)
            elif not self._expire_members(key, members, second):
                break
        while self._routers and second >= next(iter(self._routers.values())):
            (vlan, _port), _due = self._routers.popitem(last=False)
            self.counters.n_expired += 1
            self._touch_routers(vlan)

    def _expire_members(self, key: _Key, members: _Members, second: int) -> bool:
        """Forget those of one group; return whether there were any, or the group is empty and goes."""
        n = 0
        while members and next(iter(members.values())) <= second:
            members.popitem(last=False)
            n += 1
        if not members:
            self._flush_group(key)
            n += 1
        if n:
            self.counters.n_expired += n
            self._touch(*key)
        return n > 0

    def flush(self) -> None:
        """Forget all members and routers."""
        for key in list(self._groups):
            self._flush_group(key)
        for vlan, _port in self._routers:
            self._touch_routers(vlan)
        self._routers.clear()

    def flush_port(self, port: int) -> None:
        """Forget what is behind a port."""
        for key, members in list(self._groups.items()):
            if members.pop(port, None) is not None:
                self._touch(*key)
                if not members:
                    self._flush_group(key)
        for place in [place for place in self._routers if place[1] == port]:
            del self._routers[place]
            self._touch_routers(place[0])

    def forget_port(self, port: int) -> None:
        """The port goes."""
        self.set_port(port, floods=False, takes_reports=False)
        self.flush_port(port)

    def _flush_group(self, key: _Key) -> None:
        del self._groups[key]
        self._touch(*key)

    def _touch(self, vlan: int, group: int) -> None:
        self._changed.add((self._bridge, vlan, _GROUP | group))

    def _touch_routers(self, vlan: int) -> None:
        self._changed.add((self._bridge, vlan, _ROUTERS))

    # -- for people ---------------------------------------------------------------------------------

    def told(self, now: float) -> Iterator[Member]:
        """All members, group by group, and then the routers."""
        second = int(now)
        for (vlan, group), members in self._groups.items():
            for port, due in members.items():
                yield Member(port, vlan, group, self.settings.aging_s - (due - second))
        for (vlan, port), due in self._routers.items():
            yield Member(port, vlan, None, ROUTER_AGING_S - (due - second))
