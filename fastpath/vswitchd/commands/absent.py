"""Commands about what this switch has none of yet: the answers of a switch where none is configured.

Each goes when its feature comes; docs/drop-in.md lists what is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastpath.errors import ParseError
from fastpath.ofproto.xlate.flow_hash import hash_add, hash_finish
from fastpath.text import parse_mac
from fastpath.vswitchd.commands.command import Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon

    Answer = Callable[[Daemon, list[str]], str]
_FAULTS = ("normal", "false", "true")
_BOND_BUCKETS = 0xFF


def nothing(daemon: Daemon, args: list[str]) -> str:
    """There is nothing to show."""
    return ""


def none_of(refusal: str) -> Answer:
    """Shows none of all, and says *refusal* of one that is named."""
    def answer(daemon: Daemon, args: list[str]) -> str:
        if args:
            raise CommandError(refusal)
        return ""
    return answer


def done_to_none_of(refusal: str) -> Answer:
    """Does it to all, which are none; what is named is not there."""
    def answer(daemon: Daemon, args: list[str]) -> str:
        none_of(refusal)(daemon, args)
        return "OK"
    return answer


def set_fault(refusal: str) -> Answer:
    """Sets a state of all, which are none; what is named is not there."""
    def answer(daemon: Daemon, args: list[str]) -> str:
        if args[-1] not in _FAULTS:
            raise CommandError("unknown fault string")
        return done_to_none_of(refusal)(daemon, args[:-1])
    return answer


def bond_needed(daemon: Daemon, args: list[str]) -> str:
    """The port named is no bond."""
    raise CommandError("no such bond")


def bond_hash(daemon: Daemon, args: list[str]) -> str:
    """Which part of a bond's traffic an Ethernet source belongs to."""
    try:
        mac = parse_mac(args[0])
    except ParseError:
        raise CommandError("invalid mac") from None
    vlan, basis = (_number(args, i, name) for i, name in ((1, "vlan"), (2, "basis")))
    word = vlan << 48 | mac
    state = hash_add(hash_add(basis, word & 0xFFFFFFFF), word >> 32)
    return str(hash_finish(state, 8) & _BOND_BUCKETS)


def _number(args: list[str], at: int, name: str) -> int:
    if len(args) > at and not args[at].isdecimal():
        raise CommandError(f"invalid {name}")
    return int(args[at]) if len(args) > at else 0


def no_bonds(daemon: Daemon, args: list[str]) -> str:
    """No port is bonded."""
    return "bond\ttype\trecircID\tmembers\n"


COMMANDS = (
    Command("autoattach/show-isid", "[bridge]", 0, 1, nothing),
    Command("autoattach/statistics", "[bridge]", 0, 1, nothing),
    Command("autoattach/status", "[bridge]", 0, 1, nothing),
    Command("bfd/set-forwarding", "[interface] normal|false|true", 1, 2, set_fault("no such BFD object")),
    Command("bfd/show", "[interface]", 0, 1, none_of("no such bfd object")),
    Command("bond/disable-member", "port member", 2, 2, bond_needed),
    Command("bond/enable-member", "port member", 2, 2, bond_needed),
    Command("bond/hash", "mac [vlan] [basis]", 1, 3, bond_hash),
    Command("bond/list", "", 0, 0, no_bonds),
    Command("bond/migrate", "port hash member", 3, 3, bond_needed),
    Command("bond/set-active-member", "port member", 2, 2, bond_needed),
    Command("bond/show", "[port]", 0, 1, none_of("no such bond")),
    Command("cfm/set-fault", "[interface] normal|false|true", 1, 2, set_fault("no such CFM object")),
    Command("cfm/show", "[interface]", 0, 1, none_of("no such CFM object")),
    Command("lacp/show", "[port]", 0, 1, none_of("no such lacp object")),
    Command("lacp/show-stats", "[port]", 0, 1, none_of("no such lacp object")),
    Command("rstp/show", "[bridge]", 0, 1, none_of("No such RSTP object")),
    Command("rstp/tcn", "[bridge]", 0, 1, done_to_none_of("No such RSTP object")),
    Command("stp/show", "[bridge]", 0, 1, none_of("no such stp object")),
    Command("stp/tcn", "[bridge]", 0, 1, done_to_none_of("no such stp object")),
)
