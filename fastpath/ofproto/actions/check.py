"""Whether a list of actions makes sense for what its rule matches."""

from __future__ import annotations

from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.match import Match


def check_actions(actions: ActionList, match: Match, *, table_id: int) -> None:
    """Raise ParseError, naming the OpenFlow error, if *actions* cannot stand with *match*."""
