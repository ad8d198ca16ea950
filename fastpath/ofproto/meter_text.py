"""Meter text <-> MeterMod: the argument of ``ovs-ofctl add-meter``, and what it prints of meters.

``meter=1,kbps,burst,band=type=drop,rate=1000,burst_size=200``; further bands follow, each beginning with
its type.  Errors are in the words of ovs-ofctl.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fastpath.dpif.provider import MeterStats
from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.meter import (
    MAX_BANDS,
    METER_ALL,
    METER_CONTROLLER,
    METER_MAX,
    METER_SLOWPATH,
    Band,
    BandType,
    Meter,
    MeterCommand,
    MeterFlags,
    MeterMod,
)
from fastpath.value import replace

_NAMES = {"all": METER_ALL, "controller": METER_CONTROLLER, "slowpath": METER_SLOWPATH}
_NAME_OF = {number: name for name, number in _NAMES.items()}
_FLAGS = {"kbps": MeterFlags.KBPS, "pktps": MeterFlags.PKTPS, "burst": MeterFlags.BURST,
          "stats": MeterFlags.STATS}
_BANDS = {"drop": BandType.DROP, "dscp_remark": BandType.DSCP_REMARK}
_BAND_TEXT = {kind: name for name, kind in _BANDS.items()}
COMMANDS = {"add": MeterCommand.ADD, "modify": MeterCommand.MODIFY, "delete": MeterCommand.DELETE}
_COMMAND_TEXT = {MeterCommand.ADD: "ADD", MeterCommand.MODIFY: "MOD", MeterCommand.DELETE: "DEL"}


# -- reading -------------------------------------------------------------------------------------------

class _Words:
    """Words of a text.  A name ends at ``=`` too, a value does not."""

    def __init__(self, source: str) -> None:
        self._rest = source

    def next(self, *, name: bool) -> str | None:
        """The next word, None at the end."""
        separators = "=, \t\r\n" if name else ", \t\r\n"
        rest = self._rest.lstrip(separators)
        if not rest:
            self._rest = ""
            return None
        word = re.split(f"[{separators}]", rest, maxsplit=1)[0]
        self._rest = rest[len(word) + 1:]
        return word

    def pairs(self, flags: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
        """Names with their values; those of *flags* have none."""
        while (name := self.next(name=True)) is not None:
            if name in flags:
                yield name, ""
                continue
            value = self.next(name=False)
            if value is None:
                raise ParseError(f"field {name} missing value")
            yield name, value


def parse_meter_mod(source: str, command: str | MeterCommand = "add") -> MeterMod:
    """MeterMod of *source*; *command* is one of COMMANDS.  Raises ParseError in the words of ovs-ofctl."""
    if not isinstance(command, MeterCommand):
        command = COMMANDS[command]
    defines = command is not MeterCommand.DELETE
    band_text = ""
    if defines:
        source, found, rest = source.partition("band")
        _, equals, band_text = rest.partition("=")
        if not found or not equals:
            raise ParseError("must specify bands")
    meter_id, flags = 0, MeterFlags.NONE
    for name, value in _Words(source).pairs(tuple(_FLAGS) if defines else ()):
        if name in _FLAGS and not value:
            flags |= _FLAGS[name]
        elif name == "meter":
            meter_id = _meter_id(value)
        else:
            raise ParseError(f"unknown keyword {name}")
    if not meter_id:
        raise ParseError("must specify 'meter'")
    if defines and not flags:
        raise ParseError("meter must specify either 'kbps' or 'pktps'")
    bands = _parse_bands(band_text) if defines else []
    for band in bands:
        _check_band(band, flags)
    return MeterMod(command, meter_id, flags, tuple(bands))


def _meter_id(value: str) -> int:
    if value in _NAMES:
        return _NAMES[value]
    number = numbers.u32(value)
    if not 0 < number <= METER_MAX:
        raise ParseError("invalid value for meter")
    return number


def _parse_bands(source: str) -> list[Band]:
    bands: list[Band] = []
    for name, value in _Words(source).pairs():
        if name == "type":
            if value not in _BANDS:
                raise ParseError(f"field type unknown value {value}")
            bands.append(Band(_BANDS[value], 0))
        elif not bands:
            raise ParseError("band must start with the 'type' keyword")
        elif name == "rate":
            bands[-1] = replace(bands[-1], rate=numbers.u32(value))
        elif name == "burst_size":
            bands[-1] = replace(bands[-1], burst_size=numbers.u32(value))
        elif name == "prec_level":
            bands[-1] = replace(bands[-1], prec_level=numbers.u8(value, "prec_level"))
        else:
            raise ParseError(f"unknown keyword {name}")
    if not bands:
        raise ParseError("meter must have bands")
    return bands


def _check_band(band: Band, flags: MeterFlags) -> None:
    if band.type is BandType.DSCP_REMARK and not band.prec_level:
        raise ParseError("'dscp_remark' band must have 'prec_level'")
    if band.type is not BandType.DSCP_REMARK and band.prec_level:
        raise ParseError("Only 'dscp_remark' band may have 'prec_level'")
    if not band.rate:
        raise ParseError("band must have 'rate'")
    if flags & MeterFlags.BURST and not band.burst_size:
        raise ParseError("band must have 'burst_size' when 'burst' flag is set")
    if not flags & MeterFlags.BURST and band.burst_size:
        raise ParseError("band may have 'burst_size' only when 'burst' flag is set")


# -- printing ------------------------------------------------------------------------------------------

def meter_name(meter_id: int) -> str:
    """Number of a meter, or its name."""
    return str(_NAME_OF.get(meter_id, meter_id))


def _format(meter_id: int, flags: MeterFlags, bands: tuple[Band, ...]) -> str:
    words = [name for name, flag in _FLAGS.items() if flags & flag]
    strange = int(flags) & ~sum(_FLAGS.values())
    words += [f"flags:{strange:#x}"] if strange else []
    lines = [" ".join([f"meter={_NAME_OF.get(meter_id, meter_id)}", *words, "bands="])]
    for band in bands:
        extra = f" burst_size={band.burst_size}" if flags & MeterFlags.BURST else ""
        extra += f" prec_level={band.prec_level}" if band.type is BandType.DSCP_REMARK else ""
        lines.append(f"type={_BAND_TEXT[band.type]} rate={band.rate}{extra}")
    return "\n".join(lines)


def format_meter(meter: Meter) -> str:
    """*meter* as ``ovs-ofctl dump-meters`` prints it: a line, and one for each band."""
    return _format(meter.meter_id, meter.flags, meter.bands)


def format_meter_mod(mm: MeterMod) -> str:
    """*mm* as the reference prints the message, without its name."""
    if mm.command is MeterCommand.DELETE:
        return f"DEL meter={_NAME_OF.get(mm.meter_id, mm.meter_id)}"
    return f"{_COMMAND_TEXT[mm.command]} {_format(mm.meter_id, mm.flags, mm.bands)}"


def format_meter_stats(meter: Meter, stats: MeterStats, flow_count: int, now: float) -> str:
    """Counters as ``ovs-ofctl meter-stats`` prints them; *flow_count* rules use the meter."""
    lines = [f"meter:{_NAME_OF.get(meter.meter_id, meter.meter_id)} flow_count:{flow_count} "
             f"packet_in_count:{stats.n_packets} byte_in_count:{stats.n_bytes} "
             f"duration:{now - meter.created:.3f}s bands:"]
    lines += [f"{i}: packet_count:{packets} byte_count:{n_bytes}"
              for i, (packets, n_bytes) in enumerate(stats.bands)]
    return "\n".join(lines)


def format_meter_features(max_meters: int, *, strict: bool = False) -> str:
    """What meters can do, as ``ovs-ofctl meter-features`` prints it."""
    types = "drop" if strict else "drop dscp_remark"
    return (f"max_meter:{max_meters} max_bands:{MAX_BANDS} max_color:0\nband_types: {types}\n"
            "capabilities: kbps pktps burst stats")
