"""Trace a packet and then every copy that conntrack brings back, in the order ``ofproto/trace`` does.

No packet goes through the datapath, so what conntrack would say is made up: the states that were given,
in order, and after them that the connection is new.  NAT is taken to choose the first address and port of
its range.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from fastpath import text
from fastpath.errors import ParseError
from fastpath.ofproto.actions.ct import Nat
from fastpath.ofproto.xlate.context import XlateIn, XlateOut
from fastpath.ofproto.xlate.pipeline import translate
from fastpath.ofproto.xlate.trace import Fork, Resumed, Trace
from fastpath.value import replace, value

MAX_PASSES = 4096
CT_NEW, CT_EST, CT_RPL, CT_INV, CT_TRK = 0x01, 0x02, 0x08, 0x10, 0x20
Done = Callable[[XlateIn, XlateOut], None]
_DEFAULT = CT_TRK | CT_NEW
_ADDRESSES = {4: ("nw_src", "nw_dst"), 6: ("ipv6_src", "ipv6_dst")}


def explain(env: XlateIn, ct_next: Iterable[int] = (), done: Done | None = None,
            odp_ports: Mapping[int, str] | None = None) -> Trace:
    """Trace of *env* and of the copies it sends through conntrack, which finds the states *ct_next*.
    *done* is called with what was asked and answered of each pass; the answer's recirculation ids are its.
    With *odp_ports*, names of the datapath's ports, all ports are told by name.

    A fork's recirculation id is held until the fork has been followed; a state that turns up again after
    that gets a new one, as in the reference.
    """
    states = iter(ct_next)
    recirc = env.bridge.recirc
    trace = _pass(env, done, odp_ports)
    queue = deque(trace.forks)
    while queue and len(trace.resumed) < MAX_PASSES:
        fork = queue.popleft()
        head = _resume(fork, next(states, None))
        resumed = replace(env, flow=fork.flow, frozen=recirc.get(fork.recirc_id), actions=None)
        again = _pass(resumed, done, odp_ports)
        recirc.release((fork.recirc_id,))
        trace.resumed.append(Resumed(fork, head, again))
        queue += again.forks
    recirc.release(fork.recirc_id for fork in queue)
    return trace


@value
class Explanation:
    """The trace of *env*, made when it is written down."""

    env: XlateIn

    def __str__(self) -> str:
        return str(explain(self.env))


def _pass(env: XlateIn, done: Done | None, odp_ports: Mapping[int, str] | None) -> Trace:
    """Trace of one translation; the ids of its forks are held."""
    trace, recirc = Trace(odp_ports=odp_ports), env.bridge.recirc
    out = translate(replace(env, trace=trace))
    recirc.hold(fork.recirc_id for fork in trace.forks)
    if done is not None:
        done(env, out)
    else:
        recirc.release(out.recirc_ids)
    return trace


def _resume(fork: Fork, state: int | None) -> str:
    """Give the forked flow what conntrack would; return how that is told."""
    head = f"recirc({fork.recirc_id:#x}) - resume conntrack with "
    if state is None:
        head += "default ct_state=trk|new (use --ct-next to customize)"
    else:
        head += f"ct_state={text.format_flags(state, text.CT_STATE)}"
    fork.flow.ct_state = _DEFAULT if state is None else state
    return head if fork.nat is None else head + _simulate_nat(fork, fork.nat)


def _simulate_nat(fork: Fork, nat: Nat) -> str:
    before = _tuple(fork, nat)
    if nat.family and nat.direction:
        way = nat.direction == "dst"
        setattr(fork.flow, _ADDRESSES[nat.family][way], nat.addr_min)
        if nat.port_min:
            setattr(fork.flow, ("tp_src", "tp_dst")[way], nat.port_min)
    return ("\nReplacing src/dst IP/ports to simulate NAT:\n"
            f" Initial flow: {before}\n Modified flow: {_tuple(fork, nat)}")


def _tuple(fork: Fork, nat: Nat) -> str:
    if not nat.family:
        return ""
    show = text.format_ipv4 if nat.family == 4 else lambda address: f"[{text.format_ipv6(address)}]"
    return ",".join(f"{name}={show(getattr(fork.flow, name))},{port}={getattr(fork.flow, port)}"
                    for name, port in zip(_ADDRESSES[nat.family], ("tp_src", "tp_dst"), strict=True))


# What no packet is: bits of which any is set, bits of which any is too, and what is said of it.
_IMPOSSIBLE = (
    (CT_INV, 0xFF & ~(CT_TRK | CT_INV), 'when "inv" is set, only "trk" may also be set'),
    (CT_NEW, CT_EST, '"new" and "est" are mutually exclusive'),
    (CT_NEW, CT_RPL, '"new" and "rpy" are mutually exclusive'),
)


def parse_ct_state(source: str) -> int:
    """State of *source*, flags such as ``trk,est``.  Raises ParseError for one no packet can have."""
    state = 0
    for word in source.replace(",", " ").split():
        if word not in text.CT_STATE:
            raise ParseError(f"{word}: unknown connection tracking state flag")
        state |= 1 << text.CT_STATE.index(word)
    wrong = ['If "trk" is unset, no other flags are set'] if state and not state & CT_TRK else []
    wrong += [why for bits, others, why in _IMPOSSIBLE if state & bits and state & others]
    if wrong:
        shown = text.format_flags(state, text.CT_STATE)
        raise ParseError("\n".join(f"{shown}: invalid connection state: {why}" for why in wrong))
    return state
