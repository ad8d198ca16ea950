"""Hashes of a flow whose values are seen from outside: they choose links, ports and buckets.

Two of them, both over bytes as they stand on the wire, read as little-endian words as the reference does on
the machines it usually runs on: Bob Jenkins's lookup3 (public domain) and MurmurHash3 (public domain).
Which fields go in is named as actions name it (``actions.balance.HASH_FIELDS``); ``mark`` un-wildcards
them.  Values equal the reference's, so that a packet takes the same way through either switch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fastpath._flow import WINDOWS, FlowKey, Window
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.context import VLAN_CFI

_Hash: TypeAlias = Callable[[FlowKey, int], int]
_ONES = 0xFFFFFFFF
_VID = 0x0FFF
_TCI = (WINDOWS["vlan_tci"], WINDOWS["vlan1_tci"])
_MACS = (WINDOWS["dl_src"], WINDOWS["dl_dst"])
_PORTS = (WINDOWS["tp_src"], WINDOWS["tp_dst"])
_NW_PROTO = WINDOWS["nw_proto"]
_ADDRESSES = {pk.ETH_IP: (WINDOWS["nw_src"], WINDOWS["nw_dst"]),
              pk.ETH_IPV6: (WINDOWS["ipv6_src"], WINDOWS["ipv6_dst"])}
_ADDRESS_SIZE = {pk.ETH_IP: 4, pk.ETH_IPV6: 16}


# -- MurmurHash3, 32 bits, word by word ----------------------------------------------------------------

def _rot(x: int, k: int) -> int:
    return (x << k | x >> (32 - k)) & _ONES


def hash_add(state: int, word: int) -> int:
    """Take a 32-bit *word* into a hash under way."""
    word = _rot(word * 0xCC9E2D51 & _ONES, 15) * 0x1B873593 & _ONES
    return (_rot(state ^ word, 13) * 5 + 0xE6546B64) & _ONES


def hash_finish(state: int, n: int) -> int:
    """Hash of what was taken in; *n* is mixed in, by habit the number of bytes."""
    state ^= n
    state = (state ^ state >> 16) * 0x85EBCA6B & _ONES
    state = (state ^ state >> 13) * 0xC2B2AE35 & _ONES
    return state ^ state >> 16


def hash_2words(x: int, y: int) -> int:
    """Hash of two words."""
    return hash_finish(hash_add(hash_add(x, 0), y), 8)


# -- lookup3 -------------------------------------------------------------------------------------------

def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    a = (a - c & _ONES) ^ _rot(c, 4)
    c = c + b & _ONES
    b = (b - a & _ONES) ^ _rot(a, 6)
    a = a + c & _ONES
    c = (c - b & _ONES) ^ _rot(b, 8)
    b = b + a & _ONES
    a = (a - c & _ONES) ^ _rot(c, 16)
    c = c + b & _ONES
    b = (b - a & _ONES) ^ _rot(a, 19)
    a = a + c & _ONES
    c = (c - b & _ONES) ^ _rot(b, 4)
    return a, b + a & _ONES, c


def _final(a: int, b: int, c: int) -> int:
    for k0, k1, k2 in ((14, 11, 25), (16, 4, 14)):
        c = (c ^ b) - _rot(b, k0) & _ONES
        a = (a ^ c) - _rot(c, k1) & _ONES
        b = (b ^ a) - _rot(a, k2) & _ONES
    return (c ^ b) - _rot(b, 24) & _ONES


def jhash(data: bytes, basis: int) -> int:
    """lookup3 of *data*."""
    a = b = c = 0xDEADBEEF + len(data) + basis & _ONES
    n_whole = len(data) // 12 * 12
    for at in range(0, n_whole, 12):
        x, y, z = (int.from_bytes(data[i:i + 4], "little") for i in range(at, at + 12, 4))
        a, b, c = _mix(a + x & _ONES, b + y & _ONES, c + z & _ONES)
    rest = data[n_whole:]
    if not rest:
        return c
    x, y, z = (int.from_bytes(rest[i:i + 4], "little") for i in range(0, 12, 4))
    return _final(a + x & _ONES, b + y & _ONES, c + z & _ONES)


# -- of a flow -----------------------------------------------------------------------------------------

def _swapped(value: int, size: int) -> int:
    """*value* as a little-endian machine reads it off the wire."""
    return int.from_bytes(value.to_bytes(size, "big"), "little")


def _between(key: FlowKey, pair: tuple[Window, Window]) -> int:
    """What two ends of a conversation differ in: the same whichever of them sends."""
    return key.get(pair[0]) ^ key.get(pair[1])


def _addresses(key: FlowKey) -> bytes:
    """Both IP addresses in one, 16 bytes; zeros behind IPv4's, and where there are none."""
    dl_type = key.dl_type
    if dl_type not in _ADDRESSES:
        return bytes(16)
    return _between(key, _ADDRESSES[dl_type]).to_bytes(_ADDRESS_SIZE[dl_type], "big").ljust(16, b"\0")


def _vlans(key: FlowKey) -> int:
    return (key.get(_TCI[0]) ^ key.get(_TCI[1])) & _VID


