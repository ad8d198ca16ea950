"""Mirrors of one bridge: which packets are copied, and where the copies go (SPAN, and RSPAN into a VLAN).

A mirror selects ports, as where packets come in or go out, and may narrow that to some VLANs.  Its output is
a port, which then does nothing else (what comes in there is dropped, NORMAL sends nothing there), or a VLAN,
in which the copies are flooded.  Mirrors are numbered by the lowest free place, and consulted in that order:
of those with one output only the first that selects a packet copies it.

How copies are made is ``xlate.mirror``; here nothing is translated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastpath.errors import ConfigError, ExistsError, NotFoundError
from fastpath.value import record

MAX_MIRRORS = 32
WHOLE = 65535                   # a snaplen that cuts nothing, as 0 does
MIN_SNAPLEN = 14


@record(eq=False)
class Mirror:
    """One mirror.  *sources* and *targets* are OpenFlow port numbers, *vlans* VLANs inside the bridge, None
    meaning all.  Of *out_port* and *out_vlan* the one that is not None is the output."""

    name: str
    sources: frozenset[int] | None
    targets: frozenset[int] | None
    vlans: frozenset[int] | None
    out_port: int | None
    out_vlan: int | None
    snaplen: int = 0
    bit: int = 0                # its place, as a bit
    same_output: int = 0        # bits of the mirrors with this output, itself among them
    n_packets: int = 0
    n_bytes: int = 0

    def credit(self, n_packets: int, n_bytes: int) -> None:
        """Count packets that were copied."""
        self.n_packets += n_packets
        self.n_bytes += n_bytes


class MirrorTable:
    """Mirrors of one bridge, by place."""

    def __init__(self) -> None:
        self._mirrors: list[Mirror] = []
        self._outputs: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self._mirrors)

    def __len__(self) -> int:
        return len(self._mirrors)

    def __iter__(self) -> Iterator[Mirror]:
        return iter(self._mirrors)

    def is_output(self, port: int) -> bool:
        """Whether a port is reserved for copies."""
        return port in self._outputs

    def selecting_source(self, port: int) -> list[Mirror]:
        """Mirrors of what comes in by a port."""
        return [m for m in self._mirrors if m.sources is None or port in m.sources]

    def selecting_target(self, port: int) -> list[Mirror]:
        """Mirrors of what goes out by a port."""
        return [m for m in self._mirrors if m.targets is None or port in m.targets]

    def add(self, mirror: Mirror) -> None:
        """Enter *mirror* at the lowest free place.  Raises ExistsError when its name is taken, ConfigError
        when there are too many."""
        if any(m.name == mirror.name for m in self._mirrors):
            raise ExistsError(f"mirror {mirror.name!r}: there is one of that name")
        if len(self._mirrors) >= MAX_MIRRORS:
            raise ConfigError(f"mirror {mirror.name!r}: maximum of {MAX_MIRRORS} mirrors reached")
        used = sum(m.bit for m in self._mirrors)
        mirror.bit = ~used & used + 1
        self._change([*self._mirrors, mirror])

    def remove(self, name: str) -> Mirror:
        """Take out the mirror called *name* and return it.  Raises NotFoundError."""
        for m in self._mirrors:
            if m.name == name:
                self._change(other for other in self._mirrors if other is not m)
                return m
        raise NotFoundError(f"no mirror {name!r}")

    def forget_port(self, port: int) -> list[Mirror]:
        """Let go of a port that is removed; return the mirrors that go with it, having no output any more."""
        gone = [m for m in self._mirrors if m.out_port == port]
        for m in self._mirrors:
            m.sources, m.targets = (ports and ports - {port} for ports in (m.sources, m.targets))
        self._change(m for m in self._mirrors if m not in gone)
        return gone

    def _change(self, mirrors: Iterable[Mirror]) -> None:
        self._mirrors = sorted(mirrors, key=lambda m: m.bit)
        for m in self._mirrors:
            m.same_output = sum(other.bit for other in self._mirrors
                                if (other.out_port, other.out_vlan) == (m.out_port, m.out_vlan))
        self._outputs = frozenset(m.out_port for m in self._mirrors if m.out_port is not None)
