"""Answers to DHCP requests go to the local port, whatever rules say, of a bridge that reaches its controllers
in band: without an address it reaches none.

The reference un-wildcards what this depends on for such answers alone, so that a flow of other packets may
cover them; here each flow of IP says that it is none.
"""

from __future__ import annotations

from fastpath._flow import WINDOWS
from fastpath.dpif import actions as odp
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.context import OFPP_LOCAL, Xlate
from fastpath.ofproto.xlate.port import to_port
from fastpath.ofproto.xlate.trace import Kind, report

# What an answer has, in an order in which most packets differ soon.
_ANSWER = ((WINDOWS["nw_proto"], pk.UDP), (WINDOWS["tp_src"], 67), (WINDOWS["tp_dst"], 68))
_DL_TYPE = WINDOWS["dl_type"]


def deliver(x: Xlate) -> None:
    """Send the packet to the local port if it is an answer to a DHCP request and was not sent there."""
    hand = x.hand
    local = hand.bridge.port(OFPP_LOCAL)
    if hand.flow.get(_DL_TYPE) != pk.ETH_IP or (local is not None and any(
            isinstance(a, odp.Output) and a.port == local.odp_port for a in x.out.actions)):
        return
    for window, wanted in _ANSWER:
        hand.wc.fill(window)
        if hand.flow.get(window) != wanted:
            return
    report(x, Kind.DETAIL, "outputting DHCP packet to local port for in-band control")
    to_port(x, OFPP_LOCAL, last=True)
