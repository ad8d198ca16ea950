"""AwakeCores: what it asks of the kernel, for how long, and where it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastpath.runtime.awake import ANY, AT_ONCE, MOMENT_S, AwakeCores

NEVER = float("inf")


def test_a_wish_is_said_once_and_taken_back_when_its_moment_is_over(tmp_path: Path) -> None:
    device = tmp_path / "device"
    device.touch()
    cores = AwakeCores(str(device))
    assert cores.rest(1.0) == NEVER and device.read_bytes() == b""
    cores.want(1.0)
    cores.want(1.002)
    assert device.read_bytes() == AT_ONCE
    assert cores.rest(1.003) == pytest.approx(MOMENT_S - 0.001)
    assert device.read_bytes() == AT_ONCE
    assert cores.rest(1.002 + MOMENT_S) == NEVER
    assert device.read_bytes() == AT_ONCE + ANY
    cores.want(2.0)
    cores.close()
    assert device.read_bytes() == AT_ONCE + ANY + AT_ONCE and not cores.is_wanted


def test_who_may_not_open_the_device_does_without(tmp_path: Path) -> None:
    cores = AwakeCores(str(tmp_path / "none"))
    for now in (1.0, 2.0):
        cores.want(now)
        assert cores.rest(now) == NEVER and not cores.is_wanted
    (tmp_path / "none").touch()
    cores.want(3.0)                 # nor is it asked again
    assert (tmp_path / "none").read_bytes() == b""
