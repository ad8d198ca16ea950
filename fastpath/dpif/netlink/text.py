"""Text of the kernel's flows, attribute by attribute as the kernel tells of them, as ovs-dpctl prints it.

Other than our own datapath's (``keytext``) these keys come in the kernel's order, and what no attribute
mentions is not printed.  What has no name here is printed as bytes, as the reference does.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from fastpath._flow import FlowKey
from fastpath.dpif.key import ATTRS, Form
from fastpath.dpif.keytext import (
    format_ct_state,
    format_mpls,
    format_stats,
    format_tci,
    format_tcp_flags,
)
from fastpath.dpif.membertext import format_member, hexa
from fastpath.dpif.netlink.actions import decode_actions
from fastpath.dpif.netlink.kernel import FlowInfo
from fastpath.dpif.netlink.key import decode_key, decode_mask
from fastpath.dpif.netlink.nla import by_number, walk
from fastpath.dpif.netlink.rows import KEY
from fastpath.dpif.netlink.sets import SETTABLE_STRUCTS
from fastpath.dpif.odptext import format_actions
from fastpath.dpif.provider import FlowStats
from fastpath.dpif.tunneltext import format_tunnel

_FRAGS = ("no", "first", "later")
_NUMBERS = {"priority": "skb_priority", "skb_mark": "skb_mark", "dp_hash": "dp_hash",
            "recirc_id": "recirc_id", "ct_zone": "ct_zone", "ct_mark": "ct_mark"}     # in host order
_UNNAMED = (KEY["ipv6_exthdrs"],)       # unknown to the reference, which then prints it in any case
_NESTS = (KEY["tunnel"], KEY["nsh"])
Names = Mapping[int, str]


class _Printer:
    """Prints one flow's key; *names* of ports, all attributes if *verbose*."""

    def __init__(self, key: bytes, mask: bytes, names: Names | None, *, verbose: bool) -> None:
        self._key = decode_key(key)
        exact = FlowKey.from_bytes(b"\xff" * len(bytes(self._key)))
        self._mask = decode_mask(mask, self._key) if mask else exact
        self._names, self._verbose = names or {}, verbose

    def format(self, key: bytes, mask: bytes | None) -> str:
        """The attributes of *key* under those of *mask*, None for an exact one."""
        masks = by_number(mask or b"", "mask")
        out = []
        has_type = False
        for number, payload in walk(key, "key"):
            has_type |= number == KEY["ethertype"]
            if number == KEY["encap"]:
                inside = self.format(payload, None if mask is None else masks.get(number, b""))
                out.append(f"encap({inside})")
                continue
            bits = masks.get(number, bytes(len(payload))) if mask is not None else b"\xff" * len(payload)
            if self._verbose or any(bits) or number in _NESTS or number in _UNNAMED:
                out.append(self._one(number, payload, bits))
            elif number == KEY["ethernet"]:
                out.append("eth()")
        if not has_type and KEY["ethertype"] in masks:
            out.append(f"eth_type(0/0x{int.from_bytes(masks[KEY['ethertype']], 'big'):04x})")
        return ",".join(term for term in out if term)

    def _one(self, number: int, payload: bytes, bits: bytes) -> str:
        row = KEY.by_number.get(number)
        name = row.name if row is not None else ""
        if name in _NUMBERS:
            return f"{_NUMBERS[name]}({_number(payload, bits)})"
        if name in SETTABLE_STRUCTS and name != "mpls":
            return _struct(name, payload, bits, self._verbose)
        if name == "ethertype":
            full = all(byte == 0xFF for byte in bits)
            return f"eth_type(0x{payload.hex()}{'' if full else f'/0x{bits.hex()}'})"
        if name == "vlan":
            return f"vlan({format_tci(_be(payload), _be(bits), self._verbose)})"
        if name == "in_port":
            port = int.from_bytes(payload, sys.byteorder)
            return f"in_port({self._names.get(port, port)})"
        return self._metadata(name, number, payload, bits)

    def _metadata(self, name: str, number: int, payload: bytes, bits: bytes) -> str:
        key, mask, verbose = self._key, self._mask, self._verbose
        if name == "ct_state":
            return format_ct_state(key.ct_state, mask.ct_state, verbose)
        if name == "ct_labels":
            return f"ct_label({format_member(ATTRS['ct_label'][0], key.ct_label, mask.ct_label)})"
        if name == "tcp_flags":
            return format_tcp_flags(_be(payload), _be(bits), verbose)
        if name == "tunnel":
            return format_tunnel(key, mask, verbose=verbose)
        if name == "mpls":
            return format_mpls(key, mask, verbose)
        if name in ("ct_orig_tuple_ipv4", "ct_orig_tuple_ipv6"):
            return _ct_tuple(name[-1], payload, bits, verbose)
        full = all(byte == 0xFF for byte in bits)
        return f"key{number}({payload.hex(' ')}{'' if full else f'/{bits.hex(chr(32))}'})"


