"""Matches as TLVs spelled out, ``NXM_OF_ETH_TYPE(0800), NXM_OF_IP_SRC_W(0a000000/ff000000)``: field names of
NXM and OXM around the bytes of the wire, as ovs-ofctl's parse-nxm and parse-oxm take and print them.

What is spelled need not be a match that makes sense: bytes are bytes here, ``openflow.oxm`` judges them.
"""

from __future__ import annotations

import re
import struct
from functools import cache

from fastpath.errors import ParseError
from fastpath.fields import BY_ID, FIELDS, Field, Id
from fastpath.openflow import oxm
from fastpath.openflow.codec import Reader
from fastpath.tlv import OPTION_OF

ANY = "<any>"
_SEPARATORS, _HEX = re.compile(r"[, ]*"), re.compile(r"\s*([0-9a-fA-F]{2})")
_NUMBERS = re.compile(r"[0-9a-fA-F]{8}(?:[0-9a-fA-F]{8})?")
_COOKIES = {"NXM_NX_COOKIE": 0x00013C08, "NXM_NX_COOKIE_W": 0x00013D10}
_COOKIE_NAMES = {word: name for name, word in _COOKIES.items()}
_WORD = struct.Struct(">I")


@cache
def _ids() -> dict[str, tuple[Field, Id]]:
    """Fields by the name of each of their numbers."""
    return {i.name: (f, i) for f in FIELDS for i in f.ids}


# -- reading ---------------------------------------------------------------------------------------

def parse_tlvs(text: str) -> bytes:
    """Bytes of the fields of *text*, unpadded.  Raises ParseError in the words of ovs-ofctl."""
    out, at = bytearray(), 0
    if text == ANY:
        return b""
    while (at := _skip(text, at)) < len(text):
        end = text.find("(", at)
        if end < 0:
            raise ParseError(f"{text}: missing ( at end of nx_match")
        name = text[at:end]
        head, f = _header(text, name)
        value, at = _bytes(text, end + 1)
        masked = bool(head[2] & 1)
        head, size = _sized(head, f, len(value), masked)
        mask = b""
        if masked:
            at = _spaces(text, at)
            if text[at:at + 1] != "/":
                raise ParseError(f"{text}: missing / in masked field {name}")
            mask, at = _bytes(text, at + 1)
            if len(mask) != size:
                raise ParseError(f"{text[at:at + 2]}: hex digits expected")
        at = _spaces(text, at)
        if text[at:at + 1] != ")":
            raise ParseError(f"{text}: missing ) following field {name}")
        at += 1
        out += head + value + mask
    return bytes(out)


def _skip(text: str, at: int) -> int:
    found = _SEPARATORS.match(text, at)
    assert found is not None            # the pattern matches the empty string
    return found.end()


def _spaces(text: str, at: int) -> int:
    while text[at:at + 1] == " ":
        at += 1
    return at


def _bytes(text: str, at: int) -> tuple[bytes, int]:
    """The bytes that come next, and where they end."""
    out = bytearray()
    while (found := _HEX.match(text, at)) is not None:
        out.append(int(found[1], 16))
        at = found.end()
    return bytes(out), at


def _header(text: str, name: str) -> tuple[bytes, Field | None]:
    """Header of the field that *name* or its hexadecimal digits stand for."""
    short = name.removesuffix("_W")
    if name in _COOKIES:
        return _WORD.pack(_COOKIES[name]), None
    if short in _ids():
        f, i = _ids()[short]
        if short == name or f.maskable:
            return _of_id(f, i, masked=short != name), f
    if _NUMBERS.fullmatch(name) and (len(name) == 8 or name[:4].lower() == "ffff"):
        head = bytes.fromhex(name)
        return head, BY_ID.get((int(name[:4], 16), int(name[8:] or "0", 16), head[2] >> 1))
    raise ParseError(f"{text}: unknown field `{name}'")


def _of_id(f: Field, i: Id, *, masked: bool) -> bytes:
    size = (2 if masked else 1) * f.n_bytes + (4 if i.experimenter else 0)
    word = _WORD.pack(i.cls << 16 | i.number << 9 | masked << 8 | size & 0xFF)
    return word + _WORD.pack(i.experimenter) if i.experimenter else word


def _sized(head: bytes, f: Field | None, n: int, masked: bool) -> tuple[bytes, int]:
    """*head* for *n* bytes, and how many it announces; tunnel options have the length they are given."""
    extra = 4 if len(head) == 8 else 0
    size = (head[3] - extra) // 2 if masked else head[3] - extra
    if n == size:
        return head, size
    if f is None or f.name not in OPTION_OF:
        raise ParseError(f"expected to read {size} bytes but got {n}")
    if n > f.n_bytes:
        raise ParseError(f"expected to read at most {f.n_bytes} bytes but got {n}")
    return head[:3] + bytes([(2 * n if masked else n) + extra]) + head[4:], n


# -- printing --------------------------------------------------------------------------------------

def format_tlvs(data: bytes) -> str:
    """The fields of *data*, ``<any>`` if there is none."""
    out, reader = [], Reader(data, "OFPBMC_BAD_LEN")
    while len(reader):
        (word,) = _WORD.unpack(reader.peek(4))
        f, length, masked = oxm.get_header(reader)
        body = reader.take(length)
        name = _COOKIE_NAMES.get(word) or _name(f, word, masked)
        size = length // 2 if masked else length
        text = f"{body[:size].hex()}/{body[size:].hex()}" if masked else body.hex()
        out.append(f"{name}({text})")
    return ", ".join(out) or ANY


def _name(f: Field | None, word: int, masked: bool) -> str:
    cls, number = word >> 16, word >> 9 & 0x7F
    if f is None:
        return f"{cls}:{number}"
    found = next(i.name for i in f.ids if (i.cls, i.number) == (cls, number))
    return f"{found}_W" if masked else found
