"""What a userspace() action of the kernel gives along: the reference's ``struct user_action_cookie``.

Written as the reference writes it, so that its tools print flows of ours, and ours those of the reference.
A cookie also names the bridge; our upcalls find it by port, so those bytes are zero here and not looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from fastpath.dpif.actions import FlowSample, RawUserdata, SlowPath, ToController, Userdata
from fastpath.dpif.userdata import DIRECTIONS, SLOW_REASONS
from fastpath.errors import ConfigError

SIZE = 48
_SLOW, _SAMPLE, _CONTROLLER = 2, 3, 5   # USER_ACTION_COOKIE_*
_HEAD = struct.Struct("=HH16x")         # type, OpenFlow number of the port it came in by; the bridge
_NO_OFP_PORT = 0xFFFF
_SLOW_BODY = struct.Struct("=2x2xI")
_SAMPLE_BODY = struct.Struct("=H2xIIIII")
_CONTROLLER_BODY = struct.Struct("=BBHI8sHH")


def encode_cookie(userdata: Userdata) -> bytes:
    """Bytes of *userdata*.  Raises ConfigError for a value that does not fit."""
    if isinstance(userdata, RawUserdata):
        return userdata.data
    try:
        kind, body = _encode(userdata)
    except (struct.error, ValueError, OverflowError):
        raise ConfigError(f"{userdata}: a value does not fit") from None
    data = _HEAD.pack(kind, _NO_OFP_PORT) + body
    return data + bytes(SIZE - len(data))


def _encode(userdata: SlowPath | ToController | FlowSample) -> tuple[int, bytes]:
    match userdata:
        case SlowPath(reasons):
            return _SLOW, _SLOW_BODY.pack(sum(1 << SLOW_REASONS.index(reason) for reason in set(reasons)))
        case ToController(reason, dont_send, continuation, recirc_id, cookie, controller_id, max_len):
            return _CONTROLLER, _CONTROLLER_BODY.pack(dont_send, continuation, reason, recirc_id,
                                                      cookie.to_bytes(8, "big"), controller_id, max_len)
        case FlowSample(probability, collectors, domain, point, port, direction):
            return _SAMPLE, _SAMPLE_BODY.pack(probability, collectors, domain, point, port,
                                              DIRECTIONS.index(direction))


def decode_cookie(data: bytes) -> Userdata:
    """The userdata whose bytes are *data*: raw where they are no cookie of a kind known here."""
    if len(data) == SIZE:
        kind, _ = _HEAD.unpack_from(data)
        try:
            return _DECODERS[kind](data[_HEAD.size:])
        except (KeyError, IndexError):
            pass
    return RawUserdata(data)


def _slow(body: bytes) -> SlowPath:
    bits, = _SLOW_BODY.unpack_from(body)
    if bits >> len(SLOW_REASONS):
        raise KeyError(bits)
    return SlowPath(tuple(name for i, name in enumerate(SLOW_REASONS) if bits >> i & 1))


def _sample(body: bytes) -> FlowSample:
    probability, collectors, domain, point, port, direction = _SAMPLE_BODY.unpack_from(body)
    return FlowSample(probability, collectors, domain, point, port, DIRECTIONS[direction])


def _controller(body: bytes) -> ToController:
    dont_send, continuation, reason, recirc_id, cookie, controller_id, max_len = _CONTROLLER_BODY.unpack_from(
        body)
    return ToController(reason, bool(dont_send), bool(continuation), recirc_id, int.from_bytes(cookie, "big"),
                        controller_id, max_len)


_DECODERS: dict[int, Callable[[bytes], Userdata]] = {
    _SLOW: _slow, _SAMPLE: _sample, _CONTROLLER: _controller}
