"""Meters: what a meter is, and the table of a bridge's meters with what a meter mod does to it.

A meter measures the packets that pass it and, above the rates of its bands, drops them or marks them as
easier to drop.  The datapath does the measuring; meters of all bridges share its numbers.  Three meters
have names: packets to the controller go through ``controller`` unless their action names another, packets
that only ofproto can handle through ``slowpath``, and ``all`` stands for all of them when deleting.

One writer: the owner of the Switch.  Text is ``meter_text``'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum, IntFlag

from fastpath.dpif.provider import Dpif, MeterBand, MeterStats
from fastpath.errors import OpenFlowError
from fastpath.value import record, replace, value

METER_MAX = 0xFFFF0000
METER_SLOWPATH, METER_CONTROLLER, METER_ALL = 0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF
MAX_BANDS = 8


class MeterFlags(IntFlag):
    """Unit of the rates, and whether bands bring a burst (OpenFlow 1.3 appendix A.3.4.4)."""

    NONE = 0
    KBPS = 1
    PKTPS = 2
    BURST = 4
    STATS = 8


_FLAGS = MeterFlags.KBPS | MeterFlags.PKTPS | MeterFlags.BURST | MeterFlags.STATS


class BandType(IntEnum):
    """What happens above a band's rate."""

    DROP = 1
    DSCP_REMARK = 2


class MeterCommand(IntEnum):
    """What a meter mod asks for."""

    ADD = 0
    MODIFY = 1
    DELETE = 2


@value
class Band:
    """One band: above *rate* (kbit/s or packets/s, with *burst_size* kbit or packets at once) packets are
    dropped, or their DSCP's drop precedence is raised by *prec_level*."""

    type: BandType
    rate: int
    burst_size: int = 0
    prec_level: int = 0


@value
class MeterMod:
    """One request."""

    command: MeterCommand
    meter_id: int
    flags: MeterFlags = MeterFlags.NONE
    bands: tuple[Band, ...] = ()

    def __str__(self) -> str:
        from fastpath.ofproto.meter_text import format_meter_mod  # text is one layer up from values
        return format_meter_mod(self)


@record(eq=False)
class Meter:
    """One meter; *number* is the datapath's."""

    meter_id: int
    flags: MeterFlags
    bands: tuple[Band, ...]
    number: int
    created: float

    def __str__(self) -> str:
        from fastpath.ofproto.meter_text import format_meter
        return format_meter(self)


