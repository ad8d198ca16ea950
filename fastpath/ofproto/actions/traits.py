"""What the tables look for in lists of actions.  Most lists have none of it, and are then looked into no
further.  Any thread."""

from __future__ import annotations

from fastpath._rules import Traits
from fastpath.ofproto.actions.conjunction import Conjunction
from fastpath.ofproto.actions.instructions import Meter, WriteActions
from fastpath.ofproto.actions.learn import Learn
from fastpath.ofproto.actions.misc import Clone
from fastpath.ofproto.actions.output import Group

NAMES, LEARNS, CONJOINS, NESTS = 1, 2, 4, 8     # a group or meter; nests: other actions inside
TRAITS = Traits({Group: NAMES, Meter: NAMES, Learn: LEARNS, Conjunction: CONJOINS, Clone: NESTS,
                 WriteActions: NESTS})