def _symmetric_l4(key: FlowKey, basis: int) -> int:
    """From L2 to L4.  UDP ports stay out: the two ends of a conversation may not mirror them."""
    proto = key.nw_proto if pk.is_ip(key) else 0
    ports = _between(key, _PORTS) if proto in (pk.TCP, pk.SCTP) else 0
    return jhash(b"".join((_addresses(key), key.dl_type.to_bytes(2, "big"), _vlans(key).to_bytes(2, "big"),
                           ports.to_bytes(2, "big"), _between(key, _MACS).to_bytes(6, "big"),
                           bytes((proto, 0, 0, 0)))), basis)


def _symmetric_l3(key: FlowKey, basis: int) -> int:
    return jhash(_addresses(key) + key.dl_type.to_bytes(2, "big") + bytes(2), basis)


def _symmetric_l2(key: FlowKey, basis: int) -> int:
    if key.packet_type:
        return 0
    data = (key.dl_type.to_bytes(2, "big") + _vlans(key).to_bytes(2, "big")
            + _between(key, _MACS).to_bytes(6, "big") + bytes(2))
    return hash_finish(add_bytes(basis, data), basis)


def add_bytes(state: int, data: bytes) -> int:
    """Take *data* into a hash under way, zeros behind it up to a whole word."""
    for at in range(0, len(data), 4):
        state = hash_add(state, int.from_bytes(data[at:at + 4], "little"))
    return state


def _hashes_ports(key: FlowKey, udp: bool) -> bool:
    return not key.nw_frag and (key.nw_proto in (pk.TCP, pk.SCTP) or (udp and key.nw_proto == pk.UDP))


def _l3l4(udp: bool) -> _Hash:
    def symmetric_l3l4(key: FlowKey, basis: int) -> int:
        if not pk.is_ip(key):
            return _symmetric_l2(key, basis)
        state = hash_add(add_bytes(basis, _addresses(key)[:_ADDRESS_SIZE[key.dl_type]]), key.nw_proto)
        if _hashes_ports(key, udp):
            state = hash_add(state, _swapped(_between(key, _PORTS), 2))
        return hash_finish(state, basis)
    return symmetric_l3l4


def _address(end: int) -> _Hash:
    def one_address(key: FlowKey, basis: int) -> int:
        windows = _ADDRESSES.get(key.dl_type)
        if windows is None:
            return basis
        return jhash(key.get(windows[end]).to_bytes(_ADDRESS_SIZE[key.dl_type], "big"), basis)
    return one_address


def _eth_src(key: FlowKey, basis: int) -> int:
    return jhash(key.dl_src.to_bytes(6, "big"), basis)


_HASHES: dict[str, _Hash] = {
    "eth_src":            _eth_src,
    "symmetric_l4":       _symmetric_l4,
    "symmetric_l3l4":     _l3l4(udp=False),
    "symmetric_l3l4+udp": _l3l4(udp=True),
    "nw_src":             _address(0),
    "nw_dst":             _address(1),
    "symmetric_l3":       _symmetric_l3,
}


def flow_hash(key: FlowKey, fields: str, basis: int) -> int:
    """Hash of what *fields* names, 32 bits; *basis* starts it."""
    return _HASHES[fields](key, basis)


# -- which bits that looks at --------------------------------------------------------------------------

def mark(key: FlowKey, wc: FlowKey, pins: FlowKey, fields: str) -> None:
    """Un-wildcard what ``flow_hash`` reads of *key*.  What the reference reads and forgets to un-wildcard
    goes into *pins*."""
    addresses = _ADDRESSES.get(key.dl_type, ())
    if fields == "eth_src":
        wc.fill(_MACS[0])
    elif fields in ("nw_src", "nw_dst"):
        for window in addresses[:1] if fields == "nw_src" else addresses[1:]:
            wc.fill(window)
    elif fields == "symmetric_l4":
        _mark_l2(wc)
        _mark_ip(key, wc, addresses)
        if addresses:
            _mark_ports(key, wc)
    elif not addresses:
        _mark_l2(pins)              # of symmetric_l3l4, which then hashes L2
    else:
        for window in addresses:
            wc.fill(window)
        if fields != "symmetric_l3":
            wc.fill(_NW_PROTO)
            if _hashes_ports(key, fields.endswith("udp")):
                wc.fill(_PORTS[0])
                wc.fill(_PORTS[1])


def _mark_l2(wc: FlowKey) -> None:
    for window in _MACS:
        wc.fill(window)
    for window in _TCI:
        wc.set(window, wc.get(window) | _VID | VLAN_CFI)


def _mark_ip(key: FlowKey, wc: FlowKey, addresses: tuple[Window, ...]) -> None:
    for window in addresses:
        wc.fill(window)
    if addresses:
        wc.fill(_NW_PROTO)


def _mark_ports(key: FlowKey, wc: FlowKey) -> None:
    """Ports of symmetric_l4; UDP's it does not read."""
    if key.nw_proto == pk.UDP:
        return
    limit = 0xFF if key.nw_proto == pk.ICMP else 0xFFFF
    for window in _PORTS:
        wc.set(window, wc.get(window) | limit)
