"""What the printers of messages share: how much to say, names of ports, and words for bits and times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from fastpath.ofproto.actions.base import Names, format_table
from fastpath.ofproto.actions.output import format_port
from fastpath.value import value

# Verbosities from which what packets are is told, payloads of echos are dumped, and packets are dumped.
PACKETS, PAYLOADS, DUMPS = 1, 2, 3


@value
class Context:
    """*version* of the message; *ports* and *tables* are names by number, None where numbers are wanted.
    *data* is the message itself; *paint* what is done to the text of a rule in a dump."""

    version: int
    ports: Mapping[int, str] | None = None
    verbosity: int = PAYLOADS
    stats: bool = True
    tables: Mapping[int, str] | None = None
    data: bytes = b""
    paint: Callable[[str], str] = str

    def port(self, number: int) -> str:
        """A port by name or number."""
        return format_port(number, self.ports)

    def table(self, number: int) -> str:
        """A table by name or number."""
        return format_table(number, Names({}, self.tables or {}))


def bits(number: int, names: Iterable[str], *, none: str = "0", joined: str = " ") -> str:
    """Names of the bits of *number*, lowest first ("" for those without one, of which nothing is said)."""
    return joined.join(name for i, name in enumerate(names) if name and number >> i & 1) or none


def all_bits(number: int, names: Sequence[str], *, none: str = "0", joined: str = " ") -> str:
    """The same with those that have no name, as a number, behind the others."""
    rest = number & ~sum(1 << i for i, name in enumerate(names) if name)
    found = bits(number, names, none="", joined=joined)
    return joined.join(filter(None, (found, f"{rest:#x}" if rest else ""))) or none


def c_hex(number: int) -> str:
    """Hexadecimal as C's %#x has it: 0 without prefix."""
    return f"{number:#x}" if number else "0"


def mac(number: int) -> str:
    """An Ethernet address."""
    return number.to_bytes(6, "big").hex(":")


def printable(data: bytes) -> str:
    """*data* as text, in octal what is none or could be taken for more than it is."""
    return "".join(chr(b) if 32 <= b < 127 and b not in b'\\"' else f"\\{b:03o}" for b in data)


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
