"""Durations of the wire: seconds and nanoseconds, kept as one number of seconds.

A float tells nanoseconds of half a year; what it cannot tell, and nanoseconds that are more than a second (as
only a broken sender has them), is kept beside it, so that it is written and printed as it came.
"""

from __future__ import annotations

from typing import Any


class Told(float):
    """Seconds, with the numbers they were told in."""

    __slots__ = ("nsec", "sec")
    sec: int
    nsec: int


def pop(values: dict[str, Any]) -> float:
    """What "duration_sec" and "duration_nsec" of *values* tell, which has them no more."""
    return of(values.pop("duration_sec", 0), values.pop("duration_nsec", 0))


def of(sec: int, nsec: int) -> float:
    """What *sec* and *nsec* tell."""
    seconds = sec + nsec / 1e9
    if split(seconds) == (sec, nsec):
        return seconds
    told = Told(seconds)
    told.sec, told.nsec = sec, nsec
    return told


def split(duration: float) -> tuple[int, int]:
    """Whole seconds and nanoseconds of *duration*."""
    if isinstance(duration, Told):
        return duration.sec, duration.nsec
    ns = round(duration * 1e9)
    return ns // 1_000_000_000, ns % 1_000_000_000


def format_duration(duration: float) -> str:
    """Seconds with three digits after the point, as many more as it takes, or none."""
    sec, nsec = split(duration)
    if not nsec:
        return f"{sec}s"
    if not nsec % 10**6:
        return f"{sec}.{nsec // 10**6:03d}s"
    return f"{sec}.{nsec:09d}".rstrip("0") + "s"
