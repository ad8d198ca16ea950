"""Who may talk to whom?  A switch with VLANs and an access list, asked with real packets, in memory.

Builds the network of a small office, lets every host try every service of every other one, and prints
what got through as a table, and for what did not, the rule that stopped it.  No root, no devices.

    python examples/acl_lab.py
"""

from __future__ import annotations

from dataclasses import dataclass

import fastpath
from fastpath.testing import frame

RULES = """
# table 0: the access list; what it lets pass goes on to table 1
table=0,priority=200,arp                              actions=goto_table:1
table=0,priority=150,tcp,tp_dst=23                    actions=drop
table=0,priority=120,tcp,nw_dst=10.0.0.4,tp_dst=443   actions=goto_table:1
table=0,priority=110,tcp,nw_dst=10.0.0.4              actions=drop
table=0,priority=100,udp,tp_dst=53                    actions=goto_table:1
table=0,priority=90,udp                               actions=drop
table=0,priority=0                                    actions=goto_table:1
# table 1: an ordinary learning switch
table=1,priority=0                                    actions=NORMAL
"""


@dataclass(frozen=True)
class Host:
    """One host: its number makes its addresses (MAC 02:..:0n, IP 10.0.0.n)."""

    name: str
    number: int
    vlan: int


@dataclass(frozen=True)
class Service:
    """What hosts try to reach."""

    name: str
    kind: str
    port: int


HOSTS = [Host("alice", 1, 10), Host("bob", 2, 10), Host("carol", 3, 20), Host("server", 4, 10)]
SERVICES = [Service("web", "tcp", 443), Service("telnet", "tcp", 23), Service("ssh", "tcp", 22),
            Service("dns", "udp", 53), Service("ntp", "udp", 123)]


def build(switch: fastpath.Switch) -> dict[Host, fastpath.Port]:
    """The office: an access port for each host, in its VLAN."""
    bridge = switch.add_bridge("office")
    ports = {host: bridge.add_port(host.name, tag=host.vlan) for host in HOSTS}
    bridge.add_flows(RULES, name="RULES")
    for host, port in ports.items():        # everybody has been heard once, so nothing is flooded
        bridge.inject(port, frame("arp", src=host.number, dst="ff:ff:ff:ff:ff:ff"))
    return ports


def reaches(ports: dict[Host, fastpath.Port], source: Host, target: Host, service: Service) -> bool:
    """Whether a packet from *source* to a service of *target* arrives there."""
    packet = frame(service.kind, src=source.number, dst=target.number, dport=service.port)
    out = ports[source].bridge.inject(ports[source], packet)
    return out.get(ports[target], []) == [packet]


def why_not(ports: dict[Host, fastpath.Port], source: Host, target: Host, service: Service) -> str:
    """The last rule that looked at the packet, as the switch explains it."""
    packet = frame(service.kind, src=source.number, dst=target.number, dport=service.port)
    trace = ports[source].bridge.trace(packet, in_port=ports[source])
    return trace.steps()[-1].text.strip()


def main() -> int:
    """Print the table and the reasons."""
    with fastpath.Switch(seed=0) as switch:
        ports = build(switch)
        print(f"{'from -> to':<18}" + "".join(f"{service.name:>8}" for service in SERVICES))
        reasons: dict[str, list[str]] = {}
        for source in HOSTS:
            for target in HOSTS:
                if source is target:
                    continue
                cells = []
                for service in SERVICES:
                    passes = reaches(ports, source, target, service)
                    cells.append("yes" if passes else "-")
                    if not passes:
                        what = f"{service.name} from {source.name} to {target.name}"
                        reasons.setdefault(why_not(ports, source, target, service), []).append(what)
                print(f"{source.name + ' -> ' + target.name:<18}" + "".join(f"{cell:>8}" for cell in cells))
        print("\nwhat stopped the others:")
        for rule, cases in sorted(reasons.items()):
            print(f"  {rule}\n    {len(cases)} cases, such as {cases[0]}")
        stats = switch.stats()
        print(f"\n{stats.upcalls.n_miss} packets were translated, {stats.datapath.n_hit} went by megaflow")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
