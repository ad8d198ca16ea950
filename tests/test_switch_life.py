"""The life of a Switch: threads come and go, callbacks and ports raise, processes fork, nobody closes it."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fastpath import PacketIn, Switch
from fastpath.bridge import Port
from fastpath.dpif.userspace import UserspaceDpif
from fastpath.errors import ConfigError, ParseError
from fastpath.io._memory import MemoryPort
from fastpath.io._python import PythonPort
from fastpath.testing import frame

ROOT = Path(__file__).resolve().parent.parent


def switch(**options: object) -> tuple[Switch, MemoryPort, MemoryPort]:
    """A switch in real time whose port a goes to port b."""
    sw = Switch(seed=1, realtime=True, **options)       # type: ignore[arg-type]
    br = sw.add_bridge("br0")
    a, b = MemoryPort("a"), MemoryPort("b")
    br.add_port("a", a)
    br.add_port("b", b)
    br.add_flow("in_port=a,actions=output:b")
    return sw, a, b


def n_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def until(is_true: Callable[[], object], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def test_threads_start_and_stop_often_and_lose_nothing(more: int) -> None:
    sw, a, b = switch()
    n = got = 0
    with sw:
        before = n_descriptors(), threading.active_count()
        for i in range(100 * more):
            sw.start(1 + i % 3)
            for _ in range(i % 5):
                n += a.inject(frame("udp", src=1, dst=2, sport=i))
            sw.stop()
            got += len(b.take())
            before = (n_descriptors(), before[1]) if i == 2 else before      # all threads there may be
        assert (n_descriptors(), threading.active_count()) == before
        assert got == n and sw.dpif.n_held() == 0


def test_ports_come_and_go_under_traffic(more: int) -> None:
    sw, a, b = switch()
    br = sw["br0"]
    stop = threading.Event()
    sent = 0

    def traffic() -> None:
        nonlocal sent
        while not stop.is_set():
            sent += a.inject(frame("udp", src=1, dst=2, sport=sent % 100))
            time.sleep(0)

    with sw:
        sw.start(2)
        sender = threading.Thread(target=traffic)
        sender.start()
        got = 0
        for i in range(60 * more):
            name = f"x{i}"
            port = br.add_port(name)
            br.add_flow(f"in_port=a,actions=output:b,output:{name}")
            port.take()
            br.del_port(name)
            got += len(b.take())
            sw.stats(), sw.dump_megaflows(), br.dump_flows()
        stop.set()
        sender.join()
        sw.stop()
        got += len(b.take())
        drops = sum(sw.stats().datapath.drops.values())
        lost = drops - sw.stats().datapath.drops.get("invalid_port", 0)
        assert got + lost == sent and got > 0 and sw.dpif.n_held() == 0


def test_a_callback_that_raises_in_threads_stops_nothing_and_is_told_of_by_stop() -> None:
    sw, a, b = switch()
    seen: list[PacketIn] = []

    def bad(event: PacketIn) -> None:
        seen.append(event)
        raise LookupError("not mine")

    sw["br0"].on_packet_in(bad)
    sw["br0"].add_flow("priority=50000,in_port=a,actions=controller,output:b")
    with sw:
        sw.start()
        for i in range(1, 4):
            a.inject(frame("udp", src=1, dst=2, sport=i))
            assert until(lambda i=i: len(seen) == i), "the switch lives on"      # type: ignore[misc]
        assert sw.is_running
        with pytest.raises(LookupError, match="not mine"):
            sw.stop()
        assert len(b.take()) == 3
        sw.start()
        sw.stop()


def test_close_ends_everything_though_a_callback_raises() -> None:
    sw, a, _ = switch()
    sw["br0"].add_flow("priority=50000,in_port=a,actions=controller")
    sw["br0"].on_packet_in(lambda event: 1 / 0)         # type: ignore[arg-type]
    before = n_descriptors()
    sw.start()
    a.inject(frame("udp", src=1, dst=2))
    with pytest.raises(ZeroDivisionError):
        sw.close()
    assert sw.is_closed and n_descriptors() <= before
    with pytest.raises(ConfigError, match="closed"):
        sw.stats()
    sw.close()


class Raises(PythonPort):
    """Raises in rx() and tx() in turn."""

    n = 0

    def rx(self, limit: int) -> list[bytes]:
        self.n += 1
        if self.n % 2:
            raise ValueError("rx")
        return [frame("udp", src=1, dst=2)]

    def tx(self, frames: list[bytes]) -> None:
        raise ValueError("tx")


@contextmanager
def unraisable() -> Iterator[list[object]]:
    said: list[object] = []
    before, sys.unraisablehook = sys.unraisablehook, lambda what: said.append(what.exc_value)
    try:
        yield said
    finally:
        sys.unraisablehook = before


def test_ports_that_raise_in_threads_are_counted() -> None:
    sw, a, _ = switch()
    with unraisable() as said, sw:
        sw["br0"].add_port("wild", wild := Raises("wild"))
        sw["br0"].add_flow("priority=50000,actions=output:b,output:wild")
        sw.start(2)
        for i in range(20):
            a.inject(frame("udp", src=1, dst=2, sport=i))
        assert until(lambda: wild.stats()["tx_errors"] and wild.stats()["rx_errors"] > 3)
        sw.stop()
        assert sw.dpif.n_held() == 0
    stats = wild.stats()
    assert stats["tx_packets"] == 0 and stats["tx_dropped"] >= 20
    assert len(said) == stats["tx_errors"] + stats["rx_errors"]


def test_a_switch_nobody_closed_leaves_nothing() -> None:
    def make() -> weakref.ref[Switch]:
        sw = Switch(seed=1)
        br = sw.add_bridge("br0", normal=True)
        ports = [br.add_port(name) for name in "abc"]
        sw.connect(br, sw.add_bridge("br1"))
        br.on_packet_in(print)
        br.inject("a", *[frame("udp", src=1, dst=2, sport=i) for i in range(200)])
        assert isinstance(ports[0], Port)
        return weakref.ref(sw)

    make()
    gc.collect()
    before, refs = n_descriptors(), [make() for _ in range(5)]
    gc.collect()
    assert [ref() for ref in refs] == [None] * 5 and n_descriptors() == before


def test_a_datapath_dropped_with_its_threads_running_ends_them() -> None:
    before = n_descriptors()
    dpif = UserspaceDpif(seed=1)
    dpif.port_add(MemoryPort("a"))
    dpif.start_threads(3)
    del dpif
    gc.collect()
    assert n_descriptors() == before


SCRIPT = """
import os, sys, threading
sys.path.insert(0, "tests")
from test_switch_life import *
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT + code], cwd=ROOT, timeout=60,
                          capture_output=True, text=True)


