"""What fastpath dpctl and ovs-dpctl answer to the same words, in forms that can be compared."""

from __future__ import annotations

import io
import subprocess
from contextlib import redirect_stderr, redirect_stdout

from fastpath.cli.dpctl import command as dpctl


def own(words: tuple[str, ...]) -> str:
    """What ours prints, with its status."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = dpctl.main(words)
    return _told(words, out.getvalue(), err.getvalue().replace(dpctl.PROGRAM, "ovs-dpctl"), status)


def in_order(told: str) -> str:
    """The lines of *told* in an order of their own."""
    return "\n".join(sorted(told.splitlines()))


def _told(words: tuple[str, ...], out: str, err: str, status: int) -> str:
    """Flows are dumped in no order."""
    if words[0] == "dump-flows":
        out = "".join(sorted(out.splitlines(keepends=True)))
    return f"{out}{err}status {status}"


def reference(words: tuple[str, ...]) -> str:
    """What ovs-dpctl prints but for its log."""
    done = subprocess.run(["ovs-dpctl", *words], capture_output=True, text=True, timeout=60)
    told = "".join(f"{line}\n" for line in done.stderr.splitlines()
                   if "|dpif" not in line and "|netdev" not in line)
    return _told(words, done.stdout, told, done.returncode)
