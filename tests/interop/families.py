"""Families of generated sets: what the big differential run compares, kind by kind, and on which bridges.

A set is rules, for one bridge or for two that are joined, and what is then asked of them, step by step.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import action_sets
import wide_sets
from conjunction_sets import case as conjunction_case
from ct_rules import CtMaker
from frame_sets import FrameMaker
from group_sets import GroupMaker
from learn_sets import case as learn_case
from pair import Pair
from rule_sets import Case, Maker

N_STEPS = 20                                        # of each set of tables
_MIXED = (action_sets.queue, action_sets.sample, action_sets.truncated, action_sets.check_pkt_larger)


@dataclass(frozen=True)
class Step:
    """One question: a flow with the states conntrack finds it in; with *generate* its side effects happen.  A
    *frame* takes the place of the flow, but for its port; *actions* make it a packet-out."""

    flow: str
    ct_next: tuple[str, ...] = ()
    generate: bool = False
    frame: bytes = b""
    actions: str | None = None


@dataclass(frozen=True)
class Set:
    """Tables for *bridge*, with groups they need and, *far*, tables of the bridge beyond its patch."""

    seed: int
    version: str
    rules: tuple[str, ...]
    steps: tuple[Step, ...]
    groups: tuple[str, ...] = ()
    bridge: str = "br0"
    far: tuple[str, ...] = ()
    far_version: str = "OpenFlow15"
    unordered: bool = False                         # each side floods in an order of its own
    first_pass: bool = False                        # the reference cannot follow what conntrack brings back
    learns: bool = False                            # what a step learned is there in the next
    masks: bool = True                              # compare them where nothing was learned


def _plain(case: Case, **more: object) -> Set:
    return Set(case.seed, case.version, case.rules, tuple(map(Step, case.packets)),
               **more)                              # type: ignore[arg-type]


def _tables(seed: int) -> Set:
    return _plain(Maker(seed).case(N_STEPS))


def _conntrack(seed: int) -> Set:
    made = CtMaker(seed).ct_case(N_STEPS)
    return Set(seed, made.version, made.rules, tuple(Step(*packet) for packet in made.packets))


def _groups(seed: int) -> Set:
    made = GroupMaker(seed).case(N_STEPS)
    return _plain(made.case, groups=made.groups)


def _balance(seed: int) -> Set:
    return _plain(action_sets.case(seed, (action_sets.multipath, action_sets.bundle), N_STEPS))


def _mixed(seed: int) -> Set:
    return _plain(action_sets.mixed_case(seed, _MIXED, N_STEPS))


def _action_sets(seed: int) -> Set:
    return _plain(action_sets.action_set_case(seed))


def _conjunctions(seed: int) -> Set:
    return _plain(conjunction_case(seed, N_STEPS))


def _learn(seed: int) -> Set:
    made, random = learn_case(seed, N_STEPS), Random(seed)
    steps = tuple(Step(packet, generate=random.random() < 0.7) for packet in made.packets)
    # Learned rules mostly have one priority, and overlap: the mask follows from the order of subtables.
    return Set(seed, made.version, made.rules, steps, bridge="br6", learns=True, masks=False)


def _patched(seed: int) -> Set:
    made, random = Maker(seed).case(N_STEPS), Random(seed)
    beyond = CtMaker(seed).ct_case(0) if random.random() < 0.3 else Maker(seed + 100_000).case(0)
    if "ct(" in "".join(beyond.rules):                    # a forking ct and an action set: not together
        rules = tuple(rule.replace("write_actions(", "clone(") for rule in made.rules)
        made = Case(seed, made.version, rules, made.packets)
    return _plain(made, bridge="br2", far=beyond.rules, far_version=beyond.version)


def _wrapped(seed: int) -> Set:
    return _plain(wide_sets.wrapped_case(seed, N_STEPS), bridge="br2", far=("actions=IN_PORT,NORMAL",))


def _stacks(seed: int) -> Set:
    return _plain(wide_sets.stack_case(seed, N_STEPS))


def _nested(seed: int) -> Set:
    return _plain(wide_sets.nested_case(seed, N_STEPS))


def _vlans(seed: int) -> Set:
    made, random = wide_sets.vlan_case(seed, N_STEPS), Random(seed)
    steps = tuple(Step(packet, generate=random.random() < 0.7) for packet in made.packets)
    return Set(seed, made.version, made.rules, steps, bridge="br4", unordered=True, learns=True)


def _tunnels(seed: int) -> Set:
    return _plain(wide_sets.tunnel_case(seed, N_STEPS), bridge="br5")


def _frames(seed: int) -> Set:
    maker, frames = Maker(seed), FrameMaker(seed)
    maker.normal = False                            # what one frame taught is another answer to the next
    made = maker.case(0)
    steps = tuple(Step(f"in_port={maker.pick(*maker.ports)}", generate=True, frame=frames.frame())
                  for _ in range(N_STEPS))
    return Set(seed, made.version, made.rules, steps)


def _packet_outs(seed: int) -> Set:
    maker = (Maker if seed % 3 else CtMaker)(seed)
    made = maker.case(N_STEPS)
    lists = [re.sub(r",?(write_actions|write_metadata|goto_table|clear_actions|drop|note).*", "",
                    rule.partition(" actions=")[2]) for rule in made.rules]
    lists = [actions for actions in lists if actions] or ["resubmit(,0)"]
    rules = tuple(rule.replace("write_actions(", "clone(") for rule in made.rules)
    steps = tuple(Step(packet, actions=maker.pick(*lists)) for packet in made.packets)
    return Set(seed, "OpenFlow15" if "clone(" in "".join(rules) else made.version, rules, steps,
               first_pass=True)


@dataclass(frozen=True)
class Family:
    """What the tables of a family hold, what makes them, and how often its turn comes."""

    what: str
    make: Callable[[int], Set]
    weight: int = 1


FAMILIES: dict[str, Family] = {
    "tables":       Family("fields, masks, rewrites, VLAN, MPLS, registers, stack, resubmit, NORMAL", _tables,
                           3),
    "conntrack":    Family("ct, nat, ct_clear, resubmit(ct); copies followed in up to three states",
                           _conntrack, 3),
    "groups":       Family("all, select, indirect and fast failover, chained, with dp_hash", _groups, 2),
    "balance":      Family("multipath, bundle, bundle_load", _balance),
    "mixed":        Family("queues, sample, output with max_len, check_pkt_larger", _mixed),
    "action sets":  Family("write_actions of every kind, clear_actions", _action_sets),
    "conjunctions": Family("conjunctive matches of up to four clauses, rules between", _conjunctions),
    "learn":        Family("learn, its rules found by later packets, limits, results", _learn, 2),
    "patched":      Family("two bridges, each with tables of its own, conntrack beyond", _patched, 2),
    "wrapped":      Family("encap, decap, NSH, MPLS as headers; ports that lead to a patch", _wrapped, 2),
    "stacks":       Family("tags and labels pushed and popped, deeper than a datapath goes", _stacks, 2),
    "nested":       Family("clones, samples and length checks in each other, goto chains with metadata",
                           _nested),
    "vlans":        Family("NORMAL between ports of all VLAN modes, addresses learned on the way", _vlans),
    "tunnels":      Family("tunnel ports, set and matched tunnel members, GBP, ERSPAN", _tunnels, 2),
    "frames":       Family("frames cut short, fragments, extension headers, odd types", _frames, 2),
    "packet-outs":  Family("lists of actions instead of a table, refused ones too", _packet_outs),
}


def lay_out(pair: Pair) -> None:
    """Make the bridges that sets are for, in both switches.  Both read two VLAN tags of a frame."""
    pair.ref.vsctl("set", "Open_vSwitch", ".", "other_config:vlan-limit=2")
    pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3})
    pair.add_bridge("br2", {"p4": 4, "p5": 5})
    pair.add_bridge("br3", {"p6": 6, "p7": 7})
    pair.patch("br2", "br3", 3)
    n = len(wide_sets.VLAN_PORTS)
    vlans = pair.add_bridge("br4", {f"p{20 + i}": 20 + i for i in range(n)})
    for i, (ours, theirs) in enumerate(wide_sets.VLAN_PORTS):
        vlans.port(f"p{20 + i}").set(**ours)        # type: ignore[arg-type]
        pair.ref.vsctl("set", "port", f"p{20 + i}", *theirs)
    pair.add_bridge("br5", {"p31": 31, "p32": 32, "p33": 33})
    # A bridge of its own: with learned rules the reference may still delete others of their cookie later on.
    pair.add_bridge("br6", {"p41": 41, "p42": 42, "p43": 43})
    pair.ref.appctl("dpif/set-dp-features", "br5", "tnl_push_pop", "false")
    pair.add_tunnels("br5", wide_sets.TUNNELS)
    time.sleep(0.1)
