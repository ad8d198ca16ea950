"""Faucet drives bridges of ``fastpath run``: VLANs with an ACL and routes, a stack, faults of links."""

from __future__ import annotations

from pathlib import Path

from faucet import Site, until
from netns import Lab

TWO_VLANS = """
acls:
  office-in:
    - rule: {dl_type: 0x800, ipv4_dst: 10.0.200.2, actions: {allow: ALLOWED}}
    - rule: {actions: {allow: 1}}
vlans:
  office: {vid: 100, faucet_mac: "0e:00:00:00:01:00", faucet_vips: ["10.0.100.254/24"]}
  guest: {vid: 200, faucet_mac: "0e:00:00:00:02:00", faucet_vips: ["10.0.200.254/24"]}
routers:
  between: {vlans: [office, guest]}
dps:
  sw1:
    dp_id: 0x1
    hardware: Open vSwitch
    interfaces:
      1: {native_vlan: office, acls_in: [office-in]}
      2: {native_vlan: office}
      3: {native_vlan: guest}
      4: {native_vlan: guest}
"""
ONE_SWITCH = """
[switch]
rundir = "DIR"
[bridges.br0]
controllers = ["tcp:127.0.0.1:6653"]
protocols = ["OpenFlow13"]
dpid = "1"
fail_mode = "secure"
[bridges.br0.ports]
p1 = {number = 1}
p2 = {number = 2}
p3 = {number = 3}
p4 = {number = 4}
"""
STACK = """
meters:
  slow: {meter_id: 1, entry: {flags: KBPS, bands: [{type: DROP, rate: 100000}]}}
acls:
  counted:
    - rule: {actions: {meter: slow, allow: 1}}
vlans:
  all: {vid: 7}
dps:
  one:
    dp_id: 0xa
    hardware: Generic
    stack: {priority: 1}
    interfaces:
      1: {native_vlan: all, acls_in: [counted]}
      2: {stack: {dp: two, port: 2}}
  two:
    dp_id: 0xb
    hardware: Generic
    interfaces:
      1: {native_vlan: all}
      2: {stack: {dp: one, port: 2}}
"""
TWO_SWITCHES = """
[switch]
rundir = "DIR"
[bridges.one]
controllers = ["tcp:127.0.0.1:6653"]
dpid = "a"
[bridges.one.ports]
p1 = {number = 1}
to-two = {number = 2, patch = "to-one"}
[bridges.two]
controllers = ["tcp:127.0.0.1:6653"]
dpid = "b"
[bridges.two.ports]
p2 = {number = 1}
to-one = {number = 2, patch = "to-two"}
"""


def test_two_vlans_an_acl_and_routes_between(root: None, controllers: Path, ovs_ofctl: str, tmp_path: Path
                                             ) -> None:
    hosts = {f"h{n}": (f"p{n}", f"10.0.{100 * vlan}.{host}/24")
             for n, vlan, host in ((1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 2, 2))}
    with Lab() as lab:
        site = Site(lab, tmp_path, controllers, TWO_VLANS.replace("ALLOWED", "0"), ONE_SWITCH, hosts)
        for name, (_device, address) in hosts.items():
            lab.run(site.hosts[name], "ip", "route", "add", "default", "via", f"{address[:9]}254")
        with site:
            until(lambda: len(site.rules("br0")) > 40, "Faucet's rules")
            for host, address in (("h1", "10.0.100.2"), ("h3", "10.0.200.2"), ("h1", "10.0.100.254"),
                                  ("h4", "10.0.200.254"), ("h1", "10.0.200.1"), ("h4", "10.0.100.2"),
                                  ("h2", "10.0.200.2")):
                assert site.pings(host, address), (host, address)
            assert site.is_refused("h1", "10.0.200.2")

            lab.run(site.netns, "ip", "link", "set", "p2", "down")
            until(lambda: "Port 2 (2) down" in site.log, "word that port 2 is down")
            until(lambda: not any("output:2" in rule for rule in site.rules("br0", "table=5")),
                  "no rule to that port")
            lab.run(site.netns, "ip", "link", "set", "p2", "up")
            assert site.pings("h4", "10.0.100.2")

            site.reload(TWO_VLANS.replace("ALLOWED", "1"))
            assert site.pings("h1", "10.0.200.2")
        assert "OFError" not in site.log


def test_a_stack_of_two_bridges_is_found_by_lldp(root: None, controllers: Path, ovs_ofctl: str,
                                                 tmp_path: Path) -> None:
    hosts = {"h1": ("p1", "10.0.0.1/24"), "h2": ("p2", "10.0.0.2/24")}
    with Lab() as lab, Site(lab, tmp_path, controllers, STACK, TWO_SWITCHES, hosts) as site:
        until(lambda: site.log.count("state UP") == 2, "both ends of the stack to be up")
        assert site.pings("h1", "10.0.0.2") and site.pings("h2", "10.0.0.1")
        until(lambda: any("meter:1" in rule and "n_packets=0" not in rule for rule in site.rules("one")),
              "packets that were metered")
        # Faucet may send a port's rules before the meter they name; its cold start mends that.
        faults = [line for line in site.log.splitlines() if "OFError" in line]
        assert not [line for line in faults if "OFPMMFC_INVALID_METER" not in line]
