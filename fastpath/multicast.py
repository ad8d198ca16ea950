"""Multicast snooping of a Bridge, as a program handles it; the part of ``Bridge`` that is about it.

What is listened for is told in ``ofproto.snooping``, and where packets go in ``ofproto.xlate.multicast``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.arguments import checked
from fastpath.errors import ConfigError, NotFoundError
from fastpath.ofproto import views
from fastpath.ofproto.snooping import AGING_S, MAX_GROUPS, Member, SnoopSettings, SnoopTable
from fastpath.part import BridgePart

if TYPE_CHECKING:
    from fastpath.bridge import Port


@checked
class Multicast(BridgePart):
    """What a Bridge can do about multicast groups."""

    @property
    def is_snooping(self) -> bool:
        """Whether it listens to who is in which multicast groups."""
        return self.ofproto.snooping is not None

    def set_snooping(self, on: bool, *, aging: int = AGING_S, max_groups: int = MAX_GROUPS,
                     flood_unregistered: bool = True) -> None:
        """Listen to IGMP and MLD, so that NORMAL sends packets of multicast groups to their members, or no
        more.  Members that are not heard for *aging* seconds (15 to 3600) go; there are at most *max_groups*
        (10 to a million); unless *flood_unregistered*, packets of groups that nobody is in go to routers
        only."""
        wanted = SnoopSettings(aging, max_groups, flood_unregistered)
        if wanted.bounded() != wanted:
            raise ConfigError(f"aging {aging}, max_groups {max_groups}: expected 15 to 3600 seconds and "
                              "10 to 1000000 groups")
        with self._lock:
            ofproto, table = self.ofproto, self.ofproto.snooping
            if on and table is None:
                backer = ofproto.backer
                ofproto.snooping = SnoopTable(wanted, ofproto.name, backer.asked_macs, backer.dirty_macs,
                                               backer.snooped)
            elif on and table is not None and table.settings != wanted:
                table.set(wanted)
            elif not on and table is not None:
                ofproto.snooping = None
            else:
                return
            ofproto.touch()

    def set_multicast_port(self, port: Port | str | int, *, flood: bool = False,
                           flood_reports: bool = False) -> None:
        """Say whether packets of all groups go to *port*, of which nothing is learned then, and whether all
        reports do."""
        with self._lock:
            number = self.port(port).number
            if self._table().set_port(number, floods=flood, takes_reports=flood_reports):
                self.ofproto.touch()

    def mdb(self) -> list[Member]:
        """Members of multicast groups, and then routers."""
        with self._lock:
            return list(self._table().told(self.switch.now))

    def dump_mdb(self) -> str:
        """The same as text, as ``mdb/show`` prints it."""
        return views.format_mdb(self.mdb())

    def flush_mdb(self) -> None:
        """Forget all members and routers."""
        with self._lock:
            self._table().flush()

    def _table(self) -> SnoopTable:
        if self.ofproto.snooping is None:
            raise NotFoundError("multicast snooping is disabled")
        return self.ofproto.snooping
