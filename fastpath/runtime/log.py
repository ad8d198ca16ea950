"""The log of the daemon: modules, levels, destinations and patterns as ovs-vswitchd's (vlog).

A line goes to each destination (console, syslog, file) whose level for the line's module lets it through,
in that destination's own pattern.  Levels and patterns are changed by ``-v`` and by ``vlog/set``.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import syslog
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from fastpath.errors import ConfigError


class Level(IntEnum):
    """How bad it is; a destination takes what is at most its level."""

    OFF = 0
    EMER = 1
    ERR = 2
    WARN = 3
    INFO = 4
    DBG = 5


LEVELS = {level.name.lower(): level for level in Level}
PATTERNS = {
    "console": "%D{%Y-%m-%dT%H:%M:%SZ}|%05N|%c%T|%p|%m",
    "syslog": "ovs|%05N|%c%T|%p|%m",
    "file": "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c%T|%p|%m",
}
DESTINATIONS = tuple(PATTERNS)
SYSLOG = {Level.EMER: syslog.LOG_EMERG, Level.ERR: syslog.LOG_ERR, Level.WARN: syslog.LOG_WARNING,
          Level.INFO: syslog.LOG_NOTICE, Level.DBG: syslog.LOG_DEBUG}
FACILITIES = {name: getattr(syslog, f"LOG_{name.upper()}") for name in (
    "auth", "cron", "daemon", "kern", "lpr", "mail", "news", "syslog", "user", "uucp",
    *(f"local{i}" for i in range(8))) if hasattr(syslog, f"LOG_{name.upper()}")}
MODULES = (
    "backtrace", "bfd", "bond", "bridge", "bundle", "bundles", "cfm", "collectors", "command_line",
    "connmgr", "conntrack", "conntrack_tp", "coverage", "ct_dpif", "daemon", "daemon_unix", "dns_resolve",
    "dpdk", "dpif", "dpif_lookup_autovalidator", "dpif_lookup_generic", "dpif_mfex_extract_study",
    "dpif_netdev", "dpif_netdev_extract", "dpif_netdev_impl", "dpif_netdev_lookup", "dpif_netlink",
    "dpif_netlink_rtnl", "entropy", "fail_open", "fatal_signal", "flow", "hmap", "in_band", "ipf", "ipfix",
    "jsonrpc", "lacp", "lldp", "lldpd", "lldpd_structs", "lockfile", "memory", "meta_flow", "native_tnl",
    "netdev", "netdev_afxdp", "netdev_dummy", "netdev_linux", "netdev_offload", "netdev_offload_tc",
    "netdev_vport", "netflow", "netlink", "netlink_conntrack", "netlink_notifier", "netlink_socket",
    "nx_match", "odp_execute", "odp_execute_impl", "odp_util", "ofp_actions", "ofp_bundle",
    "ofp_connection", "ofp_errors", "ofp_flow", "ofp_group", "ofp_match", "ofp_meter", "ofp_monitor",
    "ofp_msgs", "ofp_packet", "ofp_port", "ofp_protocol", "ofp_queue", "ofp_table", "ofp_util", "ofproto",
    "ofproto_dpif", "ofproto_dpif_mirror", "ofproto_dpif_monitor", "ofproto_dpif_rid",
    "ofproto_dpif_upcall", "ofproto_dpif_xlate", "ofproto_xlate_cache", "ovs_lldp", "ovs_numa", "ovs_rcu",
    "ovs_replay", "ovs_router", "ovs_thread", "ovsdb_cs", "ovsdb_error", "ovsdb_idl", "ox_stat", "pcap",
    "pmd_perf", "poll_loop", "process", "rconn", "reconnect", "route_table", "rstp", "rstp_sm", "sflow",
    "sha1", "signals", "socket_util", "socket_util_unix", "stp", "stream", "stream_fd", "stream_replay",
    "stream_ssl", "stream_tcp", "stream_unix", "svec", "system_stats", "tc", "timeval", "tunnel", "unixctl",
    "userspace_tso", "util", "uuid", "vconn", "vconn_stream", "vlog", "vswitchd",
)
_FROM_LOGGING = ((logging.CRITICAL, Level.EMER), (logging.ERROR, Level.ERR), (logging.WARNING, Level.WARN),
                 (logging.INFO, Level.INFO))
LIBRARY = "fastpath"
_AS_MAIN = ("fastpath-listener", "fastpath-connector")      # do what the reference's main thread does
# Modules whose lines are the main thread's in the reference, whichever writes them here.
OF_MAIN = frozenset(("bridge", "connmgr", "fail_open", "in_band", "ofproto", "ofproto_dpif", "rconn",
                     "stream_ssl", "vconn"))
# Lines of one kind that the library logs, a minute and at once.
USUAL_LIMIT = (10, 15)
LIMITS = {"dpif": (600, 600), "dpif_netdev": (600, 600), "vconn": (600, 600), "connmgr": None,
          "connmgr.refusals": (10, 10), "rconn": None, "ofp_match": (30, 30), "ofp_msgs": (1, 5),
          "ofproto_dpif": None, "fail_open": None, "ofproto_dpif_upcall": (1, 1)}
_ESCAPE = re.compile(r"%(?P<left>-?)(?P<zero>0?)(?P<width>\d*)(?P<what>[a-zA-Z%])(?:\{(?P<more>[^}]*)\})?")
_WORDS = re.compile(r"[ ,:]+")


class Log:
    """Where lines go and which of them."""

    def __init__(self, program: str, *, modules: Iterable[str] = MODULES) -> None:
        self.program = program
        self.patterns = dict(PATTERNS)
        self.path: Path | None = None
        self.levels = {name: dict.fromkeys(DESTINATIONS, Level.INFO) for name in modules}
        self._limited = set(self.levels)            # modules whose lines are limited in number
        self._console: TextIO | None = sys.stderr
        self._file: TextIOWrapper | None = None
        self._uses_syslog = False
        self._n_lines = 0
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._intake: Intake | None = None

    def module(self, name: str) -> Logger:
        """What module *name* logs with."""
        self.levels.setdefault(name, dict.fromkeys(DESTINATIONS, Level.INFO))
        return Logger(self, name)

    def is_limited(self, module: str) -> bool:
        """Whether lines of *module* are held back when there are too many."""
        return module in self._limited

    def limit(self, modules: Iterable[str], *, on: bool) -> None:
        """Hold back lines of *modules* (all, if none is named) when there are too many, or never."""
        for name in modules or self.levels:
            (self._limited.add if on else self._limited.discard)(name)

    # -- destinations ------------------------------------------------------------------------------

    def open_file(self, path: Path) -> str | None:
        """Append to the file *path* from now on; returns what went wrong, or None."""
        self.close_file()
        self.path = path
        try:
            self._file = open(path, "a", encoding="utf-8", errors="backslashreplace")   # noqa: SIM115
        except OSError as error:
            return error.strerror
        return None

    def close_file(self) -> None:
        """Log to no file until it is opened again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def close_console(self) -> None:
        """Log to no console: nobody looks at that of a daemon in the background."""
        self._console = None
        for levels in self.levels.values():
            levels["console"] = Level.OFF

    def open_syslog(self, method: str | None) -> None:
        """Log to syslog, unless *method* (of OVS_SYSLOG_METHOD) is "null"."""
        self._uses_syslog = method != "null" and Path("/dev/log").exists()
        if self._uses_syslog:
            syslog.openlog(self.program, syslog.LOG_NDELAY, syslog.LOG_DAEMON)

    # -- settings ----------------------------------------------------------------------------------

    def set(self, spec: str) -> None:
        """Change levels or a pattern, as ``-v`` and ``vlog/set`` say it.  Raises ConfigError."""
        head, _, rest = spec.partition(":")
        if head.lower() == "pattern":
            self._set_pattern(*rest.partition(":")[::2])
            return
        if head.lower() == "facility":
            if rest not in FACILITIES:
                raise ConfigError("invalid facility")
            syslog.openlog(self.program, syslog.LOG_NDELAY, FACILITIES[rest])
            return
        module = level = destination = None
        for word in filter(None, _WORDS.split(spec.lower())):
            if word == "any":
                continue
            if word in DESTINATIONS:
                destination = _once("destinations", destination, word)
            elif word in LEVELS:
                level = _once("levels", level, word)
            elif word.replace("-", "_") in self.levels:
                module = _once("modules", module, word.replace("-", "_"))
            else:
                raise ConfigError(f'no destination, level, or module "{word}"')
        for levels in [self.levels[module]] if module else self.levels.values():
            names = [destination] if destination else DESTINATIONS
            levels.update(dict.fromkeys(names, LEVELS[level or "dbg"]))
        if self._intake is not None:
            self._intake.tune()

    def take_from_library(self) -> None:
        """Log what the library tells by ``logging``, too."""
        self._intake = Intake(self)
        library = logging.getLogger(LIBRARY)
        library.propagate = False
        library.setLevel(logging.INFO)
        library.addHandler(self._intake)
        self._intake.tune()

    def close(self) -> None:
        """Log nothing any more, and leave what the library tells to others."""
        self.close_file()
        if self._intake is not None:
            library = logging.getLogger(LIBRARY)
            library.removeHandler(self._intake)
            library.propagate = True
            library.setLevel(logging.NOTSET)
            self._intake.untune()
            self._intake = None

    def _set_pattern(self, destination: str, pattern: str) -> None:
        names = DESTINATIONS if destination.lower() == "any" else (destination.lower(),)
        if names[0] not in DESTINATIONS:
            raise ConfigError(f'unknown destination "{destination}"')
        self.patterns.update(dict.fromkeys(names, pattern))

    def format_levels(self) -> str:
        """All levels, as ``vlog/list`` prints them."""
        lines = ["                 console    syslog    file", "                 -------    ------    ------"]
        for name, levels in sorted(self.levels.items()):
            shown = "       ".join(f"{levels[d].name:>4}" for d in DESTINATIONS)
            lines.append(f"{name:<16}  {shown}"
                         + ("" if name in self._limited else "    (rate limiting disabled)"))
        return "\n".join(lines) + "\n"

    def format_patterns(self) -> str:
        """All patterns, as ``vlog/list-pattern`` prints them."""
        lines = [f"{'':8} {word:<32}  {rest}" for word, rest in (("prefix", "format"), ("------", "------"))]
        lines += [f"{name.upper():<8} {'' if name == 'syslog' else 'none':<32}  {self.patterns[name]}"
                  for name in ("syslog", "console", "file")]
        return "\n".join(lines) + "\n"

    # -- lines -------------------------------------------------------------------------------------

    def takes(self, module: str, level: Level) -> bool:
        """Whether a line of *module* at *level* goes anywhere."""
        return any(level <= limit for limit in self.levels[module].values())

    def write(self, module: str, level: Level, message: str) -> None:
        """Log a line."""
        limits = self.levels[module]
        with self._lock:
            self._n_lines += 1
            if self._console is not None and level <= limits["console"]:
                print(self._line("console", module, level, message), file=self._console, flush=True)
            if self._file is not None and level <= limits["file"]:
                self._file.write(self._line("file", module, level, message) + "\n")
                self._file.flush()
            if self._uses_syslog and level <= limits["syslog"]:
                syslog.syslog(SYSLOG[level], self._line("syslog", module, level, message))

    def _line(self, destination: str, module: str, level: Level, message: str) -> str:
        thread = threading.current_thread()
        is_main = thread is threading.main_thread() or thread.name in _AS_MAIN or module in OF_MAIN
        name = "" if is_main else thread.name
        now = time.time()
        values: dict[str, Callable[[str | None], str]] = {
            "A": lambda _: self.program, "c": lambda _: module, "m": lambda _: message,
            "N": lambda _: str(self._n_lines), "n": lambda _: "\n", "p": lambda _: level.name,
            "P": lambda _: str(os.getpid()),
            "r": lambda _: str(int((time.monotonic() - self._started) * 1000)),
            "t": lambda _: name or "main", "T": lambda _: f"({name})" if name else "", "%": lambda _: "%",
            "d": lambda more: _moment(time.localtime(now), now, more),
            "D": lambda more: _moment(time.gmtime(now), now, more),
        }

        def put(found: re.Match[str]) -> str:
            if found["what"] not in values:
                return found[0]
            text = values[found["what"]](found["more"])
            width = int(found["width"] or 0)
            if found["left"]:
                return text.ljust(width)
            return text.rjust(width, "0" if found["zero"] else " ")
        return _ESCAPE.sub(put, self.patterns[destination])


