"""Flow mods leave the same rules as in the reference, after random runs of adds, changes and deletions with
every filter: what is taken and what is refused, and each line of the dump, must agree.

A modify comes in OpenFlow 1.0 (with NXM), where as in ours it adds what it does not find; what later
versions alone can say is left out there.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from reference import Reference, Refused

import fastpath
from fastpath import FastpathError

N_RUNS, N_STEPS = 7, 25
MATCHES = (
    "", "ip", "tcp", "tcp,tp_dst=80", "udp", "in_port=1", "in_port=2", "in_port=1,ip", "ip,nw_dst=10.0.0.0/8",
    "ip,nw_dst=10.1.0.0/16", "ip,nw_dst=10.1.2.3", "dl_vlan=5", "vlan_tci=0x1000/0x1000",
    "dl_vlan=5,dl_vlan_pcp=3", "arp", "ipv6", "icmp6,icmp_type=135,nd_target=fe80::1", "reg0=1",
    "metadata=5", "tcp,tcp_flags=+syn", "dl_src=01:00:00:00:00:00/01:00:00:00:00:00", "in_port=LOCAL",
    "xreg0=7", "ct_state=+trk", "tun_id=5", "dl_type=0x1234", "mpls,mpls_label=3", "ip,nw_frag=later")
ACTIONS = (
    "drop", "output:1", "output:1,output:2", "NORMAL", "controller", "resubmit(,3)",
    "set_field:1->reg0,output:3", "LOCAL", "in_port", "all", "flood", "output:NXM_NX_REG0[]", "note:11",
    "output(port=2,max_len=100)", "clone(output:2)", "conjunction(3,1/2)", "set_queue:3,output:1")
LATER_ACTIONS = (
    "write_actions(output:2)", "goto_table:9", "clear_actions", "write_metadata:5/7",
    "write_actions(output:1,set_field:2->reg1)", "set_field:00:00:00:00:00:01->eth_src,output:2")
COMMANDS = {"add": ("add-flow",), "modify": ("mod-flows",), "modify_strict": ("--strict", "mod-flows"),
            "delete": ("del-flows",), "delete_strict": ("--strict", "del-flows")}
WEIGHTS = {"OpenFlow10": (8, 2, 2, 1, 2), "OpenFlow15": (8, 0, 0, 1, 2)}


class Draw:
    """Random flow mods; most of their terms meet again within a run."""

    def __init__(self, seed: int, version: str) -> None:
        self.r, self.version = random.Random(seed), version

    def maybe(self, chance: float, key: str, *values: object) -> list[str]:
        return [f"{key}={self.r.choice(values)}"] if self.r.random() < chance else []

    def flow_mod(self) -> tuple[str, str]:
        """A command and the flow it is given."""
        (command,) = self.r.choices(list(COMMANDS), WEIGHTS[self.version])
        terms = self.maybe(0.3, "table", 0, 1, 9)
        if command != "delete":
            terms += self.maybe(0.5, "priority", 0, 1, 100, 0x8000, 0xffff)
        terms.append(self.r.choice(MATCHES))
        if command != "add":
            terms += self.maybe(0.3, "cookie", "1/1", "2/2", "0x100/-1", "3/3", "5/0")
        if command.startswith("delete"):
            terms += self.maybe(0.3, "out_port", 1, 2, 3, "LOCAL", "controller", "none", "any", "in_port")
            return command, ",".join(filter(None, terms))
        terms += [*self.maybe(0.3, "cookie", 0, 1, 2, 3, 0x100),
                  *self.maybe(0.2, "idle_timeout", 10, 65535), *self.maybe(0.2, "hard_timeout", 10, 65535)]
        if self.version == "OpenFlow15":
            terms += [*self.maybe(0.2, "importance", 5), *self.maybe(0.1, "cookie", (1 << 64) - 1),
                      self.r.choice(("", "", "", "reset_counts", "no_packet_counts", "no_byte_counts"))]
        terms.append(self.r.choice(("", "", "", "send_flow_rem", "check_overlap")))
        actions = ACTIONS + (LATER_ACTIONS if self.version == "OpenFlow15" else ())
        return command, ",".join(filter(None, [*terms, "actions=" + self.r.choice(actions)]))


@pytest.fixture
def bridge(reference: Reference) -> Iterator[fastpath.Bridge]:
    reference.add_bridge("br0", "p1", "p2", "p3")
    try:
        with fastpath.Switch(seed=0) as switch:
            bridge = switch.add_bridge("br0")
            bridge.add_port("br0", number=0xFFFE)
            for name in ("p1", "p2", "p3"):
                bridge.add_port(name)
            yield bridge
    finally:
        reference.vsctl("del-br", "br0")


def ours(bridge: fastpath.Bridge, command: str, flow: str) -> str:
    """What we have against a flow mod, "" if nothing."""
    try:
        if command == "add":
            bridge.add_flow(flow)
        else:
            do = bridge.mod_flows if command.startswith("modify") else bridge.del_flows
            do(flow, strict=command.endswith("strict"))
    except FastpathError as error:
        return str(error)
    return ""


def theirs(reference: Reference, version: str, command: str, flow: str) -> str:
    """What the reference has against it."""
    try:
        reference._run("ovs-ofctl", "-O", version, *COMMANDS[command], reference.bridge_target("br0"), flow)
    except Refused as refused:
        return str(refused)
    return ""


def lines(text: str) -> list[str]:
    """Lines of a dump in no order; in OpenFlow 1.0 every flow mod resets the counts, said or not."""
    return sorted(line.strip().replace("reset_counts ", "") for line in text.splitlines() if line.strip())


@pytest.mark.parametrize("version", WEIGHTS)
def test_a_run_of_flow_mods_leaves_the_same_rules(reference: Reference, bridge: fastpath.Bridge, more: int,
                                                  version: str) -> None:
    for seed in range(N_RUNS * more):
        draw, told = Draw(seed, version), []
        reference._run("ovs-ofctl", "-O", "OpenFlow15", "del-flows", reference.bridge_target("br0"))
        bridge.del_flows()
        for _ in range(N_STEPS):
            command, flow = draw.flow_mod()
            told.append(f"{command} {flow}")
            us, them = ours(bridge, command, flow), theirs(reference, version, command, flow)
            assert bool(us) == bool(them), "\n".join([*told, f"ours: {us}", f"the reference: {them}"])
        dump = reference._run("ovs-ofctl", "-O", "OpenFlow15", "dump-flows", "--no-stats",
                              reference.bridge_target("br0"))
        assert lines(bridge.dump_flows(stats=False)) == lines(dump), "\n".join(told)
