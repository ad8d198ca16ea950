"""Flow monitors of one Session: which rules it watches, and what it is told of them.

A monitor hears of changes as they are made, one message for a flow mod or a bundle.  What the controller
did itself is told by the xid of its request alone, unless it wants all.  A controller that does not read is
spared: beyond PAUSE_BACKLOG bytes only removals of rules it knows are told, and which rules changed is kept
in mind; when it has read everything it is told how they are now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.versions import OF14
from fastpath.ofproto.flow_change import FlowUpdate as Change
from fastpath.ofproto.flow_change import UpdateKind
from fastpath.ofproto.flow_mod import GROUP_ANY, TABLE_ALL, Command, FlowMod, outputs_to, uses_group
from fastpath.ofproto.rule import Rule
from fastpath.openflow.messages.monitor import (
    Event,
    FlowMonitorCancel,
    FlowMonitorPaused,
    FlowMonitorReply,
    FlowMonitorRequest,
    FlowMonitorResumed,
    FlowUpdate,
    MonitorCommand,
    MonitorFlags,
    MonitorRequest,
)
from fastpath.openflow.replies import pages
from fastpath.value import replace

if TYPE_CHECKING:
    from fastpath.openflow.service import Session

PAUSE_BACKLOG = 128 << 10
# ovs-ofctl of Open vSwitch 3.1 sends ONLY_OWN where it means NO_ABBREV, and its switch takes it for that.
_IN_FULL = MonitorFlags.NO_ABBREV | MonitorFlags.ONLY_OWN
_WANTS = {UpdateKind.ADDED: MonitorFlags.ADD, UpdateKind.MODIFIED: MonitorFlags.MODIFY,
          UpdateKind.REMOVED: MonitorFlags.REMOVED}
_EVENTS = {UpdateKind.ADDED: Event.ADDED, UpdateKind.MODIFIED: Event.MODIFIED,
           UpdateKind.REMOVED: Event.REMOVED}


class Monitors:
    """The monitors of *session*, by id."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._monitors: dict[int, MonitorRequest] = {}
        self._stop: Callable[[], None] | None = None
        self._missed: dict[Rule, MonitorFlags] | None = None        # while paused: what was not told, of whom

    def __len__(self) -> int:
        return len(self._monitors)

    @property
    def is_paused(self) -> bool:
        """Whether it is told removals only."""
        return self._missed is not None

    def ask(self, request: FlowMonitorRequest) -> list[FlowUpdate]:
        """Carry out *request*, all of it or nothing; return what there is to tell at once."""
        before = dict(self._monitors)
        new: list[MonitorRequest] = []
        try:
            for monitor in request.monitors:
                if monitor.command in (MonitorCommand.MODIFY, MonitorCommand.DELETE):
                    self._remove(monitor.id)
                if monitor.command in (MonitorCommand.ADD, MonitorCommand.MODIFY):
                    if monitor.id in self._monitors:
                        raise OpenFlowError("OFPMOFC_MONITOR_EXISTS", f"monitor {monitor.id} is there")
                    found = self._session.bridge.bound(monitor.match)
                    monitor = monitor if found is monitor.match else replace(monitor, match=found)
                    self._monitors[monitor.id] = monitor
                    new.append(monitor)
        except OpenFlowError:
            self._monitors = before
            raise
        self._watch()
        return self._initial(new)

    def cancel(self, number: int) -> None:
        """Forget a monitor."""
        self._remove(number)
        self._watch()

    def end(self) -> None:
        """Forget all."""
        self._monitors.clear()
        self._watch()

    def _remove(self, number: int) -> None:
        if self._monitors.pop(number, None) is None:
            raise OpenFlowError("OFPMOFC_UNKNOWN_MONITOR", f"there is no monitor {number}")

    def _watch(self) -> None:
        """Hear of changes while there are monitors."""
        if self._monitors and self._stop is None:
            self._stop = self._session.bridge.watch_flows(self._changed)
        elif not self._monitors and self._stop is not None:
            self._stop()
            self._stop = None

    def _initial(self, monitors: list[MonitorRequest]) -> list[FlowUpdate]:
        """The rules that are there, each once, in the words of all *monitors* that ask for it."""
        flags: dict[Rule, int] = {}
        for monitor in monitors:
            if monitor.flags & MonitorFlags.INITIAL:
                for rule in self._session.bridge.select(FlowMod(
                        Command.DELETE, monitor.table_id, match=monitor.match, out_port=monitor.out_port,
                        out_group=monitor.out_group)):
                    flags[rule] = flags.get(rule, 0) | monitor.flags
        return [self._full(Event.INITIAL, rule, rule.actions, rule.cookie, found)
                for rule, found in flags.items()]

    # -- changes -----------------------------------------------------------------------------------

    def _changed(self, changes: list[Change]) -> None:
        session = self._session
        asker = session.peers.asker
        own_xid = asker[1] if asker is not None and asker[0] is session else None
        told: list[FlowUpdate] = []
        for change in changes:
            flags = self._flags(change)
            if not flags or (self._missed is not None and self._misses(self._missed, change)):
                continue
            if own_xid is None or flags & _IN_FULL or self._missed is not None:
                told.append(self._full(_EVENTS[change.kind], change.rule, change.actions, change.cookie,
                                       flags, int(change.reason)))
            elif all(update.event is not Event.ABBREV for update in told):
                told.append(FlowUpdate(Event.ABBREV, xid=own_xid))
        if told:
            self._send(told)
            if self._missed is None and session.connection.backlog > PAUSE_BACKLOG:
                self._missed = {}
                self._send_state(Event.PAUSED, FlowMonitorPaused())

    def _flags(self, change: Change) -> int:
        """Flags of all monitors that *change* concerns; 0 if none."""
        flags = 0
        for m in self._monitors.values():
            if m.flags & _WANTS[change.kind] and _concerns(m, change.rule, change.actions, change.old):
                flags |= m.flags
        return flags

    @staticmethod
    def _misses(missed: dict[Rule, MonitorFlags], change: Change) -> bool:
        """Take note of *change*, which comes while paused; whether it is not told now.  REMOVED marks rules
        whose removal must be told: they, or what they took the place of, were told of before the pause."""
        if change.kind is UpdateKind.REMOVED:
            return not missed.pop(change.rule, MonitorFlags.REMOVED) & MonitorFlags.REMOVED
        if change.kind is UpdateKind.MODIFIED:
            missed.setdefault(change.rule, MonitorFlags.MODIFY | MonitorFlags.REMOVED)
            return True
        old = change.replaced
        known = MonitorFlags(0) if old is None else missed.pop(old, MonitorFlags.REMOVED)
        missed[change.rule] = MonitorFlags.ADD | (known & MonitorFlags.REMOVED)
        return True

    def drained(self) -> None:
        """Everything was read: resume if paused."""
        missed, self._missed = self._missed, None
        if missed is None:
            return
        told = []
        for rule, how in missed.items():
            # A rule that came since is news to who wants to hear of modifications alone, too.
            wanted = MonitorFlags.MODIFY | (how & MonitorFlags.ADD)
            flags = 0
            for m in self._monitors.values():
                if m.flags & wanted and _concerns(m, rule, rule.actions, None):
                    flags |= m.flags
            if flags and not rule.removed:
                event = Event.ADDED if how & MonitorFlags.ADD else Event.MODIFIED
                told.append(self._full(event, rule, rule.actions, rule.cookie, flags))
        if told:
            self._send(told)
        self._send_state(Event.RESUMED, FlowMonitorResumed())

    # -- messages ----------------------------------------------------------------------------------

    @staticmethod
    def _full(event: Event, rule: Rule, actions: ActionList, cookie: int, flags: int, reason: int = 0
              ) -> FlowUpdate:
        return FlowUpdate(event, rule.match, actions if flags & MonitorFlags.ACTIONS else (), rule.priority,
                          rule.table_id, cookie, reason, int(rule.idle_timeout), int(rule.hard_timeout))

    def _send(self, updates: Iterable[FlowUpdate]) -> None:
        parts = list(replies(self._session, updates))
        for part in parts[:-1]:
            self._session.send_event(part, more=True)
        self._session.send_event(parts[-1])

    def _send_state(self, event: Event, message: object) -> None:
        if self._session.connection.version >= OF14:
            self._send([FlowUpdate(event)])
        else:
            self._session.send_event(message)


