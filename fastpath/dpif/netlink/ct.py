"""ct() actions as the kernel has them: OVS_CT_ATTR_* and OVS_NAT_ATTR_* attributes."""

from __future__ import annotations

import struct
import sys

from fastpath.dpif.actions import Ct, CtNat
from fastpath.dpif.netlink.nla import attr, by_number
from fastpath.dpif.netlink.rows import CT, NAT, decode
from fastpath.errors import ConfigError, FormatError

_FAMILY_BYTES = {4: 4, 6: 16}
_PLAIN_NAT = (("persistent", "persistent"), ("hash", "proto_hash"), ("random", "proto_random"))


def encode_ct(action: Ct) -> bytes:
    """Attributes of *action*.  Raises ConfigError for a value that does not fit."""
    try:
        return b"".join(_parts(action))
    except (struct.error, OverflowError):
        raise ConfigError(f"{action}: a value does not fit") from None


def _parts(action: Ct) -> list[bytes]:
    out = []
    if action.commit:
        out.append(attr(CT["force_commit" if action.force else "commit"]))
    if action.zone:
        out.append(attr(CT["zone"], struct.pack("=H", action.zone)))
    if action.mark is not None:
        out.append(attr(CT["mark"], struct.pack("=II", *action.mark)))
    if action.label is not None:
        out.append(attr(CT["labels"], b"".join(n.to_bytes(16, sys.byteorder) for n in action.label)))
    if action.helper:
        out.append(attr(CT["helper"], action.helper.encode() + b"\0"))
    if action.nat is not None:
        out.append(attr(CT["nat"], b"".join(_nat(action.nat))))
    return out


def _nat(nat: CtNat) -> list[bytes]:
    if not nat.direction:
        return []
    out = [attr(NAT[nat.direction])]
    if nat.family:
        size = _FAMILY_BYTES[nat.family]
        out.append(attr(NAT["ip_min"], nat.addr_min.to_bytes(size, "big")))
        if nat.addr_max:
            out.append(attr(NAT["ip_max"], nat.addr_max.to_bytes(size, "big")))
    for name, port in (("proto_min", nat.port_min), ("proto_max", nat.port_max)):
        if port:
            out.append(attr(NAT[name], struct.pack("=H", port)))
    return out + [attr(NAT[number]) for name, number in _PLAIN_NAT if getattr(nat, name)]


def decode_ct(data: bytes) -> Ct:
    """The action whose attributes are *data*.  Raises FormatError."""
    _check_known(by_number(data, "ct"), CT.by_number, "ct")
    found = decode(CT, data, "ct")
    mark, label = found.get("mark"), found.get("labels")
    if (mark is not None and len(mark) != 8) or (label is not None and len(label) != 32):
        raise FormatError("ct: a mark has 8 bytes and a label 32, its mask included")
    force = "force_commit" in found
    return Ct(
        found.get("zone", 0), "commit" in found or force, force,
        None if mark is None else (int.from_bytes(mark[:4], sys.byteorder),
                                   int.from_bytes(mark[4:], sys.byteorder)),
        None if label is None else (int.from_bytes(label[:16], sys.byteorder),
                                    int.from_bytes(label[16:], sys.byteorder)),
        found.get("helper", ""), None if "nat" not in found else _decode_nat(found["nat"]))


def _decode_nat(data: bytes) -> CtNat:
    _check_known(by_number(data, "nat"), NAT.by_number, "nat")
    found = decode(NAT, data, "nat")
    first, last = found.get("ip_min", b""), found.get("ip_max", b"")
    family = {0: 0, 4: 4, 16: 6}.get(len(first))
    if family is None or (last and len(last) != len(first)):
        raise FormatError(f"nat: addresses of {len(first)} and {len(last)} bytes")
    if "src" in found and "dst" in found:
        raise FormatError("nat: both of source and destination")
    return CtNat("src" if "src" in found else "dst" if "dst" in found else "", family,
                 int.from_bytes(first, "big"), int.from_bytes(last, "big"), found.get("proto_min", 0),
                 found.get("proto_max", 0), *(number in found for _, number in _PLAIN_NAT))


def _check_known(found: dict[int, bytes], known: object, what: str) -> None:
    """Raise FormatError for an attribute that has no row: it may change what the action means."""
    assert isinstance(known, dict)
    for number in found:
        if number not in known:
            raise FormatError(f"{what}: attribute {number} is unknown")
