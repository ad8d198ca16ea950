"""The short way of plain flow mods and of barriers (``_addwire``, ``_addtrip``): what actions it takes, and
what of a Session goes there.

Sessions take it while messages are plain and the bridge's tables are (``BridgeControl.standard``).
FASTPATH_PLAIN=1 in the environment closes it.  Called by ``service``.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastpath._addrules import Edit
from fastpath._addtrip import AddTrip
from fastpath._addwire import AddReader
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.check import check_actions
from fastpath.ofproto.actions.nesting import lists_are_good
from fastpath.ofproto.actions.traits import TRAITS
from fastpath.ofproto.actions.versions import OF10, OF11
from fastpath.ofproto.flow_mod import Command, editing
from fastpath.ofproto.match import FORMS, Match
from fastpath.ofproto.rule import FlowFlags, Rule
from fastpath.ofproto.tunnel_options import name_option
from fastpath.openflow import instructions, oxm

if TYPE_CHECKING:
    from fastpath.openflow.service import Session

PLAIN = os.environ.get("FASTPATH_PLAIN", "0") not in ("", "0")
_HEADER = struct.Struct(">BBHI")
_BARRIER_REPLY10, _BARRIER_REPLY = 19, 21


class Adds:
    """What *session* is told that goes the short way."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._made: AddReader | None = None
        self._standard: object | None = None        # of the bridge, that it judges by
        self._trip: AddTrip | None = None

    def _reader(self) -> AddReader | None:
        """What reads flow mods; None while all have to go the long way."""
        session = self._session
        standard = session.bridge.standard
        if standard is None or session.role == "secondary":
            return None
        reader = self._made
        if reader is None or standard is not self._standard:
            reader = self._made = add_reader(session.connection.version, session.bridge.judge)
            self._standard = standard
        reader.by_table = session.by_table
        return reader

    def rule(self, message: bytes) -> Rule | None:
        """The rule that *message* adds, if it is a flow mod that may go this way."""
        session, reader = self._session, self._made
        if reader is None or self._standard is not session.bridge.standard:
            return None
        reader.by_table = session.by_table
        items, end = reader.read(message, 0, session.asked_at)
        return items[0] if end == len(message) and len(items) == 1 and isinstance(items[0], Rule) else None

    def take(self, data: bytes, at: int) -> int:
        """Carry out the flow mods of *data* from *at* on that are plain, and barriers, or put such flow mods
        into a bundle; return where that ends."""
        reader, end = self._reader(), len(data)
        while reader is not None and at < end:
            before, at = at, self._take(reader, data, at)
            if at == before:
                break
        return at

    def _take(self, reader: AddReader, data: bytes, at: int) -> int:
        session = self._session
        items, end = reader.read(data, at, session.asked_at)
        if not items:
            bundled, number, flags, end = reader.read_bundled(data, at, session.asked_at)
            steps = [editing(item) if type(item) is Edit else item for item in bundled]
            return end if steps and session.bundles.add_plain(number, flags, steps, data[at:end]) else at
        if type(items[0]) is Edit:
            edit = items.pop(0)
            if not session.bridge.writer.edit(edit, session.asked_at):
                return at
            session.tally.count(Command(edit.command), session.asked_at)
        rules: list[Rule] = []
        for item in items:
            if type(item) is not int:
                rules.append(item)
                continue
            if rules:
                self._add(rules)
                rules = []
            session.bridge.settle(session.asked_at)
            session.connection.send_bytes(barrier_reply(session.connection.version, item))
        if rules:
            self._add(rules)
        return end

    def _add(self, rules: list[Rule]) -> None:
        self._session.bridge.add_rules(rules)
        self._session.tally.count(Command.ADD, self._session.asked_at, len(rules))

    def trip(self, lock: object) -> AddTrip | None:
        """What may answer in the place of ``Session.received`` while nobody looks on, taking *lock* itself;
        None while the connection has no version yet."""
        session, connection = self._session, self._session.connection
        if self._trip is None and connection.version and not PLAIN:
            bridge = session.bridge
            heard, out = connection.buffers
            self._trip = AddTrip(session, connection, connection.version, heard, out, lock=lock,
                                 reader=self._reader, writer=bridge.writer, now=bridge.time,
                                 settle=bridge.settle)
        return self._trip

    def collect(self) -> tuple[int, int, dict[int, int], float, float, float] | None:
        """What ``trip`` did since the last call (``AddTrip.collect``), None for nothing."""
        return None if self._trip is None else self._trip.collect()


def add_reader(version: int, judge: Callable[[Match, ActionList], None]) -> AddReader:
    """Reads what a controller of *version* sends.  *judge* raises for what is refused, by the mask of a match
    and the actions."""
    def actions(data: bytes, match: Match, table_id: int) -> ActionList | None:
        found = instructions.known(data, version)
        check_actions(found, match, table_id=table_id, version=version)
        judge(match, found)
        return found if lists_are_good(found) and not (TRAITS.of(found) or name_option(found)) else None
    flags = FlowFlags.RESET_COUNTS if version <= OF11 else FlowFlags.NONE       # as these versions have it
    return AddReader(version, oxm.wire_reader(), FORMS, actions, match=Match, rule=Rule, flags=flags)


def barrier_reply(version: int, xid: int) -> bytes:
    """The whole message."""
    return _HEADER.pack(version, _BARRIER_REPLY10 if version == OF10 else _BARRIER_REPLY, _HEADER.size, xid)
