"""The output actions: which ports a number, reserved or not, stands for.

One port is ``port.to_port``'s business, NORMAL that of ``normal``, the controller that of ``controller``.
"""

from __future__ import annotations

from fastpath._flow import WINDOWS
from fastpath.dpif import actions as odp
from fastpath.ofproto.actions import output as act
from fastpath.ofproto.actions.base import Action, c_hex
from fastpath.ofproto.actions.controller import PacketInReason
from fastpath.ofproto.xlate.context import (
    OFPP_ALL,
    OFPP_CONTROLLER,
    OFPP_FLOOD,
    OFPP_IN_PORT,
    OFPP_LOCAL,
    OFPP_MAX,
    OFPP_NONE,
    OFPP_NORMAL,
    OFPP_TABLE,
    Xlate,
)
from fastpath.ofproto.xlate.controller import to_controller
from fastpath.ofproto.xlate.normal import normal
from fastpath.ofproto.xlate.port import flood, to_port
from fastpath.ofproto.xlate.set_field import mark_subfield, read_subfield
from fastpath.ofproto.xlate.trace import Kind, report
from fastpath.ofproto.xlate.walk import enter_table
from fastpath.text import format_ofp_port

_IN_PORT, _PRIORITY = WINDOWS["in_port"], WINDOWS["skb_priority"]


def send(x: Xlate, port: int, max_len: int, *, last: bool, truncate: bool = False,
         may_miss: bool = False) -> None:
    """Output to a port, reserved or not; *may_miss*: the first table may ask the controller."""
    in_port = x.hand.flow.get(_IN_PORT)
    match port:
        case _ if port == OFPP_IN_PORT:
            to_port(x, in_port, last=last, truncate=truncate)
        case _ if port == OFPP_TABLE:
            enter_table(x, in_port, 0, last=False, may_miss=may_miss)
        case _ if port == OFPP_NORMAL:
            normal(x)
        case _ if port in (OFPP_FLOOD, OFPP_ALL):
            flood(x, all_ports=port == OFPP_ALL, last=last)
        case _ if port == OFPP_CONTROLLER:
            reason = (PacketInReason.PACKET_OUT if x.hand.in_packet_out else
                      PacketInReason.GROUP if x.hand.in_bucket else
                      PacketInReason.ACTION_SET if x.hand.in_action_set else PacketInReason.ACTION)
            to_controller(x, max_len, reason)
        case _ if port == OFPP_NONE:
            pass
        case _ if port == in_port:
            report(x, Kind.WARN, "skipping output to input port")
        case _:
            to_port(x, port, last=last, truncate=truncate)


def output(x: Xlate, a: act.Output, last: bool) -> None:
    """Output to a fixed port."""
    send(x, a.port, a.max_len, last=last, may_miss=True)


def output_reg(x: Xlate, a: act.OutputReg, last: bool) -> None:
    """Output to the port whose number a field holds; the field then decides, so it is un-wildcarded."""
    port = read_subfield(x.hand, a.source)
    if port > 0xFFFF:
        report(x, Kind.WARN, f"output port {port} is out of range")
        return
    report(x, Kind.DETAIL, f"output port is {port}")
    mark_subfield(x.hand, a.source)
    send(x, port, a.max_len, last=last)


def output_trunc(x: Xlate, a: act.OutputTrunc, last: bool) -> None:
    """Output of the first bytes only, which a port of the datapath can do."""
    port, in_port = a.port, x.hand.flow.get(_IN_PORT)
    if port >= OFPP_MAX and port not in (OFPP_LOCAL, OFPP_IN_PORT):
        report(x, Kind.WARN, f"output_trunc does not support port: {format_ofp_port(port)}")
    elif port == in_port:
        report(x, Kind.WARN, "skipping output to input port")
    else:
        view = x.hand.bridge.port(port)
        if view is None or view.odp_port is None:
            report(x, Kind.ERROR, f"output_trunc does not support patch port {format_ofp_port(port)}")
            return
        x.out.actions.append(odp.Trunc(a.max_len))
        send(x, port, 0, last=last, truncate=True)


# -- queues: a datapath's queue is a packet priority -----------------------------------------------------

def enqueue(x: Xlate, a: act.Enqueue, last: bool) -> None:
    """Output through a queue, which others do not use."""
    flow, in_port = x.hand.flow, x.hand.flow.get(_IN_PORT)
    x.hand.wc.fill(_PRIORITY)
    queued = x.hand.bridge.features.priority_of(a.queue)
    if queued is None:              # an output as any other
        send(x, a.port, 0, last=last)
        return
    port = in_port if a.port == OFPP_IN_PORT else a.port
    if a.port == in_port:
        return
    priority = flow.get(_PRIORITY)
    flow.set(_PRIORITY, queued)
    to_port(x, port, last=last)
    flow.set(_PRIORITY, priority)


def set_queue(x: Xlate, a: act.SetQueue) -> None:
    """Choose the queue of later outputs; its number goes along as the packet's priority."""
    x.hand.wc.fill(_PRIORITY)
    priority = x.hand.bridge.features.priority_of(a.queue)
    if priority is not None:
        x.hand.flow.set(_PRIORITY, priority)


def pop_queue(x: Xlate, a: act.PopQueue) -> None:
    """Go back to the priority the packet came with."""
    priority = x.env.flow.get(_PRIORITY)
    x.hand.wc.fill(_PRIORITY)
    if x.hand.flow.get(_PRIORITY) != priority:
        x.hand.flow.set(_PRIORITY, priority)
        report(x, Kind.DETAIL, f"queue = {c_hex(priority)}")


def refuse(x: Xlate, a: Action) -> bool:
    """Say that *a* is not implemented; the list stops (True)."""
    report(x, Kind.WARN, f"{a}: not supported yet, dropping")
    return True
