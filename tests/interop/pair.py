"""The same bridges in the reference and in a Switch, and traces of both compared to the letter.

What is a mere handle is renamed on both sides: recirculation ids count up in the reference over its whole
life, and datapath ports have the numbers each side gave them.  Beyond a patch port the reference does not
recognise that no rule was found and prints the hidden rule it uses then (``FOREIGN_MISS``); we say "No
match." there too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import re
import time
from collections.abc import Iterable, Iterator

import pytest
from reference import Reference, Refused, available
from rule_sets import Case

import fastpath
from fastpath.dpif import actions as odp
from fastpath.ofproto.actions.versions import OF15, as_version
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.group import GroupMod
from fastpath.ofproto.group_text import parse_group_mod
from fastpath.ofproto.xlate.trace import Trace

LOCAL = 0xFFFE
OF_VERSION = {"OpenFlow10": 1, "OpenFlow13": 4, "OpenFlow15": 6}
FOREIGN_MISS = re.compile(r"(?<=\d\. )reg0=0x2, priority 0$", re.M)


def set_rules(bridge: fastpath.Bridge, case: Case) -> None:
    """Give *bridge* the rules as a switch has them that was sent them in the case's OpenFlow version."""
    bridge.del_flows()
    for rule in case.rules:
        mod = parse_flow(rule, "add")
        actions = as_version(mod.actions, OF_VERSION[case.version], mod.match)
        bridge.add_flow(dataclasses.replace(mod, actions=actions))


def renumbered(actions: odp.OdpActions, numbers: dict[int, int]) -> odp.OdpActions:
    """*actions* with the datapath port numbers of the other side."""
    out: list[odp.OdpAction] = []
    for a in actions:
        if isinstance(a, odp.Output):
            a = odp.Output(numbers[a.port])
        elif isinstance(a, (odp.Clone, odp.Sample)):
            a = dataclasses.replace(a, actions=renumbered(a.actions, numbers))
        elif isinstance(a, odp.CheckPktLen):
            a = odp.CheckPktLen(a.size, renumbered(a.greater, numbers), renumbered(a.less_equal, numbers))
        elif isinstance(a, odp.Userspace) and isinstance(a.userdata, odp.FlowSample):
            port = numbers.get(a.userdata.output_port, odp.NO_PORT)
            a = odp.Userspace(dataclasses.replace(a.userdata, output_port=port))
        out.append(a)
    return tuple(out)


def lines(text: str) -> list[str]:
    """Lines of a trace with its recirculation ids replaced by their turn.

    The IPv6 label has 20 bits in a member of 32; an exact match shows its mask or not as it came to be.
    """
    text = re.sub(r"(ipv6_label=0x[0-9a-f]+)/0xfffff", r"\1", text)
    ids: dict[str, str] = {}

    def rename(m: re.Match[str]) -> str:
        return m.group(1) + ids.setdefault(str(int(m.group(2), 0)), f"id{len(ids) + 1}")

    return re.sub(r"(recirc\(|recirc_id=)(0x[1-9a-f][0-9a-f]*|[1-9][0-9]*)", rename, text).splitlines()


def sent(gm: GroupMod) -> GroupMod:
    """*gm* with actions as they arrive over OpenFlow 1.5."""
    return dataclasses.replace(gm, buckets=tuple(dataclasses.replace(
        b, actions=tuple(new for a in b.actions for new in as_version((a,), OF15))) for b in gm.buckets))


