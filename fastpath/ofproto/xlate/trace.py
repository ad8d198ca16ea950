"""What a translation did and why, as a tree and as the text ``ofproto/trace`` prints.

Translation calls ``report`` at every step; it costs one comparison when nobody listens.  A node's
children are what happened because of it.  Besides its text a TABLE node has its table, rule and the mask
bits its lookup un-wildcarded, an ACTION node the members of the flow it changed and the bits it
un-wildcarded, so that a program can ask what a person reads.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING

from fastpath._flow import FlowKey
from fastpath.dpif.actions import OdpActions
from fastpath.tlv import Options
from fastpath.value import field, record, value

if TYPE_CHECKING:
    from fastpath.ofproto.actions.ct import Nat
    from fastpath.ofproto.xlate.context import BridgeView, RuleView, Xlate, XlateError, XlateOut


class Kind(Enum):
    """What a node tells of."""

    BRIDGE = "bridge"
    TABLE = "table"
    BUCKET = "bucket"
    THAW = "thaw"
    ACTION = "action"
    DETAIL = "detail"
    WARN = "warn"
    ERROR = "error"


_log = logging.getLogger("fastpath.ofproto_dpif_xlate")
_log.addHandler(logging.NullHandler())
# How the reference sets off a node's text.
_FORM = {Kind.DETAIL: " -> {}", Kind.WARN: " >> {}", Kind.ERROR: " >>>> {} <<<<"}
# Kinds that are indented even when last among their siblings: nothing goes on below them at their level.
_TERMINAL = frozenset((Kind.ACTION, Kind.DETAIL, Kind.WARN, Kind.ERROR, Kind.BUCKET))
_RULE = "=" * 79
_EXPLANATION = {                            # of slow-path reasons, in the order they are printed
    "cfm": "Consists of CFM packets", "bfd": "Consists of BFD packets", "lacp": "Consists of LACP packets",
    "stp": "Consists of STP packets", "lldp": "Consists of LLDP packets",
    "action": "Uses action(s) not supported by datapath",
    "match": "Datapath can't match specifically enough",
}


@value
class Change:
    """A member of the flow key that a step changed."""

    member: str
    old: int
    new: int


@record
class Node:
    """One step.  *unwildcarded* is (member, mask bits) first looked at in this step; *key* is what a TABLE
    node looked up in a table of *bridge*."""

    kind: Kind
    text: str
    children: list[Node] = field(default_factory=list)
    table_id: int | None = None
    rule: RuleView | None = None
    changes: tuple[Change, ...] = ()
    unwildcarded: tuple[tuple[str, int], ...] = ()
    bridge: BridgeView | None = None
    key: FlowKey | None = None

    def add(self, kind: Kind, text: str) -> Node:
        """A new child, the last."""
        node = Node(kind, text)
        self.children.append(node)
        return node

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in the order they happened."""
        yield self
        for child in self.children:
            yield from child.walk()


@value
class Fork:
    """A copy that conntrack will bring back: its id, its flow as it left, the nat it goes through."""

    recirc_id: int
    flow: FlowKey
    nat: Nat | None


@value
class Resumed:
    """What became of a fork.  *head* is what is told before the trace: how it was resumed."""

    fork: Fork
    head: str
    trace: Trace


