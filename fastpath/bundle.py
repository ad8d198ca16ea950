"""Bundle: changes to one bridge that take effect together or not at all (OpenFlow 1.4 section 6.9).

    with br.bundle() as b:
        b.del_flows("table=1")
        b.add_flow("table=1,ip,actions=output:2")
        b.set_port("p3", no_flood=True)

Text is read when it is given, so a mistake in it raises there; what only the tables can refuse raises at
the end of the block, and then nothing has changed: not a rule, a counter, a timeout or a cookie.  An
exception in the block drops the bundle.  Packets, of other threads too, meet all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias, cast

from fastpath.arguments import checked
from fastpath.errors import ConfigError, FastpathError, OpenFlowError, StepRefused
from fastpath.ofproto.admission import check_group
from fastpath.ofproto.flow_change import Change
from fastpath.ofproto.flow_mod import Command, FlowMod, adding
from fastpath.ofproto.flow_reader import FlowReader
from fastpath.ofproto.group import GroupCommand, GroupMod
from fastpath.ofproto.group_text import parse_group_mod
from fastpath.ofproto.match import Match
from fastpath.ofproto.plain_adds import together
from fastpath.ofproto.rule import Rule
from fastpath.value import replace, value

if TYPE_CHECKING:
    from fastpath.bridge import Bridge, Port

_Undo: TypeAlias = Callable[[], None]
ETH_SIZE = 14                       # bytes of an Ethernet header
_Step: TypeAlias = "FlowMod | Rule | _Out | Callable[[Change], _Undo]"


@value
class _Out:
    """A packet to send, as ``Bridge.packet_out`` takes it."""

    frame: bytes
    actions: str
    in_port: Port | str | int
    metadata: Match | None
    consistent: bool

    def check(self, bridge: Bridge) -> None:
        """Raise OpenFlowError if it cannot be sent as the bridge is now."""
        try:
            bridge.check_packet_out(self.frame, self.actions, in_port=self.in_port,
                                    metadata=self.metadata, consistent=self.consistent)
        except OpenFlowError:
            raise
        except FastpathError as error:
            raise OpenFlowError("OFPBRC_BAD_PORT", str(error)) from None

    def send(self, bridge: Bridge) -> None:
        if len(self.frame) < ETH_SIZE:          # which is no packet, and nobody is told of
            return
        try:
            bridge.packet_out(self.frame, self.actions, in_port=self.in_port, metadata=self.metadata,
                              consistent=self.consistent)
        except OpenFlowError as error:
            if error.code != "OFPFMFC_UNKNOWN":         # its translation was given up, what is done stays
                raise


class _Rehearsed(Exception):
    """All steps of a bundle can be done."""


@checked
class Bundle:
    """Collects changes; made by ``Bridge.bundle``.  *ordered* and *atomic* are what OpenFlow lets a
    controller ask for; as in the reference every bundle is both where it could be seen."""

    def __init__(self, bridge: Bridge, *, ordered: bool = True, atomic: bool = True) -> None:
        self.bridge, self.ordered, self.atomic = bridge, ordered, atomic
        self._reader = FlowReader(bridge.ofproto.port_numbers(), bridge.ofproto.tables.table_numbers())
        self._steps: list[_Step] = []
        self._is_open = True

    def add_flow(self, flow: str | FlowMod) -> None:
        """As ``Bridge.add_flow``."""
        self._append(self._reader.read_to_add(flow, Command.ADD) if isinstance(flow, str)
                     else self.bridge.ofproto.admission.to_add(flow, Command.ADD))

    def mod_flows(self, flow: str | FlowMod, *, strict: bool = False) -> None:
        """As ``Bridge.mod_flows``."""
        self._flow(flow, Command.MODIFY_STRICT if strict else Command.MODIFY)

    def del_flows(self, flow: str | FlowMod = "", *, strict: bool = False) -> None:
        """As ``Bridge.del_flows``."""
        self._flow(flow, Command.DELETE_STRICT if strict else Command.DELETE)

    def apply(self, mod: FlowMod) -> None:
        """As ``Bridge.apply``."""
        self._append(mod)

    def add_rule(self, rule: Rule) -> None:
        """Add a rule that nobody has yet and that was judged."""
        self._append(rule)

    def apply_group(self, mod: GroupMod) -> None:
        """As ``Bridge.apply_group``."""
        self._group(mod, mod.command)

    def set_port(self, port: Port | str | int, **flags: bool) -> None:
        """Change flags of a port as ``Port.set`` does: ``no_flood``, ``no_forward`` and so on."""
        of = self.bridge.port(port).of
        of.check_flags(flags)
        ofproto = self.bridge.ofproto

        def do(change: Change) -> _Undo:
            before = {name: bool(getattr(of, name)) for name in flags}
            ofproto.set_port(of, flags=flags)
            return lambda: ofproto.set_port(of, flags=before)
        self._append(do)

    def add_group(self, group: str | GroupMod) -> None:
        """As ``Bridge.add_group``."""
        self._group(group, GroupCommand.ADD)

    def mod_group(self, group: str | GroupMod, *, may_create: bool = False) -> None:
        """As ``Bridge.mod_group``."""
        self._group(group, GroupCommand.ADD_OR_MOD if may_create else GroupCommand.MODIFY)

    def insert_buckets(self, group: str | GroupMod) -> None:
        """As ``Bridge.insert_buckets``."""
        self._group(group, GroupCommand.INSERT_BUCKET)

    def remove_buckets(self, group: str | GroupMod) -> None:
        """As ``Bridge.remove_buckets``."""
        self._group(group, GroupCommand.REMOVE_BUCKET)

    def del_groups(self, group: str | GroupMod = "") -> None:
        """As ``Bridge.del_groups``."""
        self._group(group, GroupCommand.DELETE)

    def _group(self, group: str | GroupMod, command: GroupCommand) -> None:
        ofproto, switch = self.bridge.ofproto, self.bridge.switch
        mod = (parse_group_mod(group, command, ports=ofproto.port_numbers()) if isinstance(group, str)
               else group)
        check_group(mod)
        mod = replace(mod, command=command)

        def do(change: Change) -> _Undo:
            before = ofproto.groups.snapshot()
            deleted = ofproto.apply_group(mod, switch.now).deleted
            if deleted:
                change.orphan(list(ofproto.references.of_groups(gone.group_id for gone in deleted)))
            return lambda: ofproto.groups.restore(before)
        self._append(do)

    def _flow(self, flow: str | FlowMod, command: Command) -> None:
        self._append(self._reader.read(flow, command) if isinstance(flow, str)
                     else self.bridge.ofproto.admission.flow(flow, command))

    def _append(self, step: _Step) -> None:
        if not self._is_open:
            raise ConfigError("the bundle is closed")
        self._steps.append(step)

    def packet_out(self, frame: bytes, actions: str, *, in_port: Port | str | int = "none",
                   metadata: Match | None = None, consistent: bool = False) -> None:
        """As ``Bridge.packet_out``: the packet meets what stands before it in the bundle, and is sent if all
        of the bundle can be done."""
        self._append(_Out(frame, actions, in_port, metadata, consistent))

    def discard(self) -> None:
        """Forget what was collected; nothing changes."""
        self._steps.clear()
        self._is_open = False

    def commit(self) -> None:
        """Carry it out.  Raises OpenFlowError, naming the step, with nothing changed if one is refused."""
        steps, self._is_open = self._steps, False
        if any(isinstance(step, _Out) for step in steps):
            _carry_out_parts(steps, self.bridge)
            return
        with self.bridge.changing() as change:
            _carry_out(steps, change, self.bridge)

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:
        if error is not None:
            self.discard()
        elif self._is_open:
            self.commit()


def _carry_out_parts(steps: list[_Step], bridge: Bridge) -> None:
    """Carry out *steps* in which packets are sent.  A packet meets the tables as they are then, which are
    those of a change that is done: so all is rehearsed and taken back first, and then done part by part."""
    steps = [adding(step) if isinstance(step, Rule) else step for step in steps]
    with bridge.switch.lock:
        with suppress(_Rehearsed), bridge.changing() as change:
            _carry_out([*steps, _end_rehearsal], change, bridge)
        for is_out, part in groupby(steps, lambda step: isinstance(step, _Out)):
            if is_out:
                for out in cast("Iterator[_Out]", part):
                    out.send(bridge)
            else:
                with bridge.changing() as change:
                    _carry_out(list(part), change, bridge)


def _end_rehearsal(_change: Change) -> _Undo:
    raise _Rehearsed


def _carry_out(steps: list[_Step], change: Change, bridge: Bridge) -> None:
    undo: list[_Undo] = []
    events = bridge.ofproto.backer.events
    n_events = len(events)
    try:
        number = 0
        for step in together(bridge.ofproto, steps):
            try:
                if isinstance(step, list):
                    change.add_all(step)
                    number += len(step) - 1
                elif isinstance(step, FlowMod):
                    bridge.ofproto.stage(change, step)
                elif isinstance(step, Rule):
                    bridge.ofproto.stage_rule(change, step)
                elif isinstance(step, _Out):
                    step.check(bridge)
                else:
                    undo.append(step(change))
            except OpenFlowError as error:
                raise StepRefused(error.code, error.detail or "refused", number) from None
            number += 1
    except BaseException:
        for back in reversed(undo):
            back()
        while len(events) > n_events:       # nothing happened that anybody should be told
            events.pop()
        raise
