"""What is logged of upcalls and flows for who looks for a fault, in the words of the reference's datapath.

Scripts read these lines to learn what missed and what was installed.  They go to ``logging`` at level DEBUG,
under ``fastpath.dpif_netdev`` and ``fastpath.dpif``; nothing is put into words unless somebody listens.
"""

from __future__ import annotations

import logging

from fastpath._flow import FlowKey
from fastpath.dpif.actions import OdpActions
from fastpath.dpif.odptext import format_actions, format_key
from fastpath.dpif.provider import Upcall
from fastpath.ofproto.match import packet_mask
from fastpath.ofproto.packet_text import format_packet
from fastpath.text import CT_STATE, format_flags

_netdev, _dpif = logging.getLogger("fastpath.dpif_netdev"), logging.getLogger("fastpath.dpif")
for _logger in (_netdev, _dpif):
    _logger.addHandler(logging.NullHandler())


def format_ufid(ufid: int) -> str:
    """The handle of a flow, as a UUID is written."""
    digits = f"{ufid:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def format_whole(key: FlowKey) -> str:
    """All of a packet's key, as dpctl writes it."""
    mask = packet_mask(key)
    mask.ct_state = 0
    head, port, rest = format_key(key, mask).partition("ct_zone(")
    state = format_flags(key.ct_state, CT_STATE) if key.ct_state else "0"
    return f"{head}ct_state({state}),{port}{rest}"


class FlowLog:
    """Lines about one datapath, *kind*@*name*."""

    def __init__(self, kind: str = "netdev", name: str = "fastpath") -> None:
        self.kind, self.name = kind, name

    @property
    def is_on(self) -> bool:
        """Whether anybody listens."""
        return _netdev.isEnabledFor(logging.DEBUG) or _dpif.isEnabledFor(logging.DEBUG)

    def asked(self, upcall: Upcall) -> None:
        """A packet came up."""
        what = "miss" if upcall.userdata is None else "action"
        _netdev.debug("%s: %s upcall:\n%s\n%s", self.name, what, format_whole(upcall.key),
                      format_packet(upcall.packet))

    def added(self, ufid: int, key: FlowKey, mask: FlowKey, actions: OdpActions) -> None:
        """A flow was installed."""
        _netdev.debug("flow_add: %s, actions:%s", self._flow(ufid, key, mask), format_actions(actions))

    def changed(self, ufid: int, key: FlowKey, mask: FlowKey, old: OdpActions, new: OdpActions) -> None:
        """A flow was given other actions."""
        _netdev.debug("flow_mod: %s, old_actions:%s, actions:%s", self._flow(ufid, key, mask),
                      format_actions(old), format_actions(new))
        _dpif.debug("%s@%s: put[modify] ufid:%s %s, actions:%s", self.kind, self.name, format_ufid(ufid),
                    format_key(key, mask, verbose=True), format_actions(new))

    def removed(self, ufid: int, key: FlowKey) -> None:
        """A flow was taken out."""
        _dpif.debug("%s@%s: flow_del ufid:%s %s", self.kind, self.name, format_ufid(ufid), format_whole(key))

    def _flow(self, ufid: int, key: FlowKey, mask: FlowKey) -> str:
        name = format_ufid(ufid)
        return f"ufid:{name} mega_ufid:{name} {format_key(key, mask)}"
