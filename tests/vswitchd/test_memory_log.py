"""When the log is told of memory in use."""

from __future__ import annotations

from fastpath.runtime.usage import peak_memory_kb
from fastpath.vswitchd.memory_log import MemoryLog


def test_memory_is_told_once_and_when_it_grew_by_half() -> None:
    log = MemoryLog(100.0)
    assert list(log.look(109.9, 1000)) == []
    assert list(log.look(110.0, 1000)) == ["1000 kB peak resident set size after 10.0 seconds"]
    assert list(log.look(200.0, 1499)) == []
    assert list(log.look(205.0, 3000)) == []            # looked at a while ago
    assert list(log.look(210.5, 3000)) == [
        "peak resident set size grew 200% in last 100.5 seconds, from 1000 kB to 3000 kB"]


def test_this_process_takes_memory() -> None:
    assert peak_memory_kb() > 1000
