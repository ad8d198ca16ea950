"""What this process takes of the machine."""

from __future__ import annotations

import resource


def peak_memory_kb() -> int:
    """The most memory that was resident at once, in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
