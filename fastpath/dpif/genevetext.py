"""Text of Geneve options as dpctl writes them: ``{class=0xffff,type=0x1,len=4,0xa}{...}``.

In keys each number may have a mask; options of a set(tunnel()) have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from fastpath import text
from fastpath.dpif.actions import GeneveOption
from fastpath.errors import ParseError
from fastpath.geneve import HEADER, LENGTH_BITS, MAX_SIZE

MAX_LEN = 124                           # bytes of one option
_OPTION = re.compile(r"\{(?:class=([^,}]*))?,?(?:type=([^,}]*))?,?(?:len=([^,}]*))?"
                     r"(?:,([^,/}]*)(?:/([^,}]*))?)?\}")


def pack_options(options: Iterable[GeneveOption]) -> bytes:
    """Bytes of *options* in a Geneve header."""
    return b"".join(option.cls.to_bytes(2, "big") + bytes((option.type, len(option.data) // 4)) + option.data
                    for option in options)


def format_geneve(options: Iterable[GeneveOption]) -> str:
    """Text of *options*, one after the other."""
    return format_raw_options(pack_options(options), None)


def format_raw_options(data: bytes, mask: bytes | None, *, verbose: bool = False) -> str:
    """Text of options over the wire under *mask*; *verbose* shows what does not matter, too.  What makes no
    sense is told in the reference's words."""
    out, at = "", 0
    while at < len(data):
        left = len(data) - at
        if left < HEADER:
            return f"{out}opt len {left} less than minimum {HEADER}"
        end = at + HEADER + 4 * (data[at + 3] & LENGTH_BITS)
        if end > len(data):
            return f"{out}opt len {end - at} greater than remaining {left}"
        out += f"{{{_option(data[at:end], None if mask is None else mask[at:end], verbose)}}}"
        at = end
    return out


def _option(data: bytes, mask: bytes | None, verbose: bool) -> str:
    bits = b"\xff" * len(data) if mask is None else mask
    length = bits[3] & LENGTH_BITS
    numbers = (("class", _hex(int.from_bytes(data[:2], "big")), int.from_bytes(bits[:2], "big"), 0xFFFF),
               ("type", _hex(data[2]), bits[2], 0xFF),
               ("len", str(len(data) - HEADER), 0xFF if length == LENGTH_BITS else length, 0xFF))
    terms = [f"{name}={shown}" + ("" if m == exact else f"/{_hex(m)}")
             for name, shown, m, exact in numbers if m or verbose]
    value, m_value = data[HEADER:], bits[HEADER:]
    if value and (verbose or any(m_value)):
        shown = _hex(int.from_bytes(value, "big"))
        exact = all(byte == 0xFF for byte in m_value)
        terms.append(shown if exact else f"{shown}/{_hex(int.from_bytes(m_value, 'big'))}")
    return ",".join(terms)


def _hex(n: int) -> str:
    return f"{n:#x}" if n else "0"


def parse_geneve(source: str) -> tuple[GeneveOption, ...]:
    """Options that format_geneve() writes.  Raises ParseError."""
    out = []
    for found in _scan(source):
        if "/" in found.group():
            raise ParseError(f"geneve({source}): what is set has no mask")
        head, value, _bits = _numbers(source, found)
        out.append(GeneveOption(int.from_bytes(head[:2], "big"), head[2], value))
    return tuple(out)


def parse_raw_options(source: str) -> tuple[bytes, bytes]:
    """Options over the wire and their mask, which format_raw_options() writes.  Raises ParseError."""
    data = mask = b""
    for found in _scan(source):
        head, value, bits = _numbers(source, found)
        data, mask = data + head + value, mask + _head_mask(found) + bits
    if len(data) > MAX_SIZE:
        raise ParseError(f"geneve({source}): more than {MAX_SIZE} bytes")
    return data, mask


def _scan(source: str) -> Iterable[re.Match[str]]:
    at = 0
    while at < len(source):
        m = _OPTION.match(source, at)
        if m is None:
            raise ParseError(f"geneve({source}): needs {{class=C,type=T,len=L,VALUE}} for each option")
        yield m
        at = m.end()


def _numbers(source: str, m: re.Match[str]) -> tuple[bytes, bytes, bytes]:
    """Header and value of an option, and the mask of its value: exact where none is given."""
    cls, kind, size = (text.parse_int(text.split_mask(m.group(i) or "0")[0], bits=bits, what=what)
                       for i, what, bits in ((1, "class", 16), (2, "type", 8), (3, "len", 8)))
    if size % 4 or size > MAX_LEN:
        raise ParseError(f"geneve({source}): length {size} is not a multiple of 4 up to {MAX_LEN}")
    value = _value(m.group(4) or "0", size)
    bits = b"\xff" * size if m.group(5) is None else _value(m.group(5), size)
    return cls.to_bytes(2, "big") + bytes((kind, size // 4)), value, bits


def _value(source: str, size: int) -> bytes:
    n = text.parse_int(source, bits=8 * size or 1, what="option")
    return n.to_bytes(size, "big") if size else b""


def _head_mask(m: re.Match[str]) -> bytes:
    """Mask of the header: nothing matters that is not named."""
    cls, kind, size = (_number_mask(m.group(i), bits, what)
                       for i, what, bits in ((1, "class", 16), (2, "type", 8), (3, "len", 8)))
    return cls.to_bytes(2, "big") + bytes((kind, size & LENGTH_BITS))


def _number_mask(source: str | None, bits: int, what: str) -> int:
    if source is None:
        return 0
    mask = text.split_mask(source)[1]
    return (1 << bits) - 1 if mask is None else text.parse_int(mask, bits=bits, what=what)
