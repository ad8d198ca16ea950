"""The drop-ins that the page on the daemon shows are such as systemd takes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stack import ROOT

UNIT = Path("/lib/systemd/system/ovs-vswitchd.service")
PAGE = (ROOT / "docs" / "drop-in.md").read_text()
BLOCKS = ["".join(line[4:] for line in block.splitlines(keepends=True))
          for block in re.findall(r"(?:^    .*\n)+", PAGE, re.MULTILINE)]
DROP_INS = [block for block in BLOCKS if block.startswith("[Service]")]


@pytest.mark.parametrize("text", [*DROP_INS, "[Service]\nNosuch=1\n"], ids=["path", "program", "wrong"])
def test_a_drop_in_is_taken(tmp_path: Path, text: str) -> None:
    if not UNIT.exists() or shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze, or no unit of Open vSwitch")
    for unit in UNIT.parent.glob("ovs*.service"):
        shutil.copy(unit, tmp_path)
    (tmp_path / f"{UNIT.name}.d").mkdir()
    installed = text.replace("/opt/fastpath/drop-in/ovs-vswitchd", sys.executable)
    (tmp_path / f"{UNIT.name}.d" / "fastpath.conf").write_text(installed)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", UNIT.name], text=True, timeout=60,
                          capture_output=True, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"})
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert bool(complaints) is ("Nosuch" in text), done.stderr
