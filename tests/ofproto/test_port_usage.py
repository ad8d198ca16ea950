"""PortUsage against a dict of lists: counts, order, and that the fullest port makes room."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.ofproto.port_usage import PortUsage

step = st.tuples(st.sampled_from(("add", "add", "add", "pin", "seen", "remove", "unpin")), st.integers(1, 6),
                 st.integers(0, 5))


@given(st.lists(step, max_size=120))
@settings(max_examples=150, deadline=None)
def test_the_longest_unseen_of_the_fullest_port_makes_room(steps: list[tuple[str, int, int]]) -> None:
    usage: PortUsage[int] = PortUsage()
    learned: dict[int, list[int]] = {}
    pinned: dict[int, int] = {}
    for i, (what, port, nth) in enumerate(steps):
        mine = learned.setdefault(port, [])
        if what == "add":
            usage.add(port, i)
            mine.append(i)
        elif what == "pin":
            usage.add(port, None)
            pinned[port] = pinned.get(port, 0) + 1
        elif what == "unpin" and pinned.get(port):
            usage.remove(port, None)
            pinned[port] -= 1
        elif mine and what in ("seen", "remove"):
            key = mine.pop(nth % len(mine))
            if what == "remove":
                usage.remove(port, key)
            else:
                usage.seen(port, key)
                mine.append(key)
        assert usage.of(port) == mine
        sizes = {p: len(keys) + pinned.get(p, 0) for p, keys in learned.items()}
        victim = usage.victim()
        if victim is None:
            assert not any(learned.values())
            continue
        (owner,) = [p for p, keys in learned.items() if keys and keys[0] == victim]
        top = max(sizes.values())
        assert sizes[owner] == top or not any(keys and sizes[p] == top for p, keys in learned.items())


def test_of_equally_full_ports_the_heap_decides_as_in_the_reference() -> None:
    usage: PortUsage[str] = PortUsage()
    for port, key in ((1, "a"), (2, "b"), (3, "c"), (3, "d"), (2, "e")):
        usage.add(port, key)
    assert usage.victim() == "c"            # 3 was the first to have two
    usage.remove(3, "c")
    assert usage.victim() == "b"
