"""Mirrors of a Bridge, as a program handles them; the part of ``Bridge`` that is about them.

    br.add_mirror("span", select_all=True, output_port="probe")
    br.add_mirror("rspan", select_src_port=["a", "b"], select_vlan=[5], output_vlan=999, snaplen=128)
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastpath.arguments import checked
from fastpath.errors import ConfigError
from fastpath.ofproto import views
from fastpath.ofproto.mirrors import MIN_SNAPLEN, WHOLE, Mirror
from fastpath.ofproto.port import VLAN_MAX
from fastpath.part import BridgePart
from fastpath.value import replace

if TYPE_CHECKING:
    from fastpath.bridge import Port

# Two bridges whose mirrors copy to each other translate 64 levels deep before that is refused, as in the
# reference; a level with its copy is up to 15 calls, and Python allows 1000 unless told otherwise.
FRAMES = 4000


@checked
class Mirrors(BridgePart):
    """What a Bridge can do with its mirrors."""

    def add_mirror(self, name: str, *, select_all: bool = False,
                   select_src_port: Iterable[Port | str | int] = (),
                   select_dst_port: Iterable[Port | str | int] = (),
                   select_vlan: Iterable[int] | None = None, output_port: Port | str | int | None = None,
                   output_vlan: int | None = None, snaplen: int | None = None) -> Mirror:
        """Copy what comes in by the ports of *select_src_port*, goes out by those of *select_dst_port*, or
        both on all ports (*select_all*), in the VLANs *select_vlan* (None: in any), to a port or, flooding,
        into a VLAN; the first *snaplen* bytes, by default whole.  Names are those of Open vSwitch's database.

        The output port is for copies alone: what comes in there is dropped.
        """
        with self._lock:
            sources, targets = (
                None if select_all else frozenset(self.port(port).number for port in _several(ports))
                for ports in (select_src_port, select_dst_port))
            mirror = Mirror(
                name, sources, targets, None if select_vlan is None else _vlans(name, select_vlan),
                None if output_port is None else self.port(output_port).number, output_vlan, snaplen or 0)
            _check(mirror)
            if sys.getrecursionlimit() < FRAMES:
                sys.setrecursionlimit(FRAMES)
            self.ofproto.mirrors.add(mirror)
            self.ofproto.touch()
            return mirror

    def del_mirror(self, mirror: Mirror | str) -> None:
        """Remove a mirror.  Raises NotFoundError."""
        with self._lock:
            self.switch.push_stats()
            self.ofproto.mirrors.remove(mirror if isinstance(mirror, str) else mirror.name)
            self.ofproto.touch()

    @property
    def mirrors(self) -> list[Mirror]:
        """Copies of all mirrors, counters up to date, in the order in which they are consulted."""
        with self._lock:
            self.switch.push_stats()
            return [replace(mirror) for mirror in self.ofproto.mirrors]

    def dump_mirrors(self) -> str:
        """The same as text, a line each."""
        with self._lock:
            names = {number: name for name, number in self.ofproto.port_numbers().items()}
            return views.format_mirrors(self.mirrors, names)


def _several(ports: Iterable[Port | str | int]) -> Iterable[Port | str | int]:
    if isinstance(ports, str | int) or not isinstance(ports, Iterable):
        raise ConfigError(f"mirror: {ports!r} given, expected several ports")
    return ports


def _vlans(name: str, vlans: Iterable[int]) -> frozenset[int]:
    if isinstance(vlans, str | int):
        raise ConfigError(f"mirror {name!r}: select_vlan {vlans!r}, expected several VLANs")
    chosen = frozenset(vlans)
    for vid in chosen:
        if type(vid) is not int or not 0 <= vid <= VLAN_MAX:
            raise ConfigError(f"mirror {name!r}: VLAN {vid!r} not between 0 and {VLAN_MAX}")
    return chosen


def _check(mirror: Mirror) -> None:
    """Raise ConfigError for a mirror that makes no sense."""
    start = f"mirror {mirror.name!r}"
    if (mirror.out_port is None) == (mirror.out_vlan is None):
        raise ConfigError(f"{start}: expected either output_port or output_vlan")
    if mirror.out_vlan is not None and not (type(mirror.out_vlan) is int and 0 < mirror.out_vlan <= VLAN_MAX):
        raise ConfigError(f"{start}: output_vlan {mirror.out_vlan!r} not between 1 and {VLAN_MAX}")
    if mirror.snaplen and not (type(mirror.snaplen) is int and MIN_SNAPLEN <= mirror.snaplen <= WHOLE):
        raise ConfigError(f"{start}: snaplen {mirror.snaplen!r} not between {MIN_SNAPLEN} and {WHOLE}")
