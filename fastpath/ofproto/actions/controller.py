"""The controller action: send the packet to controllers as a packet-in."""

from __future__ import annotations

from enum import IntEnum

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ParseContext, PortNumbers
from fastpath.ofproto.lexer import key_values
from fastpath.value import value

NO_METER = 0
CONTROLLER_METER = 0xFFFFFFFE       # OFPM13_CONTROLLER: the default, not printed


class PacketInReason(IntEnum):
    """Why a packet was sent to a controller (OpenFlow 1.4 section 7.4.1)."""

    NO_MATCH = 0
    ACTION = 1
    INVALID_TTL = 2
    ACTION_SET = 3
    GROUP = 4
    PACKET_OUT = 5
    EXPLICIT_MISS = 6
    IMPLICIT_MISS = 7

    @property
    def text(self) -> str:
        """As flow text writes it: for the two kinds of a miss, not at all."""
        return self.name.lower() if self < PacketInReason.EXPLICIT_MISS else ""


_REASONS = {r.text: r for r in reversed(PacketInReason)}        # of equal texts the first is meant


@value
class Controller(Action):
    """Send the first *max_len* bytes to the controllers whose id is *controller_id*."""

    max_len: int = 0xFFFF
    reason: PacketInReason = PacketInReason.ACTION
    controller_id: int = 0
    userdata: bytes = b""
    pause: bool = False
    meter_id: int | None = None

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Controller:
        if not arg:
            return cls()
        if arg.isdecimal() and arg.isascii():
            return cls(numbers.u16(arg, "max_len"))
        max_len, reason, controller_id = 0xFFFF, PacketInReason.ACTION, 0
        hexadecimal, pause, meter_id = "", False, None
        for key, given in key_values(arg):
            if key == "max_len":
                max_len = numbers.u16(given, key)
            elif key == "reason":
                if given.lower() not in _REASONS:
                    raise ParseError(f'unknown reason "{given}"')
                reason = _REASONS[given.lower()]
            elif key == "id":
                controller_id = numbers.u16(given, key)
            elif key == "userdata":
                hexadecimal = given
            elif key == "pause":
                pause = True
            elif key == "meter_id":
                meter_id = numbers.u32(given)
            else:
                raise ParseError(f'unknown key "{key}" parsing controller action')
        return cls(max_len, reason, controller_id, _bytes(hexadecimal), pause, meter_id)

    @property
    def is_plain(self) -> bool:
        """Whether ``CONTROLLER:max_len`` says it all."""
        return self == Controller(self.max_len)

    def format(self, ports: PortNumbers = None) -> str:
        if self.is_plain:
            return f"CONTROLLER:{self.max_len}"
        parts = []
        if self.reason is not PacketInReason.ACTION:
            parts.append(f"reason={self.reason.text}")
        if self.max_len != 0xFFFF:
            parts.append(f"max_len={self.max_len}")
        if self.controller_id:
            parts.append(f"id={self.controller_id}")
        if self.userdata:
            parts.append("userdata=" + ".".join(f"{b:02x}" for b in self.userdata))
        if self.pause:
            parts.append("pause")
        if self.meter_id is not None:
            parts.append(f"meter_id={self.meter_id}")
        return f"controller({','.join(parts)})"


def _bytes(source: str) -> bytes:
    data = numbers.hex_bytes(source)
    if data is None:
        raise ParseError("bad hex digit in `controller' action `userdata'")
    return data
