"""Programs in the background: their pid file and how they fork, by the ``ovs`` package, as the reference's.

Names are those of the program they stand in for: ovs-appctl looks for ``PROGRAM.pid``, and asks at
``PROGRAM.PID.ctl``.  The package is loaded when one of these is called, as few programs need it.
"""

from __future__ import annotations

import os
from typing import Protocol


class Wanted(Protocol):
    """How to go on: the options of daemons."""

    @property
    def detach(self) -> bool: ...
    @property
    def monitor(self) -> bool: ...
    @property
    def no_chdir(self) -> bool: ...
    @property
    def pidfile(self) -> str | None: ...
    @property
    def overwrite_pidfile(self) -> bool: ...


def name_program(program: str) -> None:
    """Tell the ``ovs`` package who we are and where our files are, before it looks."""
    import ovs.dirs
    import ovs.util
    ovs.util.PROGRAM_NAME = program
    for name, variable, default in (("RUNDIR", "OVS_RUNDIR", "/var/run/openvswitch"),
                                    ("LOGDIR", "OVS_LOGDIR", "/var/log/openvswitch"),
                                    ("DBDIR", "OVS_DBDIR", "/etc/openvswitch")):
        setattr(ovs.dirs, name, os.environ.get(variable) or default)


def begin(wanted: Wanted) -> None:
    """Write the pid file and fork, as *wanted*; who started us waits for ``complete``."""
    import ovs.daemon
    if wanted.pidfile is not None:
        ovs.daemon.set_pidfile(wanted.pidfile)
    if wanted.overwrite_pidfile:
        ovs.daemon.ignore_existing_pidfile()
    if wanted.no_chdir:
        ovs.daemon.set_no_chdir()
    if wanted.detach:
        ovs.daemon.set_detach()
    if wanted.monitor:
        ovs.daemon.set_monitor()
    ovs.daemon.daemonize_start()


def complete(*, keep_stderr: bool = False) -> None:
    """Let who started us go on.  What was standard error stays it in the background if *keep_stderr*."""
    import ovs.daemon
    if not keep_stderr:
        ovs.daemon.daemonize_complete()
        return
    kept = os.dup(2)
    try:
        ovs.daemon.daemonize_complete()
        os.dup2(kept, 2)
    finally:
        os.close(kept)