def _once(what: str, before: str | None, word: str) -> str:
    if before is not None:
        raise ConfigError(f"cannot specify multiple {what}")
    return word


def _moment(parts: time.struct_time, now: float, form: str | None) -> str:
    """A time by strftime; ``###`` stands for milliseconds."""
    text = time.strftime(form or "%Y-%m-%d %H:%M:%S", parts)
    return text.replace("###", f"{int(now * 1000) % 1000:03}")


class Logger:
    """A module's own way to the log."""

    __slots__ = ("_log", "name")

    def __init__(self, log: Log, name: str) -> None:
        self._log, self.name = log, name

    def write(self, level: Level, message: str, limit: RateLimit | None = None) -> None:
        """Log *message*, unless *limit* says there were too many of its kind."""
        if self.admits(level, limit):
            self._log.write(self.name, level, message)

    def admits(self, level: Level, limit: RateLimit | None) -> bool:
        """Whether a line may be logged now, which counts as one if so."""
        if not self._log.takes(self.name, level):
            return False
        if limit is not None and self._log.is_limited(self.name):
            if not limit.admits():
                return False
            if limit.n_dropped:
                self._log.write(self.name, level, limit.summary())
        return True

    def dbg(self, message: str, limit: RateLimit | None = None) -> None:
        """Log what only who looks for a fault wants to know."""
        self.write(Level.DBG, message, limit)

    def info(self, message: str, limit: RateLimit | None = None) -> None:
        """Log what happened."""
        self.write(Level.INFO, message, limit)

    def warn(self, message: str, limit: RateLimit | None = None) -> None:
        """Log what somebody should look at."""
        self.write(Level.WARN, message, limit)

    def err(self, message: str, limit: RateLimit | None = None) -> None:
        """Log what does not work."""
        self.write(Level.ERR, message, limit)


