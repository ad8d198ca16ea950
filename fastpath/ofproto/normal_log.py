"""What is logged of a match that says more than packets can: which of its parts were dropped.

Lines go to ``logging`` under ``fastpath.ofp_match``, in the words of the reference.
"""

from __future__ import annotations

import logging

from fastpath.ofproto.match import Match

_log = logging.getLogger("fastpath.ofp_match")
_log.addHandler(logging.NullHandler())


def tell_normalized(given: Match, normal: Match) -> None:
    """Log that *given* became *normal*, if that is another match."""
    if normal is given or not _log.isEnabledFor(logging.INFO) or normal == given:
        return
    _log.info("normalization changed ofp_match, details:")
    _log.info(" pre: %s", given)
    _log.info("post: %s", normal)
