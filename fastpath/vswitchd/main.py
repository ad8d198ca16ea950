"""``fastpath-vswitchd``: in place of ovs-vswitchd, with its command line, files and sockets.

Names are those of the program it replaces, whatever it was started as: ovs-appctl looks for
``ovs-vswitchd.pid``, monitoring for ``ovs-vswitchd.log``.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastpath.runtime import background
from fastpath.vswitchd import VERSION

PROGRAM = "ovs-vswitchd"
SWITCH_INTERVAL_S = 0.0005
ATTEMPT_FAILED = ": connection attempt failed"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog=PROGRAM, allow_abbrev=False, add_help=False,
                                description="Switch packets as the database at DATABASE says.")
    p.add_argument("database", metavar="DATABASE", nargs="?", help="default: unix:OVS_RUNDIR/db.sock")
    p.add_argument("-h", "--help", action="help", help="show this and exit")
    p.add_argument("-V", "--version", action="store_true", help="show the version and exit")
    p.add_argument("--unixctl", metavar="SOCKET", help="control socket, or none")
    daemon = p.add_argument_group("daemon")
    daemon.add_argument("--detach", action="store_true", help="run in the background, once it can serve")
    daemon.add_argument("--no-chdir", action="store_true", help="stay in the present directory")
    daemon.add_argument("--pidfile", nargs="?", const="", metavar="FILE", help="write the process id")
    daemon.add_argument("--overwrite-pidfile", action="store_true", help="even if one is there and locked")
    daemon.add_argument("--monitor", action="store_true", help="start it again after a crash")
    daemon.add_argument("--no-self-confinement", action="store_true", help=argparse.SUPPRESS)
    daemon.add_argument("--user", metavar="USER[:GROUP]", help="run as another user")
    logs = p.add_argument_group("logging")
    logs.add_argument("-v", "--verbose", action="append", nargs="?", const="any:any:dbg", default=[],
                      metavar="SPEC", help="log levels, as vlog/set takes them")
    logs.add_argument("--log-file", nargs="?", const="", metavar="FILE", help="log to a file")
    logs.add_argument("--syslog-method", metavar="METHOD", help="null: log nothing to syslog")
    logs.add_argument("--syslog-target", metavar="HOST:PORT", help="for compatibility, without effect")
    tests = p.add_argument_group("for tests")
    tests.add_argument("--enable-dummy", nargs="?", const="", metavar="override|system",
                       help="have dummy datapaths and devices, in place of real ones")
    tests.add_argument("--disable-system", action="store_true", help="no kernel datapath")
    tests.add_argument("--disable-system-route", action="store_true", help="take no routes from the host")
    tests.add_argument("--dummy-numa", metavar="NODES",
                       help="the NUMA node of each core, as 0,0,1,1, told in the log instead of the host's")
    tests.add_argument("--mlockall", action="store_true", help="keep all memory from being paged out")
    for name in ("private-key", "certificate", "ca-cert", "bootstrap-ca-cert", "peer-ca-cert",
                 "ssl-protocols", "ssl-ciphers"):
        p.add_argument(f"--{name}", metavar="FILE", help=argparse.SUPPRESS)
    p.add_argument("--dpdk", nargs="*", help=argparse.SUPPRESS)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; returns when it was told to exit."""
    args = parser().parse_args(argv)
    if args.version:
        print(f"{PROGRAM} (Open vSwitch) {VERSION}")
        return 0
    background.name_program(PROGRAM)
    from fastpath.runtime.log import Log
    log = Log(PROGRAM)
    _start_log(log, args)
    _user(args.user)
    background.begin(args)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return _serve(args, log)


def _start_log(log: Any, args: argparse.Namespace) -> None:
    import ovs.dirs

    from fastpath.errors import ConfigError
    for spec in args.verbose:
        try:
            log.set(spec)
        except ConfigError as error:
            raise SystemExit(f'{PROGRAM}: processing "{spec}": {error}') from None
    log.open_syslog(args.syslog_method or os.environ.get("OVS_SYSLOG_METHOD"))
    if args.log_file is not None:
        path = Path(ovs.dirs.LOGDIR, args.log_file or f"{PROGRAM}.log")
        fault = log.open_file(path)
        vlog = log.module("vlog")
        if fault is None:
            vlog.info(f"opened log file {path}")
        else:
            vlog.warn(f"failed to open {path} for logging: {fault}")
    _take_lines(log)