class RateLimit:
    """At most *rate* lines a minute of one kind, and *burst* at once; the others are counted."""

    def __init__(self, rate: int, burst: int) -> None:
        self._rate, self._burst = rate / 60, burst
        self._tokens, self._at = float(burst), time.monotonic()
        self._first = self._last = 0.0      # when lines were dropped
        self.n_dropped = 0

    def admits(self) -> bool:
        """Whether a line may be logged now."""
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            self._first = self._first if self.n_dropped else now
            self._last, self.n_dropped = now, self.n_dropped + 1
            return False
        self._tokens -= 1
        return True

    def summary(self) -> str:
        """What is said of the lines dropped before one that is not; they are forgotten then."""
        now, n, self.n_dropped = time.monotonic(), self.n_dropped, 0
        return (f"Dropped {n} log messages in last {now - self._first:.0f} seconds (most recently, "
                f"{now - self._last:.0f} seconds ago) due to excessive rate")


class Intake(logging.Handler):
    """Takes what the library logs under ``fastpath.MODULE`` to *log*, a bounded number of lines of each level
    under each name."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log
        self._limits: dict[tuple[str, int], RateLimit] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Log *record*."""
        name = record.name.partition(".")[2]
        level = next((level for least, level in _FROM_LOGGING if record.levelno >= least), Level.DBG)
        limits = LIMITS.get(name, USUAL_LIMIT)
        limit = None if limits is None else self._limits.setdefault((name, level), RateLimit(*limits))
        module = self._log.module(name.partition(".")[0])
        if module.admits(level, limit):         # before it is put into words, which may be long ones
            self._log.write(module.name, level, record.getMessage())

    def tune(self) -> None:
        """Have the library put into words what some destination takes, and no more."""
        for name, module in self._modules():
            is_wanted = self._log.takes(module, Level.DBG)
            logging.getLogger(name).setLevel(logging.DEBUG if is_wanted else logging.INFO)

    def untune(self) -> None:
        """Leave that to others."""
        for name, _module in self._modules():
            logging.getLogger(name).setLevel(logging.NOTSET)

    def _modules(self) -> Iterator[tuple[str, str]]:
        """Loggers of the library that have a module here, and that module."""
        for name in list(logging.Logger.manager.loggerDict):
            library, _, module = name.partition(".")
            if library == LIBRARY and module in self._log.levels:
                yield name, module
