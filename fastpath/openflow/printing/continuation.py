"""What the reference's switch puts into packet-ins that are to be resumed, told as its tools tell it.

To controllers it is opaque, and ours gives only the first of these properties.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from fastpath.ofproto.actions.instructions import format_list
from fastpath.openflow.actions.base import get_property
from fastpath.openflow.actions.nested import get_actions
from fastpath.openflow.codec import Reader
from fastpath.openflow.messages.packet import CONTINUATION_ACTIONS, check_continued

_UUID, _COOKIE_VALUE = struct.Struct("<IHHHHI"), struct.Struct(">4xQ")


def continuation_lines(data: bytes, version: int, ports: Mapping[int, str] | None) -> str:
    """Lines of the properties *data*.  Raises OpenFlowError."""
    found: dict[str, str] = {}
    stack: list[str] = []
    groups: list[str] = []
    table = cookie = 0
    reader = Reader(data, "OFPBPC_BAD_LEN")
    while len(reader):
        kind, value = get_property(reader)
        check_continued(kind, value)
        if kind in CONTINUATION_ACTIONS:
            value.skip_padding(4)
            value.short = "OFPBAC_BAD_LEN"
            text = format_list(get_actions(value, version), ports)
        match kind:
            case 0x8000 if any(value.peek(_UUID.size)):
                found["bridge"] = _uuid(value.take(_UUID.size))
            case 0x8001:
                stack.append(f"{int.from_bytes(value.rest(), 'big'):#x}")
            case 0x8002 if any(value.peek(4)):
                found["mirrors"] = f"{int.from_bytes(value.take(4), 'big'):#x}"
            case 0x8003:
                found["conntracked"] = "true"
            case 0x8004:
                table = value.take(1)[0]
            case 0x8005:
                cookie = value.unpack(_COOKIE_VALUE)[0]
            case 0x8006:
                groups.append(f"unroll_xlate(table={table}, cookie={cookie}),{text}")
            case 0x8007:
                found["action_set"] = text
    if stack:
        found["stack"] = f"(top) {' '.join(stack)} (bottom)"
    if groups:
        found["actions"] = ",".join(groups)
    order = ("bridge", "stack", "mirrors", "conntracked", "actions", "action_set")
    return "".join(f" continuation.{name}={found[name]}\n" for name in order if name in found)


def _uuid(data: bytes) -> str:
    first, b, a, d, c, last = _UUID.unpack(data)
    return f"{first:08x}-{a:04x}-{b:04x}-{c:04x}-{d:04x}{last:08x}"
