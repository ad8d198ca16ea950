"""Text of Geneve options as dpctl writes them: ``{class=0xffff,type=0x1,len=4,0xa}{...}``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fastpath import text
from fastpath.dpif.actions import GeneveOption
from fastpath.errors import ParseError

MAX_LEN = 124                           # bytes of one option
_OPTION = re.compile(r"\{class=([^,}]+),type=([^,}]+),len=([^,}]+)(?:,([^,}]+))?\}")


def format_geneve(options: Iterable[GeneveOption]) -> str:
    """Text of *options*, one after the other."""
    return "".join(map(_format, options))


def _format(option: GeneveOption) -> str:
    head = f"{{class={_hex(option.cls)},type={_hex(option.type)},len={len(option.data)}"
    return f"{head},{_hex(int.from_bytes(option.data, 'big'))}}}" if option.data else f"{head}}}"


def _hex(n: int) -> str:
    return f"{n:#x}" if n else "0"


def parse_geneve(source: str) -> tuple[GeneveOption, ...]:
    """Options that format_geneve() writes.  Raises ParseError."""
    out, at = [], 0
    while at < len(source):
        m = _OPTION.match(source, at)
        if m is None:
            raise ParseError(f"geneve({source}): needs {{class=C,type=T,len=L,VALUE}} for each option")
        size = text.parse_int(m.group(3), bits=8, what="len")
        if size % 4 or size > MAX_LEN:
            raise ParseError(f"geneve({source}): length {size} is not a multiple of 4 up to {MAX_LEN}")
        value = text.parse_int(m.group(4) or "0", bits=8 * size or 1, what="option")
        out.append(GeneveOption(text.parse_int(m.group(1), bits=16, what="class"),
                                text.parse_int(m.group(2), bits=8, what="type"),
                                value.to_bytes(size, "big") if size else b""))
        at = m.end()
    return tuple(out)