def _take_lines(log: Any) -> None:
    """Have what the ``ovs`` package logs go where our lines go: all of it is loaded before its log is."""
    import ovs.daemon
    import ovs.db.idl
    import ovs.unixctl.server
    import ovs.vlog

    from fastpath.runtime.log import LEVELS

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            module, level, text = (part.strip() for part in record.getMessage().split("|", 2))
            if module == "reconnect" and ATTEMPT_FAILED in text:    # a server that is yet to start is usual
                level = "info"
            log.module(module).write(LEVELS[level.lower()], text)

    ovs.vlog.Vlog.set_pattern("file", "%c|%p|%m")
    ovs.vlog.Vlog.init()
    for destination in ovs.vlog.DESTINATIONS:
        logger = logging.getLogger(destination)
        logger.handlers.clear()
        logger.propagate = False
        logger.addHandler(Handler() if destination == "file" else logging.NullHandler())
    log.take_from_library()


def _user(user: str | None) -> None:
    """Become another user."""
    if user is None:
        return
    import grp
    import pwd
    name, _, group = user.partition(":")
    try:
        found = pwd.getpwnam(name)
        gid = grp.getgrnam(group).gr_gid if group else found.pw_gid
        os.setgroups([])
        os.setgid(gid)
        os.setuid(found.pw_uid)
    except (KeyError, OSError) as error:
        raise SystemExit(f"{PROGRAM}: --user {user}: {error}") from None


def _serve(args: argparse.Namespace, log: Any) -> int:
    import ovs.daemon
    import ovs.dirs
    import ovs.poller

    from fastpath.runtime.log import Level
    from fastpath.vswitchd.commands import serve
    from fastpath.vswitchd.cores import lines, numas
    from fastpath.vswitchd.daemon import Daemon
    from fastpath.vswitchd.datapaths import TYPES
    from fastpath.vswitchd.devices import Devices
    from fastpath.vswitchd.dummies import dummies
    from fastpath.vswitchd.settings import TlsWanted
    modes = dummies(args.enable_dummy)
    devices = Devices(modes)
    rundir = Path(ovs.dirs.RUNDIR)
    types = tuple(kind for kind in TYPES if (kind != "dummy" or modes.are_known)
                  and (kind != "system" or not args.disable_system or kind in modes.datapaths))
    for line in lines(numas(args.dummy_numa)):
        log.module("ovs_numa").info(line)
    daemon = Daemon(args.database or f"unix:{rundir}/db.sock", log, rundir, devices, types=types,
                    pid=os.getpid(),
                    tls=TlsWanted(args.private_key or "", args.certificate or "",
                                  args.bootstrap_ca_cert or args.ca_cert or "",
                                  bool(args.bootstrap_ca_cert)))
    server = serve(daemon, args.unixctl, VERSION)
    if server is None:
        return 1
    gc.freeze()                 # what was loaded stays: later collections need not look at it
    try:
        _loop(daemon, server, ovs.poller.Poller, lambda: _started(log, args), lambda: _serving(log))
    except Exception:           # in the background there is nowhere else to tell it
        log.module("vswitchd").write(Level.EMER, traceback.format_exc())
        raise
    finally:
        daemon.close()
        server.run()
        server.close()
    return 0


def _loop(daemon: Any, server: Any, poller: Callable[[], Any], started: Callable[[], None],
          serving: Callable[[], None]) -> None:
    was_configured = was_serving = False
    while not daemon.exiting:
        daemon.run()
        server.run()
        if daemon.is_configured and not was_configured:
            was_configured = True
            started()
        if daemon.is_serving and not was_serving:
            was_serving = True
            serving()
        if daemon.exiting:
            return
        p = poller()
        server.wait(p)
        p.timer_wait(int(daemon.wait(p) * 1000) + 1)
        p.block()


def _started(log: Any, args: argparse.Namespace) -> None:
    background.complete()
    if args.detach:
        log.close_console()


def _serving(log: Any) -> None:
    log.module("bridge").info(f"{PROGRAM} (Open vSwitch) {VERSION}")        # not to be seen on the console


if __name__ == "__main__":
    sys.exit(main())
