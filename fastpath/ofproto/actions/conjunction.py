"""The conjunction action: this rule is clause i of n of a conjunctive match."""

from __future__ import annotations

import re

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ParseContext, PortNumbers
from fastpath.text import decimal
from fastpath.value import value

_SYNTAX = re.compile(r"\s*(\w+)\s*,\s*(\d+)\s*/\s*(\d+)\s*")
MAX_CLAUSES = 64


@value
class Conjunction(Action):
    """Clause *clause* (from 1) of *n_clauses* of conjunction *conj_id*."""

    conj_id: int
    clause: int
    n_clauses: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Conjunction:
        m = _SYNTAX.match(arg)
        if m is None:
            raise ParseError('"conjunction" syntax is "conjunction(id,i/n)"')
        clause, n_clauses = decimal(m.group(2)), decimal(m.group(3))
        if n_clauses < 2:
            raise ParseError("conjunction must have at least 2 clauses")
        if n_clauses > MAX_CLAUSES:
            raise ParseError("conjunction must have at most 64 clauses")
        if clause < 1:
            raise ParseError("clause index must be positive")
        if clause > n_clauses:
            raise ParseError("clause index must be less than or equal to number of clauses")
        return cls(numbers.u32(m.group(1)), clause, n_clauses)

    def format(self, ports: PortNumbers = None) -> str:
        return f"conjunction({self.conj_id},{self.clause}/{self.n_clauses})"
