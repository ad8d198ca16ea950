"""Fixtures of port tests: a lab of network namespaces."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from wire import HOST_MAC, PORT_MAC

if TYPE_CHECKING:
    from netns import Lab

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "netns"))


@pytest.fixture
def lab(root: None) -> Iterator[Lab]:
    """Namespaces that end with the test; skips without the privileges they need."""
    from netns import Lab
    with Lab() as lab:
        yield lab


@pytest.fixture
def ends(lab: Lab) -> tuple[str, str]:
    """Namespaces of a host with device eth0 and of a switch with device p1, connected."""
    host, switch = lab.netns("host"), lab.netns("sw")
    lab.veth(host, "eth0", switch, "p1", address="10.0.0.1/24", mac=HOST_MAC, peer_mac=PORT_MAC)
    return host, switch


@pytest.fixture
def hosts(lab: Lab) -> tuple[str, str, str]:
    """Two hosts, h1 = 10.0.0.1 and h2 = 10.0.0.2, and the switch's namespace with p1 and p2."""
    h1, h2, switch = lab.netns("h1"), lab.netns("h2"), lab.netns("sw")
    lab.veth(h1, "eth0", switch, "p1", address="10.0.0.1/24")
    lab.veth(h2, "eth0", switch, "p2", address="10.0.0.2/24")
    return h1, h2, switch
