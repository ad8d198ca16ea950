"""os-ken's switch tests: one bridge sends packets to another over links, and looks at what comes out.

What is counted, and how the rules are told, is looked at, too.  A run takes some files of each version,
``--more`` that many times as many.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from netns import Lab

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "tests/interop/os_ken_apps/switch_tests.py"
PORT, N_FILES, N_LINKS = "6653", 10, 3
# Cases that judge how fast packets are made, and bursts; packets that os-ken cannot read back; what it wants
# otherwise than the reference does it: tags and labels that inherit, and the checksum of its SCTP.
_LEFT_OUT = re.compile("bps|pktps|mpls/ipv4/icmp|->ip_proto|->sctp_|/vlan.*push_vlan:0x88a8|push_mpls")
_BRIDGE = """
[bridges.s{number}]
controllers = ["tcp:127.0.0.1:6653"]
protocols = ["{version}"]
dpid = "{number}"
fail_mode = "secure"
ports = {{ {side}1 = {{number = 1}}, {side}2 = {{number = 2}}, {side}3 = {{number = 3}} }}
"""


def choose(controllers: Path, folder: Path, version: str, n: int) -> int:
    """Put *n* files of the tests for *version* into *folder*; how many cases they have."""
    tests = next(controllers.glob("lib/python3*/site-packages/os_ken/tests/switch"))
    files = sorted(tests.glob(f"of{version.removeprefix('OpenFlow')}/**/*.json"))
    n_cases = 0
    for path in random.Random(version).sample(files, min(n, len(files))):
        title, *cases = json.loads(path.read_text())
        kept = [case for case in cases if not _LEFT_OUT.search(str(case.get("description")))]
        if kept:
            (folder / f"{len(list(folder.iterdir()))}-{path.name}").write_text(json.dumps([title, *kept]))
            n_cases += len(kept)
    return n_cases


@pytest.mark.parametrize("version", ["OpenFlow10", "OpenFlow13", "OpenFlow14"])
def test_switch_tests(root: None, controllers: Path, tmp_path: Path, version: str, more: int) -> None:
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    n_cases = choose(controllers, chosen, version, N_FILES * more)
    assert n_cases
    bridges = (_BRIDGE.format(number=n, version=version, side=side) for n, side in ((1, "a"), (2, "b")))
    (tmp_path / "switch.toml").write_text(f'[switch]\nrundir = "{tmp_path}"\n' + "".join(bridges))
    with Lab() as lab:
        netns = lab.netns("sw")
        lab.run(netns, "ip", "link", "set", "lo", "up")
        for n in range(1, N_LINKS + 1):
            lab.veth(netns, f"a{n}", netns, f"b{n}")
        tester = lab.spawn(netns, str(controllers / "bin/python"), str(APP), PORT, str(chosen),
                           version.lower())
        switch = lab.spawn(netns, sys.executable, "-m", "fastpath", "run", "--quiet", "--config",
                           str(tmp_path / "switch.toml"), env={**os.environ, "PYTHONPATH": str(ROOT)})
        lines = read_to_end(tester)
        switch.terminate()
        assert switch.communicate(timeout=30)[0] == ""
    failed = [f"{line} {why.strip()}" for line, why in zip(lines, [*lines[1:], ""], strict=True)
              if line.endswith(" ERROR")]
    assert not failed
    assert sum(line.endswith(" OK") for line in lines) == n_cases


def read_to_end(tester: subprocess.Popen[str]) -> list[str]:
    """What *tester* prints up to the end of its tests."""
    assert tester.stdout is not None
    lines = []
    for line in tester.stdout:
        lines.append(line.rstrip())
        if "Test end" in line:
            break
    tester.terminate()
    return lines
