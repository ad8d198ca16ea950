"""Disciplines and classes at the root of a device, in a namespace, by kinds that any kernel has."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from fastpath.errors import PortError
from fastpath.io import link
from fastpath.io.tc import Class, Root, Sent, ticks


@pytest.fixture
def root_of_device(root: None) -> Iterator[Root]:
    name = f"fp-tc-{os.getpid()}"
    link.add_netns(name)
    try:
        link.add_veth("tc0", "tc1", netns=name, peer_netns=name)
        with link.in_netns(name):
            yield Root("tc0")
    finally:
        link.delete_netns(name)


def test_queues_are_classes_that_come_and_go(root_of_device: Root) -> None:
    root = root_of_device
    root.install("htb")
    root.set_top("htb", 10**6, 1500)
    for queue_id in (0, 7):
        root.set_class("htb", queue_id, Class(1500, 10**5, 2000, 1), 1500)
    classes = root.classes()
    assert root.kind() == "htb" and sorted(classes) == [0, 7]
    assert classes[7] == Sent(0, 0, 0)          # what the kernel says by itself goes by class 0
    root.delete_class(7)
    assert list(root.classes()) == [0]
    with pytest.raises(PortError):
        root.delete_class(7)
    root.remove()
    root.remove()
    assert root.kind() != "htb"


def test_a_device_that_is_gone_is_told() -> None:
    with pytest.raises(PortError, match="No such device"):
        Root("nosuch0").kind()


def test_nothing_takes_time_where_there_is_no_rate() -> None:
    assert ticks(0, 1500) == 0 and ticks(10**6, 3000) > ticks(10**6, 1500) > 0
