"""What is known of the host's devices, as the kernel tells it."""

from __future__ import annotations

import pytest

from fastpath.errors import ConfigError
from fastpath.io.netdev import Facts
from fastpath.value import replace
from fastpath.vswitchd import device as module
from fastpath.vswitchd.device import Device, HostDevice

UP = Facts(7, 0x020000000001, 1400, True, True)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Facts | None]:
    """What the kernel says of the device; the last entry is what it says now."""
    said: list[Facts | None] = [UP]
    monkeypatch.setattr(module, "facts", lambda _name: said[-1])
    return said


def test_carrier_that_comes_and_goes_is_counted(told: list[Facts | None]) -> None:
    device = HostDevice("fpnone0", "system")
    assert device.opened() and (device.mac, device.mtu, device.is_up) == (UP.mac, 1400, True)
    assert not device.refresh() and device.resets == 0
    for now, resets in ((replace(UP, running=False), 1), (replace(UP, running=False, mtu=1500), 1), (UP, 2),
                        (None, 3), (None, 3), (UP, 3)):
        told.append(now)
        assert device.refresh() is (now is not told[-2]) and device.resets == resets


def test_counters_alone_are_no_change(told: list[Facts | None]) -> None:
    device = HostDevice("fpnone0", "system")
    device.opened()
    told.append(replace(UP, faults={"collisions": 5, "rx_crc_err": 3}))
    assert not device.refresh() and device.faults() == {"collisions": 5, "rx_crc_err": 3}
    told.append(None)
    assert device.faults() == {}


def test_a_device_that_went_keeps_its_address_and_is_down(told: list[Facts | None]) -> None:
    device = HostDevice("fpnone0", "system")
    device.opened()
    told.append(None)
    assert device.refresh() and (device.mac, device.mtu, device.is_up) == (UP.mac, 1400, False)
    assert device.set_up(False) and not device.set_up(True)     # it cannot, and says so


def test_addresses_are_of_the_internet() -> None:
    device = Device("p1", "dummy")
    device.add_address("10.0.0.1/8")
    device.add_address("::1")
    assert device.addresses == ["10.0.0.1/8", "::1/128"]
    with pytest.raises(ConfigError):
        device.add_address("10.0.0.256")
