"""``dpctl/*`` of connection tracking and of reassembly: settings that are kept, and counts of nothing.

In this process no connection is tracked yet: what is told is what a switch tells to which none has come.
What the kernel tracks is told where the datapath is the kernel's (``of_kernel``).
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from fastpath.vswitchd.commands.command import Command, CommandError
from fastpath.vswitchd.commands.dpctl import chosen, find, is_datapath
from fastpath.vswitchd.commands.of_kernel import by_kernel
from fastpath.vswitchd.datapaths import CtSettings, Datapath

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon

ZONE_MAX, LIMIT_MAX = 0xFFFF, 0xFFFFFFFF
MIN_V4_FRAGMENT, MIN_V6_FRAGMENT, MAX_FRAGMENTS = 400, 400, 5000
_EINVAL, _EPERM = os.strerror(errno.EINVAL), os.strerror(errno.EPERM)


def _refuse(text: str, why: str = _EINVAL) -> CommandError:
    return CommandError(f"ovs-vswitchd: {text} ({why})")


def _split(daemon: Daemon, args: list[str], is_name: bool) -> tuple[Datapath, list[str]]:
    """The datapath, and the arguments after its name, if *is_name* says that it is given."""
    return (find(daemon, args[0]), args[1:]) if is_name else (chosen(daemon, []), args)


def _settings(daemon: Daemon, args: list[str]) -> CtSettings:
    return chosen(daemon, args).ct


# -- connections -----------------------------------------------------------------------------------------


def dump(daemon: Daemon, args: list[str]) -> str:
    """All connections."""
    chosen(daemon, [a for a in args if not a.startswith(("-", "zone="))])
    return ""


def flush(daemon: Daemon, args: list[str]) -> None:
    """Forget connections: all, those of a zone, or one by its tuple."""
    for word in args:
        if "=" not in word and "@" not in word:
            raise _refuse(f"field {word} missing value")


def stats(daemon: Daemon, args: list[str]) -> str:
    """How many there are."""
    chosen(daemon, [a for a in args if a != "verbose" and not a.startswith("zone=")])
    return "Connections Stats:\n    Total: 0\n"


def buckets(daemon: Daemon, args: list[str]) -> str:
    """How they are spread."""
    chosen(daemon, [a for a in args if not a.startswith("gt=")])
    return "Total Buckets: 1\nCurrent Connections: 0\n\n"


def count(daemon: Daemon, args: list[str]) -> str:
    """Their number."""
    _settings(daemon, args)
    return "0"


def get_max(daemon: Daemon, args: list[str]) -> str:
    """How many there may be."""
    return str(_settings(daemon, args).max_connections)


def set_max(daemon: Daemon, args: list[str]) -> str:
    """Bound their number."""
    settings = _settings(daemon, args[:-1])
    if not args[-1].isdecimal():
        raise _refuse("maxconns missing or malformed")
    settings.max_connections = int(args[-1])
    return "setting maxconns successful"


def get_sequence_check(daemon: Daemon, args: list[str]) -> str:
    """Whether TCP segments outside the window are invalid."""
    return f"TCP sequence checking: {'enabled' if _settings(daemon, args).checks_sequence else 'disabled'}"


def _named_or_only(daemon: Daemon, args: list[str]) -> CtSettings:
    """Of the datapath named; a name that is none's counts for nothing here."""
    try:
        return _settings(daemon, args)
    except CommandError:
        return _settings(daemon, [])


def enable_sequence_check(daemon: Daemon, args: list[str]) -> str:
    """Have them be."""
    _named_or_only(daemon, args).checks_sequence = True
    return "enabling TCP sequence checking successful"


def disable_sequence_check(daemon: Daemon, args: list[str]) -> str:
    """Have them pass."""
    _named_or_only(daemon, args).checks_sequence = False
    return "disabling TCP sequence checking successful"


# -- limits by zone --------------------------------------------------------------------------------------


def set_limits(daemon: Daemon, args: list[str]) -> None:
    """Bound the connections of zones."""
    datapath, words = _split(daemon, args, bool(args) and "=" not in args[0])
    default, limits = datapath.ct.default_limit, {}
    if words and words[0].startswith("default="):
        default = _number(words.pop(0)[len("default="):], LIMIT_MAX, "default limit")
    for word in words:
        zone = limit = None
        for part in word.split(","):
            name, _, value = part.partition("=")
            if name == "zone":
                zone = _number(value, ZONE_MAX, "zone")
            elif name == "limit":
                limit = _number(value, LIMIT_MAX, "limit")
            else:
                raise _refuse(f"invalid zone limit field {name}")
        if zone is None or limit is None:
            raise _refuse("failed to parse zone and limit")
        limits[zone] = limit
    datapath.ct.default_limit = default
    datapath.ct.limits.update(limits)


def _number(text: str, most: int, what: str) -> int:
    if not text.isdecimal() or int(text) > most:
        raise _refuse(f"failed to parse field {what}")
    return int(text)


def get_limits(daemon: Daemon, args: list[str]) -> str:
    """The bounds of zones: of those named, or of all that have one."""
    if len(args) == 1 and "=" not in args[0] and not is_datapath(daemon, args[0]):
        raise CommandError(f"ovs-vswitchd: invalid argument {args[0]} (Invalid argument)")
    datapath, words = _split(daemon, args, bool(args) and not args[0].startswith("zone="))
    settings = datapath.ct
    zones = _zones(words[0]) if words else sorted(settings.limits)
    lines = [f"default limit={settings.default_limit}"]
    lines += [f"zone={z},limit={settings.limits.get(z, settings.default_limit)},count=0" for z in zones]
    return "".join(line + "\n" for line in lines)