def _concerns(m: MonitorRequest, rule: Rule, actions: ActionList, old: ActionList | None) -> bool:
    """Whether *m* watches *rule*, which has *actions* and had *old*.  As in the reference who watches a
    port is told of a rule that no longer outputs to it, but of none that no longer uses a group."""
    lists = [actions] if old is None else [actions, old]
    return (m.table_id in (TABLE_ALL, rule.table_id)
            and (m.out_port == OFPP_ANY or any(outputs_to(a, m.out_port) for a in lists))
            and (m.out_group == GROUP_ANY or uses_group(actions, m.out_group))
            and m.match.covers(rule.match))


def replies(session: Session, updates: Iterable[FlowUpdate]) -> Iterator[object]:
    """*updates* in as many messages as they need, at least one."""
    return pages(FlowMonitorReply, updates, session.connection.version)


def _request(session: Session, ask: FlowMonitorRequest) -> Iterator[object]:
    yield from replies(session, session.monitors.ask(ask))


def _cancel(session: Session, ask: FlowMonitorCancel) -> Iterator[object]:
    session.monitors.cancel(ask.id)
    yield from ()


HANDLERS: dict[type, Callable[[Session, Any], Iterator[object]]] = {
    FlowMonitorRequest: _request, FlowMonitorCancel: _cancel,
}
