"""The plan of who would poll which queue, on made-up cores."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastpath.runtime.log import Level
from fastpath.vswitchd.polling import ASSIGNMENTS, PolledPort, Polling, PollingWanted, parse_affinity


def plan(wanted: PollingWanted, ports: list[PolledPort], numas: tuple[int, ...] = (0, 0, 0, 0)
         ) -> tuple[dict[int, list[tuple[str, int]]], list[str]]:
    """Queues by core, and what was told."""
    told: list[str] = []

    def tell(level: Level, module: str, text: str) -> None:
        told.append(text)

    polling = Polling(numas, tell)
    polling.look(wanted, ports)
    return {thread.core: thread.queues for thread in polling.threads}, told


def test_cycles_go_there_and_back() -> None:
    queues, _told = plan(PollingWanted("3"), [PolledPort("p", 8, 0)])
    assert [[n for _name, n in queues[core]] for core in (0, 1)] == [[0, 3, 4, 7], [1, 2, 5, 6]]


def test_a_pinned_queue_has_its_core_for_itself() -> None:
    queues, _told = plan(PollingWanted("6"), [PolledPort("p", 3, 0, ((0, 1),))])
    assert queues == {1: [("p", 0)], 2: [("p", 1), ("p", 2)]}


def test_no_port_no_thread() -> None:
    assert plan(PollingWanted("f"), [])[0] == {}


def test_affinity_text() -> None:
    assert parse_affinity("0:3,1:7,") == ((0, 3), (1, 7))
    assert parse_affinity("x") is None


@given(mask=st.integers(1, 15), assignment=st.sampled_from(ASSIGNMENTS),
       numas=st.tuples(*[st.integers(0, 2)] * 4),
       ports=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=4),
       pins=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=3))
def test_every_queue_is_polled_once_or_told_of(mask: int, assignment: str, numas: tuple[int, ...],
                                               ports: list[tuple[int, int]],
                                               pins: list[tuple[int, int]]) -> None:
    polled = [PolledPort(f"p{at}", n, numa, tuple(pins)) for at, (n, numa) in enumerate(ports)]
    queues, told = plan(PollingWanted(f"{mask:x}", assignment), polled, numas)
    got = sorted(queue for taken in queues.values() for queue in taken)
    wanted = sorted((port.name, n) for port in polled for n in range(port.n_queues))
    assert set(queues) == {core for core in range(4) if mask >> core & 1}
    assert len(got) == len(set(got))
    assert len(got) + sum("will not be polled" in text for text in told) == len(wanted)
