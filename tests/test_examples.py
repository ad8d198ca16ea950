"""The examples run, and do what they say."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fastpath.io.pcapfile import PcapWriter
from fastpath.testing import frame

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_acl_lab_tells_who_may_talk_to_whom(capsys: pytest.CaptureFixture[str]) -> None:
    assert load("acl_lab").main() == 0
    out = capsys.readouterr().out
    rows = {line[:18].strip(): line[18:].split() for line in out.splitlines() if " -> " in line[:18]}
    assert rows["alice -> bob"] == ["yes", "-", "yes", "yes", "-"]
    assert rows["alice -> server"] == ["yes", "-", "-", "yes", "-"]
    assert rows["alice -> carol"] == ["-"] * 5              # another VLAN
    assert len(rows) == 13                                   # twelve pairs and the heading
    assert "tcp,tp_dst=23, priority 150" in out


def test_controller_admits_answers_and_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    assert load("controller").main() == 0
    out = capsys.readouterr().out
    assert "admitted: 2, arp answered: 1, blocked: 2" in out
    lines = out.splitlines()
    fates = [line.strip() for line in lines if line.startswith("    ->")]
    assert fates == ["-> p1", *["-> p2"] * 5, *["-> p1"] * 5, *["-> nothing"] * 3]
    assert sum("n_packets=4" in line for line in lines) == 2     # the first of five went by the controller


def test_what_if_lists_the_packets_that_fare_differently(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture, today, tomorrow = tmp_path / "in.pcap", tmp_path / "today.flows", tmp_path / "tomorrow.flows"
    with PcapWriter(capture) as pcap:
        for i in range(30):
            pcap.write(frame("udp", dport=(53, 80, 123)[i % 3]), time_ns=i * 10**9)
    today.write_text("priority=0,actions=output:2\n")
    tomorrow.write_text("priority=0,actions=output:2\nudp,tp_dst=123,actions=drop\n"
                        "udp,tp_dst=80,actions=dec_ttl,output:2\n")
    module = load("what_if")
    assert module.main([str(capture), str(today), str(today)]) == 0
    assert capsys.readouterr().out == "0 packets fare differently\n"
    assert module.main([str(capture), str(today), str(tomorrow)]) == 1
    out = capsys.readouterr().out
    assert "20 packets fare differently" in out
    assert "today:    p2 by 0. priority 0\n    tomorrow: dropped by 0. udp,tp_dst=123" in out
    assert "rewritten otherwise" in out
    assert module.main([str(capture), str(today), str(capture)]) == 2


@pytest.mark.parametrize("name", ["acl_lab", "controller"])
def test_examples_run_as_scripts(name: str) -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / f"{name}.py")], capture_output=True, text=True,
                          env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
