"""How many bytes odp actions take as netlink attributes, which is how the reference bounds them.

An attribute is a header of 4 bytes and its payload, padded to 4 (include/uapi/linux/openvswitch.h).  Only
translation asks, to end where the reference ends: no netlink attribute holds more than 64 kB.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from fastpath.dpif.actions import (
    AddMpls,
    CheckPktLen,
    Clone,
    Ct,
    GeneveOption,
    Hash,
    OdpAction,
    Output,
    PopMpls,
    PopNsh,
    PopVlan,
    PushEth,
    PushMpls,
    PushNsh,
    Sample,
    SetMasked,
    Userspace,
)
from fastpath.dpif.key import ATTRS

HEADER = 4
CHECK_HEADERS = 4 * HEADER      # of check_pkt_len up to the actions of its first branch, and its length
COOKIE = 48                             # struct user_action_cookie
# Bytes of one value of a header that can be set: the struct of its key attribute; or, of pbb, which the
# kernel does not know, the tag's.
_STRUCTS = {"eth": 12, "ipv4": 12, "ipv6": 40, "arp": 24, "tcp": 4, "udp": 4, "sctp": 4, "icmp": 2,
            "icmpv6": 2, "nd": 28, "nd_ext": 8, "mpls": 4, "pbb": 4, "skb_mark": 4, "skb_priority": 4,
            "nsh": 24}
_WHOLE = frozenset(("icmp", "icmpv6", "mpls"))      # set as a whole, without a mask
_FIXED: dict[type[OdpAction], int] = {
    Output: 4, PopVlan: 0, PopMpls: 2, PushMpls: 8, AddMpls: 8, PushEth: 12, PopNsh: 0, Hash: 8}


_OUTPUT = HEADER + _FIXED[Output]


class Emitted(list[OdpAction]):
    """Odp actions as translation makes them: a list that knows its size at each of its lookups.

    Only what was appended since it was last asked is added up: a translation of many lookups would spend
    its time on sums otherwise.  *outer* is what the lists around it take, which the reference counts too.
    """

    __slots__ = ("_n_counted", "_size", "outer")

    def __init__(self, outer: int = 0) -> None:
        super().__init__()
        self.outer = outer
        self._n_counted = self._size = 0

    def size(self) -> int:
        """Bytes of its actions, and of what is around them."""
        if len(self) > self._n_counted:
            self._size += netlink_size(islice(self, self._n_counted, None))
            self._n_counted = len(self)
        return self.outer + self._size

    def clear(self) -> None:
        super().clear()
        self._n_counted = self._size = 0

    def fold(self, start: int) -> None:
        """Put the actions from *start* on into a clone."""
        inner = self[start:]
        if start < self._n_counted:
            self._size -= netlink_size(inner[:self._n_counted - start])
            self._n_counted = start
        self[start:] = [Clone(tuple(inner))]


def netlink_size(actions: Iterable[OdpAction]) -> int:
    """Bytes of *actions*."""
    return sum(_OUTPUT if type(action) is Output else _size(action) for action in actions)


def _attr(payload: int) -> int:
    return HEADER + (payload + 3 & ~3)


def _size(a: OdpAction) -> int:
    match a:
        case SetMasked(attr, members, options):
            return _attr(_set_size(attr, members, options))
        case Userspace():
            return _attr(_attr(4) + _attr(COOKIE))
        case Clone(inner):
            return _attr(netlink_size(inner))
        case Sample(_, inner):
            return _attr(_attr(4) + _attr(netlink_size(inner)))
        case CheckPktLen(_, greater, less_equal):
            return _attr(_attr(2) + _attr(netlink_size(greater)) + _attr(netlink_size(less_equal)))
        case Ct():
            return _attr(_ct_size(a))
        case PushNsh(mdtype=mdtype, metadata=metadata):
            return _attr(_attr(8) + _attr(16 if mdtype == 1 else len(metadata)))
        case _:
            return _attr(_FIXED.get(type(a), 4))


# Attributes of one kind of tunnel, by what the names of their members begin with: bytes with headers.
_OF_KIND = (("gbp_", 12), ("erspan_", 16), ("gtpu_", 8))


def _set_size(attr: str, members: tuple[tuple[str, int, int], ...],
              options: tuple[GeneveOption, ...]) -> int:
    if attr == "tunnel":
        widths = {m.name: m.bits // 8 for m in ATTRS[attr]}
        size = sum(_attr(widths[name]) for name, *_ in members if name in widths and name != "flags")
        size += sum({size for name, *_ in members for start, size in _OF_KIND if name.startswith(start)})
        if options:
            size += _attr(sum(HEADER + len(option.data) for option in options))
        return _attr(size)
    size = _STRUCTS[attr]
    return _attr(size if attr in _WHOLE else 2 * size)


def _ct_size(a: Ct) -> int:
    size = _attr(2) + _attr(0) * a.commit
    if a.mark is not None:
        size += _attr(8)
    if a.label is not None:
        size += _attr(32)
    if a.helper:
        size += _attr(len(a.helper) + 1)
    if a.nat is not None:
        nat = a.nat
        address = 0 if not nat.family else 4 if nat.family == 4 else 16
        parts = [0] * (bool(nat.direction) + nat.persistent + (nat.hash or nat.random))
        parts += [address] * (bool(nat.addr_min) + bool(nat.addr_max))
        parts += [2] * (bool(nat.port_min) + bool(nat.port_max))
        size += _attr(sum(map(_attr, parts)))
    return size
