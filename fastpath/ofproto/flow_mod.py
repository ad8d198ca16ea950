"""FlowMod: a request to add, change or delete rules.  What the tables do with it is in flow_tables."""

from __future__ import annotations

from enum import IntEnum

from fastpath._addrules import Edit
from fastpath.ofproto.actions.base import Action, ActionList
from fastpath.ofproto.actions.controller import Controller
from fastpath.ofproto.actions.instructions import WriteActions
from fastpath.ofproto.actions.misc import Clone
from fastpath.ofproto.actions.output import OFPP_ANY, OFPP_CONTROLLER, Enqueue, Group, Output
from fastpath.ofproto.match import Match
from fastpath.ofproto.rule import DEFAULT_PRIORITY, FlowFlags, Rule
from fastpath.value import field, value

TABLE_ALL = 0xFF
GROUP_ANY = 0xFFFFFFFF
BUFFER_NONE = 0xFFFFFFFF


class Command(IntEnum):
    """What a flow mod asks for (OpenFlow 1.0 section 5.3.3)."""

    ADD = 0
    MODIFY = 1
    MODIFY_STRICT = 2
    DELETE = 3
    DELETE_STRICT = 4

    @property
    def is_strict(self) -> bool:
        """Whether match and priority must be equal, not merely covered."""
        return self in (Command.MODIFY_STRICT, Command.DELETE_STRICT)


@value
class FlowMod:
    """One request.  *table_id* 255 means all tables, or table 0 when a rule is added.

    *cookie* and *cookie_mask* select rules of modify and delete; *new_cookie* is what added or
    modified rules get, None leaving the cookie alone.  *out_port* and *out_group* narrow a delete to
    rules that send there.  Timeouts are seconds and may be fractions.
    """

    command: Command = Command.ADD
    table_id: int = TABLE_ALL
    priority: int = DEFAULT_PRIORITY
    match: Match = field(default_factory=Match)
    actions: ActionList = ()
    cookie: int = 0
    cookie_mask: int = 0
    new_cookie: int | None = 0
    idle_timeout: float = 0
    hard_timeout: float = 0
    importance: int = 0
    flags: FlowFlags = FlowFlags.NONE
    out_port: int = OFPP_ANY
    out_group: int = GROUP_ANY
    buffer_id: int = BUFFER_NONE
    keeps_cookies: bool = False             # *new_cookie* is for a rule that is added, not for those there

    # Found to agree with itself and to be in bounds by the reader of its text.
    _is_admitted: bool = field(default=False, init=False, repr=False, compare=False)

    def admit(self) -> None:
        """Keep in mind that the request was judged; a changed copy is judged anew."""
        object.__setattr__(self, "_is_admitted", True)

    @property
    def is_admitted(self) -> bool:
        """Whether the request was judged, its match being normalized."""
        return self._is_admitted

    @property
    def may_add(self) -> bool:
        """Whether a modify that finds nothing adds."""
        return not self.cookie_mask and self.new_cookie is not None

    def __str__(self) -> str:
        from fastpath.ofproto.flow_text import format_flow_mod  # text is one layer up from values
        return format_flow_mod(self)


def adding(rule: Rule) -> FlowMod:
    """The request that adds a rule like *rule*."""
    return FlowMod(Command.ADD, rule.table_id, rule.priority, rule.match, rule.actions, 0, 0, rule.cookie,
                   rule.idle_timeout, rule.hard_timeout, rule.importance, rule.flags)


def editing(edit: Edit) -> FlowMod:
    """The request that *edit* is."""
    like = edit.like
    return FlowMod(Command(edit.command), TABLE_ALL if edit.is_everywhere else like.table_id, like.priority,
                   like.match, like.actions, 0, 0, like.cookie if edit.sets_cookie else None,
                   like.idle_timeout, like.hard_timeout, like.importance)


def outputs_to(actions: ActionList, port: int) -> bool:
    """Whether any of *actions*, nested ones too, names *port* as an output; as in the reference one
    that cuts packets (``output(port=...,max_len=...)``) does not count."""
    return any(_outputs_to(a, port) for a in actions)


def _outputs_to(action: Action, port: int) -> bool:
    if isinstance(action, (Output, Enqueue)):
        return action.port == port
    if isinstance(action, Controller):
        return port == OFPP_CONTROLLER
    if isinstance(action, (WriteActions, Clone)):
        return outputs_to(action.actions, port)
    return False


def uses_group(actions: ActionList, group_id: int) -> bool:
    """Whether any of *actions*, nested ones too, hands packets to group *group_id*."""
    for a in actions:
        if isinstance(a, Group) and a.group_id == group_id:
            return True
        if isinstance(a, (WriteActions, Clone)) and uses_group(a.actions, group_id):
            return True
    return False
