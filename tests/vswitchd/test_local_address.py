"""Addresses that a controller's row asks for on the local port: the host has them, as with the reference."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from reference import available
from stack import OURS, THEIRS, Stack

APART = ("unshare", "-n")           # the device is real
LINES = """
ip() { nsenter -t $(cat ovs-vswitchd.pid) -n ip "$@"; }
told() { ip -o -4 addr show br0 | sed 's/^[0-9]*//'; ip -4 route; }
ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev -- set-controller br0 unix:$PWD/nosuch
ovs-vsctl set controller br0 local_ip=10.9.8.7; told
ovs-vsctl set controller br0 local_netmask=255.255.0.0 local_gateway=10.9.0.1; told
ovs-vsctl set controller br0 local_ip=192.168.3.4 local_netmask=0.0.0.0 local_gateway=1.2.3.4; told
ovs-vsctl set controller br0 local_ip=nonsense; told
ovs-appctl vlog/reopen
grep -E "bridge br0: configured|SIOCADDRT" ovs-vswitchd.log | cut -d'|' -f3- | uniq
"""


def said(program: tuple[str, ...]) -> str:
    with Stack((*APART, *program), "--disable-system", "--disable-system-route") as stack:
        return stack.run(LINES)


def test_the_host_has_the_address_a_controller_is_reached_by() -> None:
    if not available() or os.geteuid():
        pytest.skip("needs root and the reference switch")
    with ThreadPoolExecutor(2) as pool:
        ours, theirs = pool.map(said, (OURS, THEIRS))
    assert "inet 10.9.8.7/16" in theirs and ours == theirs
