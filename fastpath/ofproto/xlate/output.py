"""Send the packet somewhere: one port, another bridge, many ports, the controller.

``to_port`` is where every packet leaves; ``output`` knows the reserved ports.  A patch port is no output:
translation crosses into the peer's bridge and comes back with the flow as it was (``patch``).
"""

from __future__ import annotations

from fastpath._flow import WINDOWS
from fastpath.dpif import actions as odp
from fastpath.ofproto.actions import output as act
from fastpath.ofproto.actions.controller import Controller, PacketInReason
from fastpath.ofproto.xlate import patch, table_walk
from fastpath.ofproto.xlate.commit import commit
from fastpath.ofproto.xlate.context import (
    OFPP_ALL,
    OFPP_CONTROLLER,
    OFPP_FLOOD,
    OFPP_IN_PORT,
    OFPP_NONE,
    OFPP_NORMAL,
    OFPP_TABLE,
    PortView,
    Xlate,
)
from fastpath.ofproto.xlate.freeze import hold_state, trigger
from fastpath.ofproto.xlate.normal import normal
from fastpath.ofproto.xlate.set_field import mark_subfield, read_subfield
from fastpath.ofproto.xlate.trace import Kind, report
from fastpath.text import format_ofp_port

_IN_PORT = WINDOWS["in_port"]
