"""Programs in the background: who started them goes on when they can serve; errors are still told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ovs.daemon")
PROGRAM = """
import sys, time
from types import SimpleNamespace
from fastpath.runtime import background
background.name_program("tester")
background.begin(SimpleNamespace(detach=True, monitor=False, no_chdir=True, pidfile="",
                                 overwrite_pidfile=False))
print("ready", file=open("said", "w"))
background.complete(keep_stderr=True)
print("after", file=sys.stderr, flush=True)
"""


def test_the_starter_waits_until_it_serves_and_its_errors_are_still_told(tmp_path: Path) -> None:
    env = {**os.environ, "OVS_RUNDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(
        ["", *sys.path, str(Path.cwd())])}
    with open(tmp_path / "err", "w+") as err:
        done = subprocess.run([sys.executable, "-c", PROGRAM], stderr=err, cwd=tmp_path, env=env, timeout=60)
    assert done.returncode == 0
    assert (tmp_path / "said").read_text() == "ready\n"
    for _ in range(3000):
        if (tmp_path / "err").read_text() == "after\n":
            break
        os.sched_yield()
        subprocess.run(["sleep", "0.01"], timeout=10)
    assert (tmp_path / "err").read_text() == "after\n"
    for _ in range(3000):
        if not (tmp_path / "tester.pid").exists():
            return
        subprocess.run(["sleep", "0.01"], timeout=10)
    pytest.fail("the pid file stays")