def test_an_interpreter_ends_with_threads_running() -> None:
    for code in ("", "sys.unraisablehook = print; sw['br0'].add_port('w', Raises('w'))\n", "del sw, a, b\n"):
        done = python(f"sw, a, b = switch()\nsw.start(2)\n{code}print('end')\n")
        assert (done.returncode, done.stderr) == (0, ""), done


def test_what_ports_had_accepted_leaves_when_the_interpreter_ends(tmp_path: Path) -> None:
    done = python(f"""
sw, a, b = switch()
sw["br0"].add_port("c", "pcap:c,write={tmp_path / 'c.pcap'}")
sw["br0"].add_flow("in_port=a,actions=output:c")
sw.start()
a.inject_many([frame("udp", src=1, dst=2)] * 100)
""")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "c.pcap").stat().st_size == 24 + 100 * (16 + len(frame("udp", src=1, dst=2)))


FORK = """
sw, a, b = switch()
sw.start(2)
a.inject(frame("udp", src=1, dst=2))
assert until(lambda: b.pending[1])
children = []
for how in range(6):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if how == 0: sw.close()
            if how == 1: sw.stats(), sw["br0"].dump_flows(), sw.stop(), sw.close()
            if how == 2: sw["br0"].del_port("b"), sw["br0"].add_port("c"), sw.close()
            if how == 3: sw["br0"].del_flows(), sw.stop(), sw["br0"].inject("a", frame("udp", src=1, dst=2))
            if how == 4: del sw, a, b; import gc; gc.collect()
            if how == 5: sys.exit(0)
            status = 0
        except SystemExit:
            raise
        finally:
            if how < 5: os._exit(status)
    children.append(pid)
for pid in children:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
a.inject_many([frame("udp", src=1, dst=2)] * 10)
sw.stop()
assert len(b.take()) == 11
sw.close()
print("whole")
"""


def test_a_forked_child_may_drop_or_close_its_copy() -> None:
    done = python(FORK)
    assert (done.returncode, done.stdout, done.stderr) == (0, "whole\n", ""), done


@contextmanager
def no_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open("/dev/null", os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(taken[0]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


def test_without_descriptors_threads_are_refused_and_may_start_later() -> None:
    sw, a, b = switch()
    with sw:
        with no_descriptors(), pytest.raises(OSError, match="no descriptor free"):
            sw.start(2)
        assert not sw.is_running
        sw["br0"].inject("a", frame("udp", src=1, dst=2))
        sw.start(2)
        a.inject(frame("udp", src=1, dst=2, sport=9))
        sw.stop()
        assert len(b.take()) == 1
    with no_descriptors(), pytest.raises(OSError, match="no descriptor free"):
        Switch()


def test_time_has_an_end_and_ten_years_pass_at_once() -> None:
    sw = Switch(seed=1)
    br = sw.add_bridge("br0", normal=True)
    br.add_port("a"), br.add_port("b")
    br.add_flow("priority=50000,hard_timeout=65535,actions=output:b")
    br.inject("a", frame("udp", src=1, dst=2))
    sw.advance(10 * 365 * 86400)
    assert len(br.rules()) == 1 and sw.stats().n_flows == 0 and not br.fdb()
    for seconds in (float("nan"), float("inf"), -1.0, 1e30, 1e10):
        with pytest.raises(ConfigError, match="advance"):
            sw.advance(seconds)
    assert br.inject("a", frame("udp", src=1, dst=2)) != {}
    for now in (float("nan"), float("inf"), -1.0, 1e11):
        with pytest.raises(ConfigError, match="time"):
            sw.dpif.set_now(now)
    for timeout in (float("nan"), -1.0):
        with pytest.raises(ValueError, match="wait"):
            sw.dpif.wait(timeout)
    sw.close()


def test_flows_name_the_ports_there_are() -> None:
    br = Switch(seed=1).add_bridge("br0")
    br.add_port("a", number=1)
    assert str(br.add_flow("in_port=a,actions=drop")[0].match) == "in_port=1"
    with pytest.raises(ParseError):
        br.add_flow("in_port=b,actions=drop")
    br.add_port("b", number=2)
    assert str(br.add_flow("in_port=b,actions=output:a")[0].match) == "in_port=2"
    br.del_port("b")
    with pytest.raises(ParseError):
        br.add_flow("in_port=b,actions=drop")
    br.add_port("b", number=7)
    assert str(br.add_flow("in_port=b,actions=drop")[0].match) == "in_port=7"
