"""Actions of one flow as ``dpctl normalize-actions`` writes them, so that two lists can be compared.

Which tags a packet has when something is done to it is what counts, not how it came by them: actions are
grouped by the tags, and outputs that follow each other stand in order.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

from fastpath._flow import FlowKey
from fastpath.dpif.actions import OdpAction, OdpActions, Output, PopVlan, PushVlan
from fastpath.dpif.key import L3, L4
from fastpath.dpif.keyparse import DuplicateAttribute, parse_key, wrong_term
from fastpath.dpif.odptext import format_actions, parse_actions
from fastpath.dpif.sourcetext import format_source
from fastpath.dpif.terms import separated, split_attributes, split_terms
from fastpath.errors import ParseError

Tag: TypeAlias = tuple[int, int]        # TPID and TCI; both 0 where there is none
_NO_TAG: Tag = (0, 0)
_TPIDS = (0x8100, 0x88A8)
_MPLS = (0x8847, 0x8848)
_LATER = 2                              # in nw_frag
_NDS = (135, 136)                       # types of ICMPv6
_ABOVE = frozenset((*L3.values(), *L4.values(), "nd", "vlan", "encap"))
_EINVAL = os.strerror(errno.EINVAL)
_MAX_PORT = 0xFFFFFFFF
_IN_ERROR = 3                           # how well a key fits that contradicts itself


def tell(words: Sequence[str], *, verbose: bool, max_tags: int) -> tuple[str, str]:
    """What ``normalize-actions FLOW ACTIONS [NAME=NUMBER...]`` prints, and what it finds wrong, or ""."""
    source, text = words[0], words[1]
    ports = dict[str, int]()
    for word in words[2:]:
        name, equals, number = word.partition("=")
        if not equals or not number.isdecimal():
            return "", f"{word}: expected NAME=NUMBER"
        ports[name] = int(number) & _MAX_PORT
    twice = ""
    try:
        key, _mask = parse_key(source, ports)
    except DuplicateAttribute as error:
        key, twice = FlowKey(), error.name
    except ParseError:
        wrong = source[wrong_term(source, ports):]
        return "", f"odp_flow_key_from_string (syntax error at {wrong}) ({_EINVAL})"
    said = f"input flow: {format_source(source, ports, verbose=verbose)}\n"
    fault = f"duplicate {twice} attribute in flow key" if twice else _fault(source)
    if fault:
        shown = format_source(source, ports, verbose=True)
        return said, (f"odp_flow_key_to_flow failed ({fault}; the flow key in error is: {shown}) "
                      f"({os.strerror(_IN_ERROR)})")
    misfit = fitness(source, ports, max_tags=max_tags)
    if misfit:
        return said, f"odp_flow_key_to_flow failed (reason unknown) ({os.strerror(misfit)})"
    try:
        actions = parse_actions(separated(text), ports)
    except ParseError:
        return said, f"odp_actions_from_string ({_EINVAL})"
    if verbose:
        said += f"input actions: {format_actions(actions)}\n"
    groups = normalize(key, actions)
    if text.strip() == "drop":              # which is an action here
        groups = [(tags_of(key), ())]
    return said + "".join(format_group(key, tags, done) for tags, done in groups), ""


def _fault(source: str) -> str:
    """What contradicts itself in a key, "" if nothing does."""
    for name, inside in ((name, inside or "") for _at, name, inside in split_attributes(source)):
        if name == "tunnel" and not any(term.startswith("ttl=") for term, _nested in split_terms(inside)):
            return "tunnel options missing TTL"
        if name == "eth_type" and not int(inside.partition("/")[0], 0):
            return "invalid Ethertype 0 in flow key"
    return ""


def tags_of(key: FlowKey) -> tuple[Tag, Tag]:
    """The tags of a packet, outer first."""
    return (key.vlan_tpid, key.vlan_tci), (key.vlan1_tpid, key.vlan1_tci)


def normalize(key: FlowKey, actions: OdpActions) -> list[tuple[tuple[Tag, Tag], OdpActions]]:
    """What is done to a packet of *key* with which tags, outer first, in the order of tags."""
    tags = tags_of(key)
    groups: dict[tuple[Tag, Tag], list[OdpAction]] = {}
    for action in actions:
        match action:
            case PopVlan():
                tags = tags[1], _NO_TAG
            case PushVlan():
                tags = (action.tpid, action.tci), tags[0]
            case _:
                groups.setdefault(tags, []).append(action)
    return [(tags, _in_order(done)) for tags, done in sorted(groups.items())]


def _in_order(actions: list[OdpAction]) -> OdpActions:
    """*actions* with each run of outputs sorted."""
    out: list[OdpAction] = []
    for _is_output, run in groupby(actions, lambda a: isinstance(a, Output)):
        out += sorted(run, key=lambda a: a.port if isinstance(a, Output) else 0)    # others stay as they are
    return tuple(out)


def format_group(key: FlowKey, tags: tuple[Tag, Tag], actions: OdpActions) -> str:
    """One group as the reference prints it, which writes a TPID in the wrong order of bytes."""
    text = "".join(_tag(*tag) for tag in tags if tag[1]) or "no vlan: "
    lse = key.mpls_lse0
    if key.dl_type in _MPLS:
        text += f"mpls(label={lse >> 12},tc={lse >> 9 & 7},ttl={lse & 0xFF}): "
    else:
        text += "no mpls: "
    return text + format_actions(actions)


def _tag(tpid: int, tci: int) -> str:
    swapped = tpid >> 8 | (tpid & 0xFF) << 8
    kind = "" if tpid == _TPIDS[0] else f"tpid=0x{swapped:04x},"
    return f"vlan({kind}vid={tci & 0xFFF},pcp={tci >> 13}): "


# -- keys ----------------------------------------------------------------------------------------------

def fitness(source: str, ports: Mapping[str, int] | None = None, *, max_tags: int = 1) -> int:
    """How well the terms of a key fit the packet they tell of: 0 just so, 1 more than there can be, 2 less
    than there has to be."""
    key, _mask = parse_key(source, ports)
    names = {name: inside or "" for _at, name, inside in split_attributes(source)}
    kind, tags, outer = _type(names), 0, 0
    while kind in _TPIDS and tags < max_tags:
        if "vlan" not in names or "encap" not in names:
            return 2
        outer = max(outer, int(bool(set(names) & _ABOVE - {"vlan", "encap"})))
        names = {name: inside or "" for _at, name, inside in split_attributes(names["encap"])}
        kind, tags = _type(names), tags + 1
    there = set(names) & _ABOVE
    wanted = _wanted(kind, key)
    return max(outer, 2 if wanted - there else 1 if there - wanted else 0)


def _type(names: dict[str, str]) -> int:
    return int(names["eth_type"].partition("/")[0], 0) if "eth_type" in names else 0


def _wanted(kind: int, key: FlowKey) -> set[str]:
    """Attributes above Ethernet that packets of type *kind* have."""
    wanted = {L3[kind]} if kind in L3 else set()
    if not key.nw_frag & _LATER:
        wanted |= {L4[kind, key.nw_proto]} if (kind, key.nw_proto) in L4 else set()
        if "icmpv6" in wanted and key.tp_src in _NDS and not key.tp_dst:
            wanted.add("nd")
    return wanted