@dataclasses.dataclass
class Pair:
    """The same bridges in both switches; *numbers* maps our datapath ports to the reference's."""

    ref: Reference
    switch: fastpath.Switch
    numbers: dict[int, int]
    n_traces: int = 0

    def add_bridge(self, name: str, ports: dict[str, int], local_odp: int | None = None) -> fastpath.Bridge:
        """A bridge with LOCAL and dummy ports; *ports* maps their names to the reference's numbers."""
        self.ref.add_bridge(name, *ports)
        bridge = self.switch.add_bridge(name)
        bridge.add_port(name, number=LOCAL)
        for port in ports:
            bridge.add_port(port)
        local = self.shown(name) if local_odp is None else local_odp
        for port, odp_port in {name: local, **ports}.items():
            ours = bridge.ofproto.port_named(port).odp_port
            assert ours is not None
            self.numbers[ours] = odp_port
        return bridge

    def text(self, trace: Trace) -> list[str]:
        for one in trace.passes():
            one.actions = renumbered(one.actions, self.numbers)
        return lines(str(trace))

    def add_patched_bridges(self) -> None:
        """Bridges br0 and br1 with dummy ports 1 and 2 each, joined by their ports 3."""
        for name, ports, local in (("br0", {"p1": 1, "p2": 2}, 100), ("br1", {"p4": 4, "p5": 5}, 101)):
            self.add_bridge(name, ports, local)
        self.patch("br0", "br1", 3)

    def patch(self, one: str, other: str, number: int) -> None:
        """Join two bridges by ports of this number."""
        for name, peer in ((one, other), (other, one)):
            self.ref.vsctl("add-port", name, f"to-{peer}", "--", "set", "interface", f"to-{peer}",
                           "type=patch", f"options:peer=to-{name}", f"ofport_request={number}")
            self.switch[name].add_patch(f"to-{peer}", peer=f"to-{name}", number=number)

    def add_tunnels(self, name: str, tunnels: Iterable[tuple[str, str, int, dict[str, str]]]) -> None:
        """Tunnel ports of a bridge: name, type, number, options; real ones in the reference."""
        bridge = self.switch[name]
        for port_name, kind, number, options in tunnels:
            self.ref.vsctl("add-port", name, port_name, "--", "set", "interface", port_name, f"type={kind}",
                           f"ofport_request={number}", *(f"options:{key}={options[key]}" for key in options))
            port = bridge.add_tunnel(port_name, kind, number=number, **options)
            assert port.of.odp_port is not None
            self.numbers[port.of.odp_port] = self.shown(port_name)

    def shown(self, port: str) -> int:
        """Datapath number of a port of the reference."""
        found = re.search(rf"^ +{port} \d+/(\d+):", self.ref.appctl("dpif/show"), re.M)
        assert found is not None, port
        return int(found.group(1))

    def reference_text(self, bridge: str, packet: str, ct_next: tuple[str, ...] = ()) -> list[str]:
        options = [word for flags in ct_next for word in ("--ct-next", flags)]
        return lines(FOREIGN_MISS.sub("No match.", self.ref.trace(bridge, packet, *options)))

    def agree_generated(self, bridge: str, packet: str, rules: tuple[str, ...]) -> None:
        """Assert that both do the same with *packet*, side effects and all, and say so."""
        ours = self.text(self.switch[bridge].trace(packet, generate=True))
        theirs = lines(self.ref.trace(bridge, packet, "-generate"))
        # Rules learned from this very packet are not found yet, but widen the reference's mask already.
        ours, theirs = ([line for line in text if "Megaflow" not in line] for text in (ours, theirs))
        self.assert_equal(ours, theirs, packet, rules)

    def agree(self, bridge: str, packet: str, rules: tuple[str, ...], ct_next: tuple[str, ...] = ()) -> Trace:
        """Assert that both say the same of *packet*, conntrack finding it in the states *ct_next*; return our
        trace, its ports renumbered."""
        self.n_traces += 1
        trace = self.switch[bridge].trace(packet, ct_next=ct_next)
        ours = self.text(trace)
        theirs = self.reference_text(bridge, packet, ct_next)
        if ours != theirs:
            # The reference lets go of replaced rules a moment after it was told to, and until then their
            # masks still count: ask again.
            time.sleep(0.25)
            theirs = self.reference_text(bridge, packet, ct_next)
        self.assert_equal(ours, theirs, f"{packet} {ct_next}", rules)
        return trace

    @staticmethod
    def assert_equal(ours: list[str], theirs: list[str], packet: str, rules: tuple[str, ...]) -> None:
        assert ours == theirs, "\n".join([f"trace of {packet}", *rules, *difflib.unified_diff(
            theirs, ours, "reference", "ours", n=2, lineterm="")])

    def compare(self, bridge: str, case: Case) -> bool:
        """Compare all packets of *case*; False when the reference does not take its rules."""
        try:
            self.ref.set_flows(bridge, list(case.rules), case.version)
        except Refused:
            return False
        set_rules(self.switch[bridge], case)
        for packet in case.packets:
            self.agree(bridge, packet, case.rules)
        return True


def set_groups(pair: Pair, bridge: str, groups: tuple[str, ...]) -> None:
    """Give both sides these groups and no others, and no rules.

    Rules go first: the reference dies of deleting several groups that one rule names.
    """
    target = pair.ref.bridge_target(bridge)
    pair.ref.ofctl("del-flows", target)
    pair.ref.ofctl("del-groups", target)
    pair.ref._run("ovs-ofctl", "-O", "OpenFlow15", "--bundle", "add-groups", target, "-",
                  text="\n".join(groups) + "\n")
    pair.switch[bridge].del_groups()
    for group in groups:
        pair.switch[bridge].add_group(sent(parse_group_mod(group)))


@contextlib.contextmanager
def tunnel_pair(tunnels: Iterable[tuple[str, str, int, dict[str, str]]], *, strict: bool = False
                ) -> Iterator[Pair]:
    """A bridge br0 with dummy ports 1 to 3 and *tunnels*: name, type, number and options, real ones in the
    reference."""
    if not available():
        pytest.skip("the reference switch is not installed")
    with Reference(override=False) as ref, fastpath.Switch(seed=1, strict=strict) as switch:
        both = Pair(ref, switch, {})
        both.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3}, 100)
        ref.appctl("dpif/set-dp-features", "br0", "tnl_push_pop", "false")
        both.add_tunnels("br0", tunnels)
        time.sleep(0.1)
        yield both


@pytest.fixture
def pair(reference: Reference) -> Iterator[Pair]:
    with fastpath.Switch(seed=1) as switch:
        both = Pair(reference, switch, {})
        try:
            yield both
        finally:
            for bridge in list(switch):
                reference.vsctl("del-br", bridge.name)
