"""Values and records do what dataclasses do, as far as they offer it."""

from __future__ import annotations

import copy
import dataclasses
import gc
import pickle
import weakref
from dataclasses import FrozenInstanceError, dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.value import field, record, replace, value


@value
class Place:
    """A value with all there is."""

    kind: ClassVar[int] = 7
    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)
    note: str = field(default="", compare=False, repr=False)
    _sum: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_sum", self.x + self.y)

    @property
    def sum(self) -> int:
        return self._sum


@dataclass(frozen=True, slots=True)
class Twin:
    """The same as a dataclass."""

    kind: ClassVar[int] = 7
    x: int
    y: int = 2
    tags: list[str] = dataclasses.field(default_factory=list)
    note: str = dataclasses.field(default="", compare=False, repr=False)
    _sum: int = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_sum", self.x + self.y)


@value
class Named(Place):
    name: str = "n"


@record
class Count:
    n: int = 0
    seen: list[int] = field(default_factory=list)


@record(eq=False)
class Node:
    child: Any = None


Changes = st.dictionaries(st.sampled_from(("x", "y", "tags", "note", "_sum", "z")), st.integers(0, 3),
                          max_size=3)
Args = st.tuples(st.lists(st.integers(0, 3), max_size=6), Changes)


def made(cls: type, args: tuple[list[int], dict[str, int]]) -> Any:
    """An instance, or that there is none."""
    try:
        return cls(*args[0], **args[1])
    except TypeError:
        return None


def shown(of: Any) -> str:
    return repr(of).replace("Twin", "Place")


@given(Args, Args)
def test_a_value_is_what_the_dataclass_is(a: Any, b: Any) -> None:
    ours, theirs = [made(Place, x) for x in (a, b)], [made(Twin, x) for x in (a, b)]
    assert [shown(x) for x in ours] == [shown(x) for x in theirs]
    assert (ours[0] == ours[1]) == (theirs[0] == theirs[1])
    if ours[0] is not None:
        assert ours[0].sum == theirs[0]._sum
        assert (hash(ours[0]) == hash(ours[1])) >= (ours[0] == ours[1]) if ours[1] is not None and all(
            isinstance(x.tags, int) for x in ours) else True


@given(Args, Changes)
def test_replace_is_that_of_dataclasses(args: Any, changes: dict[str, int]) -> None:
    ours, theirs = made(Place, args), made(Twin, args)
    if ours is None:
        return
    try:
        expected = dataclasses.replace(theirs, **changes)
    except (TypeError, ValueError):
        for call in (replace, dataclasses.replace):
            with pytest.raises((TypeError, ValueError)):
                call(ours, **changes)
        return
    for new in (replace(ours, **changes), dataclasses.replace(ours, **changes)):
        assert shown(new) == shown(expected)
        assert (new.note, new.sum) == (expected.note, expected._sum)


def test_values_are_frozen_and_have_slots() -> None:
    place = Place(1)
    with pytest.raises(FrozenInstanceError):
        place.x = 2         # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del place.y
    with pytest.raises(FrozenInstanceError):
        place.other = 2     # type: ignore[attr-defined]
    assert not hasattr(place, "__dict__")
    assert place == Place(1)


def test_records_change_and_have_no_hash() -> None:
    count = Count()
    count.n += 3
    count.seen.append(1)
    assert (count, Count().seen) == (Count(3, [1]), [])
    with pytest.raises(TypeError):
        hash(count)
    assert Node() != Node()
    assert hash(Node()) != 0


def test_a_wrong_call_is_refused_as_python_does() -> None:
    wrong: list[tuple[tuple[Any, ...], dict[str, int]]] = [
        ((), {}), ((1, 2, [], "", 5), {}), ((1,), {"x": 1}), ((1,), {"z": 1})]
    for args, named in wrong:
        with pytest.raises(TypeError, match="Place"):
            Place(*args, **named)


def test_what_the_standard_library_asks_is_answered() -> None:
    place = Place(1, 5)
    assert [f.name for f in dataclasses.fields(place)] == ["x", "y", "tags", "note", "_sum"]
    assert dataclasses.fields(Place)[0].type == "int"
    assert dataclasses.asdict(Count(2)) == {"n": 2, "seen": []}
    assert dataclasses.is_dataclass(Named)
    for copied in (copy.copy(place), copy.deepcopy(place), pickle.loads(pickle.dumps(place))):
        assert copied == place
        assert copied.sum == 6
    match place:
        case Place(x, y):
            assert (x, y) == (1, 5)
        case _:
            raise AssertionError("no match")


def test_a_subclass_has_the_members_of_its_base_first() -> None:
    named = Named(1, 2, [], "", "a")
    assert repr(named) == "Named(x=1, y=2, tags=[], name='a')"
    assert named != Place(1)
    assert named.kind == 7
    assert not hasattr(named, "__dict__")


class Loose(Place):
    """A subclass that is no value itself."""

    def __init__(self, x: int) -> None:
        super().__init__(x, y=9)


def test_a_subclass_may_make_itself() -> None:
    assert (Loose(1).y, Loose(1).sum, Loose(1) == Loose(1)) == (9, 10, True)


def test_values_are_freed() -> None:
    class Watched:
        pass
    watched = Watched()
    gone = weakref.ref(watched)
    node = Node(Place(1, tags=[]))
    node.child.tags.append(node)
    node.child.tags.append(watched)
    del watched, node
    gc.collect()
    assert gone() is None


def test_replace_takes_dataclasses_too() -> None:
    assert replace(Twin(1), y=4) == Twin(1, 4)