class MeterNumbers:
    """The meter numbers of a datapath that has *n* of them, shared by all bridges over it."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._used: set[int] = set()
        self._free_from = 0             # all below are in use

    def take(self) -> int | None:
        """Lowest number not in use, None when all are."""
        while self._free_from in self._used:
            self._free_from += 1
        if self._free_from >= self.n:
            return None
        self._used.add(self._free_from)
        return self._free_from

    def give_back(self, number: int) -> None:
        """A number is not in use any more."""
        self._used.discard(number)
        self._free_from = min(self._free_from, number)


def check_meter_mod(mm: MeterMod) -> None:
    """Raise OpenFlowError if *mm*, no delete, makes no sense, whatever meters there are."""
    if mm.flags & MeterFlags.KBPS and mm.flags & MeterFlags.PKTPS:
        raise OpenFlowError("OFPMMFC_BAD_FLAGS", "kbps and pktps exclude each other")
    if not 0 < mm.meter_id <= METER_MAX and mm.meter_id not in (METER_SLOWPATH, METER_CONTROLLER):
        raise OpenFlowError("OFPMMFC_INVALID_METER", f"meter {mm.meter_id} is not 1 to {METER_MAX}")
    if len(mm.bands) > MAX_BANDS:
        raise OpenFlowError("OFPMMFC_OUT_OF_BANDS", f"{len(mm.bands)} bands, a meter has {MAX_BANDS} at most")


def check_bands(mm: MeterMod, *, strict: bool) -> None:
    """Raise OpenFlowError if a datapath cannot do what the bands of *mm* ask; in *strict* mode, what that
    of the reference cannot do."""
    if not mm.flags & (MeterFlags.KBPS | MeterFlags.PKTPS):
        raise OpenFlowError("OFPMMFC_BAD_FLAGS", "neither kbps nor pktps is given")
    if strict and not mm.bands:
        raise OpenFlowError("OFPMMFC_OUT_OF_BANDS", "a meter without bands is not supported")
    if not all(band.rate for band in mm.bands):
        raise OpenFlowError("OFPMMFC_BAD_RATE", "a band needs a rate")
    if int(mm.flags) & ~int(_FLAGS):
        raise OpenFlowError("OFPMMFC_BAD_FLAGS", f"meter flags {mm.flags:#x}")
    if strict and any(band.type is BandType.DSCP_REMARK for band in mm.bands):
        raise OpenFlowError("OFPMMFC_BAD_BAND", "bands that remark are not supported")


def with_bursts(bands: Iterable[Band]) -> tuple[Band, ...]:
    """*bands*, those that name no burst with the one they get: what their rate brings in a second."""
    return tuple(band if band.burst_size else replace(band, burst_size=band.rate) for band in bands)


class MeterTable:
    """The meters of one bridge over *dpif*, with numbers out of *numbers*."""

    def __init__(self, dpif: Dpif, numbers: MeterNumbers, *, strict: bool = False) -> None:
        self._dpif, self._numbers = dpif, numbers
        self.strict = strict
        self._meters: dict[int, Meter] = {}
        self.forgotten: list[Meter] = []        # whose numbers are not released

    def __len__(self) -> int:
        return len(self._meters)

    def __iter__(self) -> Iterator[Meter]:
        """Meters by id."""
        return iter(sorted(self._meters.values(), key=lambda meter: meter.meter_id))

    def get(self, meter_id: int) -> Meter | None:
        """Meter of an id."""
        return self._meters.get(meter_id)

    def stats(self, meter: Meter) -> MeterStats:
        """What *meter* has counted."""
        return self._dpif.meter_stats(meter.number)

    @property
    def max_meters(self) -> int:
        """Meters that all bridges of the datapath may have together."""
        return self._numbers.n

    def put(self, mm: MeterMod, now: float) -> Meter:
        """Add or modify a meter.  Raises OpenFlowError with nothing changed if it is refused.

        A modified meter keeps its age and its number; its counters start again from 0.
        """
        check_meter_mod(mm)
        old = self._meters.get(mm.meter_id)
        if mm.command is MeterCommand.ADD and old is not None:
            raise OpenFlowError("OFPMMFC_METER_EXISTS", f"meter {mm.meter_id} is there already")
        if mm.command is MeterCommand.MODIFY and old is None:
            raise OpenFlowError("OFPMMFC_UNKNOWN_METER", f"there is no meter {mm.meter_id}")
        check_bands(mm, strict=self.strict)
        number = self._numbers.take() if old is None else old.number
        if number is None:
            raise OpenFlowError("OFPMMFC_OUT_OF_METERS", f"all {self._numbers.n} meters are in use")
        meter = Meter(mm.meter_id, mm.flags, with_bursts(mm.bands), number,
                      now if old is None else old.created)
        self._dpif.meter_set(number, pktps=bool(mm.flags & MeterFlags.PKTPS), bands=[
            MeterBand(b.rate, b.burst_size if mm.flags & MeterFlags.BURST else b.rate, b.prec_level)
            for b in mm.bands])
        self._meters[mm.meter_id] = meter
        return meter

    def find(self, meter_id: int) -> list[Meter]:
        """The meters that *meter_id*, METER_ALL among others, stands for."""
        if meter_id == METER_ALL:
            return list(self)
        found = self._meters.get(meter_id)
        return [] if found is None else [found]

    def forget(self, meter: Meter) -> None:
        """Delete *meter*, but for its number, which flows may still send packets through."""
        del self._meters[meter.meter_id]
        self.forgotten.append(meter)

    def release(self) -> None:
        """Let go of the numbers of forgotten meters, as no flow uses them any more."""
        for meter in self.forgotten:
            self._dpif.meter_del(meter.number)
            self._numbers.give_back(meter.number)
        self.forgotten.clear()
