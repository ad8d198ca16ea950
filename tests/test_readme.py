"""What README.md shows is what happens: its tour and its trace, run as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fastpath.cli.main import main

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.M | re.S)


def test_the_tour_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    ((program, shown),) = [(text, BLOCKS[i + 1][1]) for i, (kind, text) in enumerate(BLOCKS)
                           if kind == "python" and text.startswith("import fastpath\n")]
    exec(compile(program, "README.md", "exec"), {})
    assert capsys.readouterr().out == shown


def test_the_trace_prints_what_it_says(capsys: pytest.CaptureFixture[str], tmp_path: Path,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    (session,) = [text for _, text in BLOCKS if text.startswith("$ cat acl.txt\n")]
    flows, command, shown = re.fullmatch(r"\$ cat acl.txt\n(.*?)\$ fastpath (.*?)\n(.*)", session,
                                         re.S).groups()        # type: ignore[union-attr]
    monkeypatch.chdir(tmp_path)
    Path("acl.txt").write_text(flows, encoding="utf-8")
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == shown


def test_every_command_shown_is_one_that_parses() -> None:
    from fastpath.cli.main import parser
    commands = re.findall(r"^\$? ?fastpath (.+)$", README, re.M)
    assert len(commands) >= 4
    for command in commands:
        parser().parse_args(shlex.split(command))
