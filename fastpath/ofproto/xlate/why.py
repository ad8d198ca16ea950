"""Why a lookup ended as it did: what it looked at, and which rules would have matched, but for what.

Works on the TABLE nodes of a trace, which keep the key that was looked up, and on the tables as they are
when asked.  Only rules that would have been preferred are told of: those of higher priority than the one
found.  The fewer fields keep a rule from matching, the nearer it was, where another protocol counts as
several fields; among equals the higher priority goes first.  Takes time in proportion to the rules of the
table.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from fastpath import flowtext
from fastpath._flow import WINDOWS, FlowKey
from fastpath.ofproto.actions.conjunction import Conjunction
from fastpath.ofproto.xlate.context import RuleView
from fastpath.ofproto.xlate.trace import Node, Trace
from fastpath.tlv import Options
from fastpath.value import value

_ICMPV6 = 58
# What says which protocol a packet is of: the text of other fields depends on it.
_PROTOCOL = ("packet_type", "dl_type", "nw_proto")
_WEIGHT = {"packet_type": 8, "dl_type": 4, "nw_proto": 2}


@value
class Difference:
    """Bits of one member of the flow key in which a packet is not what a rule wants."""

    member: str
    bits: int
    wanted: int
    had: int


@value
class NearMiss:
    """A rule that would have matched, but for *differences*; *wanted* and *had* are the same as text."""

    rule: RuleView
    differences: tuple[Difference, ...]
    wanted: str
    had: str

    def __str__(self) -> str:
        match = str(self.rule.match)
        return (f"priority={self.rule.priority}{',' if match else ''}{match} wants {self.wanted}, "
                f"the packet has {self.had}")


def near_misses(node: Node, limit: int = 3) -> list[NearMiss]:
    """The *limit* nearest of the rules that were missed in the lookup *node* tells of."""
    if node.bridge is None or node.key is None or node.table_id is None:
        return []
    floor = node.rule.priority if node.rule is not None else -1
    key = node.key
    found: list[tuple[tuple[int, int, int], RuleView, tuple[Difference, ...]]] = []
    for rule in node.bridge.rules_of(node.table_id):
        if rule.priority > floor and not any(isinstance(a, Conjunction) for a in rule.actions):
            differences = tuple(_differences(rule, key))
            if differences:
                distance = sum(_WEIGHT.get(d.member, 1) for d in differences)
                found.append(((distance, -rule.priority, len(found)), rule, differences))
    nearest = heapq.nsmallest(limit, found, key=lambda one: one[0])
    return [NearMiss(rule, differences, *_texts(rule, key, differences)) for _, rule, differences in nearest]


def _differences(rule: RuleView, key: FlowKey) -> Iterator[Difference]:
    mask, wanted = rule.match.mask, rule.match.key
    for member, bits in mask.items():
        window = WINDOWS[member]
        want, had = wanted.get(window) & bits, key.get(window) & bits
        if want != had:
            yield Difference(member, want ^ had, want, had)


def _texts(rule: RuleView, key: FlowKey, differences: tuple[Difference, ...]) -> tuple[str, str]:
    """What differs as flow text: what is wanted, what the packet has."""
    names, options = {d.member for d in differences}, rule.match.options
    if "tun_opts" in names:
        names.add("tun_opt_map")        # which says whose bytes they are
    protocol, asked = FlowKey(), FlowKey()
    context = _PROTOCOL + (("tp_src", "tp_dst") if rule.match.key.nw_proto == _ICMPV6 else ())
    for member, bits in rule.match.mask.items():
        if member in context and member not in names:
            protocol.set(WINDOWS[member], bits)
        if member in context or member in names:
            asked.set(WINDOWS[member], bits)
    wanted = _text(rule.match.key, protocol, asked, options)
    if names & {"packet_type", "dl_type"}:      # of another protocol, the packet has none of these fields
        return wanted, _terms(key, asked, options)[0]
    return wanted, _text(key, protocol, asked, options)


def _text(key: FlowKey, protocol: FlowKey, asked: FlowKey, options: Options) -> str:
    known, terms = set(_terms(key, protocol, options)), _terms(key, asked, options)
    return ",".join(term for term in terms if term not in known) or terms[-1]


def _terms(key: FlowKey, mask: FlowKey, options: Options) -> list[str]:
    return flowtext.format_match(key.masked(mask), mask, options=options).split(",")


def explain_lookup(node: Node, limit: int = 3) -> list[str]:
    """Lines about one lookup: what was found, the bits first looked at, the rules missed."""
    rule = node.rule
    took = "no rule matched" if rule is None else ",".join(
        text for text in (f"priority={rule.priority}", str(rule.match)) if text)
    out = [f"table {node.table_id}: {took}"]
    if node.unwildcarded:
        bits = ", ".join(f"{member}/{_bits(member, bits)}" for member, bits in node.unwildcarded)
        out.append(f"    looked at {bits}")
    return [*out, *(f"    missed {missed}" for missed in near_misses(node, limit))]


def _bits(member: str, bits: int) -> str:
    window = FlowKey()
    window.fill(WINDOWS[member])
    return "all" if bits == window.get(WINDOWS[member]) else f"{bits:#x}"


def explain_lookups(trace: Trace, limit: int = 3) -> str:
    """All lookups of *trace*, of all its passes, told line by line."""
    return "\n".join(line for node in trace.steps() for line in explain_lookup(node, limit))
