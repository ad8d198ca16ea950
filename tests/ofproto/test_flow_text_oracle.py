"""Flow text compared with ovs-ofctl: what it prints for a flow."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from malformed import drawn
from strategies import flows

from fastpath.ofproto.actions.versions import OF10, OF13, OF15
from fastpath.ofproto.flow_text import format_flow_mod, parse_flow

VERSIONS = {OF10: "OpenFlow10", OF13: "OpenFlow13", OF15: "OpenFlow15"}
N_FLOWS = 120
_HEAD = re.compile(r"(?:OFPT|NXT)_FLOW_MOD (?:\(OF1\.\d\) )?\(xid=0x\w+\): ")


def reference(ovs_ofctl: str, version: int, lines: list[str], path: Path) -> list[str]:
    """What ovs-ofctl prints for the flows in *lines* in *version*, without the message's name."""
    path.write_text("\n".join(lines) + "\n")
    format_option = ["-F", "NXM+table_id"] if version == OF10 else []
    run = subprocess.run(
        [ovs_ofctl, "-O", VERSIONS[version], *format_option, "parse-flows", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-500:]
    # 255 stands for "no table named", which forcing a flow format makes it print.
    return [
        _HEAD.sub("", line).replace(" table:255", "") for line in run.stdout.splitlines() if _HEAD.match(line)
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_generated_flows_print_as_the_reference_prints_them(
    version: int, ovs_ofctl: str, tmp_path: Path, more: int
) -> None:
    lines = drawn(flows(of10=version == OF10), N_FLOWS * more, seed_with=version)
    theirs = reference(ovs_ofctl, version, lines, tmp_path / "flows")
    assert len(theirs) == len(lines)
    for line, expected in zip(lines, theirs, strict=True):
        assert format_flow_mod(parse_flow(line), version) == expected, line
