"""Bundles of one Session: messages that wait to be carried out together (OpenFlow 1.4 section 6.9).

Mistakes the reference punishes end the bundle: opening one that is open, flags that change, adding to a
closed one.  A bundle nobody touches for ``Peers.bundle_idle_s`` is dropped, and its opener told.  Messages
are decoded and checked when they are added, so that a commit has only to meet what the tables refuse.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from fastpath.errors import OpenFlowError, StepRefused
from fastpath.ofproto.admission import check_group
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.group import GroupMod
from fastpath.ofproto.rule import Rule
from fastpath.openflow.messages import flow, packet, port
from fastpath.openflow.messages.bundle import BundleAdd, BundleControl, BundleType
from fastpath.openflow.messages.table import check_kind, decode
from fastpath.value import field, record

if TYPE_CHECKING:
    from fastpath.openflow.service import Session, Step

MAX_BUNDLES = 64                    # that a session may have open
MAX_SIZE = 256 << 20                # bytes of all messages that wait in them
ATOMIC = 1                          # OFPBF_ATOMIC
_Content: TypeAlias = "FlowMod | GroupMod | port.PortMod | packet.PacketOut | Rule"
_REPLIES = {BundleType.OPEN_REQUEST: BundleType.OPEN_REPLY, BundleType.CLOSE_REQUEST: BundleType.CLOSE_REPLY,
            BundleType.COMMIT_REQUEST: BundleType.COMMIT_REPLY,
            BundleType.DISCARD_REQUEST: BundleType.DISCARD_REPLY}


@record
class _Bundle:
    """One bundle; *raw* are the messages that brought *steps*, those of several together, of which the first
    is number *begins*; *opener* is what made it."""

    flags: int
    opener: bytes
    used: float
    is_closed: bool = False
    steps: list[_Content] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)
    size: int = 0                       # bytes of messages

    def bring(self, steps: Iterable[_Content], raw: bytes) -> None:
        """Have further *steps*, each of one of the messages *raw*."""
        self.begins.append(len(self.steps))
        self.raw.append(raw)
        self.steps += steps
        self.size += len(raw)

    def request(self, step: int) -> bytes:
        """The message that brought a step."""
        which = bisect_right(self.begins, step) - 1
        raw, at = self.raw[which], 0
        for _ in range(step - self.begins[which]):
            at += _size(raw, at)
        return raw[at:at + _size(raw, at)]


class Bundles:
    """The bundles of *session*, by number."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._open: dict[int, _Bundle] = {}

    def __len__(self) -> int:
        return len(self._open)

    def next_deadline(self) -> float:
        """When the first bundle becomes too old; inf without any."""
        first = min((b.used for b in self._open.values()), default=float("inf"))
        return first + self._session.peers.bundle_idle_s

    def expire(self, now: float) -> None:
        """Drop bundles that nobody used for long, and say so."""
        idle_s = self._session.peers.bundle_idle_s
        for number, b in list(self._open.items()):
            if now >= b.used + idle_s:
                del self._open[number]
                self._session.refuse(OpenFlowError("OFPBFC_TIMEOUT"), b.opener)

    def control(self, ask: BundleControl, raw: bytes) -> BundleControl:
        """Do what *ask*, whose bytes are *raw*, says; return the reply."""
        self.expire(self._session.bridge.now)       # where time moves by leaps nobody woke for it
        match ask.type:
            case BundleType.OPEN_REQUEST:
                self._start(ask.bundle_id, ask.flags, raw)
            case BundleType.CLOSE_REQUEST:
                self._close(ask)
            case BundleType.COMMIT_REQUEST:
                self._commit(ask)
            case BundleType.DISCARD_REQUEST:
                self._take(ask.bundle_id)
            case kind if kind > BundleType.DISCARD_REPLY and self._session.bridge.is_strict:
                return BundleControl(ask.bundle_id)         # as the reference, which has no word for it
            case _:
                raise OpenFlowError("OFPBFC_BAD_TYPE", f"bundle control {ask.type}")
        return BundleControl(ask.bundle_id, _REPLIES[BundleType(ask.type)])

    def _start(self, number: int, flags: int, raw: bytes) -> _Bundle:
        if self._open.pop(number, None) is not None:
            raise OpenFlowError("OFPBFC_BAD_ID", f"bundle {number} is open already")
        if len(self._open) >= MAX_BUNDLES:
            raise OpenFlowError("OFPBFC_OUT_OF_BUNDLES", f"{MAX_BUNDLES} bundles are open")
        b = self._open[number] = _Bundle(flags, raw, self._session.bridge.now)
        return b

    def _take(self, number: int) -> _Bundle:
        b = self._open.pop(number, None)
        if b is None:
            raise OpenFlowError("OFPBFC_BAD_ID", f"there is no bundle {number}")
        return b

    def _usable(self, b: _Bundle, number: int, flags: int) -> None:
        """Keep *b* as its open bundle *number*.  Raises OpenFlowError, and then it is gone."""
        if b.is_closed:
            raise OpenFlowError("OFPBFC_BUNDLE_CLOSED", f"bundle {number} is closed")
        if b.flags != flags:
            raise OpenFlowError("OFPBFC_BAD_FLAGS", f"bundle {number} has other flags")
        b.used = self._session.bridge.now
        self._open[number] = b

    def _close(self, ask: BundleControl) -> None:
        b = self._take(ask.bundle_id)
        self._usable(b, ask.bundle_id, ask.flags)
        b.is_closed = True

    def _commit(self, ask: BundleControl) -> None:
        b = self._take(ask.bundle_id)
        if b.flags != ask.flags:
            raise OpenFlowError("OFPBFC_BAD_FLAGS", f"bundle {ask.bundle_id} has other flags")
        session = self._session
        try:
            session.bridge.commit(self._resolved(b))
        except StepRefused as error:
            session.refuse(error, b.request(error.step))
            raise OpenFlowError("OFPBFC_MSG_FAILED", str(error)) from None
        now, n_rules = session.bridge.now, sum(isinstance(step, Rule) for step in b.steps)
        if n_rules:
            session.tally.count(Command.ADD, now, n_rules)
        for step in b.steps if n_rules < len(b.steps) else ():
            if isinstance(step, FlowMod):
                session.tally.count(step.command, now)

    def _resolved(self, b: _Bundle) -> list[Step]:
        """The steps of *b*, with the ports that they are about."""
        return [self._port_change(step, i, b.flags) if isinstance(step, port.PortMod) else step
                for i, step in enumerate(b.steps)]

    def _port_change(self, step: port.PortMod, number: int, flags: int) -> Step:
        if self._session.bridge.is_strict and flags & ATOMIC:
            raise StepRefused("OFPBFC_MSG_FAILED", "a port mod in an atomic bundle", number)
        try:
            return self._session.port_change(step)
        except OpenFlowError as error:
            raise StepRefused(error.code, error.detail, number) from None

    def add(self, ask: BundleAdd, raw: bytes) -> None:
        """Put a message into its bundle, which is opened if it is not."""
        self.expire(self._session.bridge.now)
        message = ask.inside(raw[0], raw[4:8])
        _check_bundled(message)
        step: _Content = self._step(decode(message).message)
        if isinstance(step, FlowMod):           # its match, met for the first time, may be plain
            step = self._session.adds.rule(message) or step
        if ask.bundle_id in self._open:
            b = self._take(ask.bundle_id)
            self._usable(b, ask.bundle_id, ask.flags)
        else:
            b = self._start(ask.bundle_id, ask.flags, raw)
        if self._is_full(b, len(raw)):
            raise OpenFlowError("OFPBFC_MSG_TOO_MANY", f"bundles of more than {MAX_SIZE} bytes")
        b.bring((step,), raw)

    def add_plain(self, number: int, flags: int, steps: list[Rule | FlowMod], raw: bytes) -> bool:
        """Put the messages *raw* into a bundle, each of which brings one of *steps*, judged before, if this
        can be done without saying anything; else nothing is done."""
        b, now = self._open.get(number), self._session.bridge.now
        if now >= self.next_deadline():
            return False
        if b is None:
            if len(self._open) >= MAX_BUNDLES:
                return False
            b = self._start(number, flags, raw[:_size(raw, 0)])
        elif b.is_closed or b.flags != flags or self._is_full(b, len(raw)):
            return False
        b.used = now
        b.bring(steps, raw)
        return True

    def _is_full(self, b: _Bundle, more: int) -> bool:
        """Whether *more* bytes in *b* would be too many; a small bundle may always grow."""
        return b.size + more > MAX_SIZE // MAX_BUNDLES and (
            sum(other.size for other in self._open.values()) + more > MAX_SIZE)

    def _step(self, message: object) -> FlowMod | GroupMod | port.PortMod | packet.PacketOut:
        match message:
            case FlowMod():
                return self._checked(message)
            case flow.NxFlowMod():
                return self._checked(message.mod)
            case GroupMod():
                check_group(message)
                return message
            case port.PortMod():
                return message
            case _:
                assert isinstance(message, packet.PacketOut)
                self._session.check_packet_out(message)
                return message

    def _checked(self, mod: FlowMod) -> FlowMod:
        mod = self._session.checked(mod)
        self._session.bridge.check_added(mod)
        return mod


def _check_bundled(message: bytes) -> None:
    """Raise OpenFlowError unless *message* is of a kind, and a length, that may be in a bundle."""
    try:
        kind = check_kind(message).cls
    except OpenFlowError as error:
        raise OpenFlowError("OFPBFC_MSG_UNSUP", f"{error} in a bundle") from None
    if kind not in _BUNDLED:
        raise OpenFlowError("OFPBFC_MSG_UNSUP", f"{kind.__name__} in a bundle")


_BUNDLED = (FlowMod, flow.NxFlowMod, GroupMod, port.PortMod, packet.PacketOut)


def _size(raw: bytes, at: int) -> int:
    """Bytes of the message that *raw* has at *at*."""
    return int.from_bytes(raw[at + 2:at + 4], "big")


def _control(session: Session, ask: BundleControl) -> Iterator[object]:
    yield session.bundles.control(ask, session.asked)


def _add(session: Session, ask: BundleAdd) -> Iterator[object]:
    session.bundles.add(ask, session.asked)
    yield from ()


HANDLERS: dict[type, Callable[[Session, Any], Iterator[object]]] = {BundleControl: _control, BundleAdd: _add}
