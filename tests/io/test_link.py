"""Links and namespaces: what is made is there, what is refused is told, and threads come home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from netns import Lab, sweep

from fastpath.errors import PortError
from fastpath.io import link


def test_loopback_is_a_device() -> None:
    device = link.device("lo")
    assert (device.name, device.mac, device.ethernet) == ("lo", "00:00:00:00:00:00", True)
    assert link.index("lo") == 1
    assert "lo" in link.names()


def test_a_missing_device_is_told() -> None:
    with pytest.raises(PortError, match="no network device 'fpnone0' in this namespace, there are: "):
        link.index("fpnone0")
    with pytest.raises(PortError, match="network device 'fpnone0': no such device"):
        link.device("fpnone0")


@pytest.mark.parametrize("name", ["", "sixteen-bytes-xx", "a/b", "a b", ".", "..", "a%d", "a:b"])
def test_names_no_device_can_have(name: str) -> None:
    with pytest.raises(PortError, match="cannot name a network device"):
        link.check_name(name)


def test_a_veth_pair_across_namespaces(lab: Lab) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    link.add_veth("x", "y", netns=a, peer_netns=b)
    assert link.names(a) == ["lo", "x"]
    assert link.names(b) == ["lo", "y"]
    with link.in_netns(a):
        link.configure("x", mac="02:00:00:00:00:09", mtu=1400)
        device = link.device("x")
    assert device == link.Device("x", "02:00:00:00:00:09", 1400, up=True, running=True, ethernet=True)
    link.set_up("y", False, netns=b)
    with link.in_netns(a):
        assert not link.device("x").running
    link.delete("x", netns=a)
    assert link.names(b) == ["lo"]


def test_a_device_moves_to_another_namespace(lab: Lab) -> None:
    a, b = lab.netns("a"), lab.netns("b")
    link.add_tap("t0", netns=a)
    link.move("t0", b, netns=a)
    assert "t0" not in link.names(a)
    assert "t0" in link.names(b)


def test_addresses_and_counters(lab: Lab) -> None:
    ns = lab.netns("a")
    link.add_tap("t0", netns=ns)
    link.add_address("t0", "192.0.2.1/24", netns=ns)
    assert link.addresses("t0", netns=ns) == ["192.0.2.1/24"]
    link.add_address("t0", "192.0.2.2", netns=ns)
    with link.in_netns(ns):
        Path("/proc/sys/net/ipv6/conf/t0/disable_ipv6").write_text("0")
    link.add_address("t0", "2001:db8::1", netns=ns)
    assert {"192.0.2.2/32", "2001:db8::1/128"} < set(link.addresses("t0", netns=ns))
    assert link.counters("t0", netns=ns)["rx_packets"] == 0


def test_bridge_and_vlan(lab: Lab) -> None:
    ns = lab.netns("a")
    link.add_veth("x", "y", netns=ns)
    link.add_bridge("br0", ["x"], netns=ns)
    assert set(link.names(ns)) == {"lo", "x", "y", "br0"}
    try:
        link.add_vlan("y.5", "y", 5, netns=ns)
    except PortError as error:
        pytest.skip(f"kernel without VLAN devices: {error}")
    assert "y.5" in link.names(ns)


def test_what_the_kernel_refuses_is_told(lab: Lab) -> None:
    ns = lab.netns("a")
    link.add_tap("t0", netns=ns)
    with pytest.raises(PortError, match="veth pair 't0', 'x': file exists"):
        link.add_veth("t0", "x", netns=ns)
    with pytest.raises(PortError, match="no network device 'none'"):
        link.delete("none", netns=ns)
    with pytest.raises(PortError, match="cannot set mtu 7: invalid argument"), link.in_netns(ns):
        link.configure("t0", mtu=7)


def own_namespace() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_a_thread_comes_home_from_another_namespace(lab: Lab) -> None:
    home, ns = own_namespace(), lab.netns("a")
    with link.in_netns(ns):
        assert own_namespace() == os.stat(f"{link.NETNS_FOLDER}/{ns}").st_ino != home
        assert link.names() == ["lo"]
    assert own_namespace() == home
    with pytest.raises(RuntimeError), link.in_netns(f"{link.NETNS_FOLDER}/{ns}"):
        raise RuntimeError
    assert own_namespace() == home
    with link.in_netns(None):
        assert own_namespace() == home


def test_an_unknown_namespace_is_told() -> None:
    with pytest.raises(PortError, match="no network namespace 'fpt-none', there are:"):
        link.names("fpt-none")


def test_a_lab_leaves_nothing_behind(root: None) -> None:
    before = link.namespaces()
    with Lab() as lab:
        ns = lab.netns("a")
        assert ns in link.namespaces()
        assert lab.run(ns, "cat", "/proc/sys/net/ipv6/conf/all/disable_ipv6") == "1\n"
        sleeper = lab.spawn(ns, "sleep", "100")
    assert sleeper.poll() is not None
    assert link.namespaces() == before


def test_namespaces_of_a_killed_run_are_swept_up(root: None) -> None:
    stale = "fpt-4194304000-1-x"            # no process has that id
    link.add_netns(stale)
    sweep()
    assert stale not in link.namespaces()
