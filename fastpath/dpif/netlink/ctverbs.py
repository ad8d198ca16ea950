"""The verbs of dpctl about the kernel's connection tracking.

The kernel has one for all datapaths of a network namespace, with settings of its own (sysctl); so what the
reference lets users set of its own tracker it refuses here, and so does this.
"""

from __future__ import annotations

import errno
import os
import re

from fastpath.dpif.netlink import conntrack
from fastpath.dpif.netlink.connection import format_connection, format_counts
from fastpath.dpif.netlink.ctmatch import CtMatch
from fastpath.dpif.netlink.verb import CommandError, Options, Target, Verb, reason
from fastpath.errors import FastpathError, NotFoundError, ParseError

_DEFAULT_ZONE = -1
_ZONE = re.compile(r"zone=(\d+)")
_EINVAL, _EOPNOTSUPP = os.strerror(errno.EINVAL), os.strerror(errno.EOPNOTSUPP)
_PARAMETER = "parameter missing: {} for IPv4 or {} for IPv6"


def _why(error: FastpathError) -> str:
    return os.strerror(errno.ENOENT) if isinstance(error, NotFoundError) else reason(error)


def _zone_of(words: list[str], at: int = -1) -> int | None:
    """The zone a word names, which is taken away; None if it names none."""
    found = _ZONE.match(words[at]) if words else None
    if found is None:
        return None
    words.pop(at)
    return int(found.group(1)) & 0xFFFF


# -- connections ------------------------------------------------------------------------------------------

def dump_conntrack(target: Target, words: list[str], options: Options) -> str:
    """Connections that the kernel tracks, of all zones or one."""
    zone = _zone_of(words)
    target.opened(words, 1)
    return "".join(format_connection(c, verbose=options.more, statistics=options.statistics) + "\n"
                   for c in conntrack.dump(zone))


def flush_conntrack(target: Target, words: list[str], options: Options) -> str:
    """Forget connections: all, those of a zone, those of which a tuple or two say enough."""
    there = list(words)
    rest = there[1:] if there and target.names(there[0]) else there
    is_zoned = bool(rest) and rest[0].startswith("zone=")
    zone = _zone_of(rest, 0) if is_zoned else None
    if is_zoned and zone is None:
        raise CommandError(f"failed to parse zone ({_EINVAL})")
    match = CtMatch()
    try:
        for source, ends in zip(rest, (match.orig, match.reply), strict=False):
            match.take(source, ends)
    except ParseError as error:
        raise CommandError(f"{error} ({_EINVAL})") from None
    if len(rest) > 2:
        raise CommandError(f"invalid arguments ({_EINVAL})")
    try:
        target.opened(words, 4)
    except CommandError as error:
        raise CommandError(*str(error).splitlines(), f"Cannot open dpif ({_EINVAL})") from None
    try:
        conntrack.flush(zone, match=None if match.is_anything else match)
    except FastpathError as error:
        raise CommandError(f"failed to flush conntrack ({_why(error)})") from None
    return ""


def ct_stats_show(target: Target, words: list[str], options: Options) -> str:
    """How many connections there are, by protocol and, of TCP, by state."""
    zone, is_verbose = None, options.more
    while words:
        if words[-1].startswith("verbose"):
            is_verbose = bool(words.pop())
        elif (found := _zone_of(words)) is not None:
            zone = found
        else:
            break
    target.opened(words, 1)
    return format_counts(conntrack.dump(zone), verbose=is_verbose)


def ct_bkts(target: Target, words: list[str], options: Options) -> str:
    """How connections are spread over a hash table, which the kernel does not tell."""
    if words and re.match(r"gt=\d+", words[-1]):
        words.pop()
    target.opened(words, 1)
    return "Command is available for UserSpace ConnTracker only.\n"


# -- limits -----------------------------------------------------------------------------------------------

def ct_get_limits(target: Target, words: list[str], options: Options) -> str:
    """Limits of conntrack, by zone."""
    dp = target.opened(words, 2)
    zones = _zones(words[0]) if words else []
    found = target.kernel.ct_limits(dp.index, [_DEFAULT_ZONE, *zones] if zones else [])
    out = "".join(f"default limit={limit}\n" for zone, limit, _ in found if zone == _DEFAULT_ZONE)
    told = {zone: (limit, n) for zone, limit, n in found if zone != _DEFAULT_ZONE}
    return out + "".join(f"zone={zone},limit={told[zone][0]},count={told[zone][1]}\n"
                         for zone in (zones or sorted(told)) if zone in told)


def ct_set_limits(target: Target, words: list[str], options: Options) -> str:
    """Set limits: ``default=N``, ``zone=Z,limit=N``."""
    dp = target.opened(words, -1)
    wanted: list[tuple[int, int]] = []
    if words and words[0].startswith("default="):
        found = re.match(r"default=(\d+)", words.pop(0))
        if found is None:
            raise CommandError(f"invalid default limit ({_EINVAL})")
        wanted.append((_DEFAULT_ZONE, int(found.group(1)) & 0xFFFFFFFF))
    wanted += [_limit(word) for word in words]
    try:
        target.kernel.set_ct_limits(dp.index, wanted)
    except FastpathError as error:
        raise CommandError(f"failed to set conntrack limit ({_why(error)})") from None
    return ""


