"""``fastpath run`` between namespaces, as a user starts it: TCP intact with default offloads, clean end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_hosts import Host, Lab

ROOT = Path(__file__).resolve().parents[2]
MEGABYTES = 200


@pytest.fixture
def lab(root: None) -> Iterator[Lab]:
    """Two hosts behind p1 and p2; this process stays in its own namespace."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        with Lab({"h1": "10.0.0.1/24", "h2": "10.0.0.2/24"}) as lab:
            yield lab
    finally:
        setns(here)
        os.close(here)


def setns(fd: int) -> None:
    import ctypes

    assert ctypes.CDLL(None, use_errno=True).setns(fd, 0) == 0


class Running:
    """``fastpath run`` as a process in the switch's namespace (that of this process, in the lab)."""

    def __init__(self, *args: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "fastpath.cli.main", "run", *args],
                                        env={**os.environ, "PYTHONPATH": str(ROOT)},
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """End it; return status, output and errors."""
        with self.process:
            self.process.send_signal(number)
            try:
                out, err = self.process.communicate(timeout=60)
            finally:
                self.process.kill()
        return self.process.returncode, out, err


def reach(one: Host, address: str, tries: int = 20) -> list[float]:
    """Round-trip times once *address* answers."""
    for _ in range(tries):
        times: list[float] = one.call("ping", address, 3, 0.5)
        if times:
            return times
    return []


def test_tcp_with_default_offloads_arrives_intact(lab: Lab, more: int) -> None:
    h1, h2 = lab.hosts
    run = Running("--port", "p1", "--port", "p2", "--flow", "in_port=1,actions=output:2",
                  "--flow", "in_port=2,actions=output:1", "--seconds", "120")
    try:
        assert reach(h1, "10.0.0.2"), run.stop()
        size = MEGABYTES * more << 20
        for client, server, address in ((h1, h2, "10.0.0.2"), (h2, h1, "10.0.0.1")):
            server.ask("serve", 5001, size)
            time.sleep(0.2)
            got, _, digest = client.call("fetch", address, 5001)
            assert (got, digest) == (size, server.answer())
    finally:
        status, out, err = run.stop()
    assert (status, err) == (0, "")
    assert "p1" in out and "p2" in out


@pytest.mark.parametrize("first", ["--port afxdp:p1", "--config"])
def test_tcp_from_a_device_past_the_stack_to_one_with_offloads(lab: Lab, first: str,
                                                               tmp_path: Path) -> None:
    h1, h2 = lab.hosts
    file = tmp_path / "lab.toml"
    file.write_text('[bridges.br0.ports.a]\nio = "afxdp:p1"\n[bridges.br0.ports.b]\nio = "p2"\n')
    run = Running(*([*first.split(), "--port", "p2"] if first != "--config" else [first, str(file)]))
    try:
        if not reach(h1, "10.0.0.2"):
            status, _, err = run.stop()
            if "this kernel has no" in err:
                pytest.skip(err)
            raise AssertionError(err)
        for client, server, address in ((h1, h2, "10.0.0.2"), (h2, h1, "10.0.0.1")):
            server.ask("serve", 5001, 20 << 20)
            time.sleep(0.2)
            got, _, digest = client.call("fetch", address, 5001)
            assert (got, digest) == (20 << 20, server.answer())
    finally:
        status, _, err = run.stop()
    assert status == 0
    assert err == "" or "frames lose their VLAN tag" in err         # the latter before Linux 6.8


def test_without_flows_hosts_find_each_other(lab: Lab) -> None:
    h1, _ = lab.hosts
    run = Running("--port", "p1", "--port", "p2", "--seconds", "60")
    try:
        assert reach(h1, "10.0.0.2")
    finally:
        status, _, err = run.stop(signal.SIGINT)
    assert (status, err) == (0, "")


def test_it_ends_by_itself_after_its_seconds(lab: Lab) -> None:
    began = time.monotonic()
    run = Running("--port", "p1", "--port", "p2", "--seconds", "1")
    run.process.communicate(timeout=60)
    assert run.process.returncode == 0
    assert 1 <= time.monotonic() - began < 30       # a busy machine takes its time to begin and to end


def test_a_missing_interface_is_one_line(lab: Lab) -> None:
    run = Running("--port", "p1", "--port", "nosuch0")
    _, err = run.process.communicate(timeout=60)
    assert run.process.returncode == 2
    assert "nosuch0" in err and err.count("\n") == 1 and "Traceback" not in err


def test_an_idle_switch_takes_less_than_a_hundredth_of_a_core(lab: Lab) -> None:
    run = Running("--port", "p1", "--port", "p2", "--quiet")
    try:
        assert reach(lab.hosts[0], "10.0.0.2")
        tasks = [task / "schedstat" for task in Path(f"/proc/{run.process.pid}/task").iterdir()]
        assert len(tasks) >= 3
        shares = []
        while min(shares, default=1.0) >= 0.01 and len(shares) < 20:      # hosts may have something to say
            used, t = sum(int(task.read_text().split()[0]) for task in tasks), time.monotonic_ns()
            time.sleep(1)
            used = sum(int(task.read_text().split()[0]) for task in tasks) - used
            shares.append(used / (time.monotonic_ns() - t))
        assert shares[-1] < 0.01, shares
    finally:
        run.stop()
