"""Rules as the entries of a flow reply, straight from the tables.

The same bytes as those of ``stats.FlowEntry``, a law says; but what is the same for many rules, the fields of
their match and their actions, is made once.  One writer for a reply.
"""

from __future__ import annotations

import struct

from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.versions import OF10, OF11, OF13, OF14, OF15
from fastpath.ofproto.rule import Rule
from fastpath.openflow import instructions, oxm
from fastpath.openflow.codec import padding
from fastpath.openflow.messages.flow import split_seconds
from fastpath.openflow.messages.stats import FlowEntry, put_age
from fastpath.openflow.replies import milliseconds

_NX = struct.Struct(">HBxIIHHHHHHQQQ")
_FLOW = struct.Struct(">HBxIIHHHHH2xQQQ")
_MATCH = struct.Struct(">HH")
_REMEMBERED = 4096


def entry_of(rule: Rule, now: float) -> FlowEntry:
    """What is told of *rule*."""
    hard_age = None if rule.modified == rule.created else now - rule.modified
    return FlowEntry(
        rule.match, rule.actions, rule.priority, rule.table_id, rule.cookie, milliseconds(now - rule.created),
        int(rule.idle_timeout), int(rule.hard_timeout), int(rule.flags), rule.importance, rule.n_packets,
        rule.n_bytes, now - rule.used, hard_age)


class FlowWriter:
    """Writes entries as *version* has them, or with *nx* in the NXM form."""

    def __init__(self, version: int, now: float, *, nx: bool = False) -> None:
        self._version, self._now, self._nx = version, now, nx
        self._matches = oxm.wire_writer()
        self._actions: dict[tuple[int, object], tuple[ActionList, bytes]] = {}

    def put(self, rule: Rule) -> bytes:
        """The entry of *rule*."""
        if self._nx:
            found = self._matches.put(rule.mask, rule.words, oxm.NXM)
            if found is not None:
                return self._put_nx(rule, *found)
            return entry_of(rule, self._now).put_nx(self._version)
        if OF11 <= self._version < OF15:
            ids = oxm.NXM if self._version == OF11 else self._version
            found = self._matches.put(rule.mask, rule.words, ids)
            if found is not None:
                return self._put(rule, *found)
        return entry_of(rule, self._now).put(self._version)

    def _put_nx(self, rule: Rule, tlvs: bytes, form: object) -> bytes:
        n = len(tlvs)
        match, actions = tlvs + padding(n), self._put_actions(rule, form, OF10)
        hard_age = None if rule.modified == rule.created else self._now - rule.modified
        return _NX.pack(
            _NX.size + len(match) + len(actions), rule.table_id, *self._duration(rule), rule.priority,
            int(rule.idle_timeout), int(rule.hard_timeout), n, put_age(self._now - rule.used),
            put_age(hard_age), rule.cookie, rule.n_packets, rule.n_bytes) + match + actions

    def _put(self, rule: Rule, tlvs: bytes, form: object) -> bytes:
        n = _MATCH.size + len(tlvs)
        match, actions = _MATCH.pack(1, n) + tlvs + padding(n), self._put_actions(rule, form, self._version)
        return _FLOW.pack(
            _FLOW.size + len(match) + len(actions), rule.table_id, *self._duration(rule), rule.priority,
            int(rule.idle_timeout), int(rule.hard_timeout),
            rule.flag_bits if self._version >= OF13 else 0, rule.importance if self._version >= OF14 else 0,
            rule.cookie, rule.n_packets, rule.n_bytes) + match + actions

    def _duration(self, rule: Rule) -> tuple[int, int]:
        return split_seconds(milliseconds(self._now - rule.created))

    def _put_actions(self, rule: Rule, form: object, version: int) -> bytes:
        group = id(rule.actions), form
        found = self._actions.get(group)
        if found is None:
            if len(self._actions) > _REMEMBERED:
                self._actions.clear()
            # The list is kept with its address, which so stays its own.
            found = self._actions[group] = rule.actions, instructions.put(rule.actions, version, rule.match)
        return found[1]
