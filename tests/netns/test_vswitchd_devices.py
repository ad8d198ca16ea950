"""The daemon with devices of the host, in namespaces: hosts reach each other over its bridges."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator

import pytest
from netns import Lab
from reference import available
from stack import OURS, THEIRS, Stack
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
    with link.in_netns(switch):
        link.configure("br0", up=True)
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
    assert eventually(lambda: stack.run("ovs-vsctl get interface late0 ofport error") == "1\n[]\n", 20)


def test_a_device_that_went_is_taken_again_when_it_comes_back(lab: tuple[Lab, str, list[str], Stack]) -> None:
    net, switch, hosts, stack = lab
    assert stack.run("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev -- add-port br0 p2 "
                     "-- add-port br0 p1 -- set interface p1 ofport_request=7") == ""
    assert " 0% packet loss" in ping(net, hosts[0], "10.0.0.2")
    link.delete("p1", netns=switch)
    assert eventually(lambda: stack.run("ovs-vsctl get interface p1 ofport admin_state mac_in_use mtu")
                      == "7\ndown\n[]\n[]\n", 20)
    net.veth(hosts[0], "eth0", switch, "p1", address="10.0.0.1/24")
    assert eventually(lambda: stack.run("ovs-vsctl get interface p1 ofport admin_state link_state")
                      == "7\nup\nup\n", 20)
    assert " 0% packet loss" in ping(net, hosts[0], "10.0.0.2")


@pytest.fixture
def both(lab: tuple[Lab, str, list[str], Stack]) -> Iterator[tuple[Lab, list[tuple[str, Stack]]]]:
    """(lab, the namespaces with our daemon and with the reference, in which p0 is one end of a veth)."""
    net, ours, _hosts, stack = lab
    theirs = net.netns("ref")
    for n, ns in enumerate((ours, theirs)):
        net.veth(ns, "p0", net.netns(f"peer{n}"), "p9", mac="02:00:00:00:00:07")
    with link.in_netns(theirs), Stack(THEIRS, "--disable-system") as other:
        for each in (stack, other):
            assert each.run(
                "ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev "
                "other_config:hwaddr=02:00:00:00:00:09 -- add-port br0 p0 "
                "-- set interface p0 ofport_request=1 -- add-port br0 i1 "
                "-- set interface i1 type=internal ofport_request=2") == ""
        yield net, [(ours, stack), (theirs, other)]


def test_devices_are_told_of_as_the_reference_does(both: tuple[Lab, list[tuple[str, Stack]]]) -> None:
    _net, stacks = both

    def told(stack: Stack) -> str:
        rows = stack.run(
            "ovs-vsctl --columns=name,ofport,error,admin_state,link_state,link_speed,duplex,mtu,status "
            "list interface p0 br0 i1; ovs-vsctl get interface p0 mac_in_use -- get interface br0 mac_in_use")
        counters = "".join(stack.run(f"ovs-vsctl get interface {name} statistics")
                           for name in ("p0", "i1", "br0"))
        ports = "".join(stack.run(f"ovs-ofctl -O OpenFlow{v} dump-ports-desc br0") for v in (10, 13, 15))
        return rows + re.sub("=[0-9]+", "", counters) + re.sub("xid=0x.*|2.i1.: addr.*", "", ports)

    def alike() -> bool:
        return eventually(lambda: told(stacks[0][1]) == told(stacks[1][1]), 30)

    def each(change: Callable[[Stack], object]) -> None:
        for ns, stack in stacks:
            with link.in_netns(ns):
                change(stack)
        assert alike(), told(stacks[0][1]) + told(stacks[1][1])

    each(lambda _stack: None)
    assert "admin_state         : down" in told(stacks[0][1])           # internal ones begin so
    each(lambda _stack: link.configure("br0", up=True))
    each(lambda _stack: link.configure("p0", up=False))
    assert "PORT_DOWN" in told(stacks[0][1])
    each(lambda _stack: link.configure("p0", up=True, mtu=1300))
    each(lambda stack: stack.run("ovs-ofctl mod-port br0 p0 down; ovs-ofctl mod-port br0 i1 up"))
    for ns, _stack in stacks:
        with link.in_netns(ns):
            assert (link.device("p0").up, link.device("i1").up) == (False, True)
    each(lambda stack: stack.run("ovs-ofctl mod-port br0 p0 up"))


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
    assert eventually(lambda: re.search("rx_dropped=[1-9]", stack.run(
        "ovs-vsctl get interface p1 statistics")), 20)
    assert eventually(lambda: "rx_dropped=0" in stack.run("ovs-vsctl get interface p2 statistics"), 20)
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
