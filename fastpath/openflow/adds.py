"""The short way of flow mods that add rules, and of barriers (``_addwire``): what actions it takes.

Sessions take it while messages are plain and the bridge's tables are (``BridgeControl.standard``).
FASTPATH_PLAIN=1 in the environment closes it.  Called by ``service``.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

from fastpath._addwire import AddReader
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.check import check_actions
from fastpath.ofproto.actions.nesting import lists_are_good
from fastpath.ofproto.actions.traits import TRAITS
from fastpath.ofproto.actions.versions import OF10, OF11
from fastpath.ofproto.match import FORMS, Match
from fastpath.ofproto.rule import FlowFlags, Rule
from fastpath.ofproto.tunnel_options import name_option
from fastpath.openflow import instructions, oxm

PLAIN = os.environ.get("FASTPATH_PLAIN", "0") not in ("", "0")
_HEADER = struct.Struct(">BBHI")
_BARRIER_REPLY10, _BARRIER_REPLY = 19, 21


def add_reader(version: int, judge: Callable[[Match, ActionList], None]) -> AddReader:
    """Reads what a controller of *version* sends.  *judge* raises for what is refused, by the mask of a match
    and the actions."""
    def actions(data: bytes, match: Match, table_id: int) -> ActionList | None:
        found = instructions.known(data, version)
        check_actions(found, match, table_id=table_id)
        judge(match, found)
        return found if lists_are_good(found) and not (TRAITS.of(found) or name_option(found)) else None
    flags = FlowFlags.RESET_COUNTS if version <= OF11 else FlowFlags.NONE       # as these versions have it
    return AddReader(version, oxm.wire_reader(), FORMS, actions, match=Match, rule=Rule, flags=flags)


def barrier_reply(version: int, xid: int) -> bytes:
    """The whole message."""
    return _HEADER.pack(version, _BARRIER_REPLY10 if version == OF10 else _BARRIER_REPLY, _HEADER.size, xid)
