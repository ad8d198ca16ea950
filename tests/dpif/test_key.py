"""Every row of the attribute table lies in the flow key."""

from __future__ import annotations

import pytest

from fastpath._flow import WINDOWS
from fastpath.dpif.key import ATTRS, L3, L4


@pytest.mark.parametrize("attr", ATTRS)
def test_members_are_fields_of_the_key(attr: str) -> None:
    names = [m.name for m in ATTRS[attr]]
    assert len(set(names)) == len(names)
    for m in ATTRS[attr]:
        assert m.field in WINDOWS


def test_every_header_is_an_attribute() -> None:
    assert {*L3.values(), *L4.values()} <= set(ATTRS)
