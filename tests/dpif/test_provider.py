"""The Dpif contract, held against the userspace datapath: what any provider promises its owner."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastpath._flow import FlowKey
from fastpath.dpif.actions import Output
from fastpath.dpif.provider import MAX_CLASSES, Dpif, Features, FlowDel, FlowPut, FlowStats, Operation
from fastpath.dpif.userspace import UserspaceDpif

MASK = FlowKey(in_port=0xFFFFFFFF, recirc_id=0xFFFFFFFF)
STEPS = st.lists(st.tuples(st.booleans(), st.integers(1, 6)), max_size=30)


def put(n: int) -> FlowPut:
    return FlowPut(FlowKey(in_port=n), MASK, (Output(n),))


@given(STEPS)
def test_results_stand_in_the_order_of_operations_and_the_dump_is_what_they_say(
        steps: list[tuple[bool, int]]) -> None:
    """One bulk call leaves the flows a dictionary would, and refuses what the dictionary would refuse."""
    dpif: Dpif = UserspaceDpif(seed=1)
    model: dict[int, int] = {}
    for is_put, n in steps:
        operation: Operation = put(n) if is_put else FlowDel(model.get(n, 1 << 40))
        (result,) = dpif.operate([operation])
        if is_put == (n in model):                  # there already, or not there to delete
            assert isinstance(result, Exception)
        elif is_put:
            assert isinstance(result, int) and result not in model.values()
            model[n] = result
        else:
            assert isinstance(result, FlowStats) and result.n_packets == 0
            del model[n]
    assert {flow.key.in_port: flow.ufid for flow in dpif.flow_dump()} == model
    assert dpif.stats().n_flows == len(model)
    gone = FlowDel(1 << 40)
    mixed = dpif.operate([gone, put(9), gone])
    assert [isinstance(result, Exception) for result in mixed] == [True, False, True]


def test_statistics_are_asked_in_bulk_and_none_stands_for_a_flow_that_is_gone() -> None:
    dpif: Dpif = UserspaceDpif(seed=1)
    (ufid,) = dpif.operate([put(1)])
    assert isinstance(ufid, int)
    there, gone = dpif.flow_stats([ufid, ufid + (1 << 40)])
    assert there == FlowStats(0, 0, None, 0) and gone is None
    dpif.flow_flush()
    assert dpif.flow_get(ufid) is None and list(dpif.flow_dump()) == []


@given(st.booleans(), st.integers(0, 0xFFFFFFFF))
def test_a_queue_is_read_from_its_priority(queue_classes: bool, number: int) -> None:
    features = Features(queue_classes=queue_classes)
    priority, queue = features.priority_of(number), features.queue_of(number)
    assert (priority is None) == (queue_classes and number >= MAX_CLASSES)
    assert priority is None or features.queue_of(priority) == number
    assert queue is None or features.priority_of(queue) == number
