"""Lists of actions of which the kernel cannot do some, carried out over one packet by turns.

The list is cut where the kernel ends knowing what to do.  What stands before the cut goes to the kernel with
the packet if it sends copies anywhere; what it changes in the packet is then done here again, together with
the action the kernel lacks, which the datapath of our own does.  Once the kernel can do all that is left, it
is given the packet and that.

What only the kernel can do to a packet, tracking its connection above all, comes in between like this: the
list up to the cut is given to it with a userspace() at the end, whose userdata names the rest of the list.
So the packet comes back, as translated as its connection has it and with the connection's state in its key,
and the rest goes on from there (``resume``).  Such a packet may never return, as meters and full queues drop
some; no more than WAITING lists are kept, and the oldest go first.

Of what is not in the packet, marks travel in its key, and the tunnel it is to take and where it is to be cut
are said again at the begin of the next list (``held``).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from fastpath._flow import FlowKey
from fastpath.dpif.actions import (
    CheckPktLen,
    Clone,
    Ct,
    CtClear,
    Hash,
    Meter,
    OdpAction,
    OdpActions,
    Output,
    PopEth,
    PopNsh,
    PushEth,
    PushNsh,
    RawUserdata,
    Recirc,
    Sample,
    SetMasked,
    Trunc,
    Userspace,
)
from fastpath.dpif.provider import Execute
from fastpath.dpif.userspace import UserspaceDpif
from fastpath.errors import ConfigError
from fastpath.io._memory import MemoryPort
from fastpath.value import value

WAITING = 4096                          # lists whose packets are with the kernel
# These send the packet or a copy somewhere; it goes on unchanged.
_SENDS = (Output, Userspace, Recirc, Clone, Sample, CheckPktLen)
# These do to packet and key what only the kernel knows.
_RETURNS = (Ct, CtClear, Meter, Hash, PushEth, PopEth, PushNsh, PopNsh)
_MARKS = {"skb_mark": "pkt_mark", "skb_priority": "skb_priority"}

# Has the kernel run actions over a packet with its key; an exception object says why it would not.
RunByKernel = Callable[[bytes, FlowKey, OdpActions, bytes], "Exception | None"]


@value
class _Rest:
    """What is left to do of a list once the packet comes back."""

    actions: OdpActions
    held: OdpActions
    vnet: bytes


class Aside:
    """Runs lists of actions that ``takes`` says the kernel cannot carry out, with the help of *by_kernel*.

    *name* begins the userdata of packets that are to come back here.
    """

    def __init__(self, takes: Callable[[OdpActions], bool], by_kernel: RunByKernel, name: bytes) -> None:
        self._takes, self._by_kernel, self._name = takes, by_kernel, name
        self._waiting: dict[int, _Rest] = {}
        self._next = 0
        self._random = Random()
        self._own = UserspaceDpif(seed=0, pool_limit=256)
        self._port = MemoryPort("aside")
        self._number = self._own.port_add(self._port)
        self.n_forgotten = 0                    # lists that went before their packets came back

    def close(self) -> None:
        """Let the memory go."""
        self._own.close()
        self._port.close()

    def run(self, packet: bytes, key: FlowKey, actions: OdpActions, vnet: bytes = b"",
            held: OdpActions = ()) -> Exception | None:
        """Carry out *actions*; the first error.  Raises ConfigError for what neither of the two can do."""
        at, key, failed = 0, key.copy(), None
        while at < len(actions):
            rest = (*held, *actions[at:])
            if self._takes(rest):
                return self._by_kernel(packet, key, rest, vnet) or failed
            end = self._cut(held, actions, at)
            part = actions[at:end]
            if any(isinstance(action, _RETURNS) for action in part):
                back = self._return_to(_Rest(actions[end:], _kept(held, part), vnet))
                return self._by_kernel(packet, key, (*held, *part, back), vnet) or failed
            if any(isinstance(action, _SENDS) for action in part):
                failed = failed or self._by_kernel(packet, key, (*held, *part), vnet)
            _mark(key, part)
            held = _kept(held, part)
            changed = self._do_one(self._rewritten(packet, key, part), key, actions[end], vnet, held)
            if changed is None:
                return failed
            packet, error = changed
            at, failed = end + 1, failed or error
        return failed

    def resume(self, data: bytes, packet: bytes, key: FlowKey) -> bool:
        """Go on with a packet that came back with userdata *data*; whether it was one of ours."""
        if not data.startswith(self._name):
            return False
        rest = self._waiting.pop(int.from_bytes(data[len(self._name):], "big"), None)
        if rest is not None:
            self.run(packet, key, rest.actions, rest.vnet, rest.held)
        return True

    def _cut(self, held: OdpActions, actions: OdpActions, at: int) -> int:
        """The first of *actions* from *at* on that the kernel cannot do."""
        end = at
        while end < len(actions) and self._takes((*held, *actions[at:end + 1])):
            end += 1
        return end

    def _return_to(self, rest: _Rest) -> Userspace:
        """The action that brings a packet back for *rest*."""
        self._next += 1
        self._waiting[self._next] = rest
        while len(self._waiting) > WAITING:
            del self._waiting[next(iter(self._waiting))]
            self.n_forgotten += 1
        return Userspace(RawUserdata(self._name + self._next.to_bytes(8, "big")))

    def _do_one(self, packet: bytes | None, key: FlowKey, action: OdpAction, vnet: bytes,
                held: OdpActions) -> tuple[bytes, Exception | None] | None:
        """Do what the kernel cannot: the packet afterwards and an error; None if nothing is left of it."""
        if packet is None:
            return None
        match action:
            case Clone(inner):
                return packet, self.run(packet, key, inner, vnet, held)
            case Sample(probability, inner):
                is_meant = self._random.getrandbits(32) <= probability
                return packet, self.run(packet, key, inner, vnet, held) if is_meant else None
            case CheckPktLen(size, greater, less_equal):
                inner = greater if len(packet) > size else less_equal
                return packet, self.run(packet, key, inner, vnet, held)
            case _ if isinstance(action, _SENDS + _RETURNS):
                raise ConfigError(f"{action}: this kernel does not, nor can it be done for it")
        changed = self._rewritten(packet, key, (action,))
        return None if changed is None else (changed, None)

    def _rewritten(self, packet: bytes, key: FlowKey, actions: OdpActions) -> bytes | None:
        """The packet as *actions* leave it; None if nothing is left."""
        changes = tuple(action for action in actions
                        if not isinstance(action, (*_SENDS, Trunc)) and not _is_metadata(action))
        if not changes:
            return packet
        result, = self._own.operate([Execute(packet, key, (*changes, Output(self._number)))])
        if isinstance(result, Exception):
            raise ConfigError(f"{changes}: {result}")
        frames = self._port.take()
        return frames[0] if frames else None


def _is_metadata(action: OdpAction) -> bool:
    return isinstance(action, SetMasked) and action.attr in ("tunnel", *_MARKS)


def _mark(key: FlowKey, actions: OdpActions) -> None:
    """Enter the marks that *actions* set into *key*."""
    for action in actions:
        if isinstance(action, SetMasked) and action.attr in _MARKS:
            (_, number, mask), = action.members
            member = _MARKS[action.attr]
            setattr(key, member, getattr(key, member) & ~mask | number & mask)


def _kept(held: OdpActions, actions: OdpActions) -> OdpActions:
    """What is to be said again after *actions*: the tunnel to take, and where the next copy is cut."""
    tunnel = cut = None
    for action in (*held, *actions):
        if isinstance(action, SetMasked) and action.attr == "tunnel":
            tunnel = action
        elif isinstance(action, Trunc):
            cut = action
        elif isinstance(action, _SENDS):
            cut = None
    return tuple(action for action in (tunnel, cut) if action is not None)