def _be(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _number(payload: bytes, bits: bytes) -> str:
    value, mask = int.from_bytes(payload, sys.byteorder), int.from_bytes(bits, sys.byteorder)
    return hexa(value) if all(byte == 0xFF for byte in bits) else f"{hexa(value)}/{hexa(mask)}"


def _struct(name: str, payload: bytes, bits: bytes, verbose: bool) -> str:
    """A header of members of which each has its mask."""
    attribute = "eth" if name == "ethernet" else name
    row, members = SETTABLE_STRUCTS[name], {m.name: m for m in ATTRS[attribute]}
    value, mask, terms = _be(payload), _be(bits), []
    for member, first, n_bits in row.members:
        up, limit = 8 * row.size - first - n_bits, (1 << n_bits) - 1
        v, m = value >> up & limit, mask >> up & limit
        if not m and not verbose:
            continue
        form = members[member]
        if form.form is Form.FRAG:
            terms.append(f"frag={_FRAGS[v] if v < len(_FRAGS) else v}")
            continue
        exact = (1 << form.bits) - 1
        shown = m if name == "arp" else m & exact       # a label has 20 bits in 32
        terms.append(f"{member}={format_member(form, v, shown)}")
    return f"{attribute}({','.join(terms)})"


def _ct_tuple(family: str, payload: bytes, bits: bytes, verbose: bool) -> str:
    size = 4 if family == "4" else 16
    form = ATTRS["ipv4" if family == "4" else "ipv6"]
    places = (("src", 0, size, form[0]), ("dst", size, size, form[1]),
              ("proto", 2 * size + 4, 1, next(m for m in form if m.name == "proto")),
              ("tp_src", 2 * size, 2, ATTRS["tcp"][0]), ("tp_dst", 2 * size + 2, 2, ATTRS["tcp"][1]))
    terms = []
    for name, at, n, member in places:
        v, m = _be(payload[at:at + n]), _be(bits[at:at + n])
        if m or verbose:
            terms.append(f"{name}={format_member(member, v, m)}")
    return f"ct_tuple{family}({','.join(terms)})"


def format_kernel_key(key: bytes, mask: bytes, names: Names | None = None, *, verbose: bool = False) -> str:
    """The attributes of a key under those of a mask.  Raises FormatError."""
    return _Printer(key, mask, names, verbose=verbose).format(key, mask or None)


def format_ufid(ufid: bytes) -> str:
    """The name of a flow, as a UUID of four numbers in host order."""
    words = [int.from_bytes(ufid[i:i + 4], sys.byteorder) for i in range(0, 16, 4)]
    a, b, c, d = (f"{word:08x}" for word in words)
    return f"ufid:{a}-{b[:4]}-{b[4:]}-{c[:4]}-{c[4:]}{d}"


def parse_ufid(text: str) -> bytes | None:
    """The name that a text is of, None if it is of none."""
    digits = text.strip().removeprefix("ufid:").replace("-", "")
    if len(digits) != 32:
        return None
    try:
        return b"".join(int(digits[i:i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, 32, 8))
    except ValueError:
        return None


def format_kernel_flow(flow: FlowInfo, now: float, names: Names | None = None, *,
                       verbose: bool = False) -> str:
    """One line of ovs-dpctl dump-flows.  Raises FormatError."""
    stats = FlowStats(flow.n_packets, flow.n_bytes, flow.used_ms / 1e3 if flow.used_ms else None,
                      flow.tcp_flags)
    ufid = f"{format_ufid(flow.ufid)}, " if verbose and len(flow.ufid) == 16 else ""
    return (f"{ufid}{format_kernel_key(flow.key, flow.mask, names, verbose=verbose)}, "
            f"{format_stats(stats, now)}{', dp:ovs' if verbose else ''}, "
            f"actions:{format_actions(decode_actions(flow.actions), names)}")