@record
class Trace:
    """One translation told.  Filled by ``translate`` when given as ``XlateIn.trace``; what comes of its
    *forks* is added by ``retrace`` as *resumed*, for them and for the forks of those."""

    flow: FlowKey = field(default_factory=FlowKey)
    root: Node = field(default_factory=lambda: Node(Kind.BRIDGE, ""))      # its children are the top level
    final: FlowKey = field(default_factory=FlowKey)
    mask: FlowKey = field(default_factory=FlowKey)
    actions: OdpActions = ()
    slow: frozenset[str] = frozenset()
    error: XlateError | None = None
    forks: list[Fork] = field(default_factory=list)
    resumed: list[Resumed] = field(default_factory=list)
    options: Options = field(default_factory=dict)      # of the bridge the packet came in by
    odp_ports: Mapping[int, str] | None = None          # names by odp_port, to tell ports by name
    ports: Mapping[int, str] | None = None              # then the names by ofp_port where it came in

    def finish(self, out: XlateOut) -> None:
        """Take over the answer."""
        self.final, self.mask, self.actions = out.final, out.mask.copy(), out.actions
        self.slow, self.error = out.slow, out.error

    def nodes(self) -> Iterator[Node]:
        """All steps in the order they happened."""
        for child in self.root.children:
            yield from child.walk()

    def passes(self) -> list[Trace]:
        """This translation and those of the recirculated copies, in the order they are told."""
        return [self, *(resumed.trace for resumed in self.resumed)]

    def steps(self) -> list[Node]:
        """The table lookups, in order, of all passes."""
        return [n for p in self.passes() for n in p.nodes() if n.kind is Kind.TABLE]

    @property
    def rules(self) -> list[RuleView]:
        """The rules that were hit, in order."""
        return [n.rule for n in self.steps() if n.rule is not None]

    def why(self, limit: int = 3) -> str:
        """What each lookup looked at, and the *limit* nearest rules that it missed, and for what."""
        from fastpath.ofproto.xlate.why import explain_lookups
        return explain_lookups(self, limit)

    def format(self) -> str:
        """Text as ``ofproto/trace`` prints it."""
        from fastpath import flowtext
        from fastpath.dpif import odptext
        ports = self.ports
        lines = [f"Flow: {flowtext.format_flow(self.flow, ports=ports, options=self.options)}"]
        _print(self.root.children, 0, lines)
        same = self.final == self.flow
        final = "unchanged" if same else flowtext.format_flow(self.final, ports=ports, options=self.options)
        lines.append(f"\nFinal flow: {final}")
        asked = self.flow.masked(self.mask)
        lines.append("Megaflow: "
                     + flowtext.format_megaflow(asked, self.mask, ports=ports, options=self.options))
        lines.append(f"Datapath actions: {odptext.format_actions(self.actions, self.odp_ports)}")
        if self.error is not None:
            lines.append(f"Translation failed ({self.error.value}), packet is dropped.\n")
        elif self.slow:
            lines.append("This flow is handled by the userspace slow path because it:")
            lines += [f"  - {text}." for reason, text in _EXPLANATION.items() if reason in self.slow]
        told = "\n".join(lines)
        for resumed in self.resumed:
            told += f"\n\n{_RULE}\n{resumed.head}\n{_RULE}\n\n{resumed.trace.format()}"
        return told

    def __str__(self) -> str:
        return self.format()


def _print(nodes: list[Node], level: int, lines: list[str]) -> None:
    for i, node in enumerate(nodes):
        more = i + 1 < len(nodes) or node.kind in _TERMINAL
        indent = " " * 4 * (level + more)
        if node.kind is Kind.BRIDGE:
            lines += ["", indent + node.text, indent + "-" * len(node.text)]
        else:
            lines.append(indent + _FORM.get(node.kind, "{}").format(node.text))
        _print(node.children, level + 2 * more, lines)


def port_names(x: Xlate) -> Mapping[int, str] | None:
    """Names of the ports of the bridge in hand by ofp_port, if ports are to be told by name."""
    trace = x.env.trace
    if trace is None or trace.odp_ports is None:
        return None
    return {port.ofp_port: port.name for port in x.hand.bridge.ports()}


def report(x: Xlate, kind: Kind, text: str) -> Node | None:
    """Add a step under the current one; None when nobody listens.  An error then goes to the log, if it is
    a packet's."""
    if x.node is not None:
        return x.node.add(kind, text)
    if kind is Kind.ERROR and x.env.packet is not None and x.env.trace is None:
        from fastpath import flowtext
        flow = flowtext.format_flow(x.hand.base, options=x.env.bridge.options)
        _log.warning("%s on bridge %s while processing %s", text, x.hand.bridge.name, flow)
    return None


def changes_of(old: FlowKey, new: FlowKey) -> tuple[Change, ...]:
    """Members that differ."""
    before, after = dict(old.items()), dict(new.items())
    return tuple(Change(name, before.get(name, 0), after.get(name, 0))
                 for name in {**before, **after} if before.get(name, 0) != after.get(name, 0))


def bits_added(old: FlowKey, new: FlowKey) -> tuple[tuple[str, int], ...]:
    """Members of mask *new* with bits that *old* lacks, and those bits."""
    before = dict(old.items())
    return tuple((name, bits & ~before.get(name, 0)) for name, bits in new.items()
                 if bits & ~before.get(name, 0))
