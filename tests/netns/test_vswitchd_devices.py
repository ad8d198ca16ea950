"""The daemon with devices of the host, in namespaces: hosts reach each other over its bridges."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from netns import Lab
from reference import available
from stack import OURS, Stack
from wire import eventually

from fastpath.io import link


@pytest.fixture
def lab(root: None) -> Iterator[tuple[Lab, str, list[str], Stack]]:
    """(lab, namespace of the switch, those of three hosts, the daemon with an empty database)."""
    if not available():
        pytest.skip("the reference's clients are not installed")
    with Lab() as lab:
        switch = lab.netns("sw")
        hosts = [lab.netns(f"h{n}") for n in (1, 2, 3)]
        for n, host in enumerate(hosts, 1):
            lab.veth(host, "eth0", switch, f"p{n}", address=f"10.0.0.{n}/24")
        with link.in_netns(switch), Stack(OURS, "--disable-system") as stack:
            yield lab, switch, hosts, stack


def ping(lab: Lab, host: str, address: str) -> str:
    return lab.run(host, "ping", "-q", "-c", "3", "-i", "0.2", "-W", "5", address)


def test_hosts_reach_each_other_and_the_bridge_itself(lab: tuple[Lab, str, list[str], Stack]) -> None:
    net, switch, hosts, stack = lab
    assert stack.run("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev "
                     "-- add-port br0 p1 -- add-port br0 p2") == ""
    with link.in_netns(switch):
        link.configure("br0", up=True)
    link.add_address("br0", "10.0.0.9/24", netns=switch)
    assert " 0% packet loss" in ping(net, hosts[0], "10.0.0.2")
    assert " 0% packet loss" in ping(net, switch, "10.0.0.1")
    assert "LOCAL" in stack.run("ovs-appctl fdb/show br0")
    assert stack.run("ovs-vsctl del-br br0") == ""
    assert "br0" not in link.names(switch) and "p1" in link.names(switch)


def test_a_bridge_keeps_its_device_and_addresses_over_a_restart(lab: tuple[Lab, str, list[str], Stack]
                                                                ) -> None:
    net, switch, _hosts, stack = lab
    assert stack.run("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev -- add-port br0 p1") == ""
    link.add_address("br0", "10.0.0.9/24", netns=switch)
    for how in (signal.SIGTERM, signal.SIGKILL):
        stack.stop(how=how)
        assert "br0" in link.names(switch)
        with link.in_netns(switch):
            stack.start()
        assert " 0% packet loss" in ping(net, switch, "10.0.0.1")
    assert stack.run("ovs-appctl exit --cleanup") == ""
    assert eventually(lambda: "br0" not in link.names(switch))
    with link.in_netns(switch):
        stack.start()
    assert stack.run("ovs-vsctl del-br br0") == ""
    assert "br0" not in link.names(switch)


def test_vlans_keep_hosts_apart_and_patch_ports_join_bridges(lab: tuple[Lab, str, list[str], Stack]) -> None:
    net, _switch, hosts, stack = lab
    assert stack.run("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev "
                     "-- add-br br1 -- set bridge br1 datapath_type=netdev "
                     "-- add-port br0 p1 tag=10 -- add-port br0 p2 tag=20 -- add-port br1 p3 tag=10 "
                     "-- add-port br0 pa -- set interface pa type=patch options:peer=pb "
                     "-- add-port br1 pb -- set interface pb type=patch options:peer=pa") == ""
    assert " 0% packet loss" in ping(net, hosts[0], "10.0.0.3")
    with pytest.raises(Exception, match="ping"):
        net.run(hosts[0], "ping", "-q", "-c", "1", "-W", "1", "10.0.0.2")
    assert stack.run("ovs-vsctl set port p2 tag=10") == ""
    assert " 0% packet loss" in ping(net, hosts[0], "10.0.0.2")


def test_a_device_that_is_not_there_is_taken_once_it_is(lab: tuple[Lab, str, list[str], Stack]) -> None:
    _net, switch, _hosts, stack = lab
    said = stack.run("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev -- add-port br0 late0")
    assert "could not open network device late0 (No such device)" in said
    assert stack.run("ovs-vsctl get interface late0 ofport") == "-1\n"
    link.add_veth("late0", "late1", netns=switch, peer_netns=switch)
    assert stack.run("ovs-vsctl set interface late0 external_ids:try=again") == ""
    assert stack.run("ovs-vsctl get interface late0 ofport error") == "1\n[]\n"


def test_trouble_with_one_device_is_no_others(lab: tuple[Lab, str, list[str], Stack]) -> None:
    net, switch, hosts, stack = lab
    assert stack.run("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev "
                     "-- add-port br0 p1 -- add-port br0 p2 -- add-port br0 p3") == ""
    link.delete("p3", netns=switch)
    assert stack.run("ovs-vsctl set interface p1 mtu_request=70000 "
                     "-- set interface p2 mtu_request=1400") == ""
    assert stack.run("ovs-vsctl get interface p2 mtu -- get interface p1 mtu") == "1400\n1500\n"
    assert "failed to set MTU for network device p1" in stack.log
    assert " 0% packet loss" in ping(net, hosts[0], "10.0.0.2")
    assert stack.run("ovs-vsctl del-port p3 -- add-port br0 br0x") != ""        # there is no br0x
    assert " 0% packet loss" in ping(net, hosts[0], "10.0.0.2")


def test_what_comes_in_beyond_the_rate_is_dropped_until_there_is_none(
        lab: tuple[Lab, str, list[str], Stack]) -> None:
    net, switch, hosts, stack = lab
    # A bucket that takes less than one ping, and a rate that fills it in hours.
    assert stack.run("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev -- add-port br0 p1 "
                     "-- add-port br0 p2 -- set interface p1 ingress_policing_kpkts_rate=0 "
                     "ingress_policing_rate=1 ingress_policing_burst=1") == ""
    with pytest.raises(Exception, match="ping"):
        net.run(hosts[0], "ping", "-q", "-c", "2", "-i", "0.2", "-s", "1000", "-W", "1", "10.0.0.2")
    assert eventually(lambda: "rx_dropped=0" not in stack.run(
        "ovs-vsctl set interface p1 external_ids:a=b; ovs-vsctl get interface p1 statistics"), 20)
    assert "rx_dropped=0" in stack.run("ovs-vsctl get interface p2 statistics")
    assert stack.run("ovs-vsctl set interface p1 ingress_policing_rate=0") == ""
    assert " 0% packet loss" in ping(net, hosts[0], "10.0.0.2")
    # The internal device of the bridge, and packets instead of bits.
    with link.in_netns(switch):
        link.configure("br0", up=True)
    link.add_address("br0", "10.0.0.9/24", netns=switch)
    assert stack.run("ovs-vsctl set interface br0 ingress_policing_kpkts_rate=1000 "
                     "ingress_policing_kpkts_burst=1000") == ""
    assert " 0% packet loss" in ping(net, switch, "10.0.0.1")
    assert stack.run("ovs-appctl qos/show p1") == "QoS not configured on p1\n"
    assert "QoS type: linux-noop" in stack.run("ovs-appctl qos/show-types p1")
