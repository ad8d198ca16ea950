"""Which flow formats can say a flow, and what they are called: as ovs-ofctl has it."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
from malformed import good_flows

from fastpath.errors import ParseError
from fastpath.ofproto.flow_text import parse_flow
from fastpath.openflow.formats import Formats, format_formats, of_version, parse_formats, usable, versions_of

VERSIONS = ",".join(f"OpenFlow1{n}" for n in range(6))


def test_the_usable_formats_are_those_of_ovs_ofctl(ovs_ofctl: str, shared: Path, more: int) -> None:
    lines, n_told = good_flows(shared / "data", n=25), 0
    for line in random.Random(7).sample(lines, min(len(lines), 100 * more)):
        done = subprocess.run([ovs_ofctl, "-O", VERSIONS, "parse-flow", line], capture_output=True, text=True,
                              timeout=30)
        if done.stdout.startswith("usable protocols: "):
            told = done.stdout.splitlines()[0].removeprefix("usable protocols: ")
            assert format_formats(usable(parse_flow(line))) == told, line
            n_told += 1
    assert n_told > 60


@pytest.mark.parametrize("formats", [Formats(bits) for bits in range(512)])
def test_names_are_read_as_they_are_written(formats: Formats) -> None:
    if formats:
        assert parse_formats(format_formats(formats)) == formats
        assert formats & of_version(versions_of(formats)[0])
    else:
        assert format_formats(formats) == "none"


@pytest.mark.parametrize(("text", "error"), [("bogus", "bogus: unknown flow protocol"),
                                             (",", ",: no flow protocol specified")])
def test_names_there_are_not_are_refused(text: str, error: str) -> None:
    with pytest.raises(ParseError, match=error):
        parse_formats(text)