def delete_limits(daemon: Daemon, args: list[str]) -> None:
    """Have zones be bound as others."""
    datapath = chosen(daemon, args[:-1])
    for zone in _zones(args[-1]):
        datapath.ct.limits.pop(zone, None)


def _zones(word: str) -> list[int]:
    zones = word.removeprefix("zone=").split(",")
    if not word.startswith("zone=") or any(not z.isdecimal() or int(z) > ZONE_MAX for z in zones):
        raise _refuse("invalid zone")
    return [int(z) for z in zones]


# -- reassembly ------------------------------------------------------------------------------------------


def _family(args: list[str], at: int, text: str) -> str:
    family = args[at]
    if family not in ("v4", "v6"):
        raise _refuse(text)
    return family


def _switch_reassembly(daemon: Daemon, args: list[str], *, on: bool) -> str:
    family = _family(args, -1, "parameter missing: 'v4' for IPv4 or 'v6' for IPv6")
    _settings(daemon, args[:-1]).reassembles[family] = on
    return f"{'enabling' if on else 'disabling'} fragmentation reassembly successful"


def enable_reassembly(daemon: Daemon, args: list[str]) -> str:
    """Put fragments together before they are tracked."""
    return _switch_reassembly(daemon, args, on=True)


def disable_reassembly(daemon: Daemon, args: list[str]) -> str:
    """Let them be."""
    return _switch_reassembly(daemon, args, on=False)


def set_min_fragment(daemon: Daemon, args: list[str]) -> str:
    """Refuse fragments that are smaller, but for the last."""
    family = _family(args, -2, "parameter missing: v4 for IPv4 or v6 for IPv6")
    settings = _settings(daemon, args[:-2])
    if not args[-1].isdecimal():
        raise _refuse("parameter missing for minimum fragment size")
    if int(args[-1]) < (MIN_V4_FRAGMENT if family == "v4" else MIN_V6_FRAGMENT):
        raise _refuse("requested minimum fragment size too small; see documentation", _EPERM)
    settings.min_fragment[family] = int(args[-1])
    return "setting minimum fragment size successful"


def set_max_fragments(daemon: Daemon, args: list[str]) -> str:
    """Keep so many fragments at most."""
    settings = _settings(daemon, args[:-1])
    if not args[-1].isdecimal():
        raise _refuse("parameter missing for maximum fragments")
    if int(args[-1]) > MAX_FRAGMENTS:
        raise _refuse("setting maximum fragments failed", _EPERM)
    settings.max_fragments = int(args[-1])
    return "setting maximum fragments successful"


def reassembly(daemon: Daemon, args: list[str]) -> str:
    """How reassembly is set, and what it did."""
    settings = _settings(daemon, [a for a in args if not a.startswith("-")])
    lines = ["Fragmentation Module Status", "-" * 27]
    lines += [f"{family} enabled: {int(on)}" for family, on in settings.reassembles.items()]
    lines += [f"max num frags (v4/v6): {settings.max_fragments}", "num frag: 0"]
    for family, least in settings.min_fragment.items():
        lines.append(f"min {family} frag size: {least}")
        lines += [f"{family} frags {what}: 0" for what in
                  ("accepted", "completed", "expired", "too small", "overlapped", "purged")]
    text = "".join(f"        {line}\n" for line in lines)
    return text + ("\n        Fragment Lists:\n\n" if "-m" in args else "")


COMMANDS = tuple(map(by_kernel, (
    Command("dpctl/ct-bkts", "[dp] [gt=N]", 0, 2, buckets),
    Command("dpctl/ct-del-limits", "[dp] zone=N1[,N2]...", 1, 2, delete_limits),
    Command("dpctl/ct-disable-tcp-seq-chk", "[dp]", 0, 1, disable_sequence_check),
    Command("dpctl/ct-enable-tcp-seq-chk", "[dp]", 0, 1, enable_sequence_check),
    Command("dpctl/ct-get-limits", "[dp] [zone=N1[,N2]...]", 0, 2, get_limits),
    Command("dpctl/ct-get-maxconns", "[dp]", 0, 1, get_max),
    Command("dpctl/ct-get-nconns", "[dp]", 0, 1, count),
    Command("dpctl/ct-get-tcp-seq-chk", "[dp]", 0, 1, get_sequence_check),
    Command("dpctl/ct-set-limits", "[dp] [default=L] [zone=N,limit=L]...", 1, 1 << 30, set_limits),
    Command("dpctl/ct-set-maxconns", "[dp] maxconns", 1, 2, set_max),
    Command("dpctl/ct-stats-show", "[dp] [zone=N]", 0, 3, stats),
    Command("dpctl/dump-conntrack", "[-m] [-s] [dp] [zone=N]", 0, 4, dump),
    Command("dpctl/flush-conntrack", "[dp] [zone=N] [ct-orig-tuple] [ct-reply-tuple]", 0, 4, flush),
    Command("dpctl/ipf-get-status", "[dp]", 0, 1, reassembly),
    Command("dpctl/ipf-set-disabled", "[dp] v4|v6", 1, 2, disable_reassembly),
    Command("dpctl/ipf-set-enabled", "[dp] v4|v6", 1, 2, enable_reassembly),
    Command("dpctl/ipf-set-max-nfrags", "[dp] maxfrags", 1, 2, set_max_fragments),
    Command("dpctl/ipf-set-min-frag", "[dp] v4|v6 minfragment", 2, 3, set_min_fragment),
)))
