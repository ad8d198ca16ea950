"""Odp actions as the kernel has them: sequences of OVS_ACTION_ATTR_* attributes.

``encode_actions`` refuses what no kernel does, with ConfigError; what only some do, ``probe`` finds out.
What sets all bits of a header goes as a SET, other changes as SET_MASKED, as the reference sends them.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.actions import (
    AddMpls,
    CheckPktLen,
    Clone,
    Ct,
    CtClear,
    Drop,
    Hash,
    Meter,
    OdpAction,
    OdpActions,
    Output,
    PopEth,
    PopMpls,
    PopNsh,
    PopVlan,
    PushEth,
    PushMpls,
    PushNsh,
    PushVlan,
    Recirc,
    Sample,
    SetMasked,
    Trunc,
    Userspace,
)
from fastpath.dpif.netlink.cookie import decode_cookie, encode_cookie
from fastpath.dpif.netlink.ct import decode_ct, encode_ct
from fastpath.dpif.netlink.nla import attr, by_number, need, walk
from fastpath.dpif.netlink.rows import ACTION, CHECK_PKT_LEN, KEY, NSH_KEY, SAMPLE, USERSPACE
from fastpath.dpif.netlink.sets import decode_set, encode_set
from fastpath.dpif.netlink.tunnel import decode_options, decode_tunnel, encode_tunnel
from fastpath.errors import ConfigError, FormatError
from fastpath.geneve import clear_raw
from fastpath.text import MAC_MAX

MAX_DEPTH = 16                          # levels of actions within actions that are read
_HASHES = ("l4", "sym_l4")
_A = ACTION
_TUNNEL = KEY["tunnel"]
_TUNNEL_FLAG_KEY = 8


# ---- encode -------------------------------------------------------------------------------------------

def encode_actions(actions: OdpActions, pid: int = 0, *, drops: bool = False) -> bytes:
    """The attributes of *actions*; userspace() without a socket of its own goes to *pid*.

    A kernel that does not know drop() does the same at the end of the list (*drops* False).  Raises
    ConfigError.
    """
    try:
        return b"".join(_encode(action, pid, drops) for action in actions)
    except (struct.error, OverflowError) as error:
        raise ConfigError(f"{actions}: a value does not fit ({error})") from None


def _encode(action: OdpAction, pid: int, drops: bool) -> bytes:
    match action:
        case Output(n):
            return _u32("output", n)
        case SetMasked("tunnel"):
            return attr(_A["set"], attr(_TUNNEL, _set_tunnel(action)))
        case SetMasked(attribute, members):
            is_masked, inside = encode_set(attribute, members)
            return attr(_A["set_masked" if is_masked else "set"], inside)
        case Recirc(n):
            return _u32("recirc", n)
        case Trunc(n):
            return _u32("trunc", n)
        case Meter(n):
            return _u32("meter", n)
        case Drop(n):
            return _u32("drop", n) if drops else b""
        case Hash(alg, basis):
            return attr(_A["hash"], struct.pack("=II", _HASHES.index(alg), basis))
        case Ct():
            return attr(_A["ct"], encode_ct(action))
        case Userspace(userdata, own_pid):
            data = encode_cookie(userdata)
            return attr(_A["userspace"], attr(USERSPACE["pid"], struct.pack("=I", own_pid or pid))
                        + (attr(USERSPACE["userdata"], data) if data else b""))
        case Sample() | Clone() | CheckPktLen():
            return _nested(action, pid, drops)
        case _:
            return _header(action)


def _u32(name: str, n: int) -> bytes:
    return attr(_A[name], struct.pack("=I", n))


def _nested(action: Sample | Clone | CheckPktLen, pid: int, drops: bool) -> bytes:
    match action:
        case Sample(probability, inner):
            return attr(_A["sample"], attr(SAMPLE["probability"], struct.pack("=I", probability))
                        + attr(SAMPLE["actions"], encode_actions(inner, pid, drops=drops)))
        case Clone(inner):
            return attr(_A["clone"], encode_actions(inner, pid, drops=drops))
        case CheckPktLen(size, greater, less_equal):
            rows = CHECK_PKT_LEN
            return attr(_A["check_pkt_len"], attr(rows["pkt_len"], struct.pack("=H", size))
                        + attr(rows["actions_if_greater"], encode_actions(greater, pid, drops=drops))
                        + attr(rows["actions_if_less_equal"], encode_actions(less_equal, pid, drops=drops)))


def _header(action: OdpAction) -> bytes:
    """Actions that put a header on a packet or take one off."""
    match action:
        case PushVlan(tpid, tci):
            return attr(_A["push_vlan"], struct.pack(">HH", tpid, tci))
        case PopVlan():
            return attr(_A["pop_vlan"])
        case PushMpls(ethertype, lse):
            return attr(_A["push_mpls"], struct.pack(">IH2x", lse, ethertype))
        case PopMpls(ethertype):
            return attr(_A["pop_mpls"], struct.pack(">H", ethertype))
        case AddMpls(ethertype, lse):
            return attr(_A["add_mpls"], struct.pack(">IH2x", lse, ethertype))
        case PushEth(src, dst):
            return attr(_A["push_eth"], src.to_bytes(6, "big") + dst.to_bytes(6, "big"))
        case PopEth():
            return attr(_A["pop_eth"])
        case PushNsh():
            return attr(_A["push_nsh"], _nsh(action))
        case PopNsh():
            return attr(_A["pop_nsh"])
        case CtClear():
            return attr(_A["ct_clear"])
    raise ConfigError(f"{action}: no kernel does this")


def _nsh(a: PushNsh) -> bytes:
    base = struct.pack(">BBBBI", a.flags, a.ttl, a.mdtype, a.np, a.spi << 8 | a.si)
    if a.mdtype == 1:
        return attr(NSH_KEY["base"], base) + attr(NSH_KEY["md1"], struct.pack(">4I", *a.context))
    return attr(NSH_KEY["base"], base) + attr(NSH_KEY["md2"], a.metadata)


def _set_tunnel(action: SetMasked) -> bytes:
    key = FlowKey()
    for name, number, _mask in action.members:
        window = WINDOWS.get(name if name.startswith("tun_") else f"tun_{name}")
        if window is None or number > window.limit:
            raise ConfigError(f"set(tunnel({name}={number})): no such member, or too large for it")
        key.set(window, number)
    return encode_tunnel(key, options=action.options)


# ---- decode -------------------------------------------------------------------------------------------

def decode_actions(data: bytes, depth: int = 0) -> OdpActions:
    """The actions whose attributes are *data*.  Raises FormatError."""
    if depth > MAX_DEPTH:
        raise FormatError(f"actions are nested deeper than {MAX_DEPTH} levels")
    return tuple(_decode(number, payload, depth) for number, payload in walk(data, "actions"))


def _decode(number: int, payload: bytes, depth: int) -> OdpAction:
    row = ACTION.by_number.get(number)
    reader = _READERS.get(row.name) if row is not None else None
    if row is None or reader is None:
        raise FormatError(f"action {number} is unknown")
    try:
        return reader(payload, depth)
    except (struct.error, IndexError):
        raise FormatError(f"action {row.name} of {len(payload)} bytes") from None


def _number(make: Callable[[int], OdpAction], form: str = "=I") -> Callable[[bytes, int], OdpAction]:
    return lambda payload, _depth: make(struct.unpack(form, payload)[0])


def _plain(action: OdpAction) -> Callable[[bytes, int], OdpAction]:
    def read(payload: bytes, _depth: int) -> OdpAction:
        struct.unpack("", payload)
        return action
    return read


def _read_userspace(payload: bytes, _depth: int) -> OdpAction:
    found = by_number(payload, "userspace")
    pid, = struct.unpack("=I", need(found, USERSPACE["pid"], 4, "userspace"))
    return Userspace(decode_cookie(found.get(USERSPACE["userdata"], b"")), pid)


def _read_set(payload: bytes, _depth: int, *, is_masked: bool = False) -> OdpAction:
    inside = list(walk(payload, "set"))
    if len(inside) != 1:
        raise FormatError(f"set: {len(inside)} attributes, expected one")
    number, data = inside[0]
    if number != _TUNNEL:
        return decode_set(number, data, is_masked=is_masked)
    raw = bytearray(len(bytes(FlowKey())))
    decode_tunnel(data, raw)
    key = FlowKey.from_bytes(bytes(raw))
    clear_raw(key)                      # the options stand apart from the members
    return SetMasked("tunnel", tunnel_members(key), decode_options(data))


def tunnel_members(key: FlowKey) -> tuple[tuple[str, int, int], ...]:
    """Members of a set of the tunnel members of *key*, in the order dpctl prints them."""
    def is_told(name: str, value: int) -> bool:
        return bool(value) or name == "ttl" or (name == "tun_id" and bool(key.tun_flags & _TUNNEL_FLAG_KEY))
    out = []
    for name, member in _TUNNEL_MEMBERS:
        window = WINDOWS[member]
        if is_told(name, key.get(window)):
            out.append((name, key.get(window), window.limit))
    return tuple(out)


_TUNNEL_MEMBERS = (("tun_id", "tun_id"), *((name, f"tun_{name}") for name in (
    "src", "dst", "ipv6_src", "ipv6_dst", "tos", "ttl", "tp_src", "tp_dst", "gbp_id", "gbp_flags",
    "erspan_ver", "erspan_idx", "erspan_dir", "erspan_hwid", "flags")))


def _read_vlan(payload: bytes, _depth: int) -> OdpAction:
    return PushVlan(*struct.unpack(">HH", payload))


def _read_push_mpls(payload: bytes, _depth: int) -> OdpAction:
    lse, ethertype = struct.unpack(">IH2x", payload)
    return PushMpls(ethertype, lse)


def _read_add_mpls(payload: bytes, _depth: int) -> OdpAction:
    lse, ethertype = struct.unpack_from(">IH", payload)
    flags, = struct.unpack("=6xH", payload)
    if flags:
        raise FormatError(f"action add_mpls with flags {flags:#x}, expected none")
    return AddMpls(ethertype, lse)


def _read_hash(payload: bytes, _depth: int) -> OdpAction:
    alg, basis = struct.unpack("=II", payload)
    return Hash(_HASHES[alg], basis)


def _read_push_eth(payload: bytes, _depth: int) -> OdpAction:
    struct.unpack("12s", payload)
    n = int.from_bytes(payload, "big")
    return PushEth(n >> 48, n & MAC_MAX)


def _read_nsh(payload: bytes, _depth: int) -> OdpAction:
    found = by_number(payload, "push_nsh")
    flags, ttl, mdtype, np, path = struct.unpack(">BBBBI", need(found, NSH_KEY["base"], 8, "push_nsh"))
    context: tuple[int, int, int, int] = (0, 0, 0, 0)
    if mdtype == 1:
        a, b, c, d = struct.unpack(">4I", need(found, NSH_KEY["md1"], 16, "push_nsh"))
        context = (a, b, c, d)
    metadata = found.get(NSH_KEY["md2"], b"") if mdtype != 1 else b""
    return PushNsh(flags, ttl, mdtype, np, path >> 8, path & 0xFF, context, metadata)


def _read_sample(payload: bytes, depth: int) -> OdpAction:
    found = by_number(payload, "sample")
    probability, = struct.unpack("=I", need(found, SAMPLE["probability"], 4, "sample"))
    return Sample(probability, decode_actions(found.get(SAMPLE["actions"], b""), depth + 1))


def _read_clone(payload: bytes, depth: int) -> OdpAction:
    return Clone(decode_actions(payload, depth + 1))


def _read_check(payload: bytes, depth: int) -> OdpAction:
    found = by_number(payload, "check_pkt_len")
    size = int.from_bytes(need(found, CHECK_PKT_LEN["pkt_len"], 2, "check_pkt_len"), sys.byteorder)
    greater, less = (decode_actions(found.get(CHECK_PKT_LEN[f"actions_if_{which}"], b""), depth + 1)
                     for which in ("greater", "less_equal"))
    return CheckPktLen(size, greater, less)


_READERS: dict[str, Callable[[bytes, int], OdpAction]] = {
    "output": _number(Output), "recirc": _number(Recirc), "trunc": _number(Trunc), "meter": _number(Meter),
    "drop": _number(Drop), "pop_mpls": _number(PopMpls, ">H"), "pop_vlan": _plain(PopVlan()),
    "pop_eth": _plain(PopEth()), "pop_nsh": _plain(PopNsh()), "ct_clear": _plain(CtClear()),
    "userspace": _read_userspace, "set": _read_set,
    "set_masked": lambda payload, depth: _read_set(payload, depth, is_masked=True),
    "push_vlan": _read_vlan, "push_mpls": _read_push_mpls, "add_mpls": _read_add_mpls, "hash": _read_hash,
    "push_eth": _read_push_eth, "push_nsh": _read_nsh, "sample": _read_sample, "clone": _read_clone,
    "check_pkt_len": _read_check, "ct": lambda payload, _depth: decode_ct(payload),
}
