"""Which connections to forget: the tuples that flush-conntrack takes."""

from __future__ import annotations

from collections.abc import Callable

from fastpath import text
from fastpath.dpif.netlink.connection import ICMP, ICMPV6, Connection, Tuple
from fastpath.errors import ParseError
from fastpath.value import field, record

_ADDRESSES: dict[str, tuple[str, int, Callable[[str], int]]] = {
    "ct_nw_src": ("src", 4, text.parse_ipv4), "ct_nw_dst": ("dst", 4, text.parse_ipv4),
    "ct_ipv6_src": ("src", 6, text.parse_ipv6), "ct_ipv6_dst": ("dst", 6, text.parse_ipv6)}
_PORTS = {"ct_tp_src": (0, 16), "ct_tp_dst": (1, 16)}
_ICMP_PORTS = {"icmp_id": (0, 16), "icmp_type": (1, 8), "icmp_code": (2, 8)}


@record
class Ends:
    """One direction as far as it is given: addresses as numbers, ports or ICMP's id, type and code."""

    src: int = 0
    dst: int = 0
    ports: list[int] = field(default_factory=lambda: [0, 0, 0])


class CtMatch:
    """What connections to forget have in common: a protocol, and of each direction what is given."""

    def __init__(self) -> None:
        self.proto = self.family = 0
        self.orig, self.reply = Ends(), Ends()

    def take(self, source: str, ends: Ends) -> None:
        """Enter ``ct_nw_src=..,ct_nw_dst=..,ct_nw_proto=..,ct_tp_src=..,ct_tp_dst=..``.  Raises ParseError in
        the words of the reference."""
        for term in filter(None, source.replace(" ", ",").split(",")):
            name, _, given = term.partition("=")
            if not given:
                raise ParseError(f"field {name} missing value")
            try:
                self._take(name, given, ends)
            except _Unreadable:
                raise ParseError(f"failed to parse field {name}") from None
        if not self.proto and any(ends.ports[:2]):
            raise ParseError("port is set without protocol")

    def _take(self, name: str, given: str, ends: Ends) -> None:
        if name in _ADDRESSES:
            member, family, parse = _ADDRESSES[name]
            if self.family not in (0, family):
                raise ParseError(f"the L3 protocol does not match {given}")
            if getattr(ends, member):
                raise ParseError(f"{name} is set multiple times")
            setattr(ends, member, _read(parse, given))
            self.family = family
        elif name == "ct_nw_proto":
            self.proto = _number(given, 8)
        elif name in _PORTS:
            at, bits = _PORTS[name]
            ends.ports[at] = _number(given, bits)
        elif name in _ICMP_PORTS:
            if self.proto not in (ICMP, ICMPV6):
                raise ParseError("invalid L4 fields")
            at, bits = _ICMP_PORTS[name]
            ends.ports[at] = _number(given, bits)
        else:
            raise ParseError(f"invalid conntrack tuple field: {name}")

    @property
    def is_icmp(self) -> bool:
        """Whether ports are those of ICMP."""
        return self.proto in (ICMP, ICMPV6)

    @property
    def is_anything(self) -> bool:
        """Whether it says nothing."""
        return not (self.proto or self.family or self._says(self.orig) or self._says(self.reply))

    @property
    def is_one(self) -> bool:
        """Whether it is about one connection, named by all of its first direction."""
        ends = self.orig
        return bool(ends.src and ends.dst and (self.is_icmp or (ends.ports[0] and ends.ports[1]))
                    and not self._says(self.reply))

    def _says(self, ends: Ends) -> bool:
        return bool(ends.src or ends.dst or (not self.is_icmp and any(ends.ports[:2])))

    def covers(self, c: Connection) -> bool:
        """Whether it is about connection *c*."""
        if self.family and (":" in c.orig.src) != (self.family == 6):
            return False
        if self.proto and c.orig.proto != self.proto:
            return False
        return self._fits(self.orig, c.orig) and self._fits(self.reply, c.reply)

    def _fits(self, wanted: Ends, there: Tuple) -> bool:
        parse = text.parse_ipv6 if ":" in there.src else text.parse_ipv4
        for asked, address in ((wanted.src, there.src), (wanted.dst, there.dst)):
            if asked and asked != parse(address):
                return False
        ports = (*there.ports, 0, 0, 0)
        return all(not asked or asked == port for asked, port in zip(wanted.ports, ports, strict=False))


class _Unreadable(Exception):
    pass


def _read(parse: Callable[[str], int], given: str) -> int:
    try:
        return parse(given)
    except ParseError:
        raise _Unreadable from None


def _number(given: str, bits: int) -> int:
    return _read(lambda source: text.parse_int(source, bits=bits), given)
