"""What a program's log takes from the library, and what it leaves behind."""

from __future__ import annotations

import logging

from fastpath.runtime.log import Log

MODULE = logging.getLogger("fastpath.dpif")


def test_a_log_that_is_closed_leaves_the_library_as_it_was() -> None:
    """Else who logs by other means in the same process would be told less than it asked for."""
    before = MODULE.level, logging.getLogger("fastpath").level
    log = Log("test")
    log.take_from_library()
    assert MODULE.level == logging.INFO
    log.set("dpif:file:dbg")
    log.close()
    assert (MODULE.level, logging.getLogger("fastpath").level) == before == (logging.NOTSET, logging.NOTSET)
    assert logging.getLogger("fastpath").propagate
