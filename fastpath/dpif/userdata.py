"""What a userspace() action gives along: the bytes in which a datapath hands it back, and its text."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from fastpath.dpif.actions import FlowSample, RawUserdata, SlowPath, ToController, Userdata, Userspace
from fastpath.dpif.membertext import hexa
from fastpath.dpif.terms import fields, need
from fastpath.errors import ConfigError, FormatError, ParseError

SLOW_REASONS = ("cfm", "bfd", "lacp", "stp", "lldp", "action", "match")
DIRECTIONS = ("", "ingress", "egress")
_SLOW, _CONTROLLER, _SAMPLE, _RAW = 1, 2, 3, 4


# ---- bytes --------------------------------------------------------------------------------------------

def encode_userdata(userdata: Userdata) -> bytes:
    """Bytes that decode_userdata() turns back into *userdata*.  Raises ConfigError for what does not fit."""
    try:
        return _encode(userdata)
    except (struct.error, ValueError):
        raise ConfigError(f"{userdata}: a value does not fit") from None


def _encode(userdata: Userdata) -> bytes:
    match userdata:
        case SlowPath(reasons):
            for reason in reasons:
                if reason not in SLOW_REASONS:
                    raise ConfigError(f"slow path reason {reason!r} is not one of {', '.join(SLOW_REASONS)}")
            return struct.pack("=BBH", _SLOW, 0, sum(1 << SLOW_REASONS.index(reason) for reason in reasons))
        case ToController(reason, dont_send, continuation, recirc_id, cookie, controller_id, max_len):
            return struct.pack("=BBHHHIQ", _CONTROLLER, dont_send | continuation << 1, reason, controller_id,
                               max_len, recirc_id, cookie)
        case FlowSample(probability, collectors, domain, point, port, direction):
            return struct.pack("=BBHIIII", _SAMPLE, DIRECTIONS.index(direction), probability, collectors,
                               domain, point, port)
        case RawUserdata(data):
            return bytes([_RAW]) + data
    raise AssertionError(userdata)


def decode_userdata(data: bytes) -> Userdata:
    """What encode_userdata() was given.  Raises FormatError for bytes it never makes."""
    try:
        return _DECODERS[data[0]](data)
    except (struct.error, IndexError, KeyError):
        raise FormatError(f"userdata {data.hex()!r} is of no slow path, controller or sample") from None


def _decode_slow(data: bytes) -> SlowPath:
    _, _, bits = struct.unpack("=BBH", data)
    if bits >> len(SLOW_REASONS):
        raise struct.error
    return SlowPath(tuple(name for i, name in enumerate(SLOW_REASONS) if bits >> i & 1))


def _decode_controller(data: bytes) -> ToController:
    _, flags, reason, controller_id, max_len, recirc_id, cookie = struct.unpack("=BBHHHIQ", data)
    return ToController(reason, bool(flags & 1), bool(flags & 2), recirc_id, cookie, controller_id, max_len)


def _decode_sample(data: bytes) -> FlowSample:
    _, direction, probability, collectors, domain, point, port = struct.unpack("=BBHIIII", data)
    return FlowSample(probability, collectors, domain, point, port, DIRECTIONS[direction])


def _decode_raw(data: bytes) -> RawUserdata:
    return RawUserdata(data[1:])


_DECODERS: dict[int, Callable[[bytes], Userdata]] = {
    _SLOW: _decode_slow, _CONTROLLER: _decode_controller, _SAMPLE: _decode_sample, _RAW: _decode_raw}


# ---- text ---------------------------------------------------------------------------------------------

_CONTROLLER_TERMS = (("reason", 16), ("dont_send", 1), ("continuation", 1), ("recirc_id", 32),
                     ("rule_cookie", 64), ("controller_id", 16), ("max_len", 16))
_SAMPLE_TERMS = (("probability", 16), ("collector_set_id", 32), ("obs_domain_id", 32), ("obs_point_id", 32),
                 ("output_port", 32))


def format_userspace(action: Userspace) -> str:
    """Return *action* as dpctl prints it."""
    if action.userdata == RawUserdata():
        return f"userspace(pid={action.pid})"
    return f"userspace(pid={action.pid},{_format(action.userdata)})"


def _format(u: Userdata) -> str:
    match u:
        case SlowPath(reasons):
            return f"slow_path({','.join(r for r in SLOW_REASONS if r in reasons) or '0'})"
        case ToController():
            return (f"controller(reason={u.reason},dont_send={u.dont_send:d},continuation={u.continuation:d},"
                    f"recirc_id={u.recirc_id},rule_cookie={hexa(u.rule_cookie)},"
                    f"controller_id={u.controller_id},max_len={u.max_len})")
        case FlowSample():
            direction = f",{u.direction}" if u.direction else ""
            return (f"flow_sample(probability={u.probability},collector_set_id={u.collector_set_id},"
                    f"obs_domain_id={u.obs_domain_id},obs_point_id={u.obs_point_id},"
                    f"output_port={u.output_port}{direction})")
        case RawUserdata(data):
            return f"userdata({data.hex()})"
    raise AssertionError(u)


def parse_userspace(inside: str) -> Userspace:
    """The action whose parentheses hold *inside*.  Raises ParseError."""
    f = fields("userspace", inside, "pid", *_PARSERS)
    pid = need("userspace", f, "pid")
    for name, parse in _PARSERS.items():
        if name in f:
            return Userspace(parse(f[name]), pid)
    return Userspace(RawUserdata(), pid)


def _parse_slow(inside: str) -> SlowPath:
    reasons = tuple(r for r in re.split("[,|]", inside) if r != "0")
    unknown = [r for r in reasons if r not in SLOW_REASONS]
    if unknown:
        raise ParseError(f"slow_path: {unknown[0]!r} is not one of {', '.join(SLOW_REASONS)}")
    return SlowPath(reasons)


def _numbers(name: str, terms: tuple[tuple[str, int], ...], inside: str,
             *words: str) -> tuple[dict[str, int], dict[str, str]]:
    found = fields(name, inside, *(term for term, _ in terms), *words)
    return {term: need(name, found, term, bits=bits) for term, bits in terms}, found


def _parse_controller(inside: str) -> ToController:
    n, _ = _numbers("controller", _CONTROLLER_TERMS, inside)
    return ToController(n["reason"], bool(n["dont_send"]), bool(n["continuation"]), n["recirc_id"],
                        n["rule_cookie"], n["controller_id"], n["max_len"])


def _parse_sample(inside: str) -> FlowSample:
    n, found = _numbers("flow_sample", _SAMPLE_TERMS, inside, *DIRECTIONS[1:])
    return FlowSample(**n, direction=next((d for d in DIRECTIONS[1:] if d in found), ""))


def _parse_raw(inside: str) -> RawUserdata:
    try:
        return RawUserdata(bytes.fromhex(inside))
    except ValueError:
        raise ParseError(f"userdata({inside}): expected pairs of hexadecimal digits") from None


_PARSERS: dict[str, Callable[[str], Userdata]] = {
    "slow_path": _parse_slow, "controller": _parse_controller, "flow_sample": _parse_sample,
    "userdata": _parse_raw}
