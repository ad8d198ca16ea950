"""What the printers of messages share: how much to say, names of ports, and words for bits and times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fastpath.ofproto.actions.base import Names, format_table
from fastpath.ofproto.actions.output import format_port
from fastpath.value import value

# Verbosities from which what packets are is told, payloads of echos are dumped, and packets are dumped.
PACKETS, PAYLOADS, DUMPS = 1, 2, 3


@value
class Context:
    """*version* of the message; *ports* and *tables* are names by number, None where numbers are wanted."""

    version: int
    ports: Mapping[int, str] | None = None
    verbosity: int = PAYLOADS
    stats: bool = True
    tables: Mapping[int, str] | None = None

    def port(self, number: int) -> str:
        """A port by name or number."""
        return format_port(number, self.ports)

    def table(self, number: int) -> str:
        """A table by name or number."""
        return format_table(number, Names({}, self.tables or {}))


def bits(number: int, names: Iterable[str], *, none: str = "0", joined: str = " ") -> str:
    """Names of the bits of *number*, lowest first ("" for those without one)."""
    return joined.join(name for i, name in enumerate(names) if name and number >> i & 1) or none


def duration(seconds: float) -> str:
    """Seconds with three digits after the point, as many more as it takes, or none."""
    ns = round(seconds * 1e9)
    whole, ns = divmod(ns, 10**9)
    if not ns:
        return f"{whole}s"
    if not ns % 10**6:
        return f"{whole}.{ns // 10**6:03d}s"
    return f"{whole}.{ns:09d}".rstrip("0") + "s"


def c_hex(number: int) -> str:
    """Hexadecimal as C's %#x has it: 0 without prefix."""
    return f"{number:#x}" if number else "0"


def mac(number: int) -> str:
    """An Ethernet address."""
    return number.to_bytes(6, "big").hex(":")


def hex_dump(data: bytes, *, ascii: bool = True) -> str:
    """Lines of sixteen bytes, as the reference dumps them."""
    out = []
    for at in range(0, len(data), 16):
        row = data[at:at + 16]
        cells = [f"{b:02x}" for b in row] + ["  "] * (16 - len(row))
        text = f"{at:08x}  {' '.join(cells[:8])}{'-' if len(row) >= 8 else ' '}{' '.join(cells[8:])}"
        if ascii:
            text += " |" + "".join(chr(b) if 32 <= b < 127 else "." for b in row).ljust(16) + "|"
        else:
            text = text.rstrip()
        out.append(text + "\n")
    return "".join(out)


def plain_dump(data: bytes) -> str:
    """The same for bytes that are the answer, not a part of it: no dash stands at the end of a line."""
    return "".join(line.rstrip("-") + "\n" for line in hex_dump(data, ascii=False).splitlines())
