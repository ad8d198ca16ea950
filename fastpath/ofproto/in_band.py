"""In-band control: hidden rules by which a bridge reaches its controllers whatever its tables say.

The connection to a controller may itself go through the bridge.  So that no table can cut it off, ARP, DHCP
and TCP between the local port and the controllers are handled by NORMAL, by rules above all that a controller
can write; and replies to DHCP requests always come to the local port, too (``xlate.pipeline``).  The rules
are those of the reference, a set for the bridge, one for each next hop (its Ethernet address, where that is
known) and one for each controller.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.output import OFPP_NORMAL, Output, SetQueue
from fastpath.ofproto.match import Match
from fastpath.ofproto.rule import Rule
from fastpath.ofproto.table import Table
from fastpath.text import format_ipv4, format_mac
from fastpath.value import value

FIRST_PRIORITY = 180000
# Priorities in order, each with what it matches.
_BRIDGE = ("udp,in_port=LOCAL,dl_src={mac},tp_src=68,tp_dst=67", "arp,dl_dst={mac},arp_op=2",
           "arp,dl_src={mac},arp_op=1")
_NEXT_HOP = ("arp,dl_dst={mac},arp_op=2", "arp,dl_src={mac},arp_op=1")
_REMOTE = ("arp,arp_tpa={ip},arp_op=2", "arp,arp_spa={ip},arp_op=1")
_SERVICE = ("tcp,nw_dst={ip},tp_dst={port}", "tcp,nw_src={ip},tp_src={port}")
_NEXT_HOP_AT = FIRST_PRIORITY + len(_BRIDGE)
_REMOTE_AT = _NEXT_HOP_AT + len(_NEXT_HOP)
_SERVICE_AT = _REMOTE_AT + len(_REMOTE)


@value
class Remote:
    """Whom to reach: IPv4 address and TCP port, and the Ethernet address of the next hop, 0 if that is not
    known."""

    address: int
    port: int
    next_hop: int = 0


@value
class InBand:
    """What the rules are made of: the address of the local port, and *queue* for all that goes by them."""

    local_mac: int
    remotes: tuple[Remote, ...] = ()
    queue: int | None = None

    def matches(self) -> Iterator[tuple[int, str]]:
        """Priority and match of each rule; some may be there twice."""
        if not self.remotes:
            return
        if self.local_mac:
            for i, text in enumerate(_BRIDGE):
                yield FIRST_PRIORITY + i, text.format(mac=format_mac(self.local_mac))
        for remote in self.remotes:
            ip = format_ipv4(remote.address)
            if remote.next_hop:
                for i, text in enumerate(_NEXT_HOP):
                    yield _NEXT_HOP_AT + i, text.format(mac=format_mac(remote.next_hop))
            for i, text in enumerate(_REMOTE):
                yield _REMOTE_AT + i, text.format(ip=ip)
            for i, text in enumerate(_SERVICE):
                yield _SERVICE_AT + i, text.format(ip=ip, port=remote.port)

    @property
    def actions(self) -> ActionList:
        """Of each rule."""
        normal = Output(OFPP_NORMAL)
        return (normal,) if self.queue is None else (SetQueue(self.queue), normal)


NOTHING = InBand(0)


class InBandRules:
    """The rules of one bridge."""

    def __init__(self) -> None:
        self.wanted = NOTHING
        self._rules: dict[tuple[int, str], Rule] = {}

    def __bool__(self) -> bool:
        """Whether anybody is to be reached."""
        return bool(self.wanted.remotes)

    def set(self, wanted: InBand, table: Table, now: float) -> bool:
        """Have *table*, the first, hold the rules that *wanted* asks for; whether anything changed."""
        if wanted == self.wanted:
            return False
        new_actions = wanted.actions != self.wanted.actions
        self.wanted = wanted
        matches = dict.fromkeys(wanted.matches())
        for key, rule in list(self._rules.items()):
            if key not in matches:
                table.unhide(self._rules.pop(key))
            elif new_actions:
                table.unhide(rule)
                self._rules[key] = made = self._rule(key, rule.created)
                made.n_packets, made.n_bytes = rule.n_packets, rule.n_bytes
                table.hide(made)
        for key in matches:
            if key not in self._rules:
                self._rules[key] = made = self._rule(key, now)
                table.hide(made)
        return True

    def _rule(self, key: tuple[int, str], created: float) -> Rule:
        priority, match = key
        return Rule(Match.parse(match), priority, self.wanted.actions, now=created)