def _limit(word: str) -> tuple[int, int]:
    given: dict[str, int] = {}
    for term in filter(None, word.replace(" ", ",").split(",")):
        name, _, number = term.partition("=")
        if not number:
            raise CommandError(f"field {name} missing value ({_EINVAL})")
        most = {"zone": 0xFFFF, "limit": 0xFFFFFFFF}.get(name)
        if most is None:
            raise CommandError(f"invalid zone limit field: {name} ({_EINVAL})")
        if not number.isdecimal() or int(number) > most:
            raise CommandError(f"failed to parse field {name} ({_EINVAL})")
        given[name] = int(number)
    if given.keys() != {"zone", "limit"}:
        raise CommandError(f"failed to parse zone limit ({_EINVAL})")
    return given["zone"], given["limit"]


def ct_del_limits(target: Target, words: list[str], options: Options) -> str:
    """Let zones have the default limit."""
    dp = target.opened(words, 2)
    try:
        target.kernel.del_ct_limits(dp.index, _zones(words[0]))
    except CommandError:
        raise
    except FastpathError as error:
        raise CommandError(f"failed to delete conntrack limit ({_why(error)})") from None
    return ""


def _zones(word: str) -> list[int]:
    if not word.startswith("zone="):
        raise CommandError(f"invalid argument {word} ({_EINVAL})")
    zones = [re.match(r"\d+", text) for text in word.removeprefix("zone=").split(",") if text]
    if not zones or None in zones:
        raise CommandError(f"invalid zone ({_EINVAL})")
    return [int(zone.group()) & 0xFFFF for zone in zones if zone is not None]


# -- what the kernel's has not ----------------------------------------------------------------------------

def _refusal(most: int, message: str) -> Verb:
    """A verb that the kernel's connection tracking cannot do."""
    def refuse(target: Target, words: list[str], options: Options) -> str:
        target.opened(words, most)
        raise CommandError(f"{message} ({_EOPNOTSUPP})")
    return refuse


def ct_set_maxconns(target: Target, words: list[str], options: Options) -> str:
    """Bound the number of connections: the kernel's is a sysctl."""
    last = words[-1]
    target.opened(words, 2)
    if not last[:1].isdecimal():
        raise CommandError(f"maxconns missing or malformed ({_EINVAL})")
    raise CommandError(f"ct set maxconns failed ({_EOPNOTSUPP})")


def _switch_reassembly(what: str) -> Verb:
    def switch(target: Target, words: list[str], options: Options) -> str:
        last = words[-1]
        target.opened(words, 3)
        if not last.startswith(("v4", "v6")):
            raise CommandError(f"{_PARAMETER.format(repr('v4'), repr('v6'))} ({_EINVAL})")
        raise CommandError(f"{what} fragmentation reassembly failed ({_EOPNOTSUPP})")
    return switch


def ipf_set_min_frag(target: Target, words: list[str], options: Options) -> str:
    """The least size of fragments."""
    family, size = words[-2:]
    target.opened(words, 3)
    if not family.startswith(("v4", "v6")):
        raise CommandError(f"{_PARAMETER.format('v4', 'v6')} ({_EINVAL})")
    if not size[:1].isdecimal():
        raise CommandError(f"parameter missing for minimum fragment size ({_EINVAL})")
    raise CommandError(f"requested minimum fragment size too small; see documentation ({_EOPNOTSUPP})")


def ipf_set_max_nfrags(target: Target, words: list[str], options: Options) -> str:
    """How many fragments are kept."""
    last = words[-1]
    target.opened(words, 2)
    if not last[:1].isdecimal():
        raise CommandError(f"parameter missing for maximum fragments ({_EINVAL})")
    raise CommandError(f"setting maximum fragments failed ({_EOPNOTSUPP})")


ct_get_maxconns = _refusal(1, "maxconns could not be retrieved")
ct_get_nconns = _refusal(1, "nconns could not be retrieved")
ct_get_tcp_seq_chk = _refusal(1, "TCP sequence checking query failed")
ct_enable_tcp_seq_chk = _refusal(2, "enabling TCP sequence checking failed")
ct_disable_tcp_seq_chk = _refusal(2, "disabling TCP sequence checking failed")
ipf_get_status = _refusal(1, "ipf status could not be retrieved")
offload_stats_show = _refusal(1, "retrieving offload statistics")
ipf_set_enabled = _switch_reassembly("enabling")
ipf_set_disabled = _switch_reassembly("disabling")

# By name, without what a program puts in front.
VERBS: dict[str, Verb] = {
    "dump-conntrack": dump_conntrack, "flush-conntrack": flush_conntrack, "ct-stats-show": ct_stats_show,
    "ct-bkts": ct_bkts, "ct-set-maxconns": ct_set_maxconns, "ct-get-maxconns": ct_get_maxconns,
    "ct-get-nconns": ct_get_nconns, "ct-enable-tcp-seq-chk": ct_enable_tcp_seq_chk,
    "ct-disable-tcp-seq-chk": ct_disable_tcp_seq_chk, "ct-get-tcp-seq-chk": ct_get_tcp_seq_chk,
    "ct-set-limits": ct_set_limits, "ct-del-limits": ct_del_limits, "ct-get-limits": ct_get_limits,
    "ipf-set-enabled": ipf_set_enabled, "ipf-set-disabled": ipf_set_disabled,
    "ipf-set-min-frag": ipf_set_min_frag, "ipf-set-max-nfrags": ipf_set_max_nfrags,
    "ipf-get-status": ipf_get_status, "offload-stats-show": offload_stats_show,
}
