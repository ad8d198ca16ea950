"""Rules as the entries of a flow reply, straight from the tables.

The same bytes as those of ``stats.FlowEntry``, a law says; but what is the same for many rules, the fields of
their match and their actions, is made once, and the rest by ``_entrywire``.  One writer for a reply.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from fastpath._entrywire import EntryWriter
from fastpath.ofproto.actions.versions import OF10, OF11, OF13, OF14, OF15
from fastpath.ofproto.rule import Rule
from fastpath.ofproto.tunnel_options import mapped
from fastpath.openflow import instructions, oxm
from fastpath.openflow.messages.stats import FlowEntry
from fastpath.openflow.replies import milliseconds
from fastpath.tlv import NO_OPTIONS, Options


def entry_of(rule: Rule, now: float, options: Options = NO_OPTIONS) -> FlowEntry:
    """What is told of *rule*, whose actions name tunnel options as long as they are in *options*."""
    hard_age = None if rule.modified == rule.created else now - rule.modified
    return FlowEntry(
        rule.match, mapped(rule.actions, options), rule.priority, rule.table_id, rule.cookie,
        milliseconds(now - rule.created),
        int(rule.idle_timeout), int(rule.hard_timeout), int(rule.flags), rule.importance, rule.n_packets,
        rule.n_bytes, now - rule.used, hard_age)


class FlowWriter:
    """Writes entries as *version* has them, or with *nx* in the NXM form; *options* as for ``entry_of``."""

    def __init__(self, version: int, now: float, *, nx: bool = False, options: Options = NO_OPTIONS) -> None:
        self._version, self._now, self._nx, self._options = version, now, nx, options
        self._writer: EntryWriter | None = None
        if nx or OF11 <= version < OF15:
            self._writer = EntryWriter(
                oxm.wire_writer(), oxm.NXM if nx else version, now, self._put_actions,
                self._put_slowly, nx=nx, flags=version >= OF13, importance=version >= OF14)

    def pages(self, rules: list[Rule], room: int) -> Iterator[bytes]:
        """As many entries at a time as fit *room* bytes, at least one; nothing once if there are no rules."""
        page, at = self._page(rules, 0, room)
        yield page
        while at < len(rules):
            page, at = self._page(rules, at, room)
            yield page

    def _page(self, rules: list[Rule], at: int, room: int) -> tuple[bytes, int]:
        if self._writer is not None:
            return self._writer.page(rules, at, room)
        found, size = list[bytes](), 0
        for rule in islice(rules, at, None):
            data = self._put_slowly(rule)
            size += len(data)
            if size > room and found:
                break
            found.append(data)
        return b"".join(found), at + len(found)

    def _put_slowly(self, rule: Rule) -> bytes:
        entry = entry_of(rule, self._now, self._options)
        return entry.put_nx(self._version) if self._nx else entry.put(self._version)

    def _put_actions(self, rule: Rule) -> bytes:
        actions = mapped(rule.actions, self._options)
        return instructions.put(actions, OF10 if self._nx else self._version, rule.match)
