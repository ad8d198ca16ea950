"""The settings that bound the datapath's flows, told to a Switch and seen in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fastpath import Bridge, Switch
from fastpath.ofproto.revalidate import CHECK_SLICE, FLOW_LIMIT_MIN, Ukey
from fastpath.testing import frame


@contextmanager
def lab(n_rules: int = 40, **limits: float) -> Iterator[Bridge]:
    """A bridge where each of the addresses 10.0.0.N has a rule, and so a flow, of its own."""
    with Switch(seed=1, **limits) as switch:        # type: ignore[arg-type]
        bridge = switch.add_bridge("br0")
        for number in (1, 2, 3):
            bridge.add_port(f"p{number}", number=number)
        bridge.add_flows([f"ip,nw_dst=10.0.{i >> 8}.{i & 255},actions=output:2" for i in range(n_rules)])
        yield bridge


def send(br: Bridge, *numbers: int) -> None:
    for i in numbers:
        br.inject(1, frame(ip_dst=f"10.0.{i >> 8}.{i & 255}"))


def installed(br: Bridge) -> list[int]:
    return sorted(ukey.key.nw_dst & 0xffff for ukey in br.switch.revalidator)


def n_packets(br: Bridge) -> int:
    return sum(rule.n_packets for rule in br.rules())


@pytest.mark.parametrize("idle", [0.8, 2.0, 10.0])
def test_max_idle_is_how_long_a_flow_lives_without_packets(idle: float) -> None:
    with lab(max_idle=idle) as br:
        send(br, 1, 2)
        br.switch.advance(idle - 0.001)
        send(br, 2)
        br.switch.advance(0.002 + min(0.5, idle))       # the next round
        assert installed(br) == [2]
        br.switch.advance(2 * idle)
        assert installed(br) == [] and n_packets(br) == 3


@pytest.mark.parametrize("limits, period", [
    ({}, 0.5), ({"max_revalidator": 2.0}, 2.0), ({"max_revalidator": 0.05}, 0.05),
    ({"max_idle": 0.2}, 0.2), ({"max_idle": 1.0, "max_revalidator": 4.0}, 1.0)])
def test_max_revalidator_is_the_time_between_rounds(limits: dict[str, float], period: float) -> None:
    with lab(**limits) as br:
        for _ in range(100):
            send(br, 1)
            br.switch.advance(period / 10)
        assert br.switch.stats().revalidator.n_rounds in (10, 11)


def test_no_flow_is_installed_with_a_limit_of_none() -> None:
    with lab(flow_limit=0) as br:
        send(br, 1, 1, 1)
        stats = br.switch.stats()
        assert (stats.n_flows, stats.upcalls.n_miss, stats.upcalls.n_not_cached) == (0, 3, 3)
        assert n_packets(br) == 3


def test_no_more_flows_are_installed_than_the_limit_says() -> None:
    with lab(flow_limit=7) as br:
        send(br, *range(20))
        assert installed(br) == list(range(7))
        assert (br.switch.stats().n_flows, br.switch.stats().flow_limit) == (7, 7)


def test_over_the_limit_flows_in_use_stay_and_idle_ones_go() -> None:
    with lab() as br:
        send(br, *range(30))
        br.switch.revalidator.flow_limit = 20
        for _ in range(12):
            br.switch.advance(0.05)
            send(br, 3, 4)
        assert installed(br) == [3, 4] and n_packets(br) == 30 + 24


def test_at_twice_the_limit_the_longest_unused_go_and_no_more_than_needed() -> None:
    with lab() as br:
        for i in range(40):
            send(br, i)
            br.switch.advance(0.001)
        br.switch.revalidator.flow_limit = 15
        send(br, 0)
        br.switch.revalidator.wake(br.switch.now + 0.5)
        assert installed(br) == [0, *range(26, 40)]
        assert br.switch.stats().revalidator.n_deleted_limit == 25 and n_packets(br) == 41


def test_max_idle_may_be_less_than_what_flows_have_over_the_limit() -> None:
    with lab(max_idle=0.05) as br:
        send(br, *range(30))
        br.switch.revalidator.flow_limit = 20
        br.switch.advance(0.08)
        assert installed(br) == []


@pytest.mark.parametrize("pps, stay", [(5, [1]), (1, [1, 2]), (0, [1, 2, 3]), (100, [])])
def test_while_busy_flows_slower_than_min_revalidate_pps_go(pps: int, stay: list[int]) -> None:
    with lab(min_revalidate_pps=pps) as br:
        for i in range(20):
            send(br, 1, *([2] if i % 4 == 0 else []), *([3] if i == 0 else []))
            br.switch.advance(0.1)
        br.switch.revalidator.took(0.25)
        br.add_flow("priority=1,ip,actions=drop")
        br.switch.revalidator.settle(br.switch.now)
        assert installed(br) == stay and n_packets(br) == 26


def test_a_flow_that_was_just_made_is_no_slow_one() -> None:
    with lab() as br:
        br.switch.revalidator.took(9.0)
        send(br, 1)
        br.add_flow("priority=1,ip,actions=drop")
        br.switch.revalidator.settle(br.switch.now)
        assert installed(br) == [1]


# -- slices --------------------------------------------------------------------------------------------

def test_many_checks_are_done_a_slice_at_a_time() -> None:
    n = 2 * CHECK_SLICE + 10
    with lab(n) as br:
        revalidator = br.switch.revalidator
        send(br, *range(n))
        before = br.ofproto.tables.version
        br.add_flow("table=0,priority=1,ip,actions=drop")
        assert br.ofproto.tables.version > before
        left = []
        while not revalidator.is_settled:
            revalidator.settle(br.switch.now, CHECK_SLICE)
            left.append(revalidator.stats.n_checked)
            assert revalidator.is_settled or revalidator.next_deadline() <= br.switch.now
        assert left == [CHECK_SLICE, 2 * CHECK_SLICE, n]


def test_a_round_in_slices_comes_to_the_same_as_one_at_once() -> None:
    ends = []
    for whole in (True, False):
        with lab() as br:
            revalidator = br.switch.revalidator
            for i in range(30):
                send(br, i)
                br.switch.advance(0.01)
            br.add_flow("ip,nw_dst=10.0.0.7,actions=output:3")
            revalidator.flow_limit = 12
            later = br.switch.now + 0.5
            calls, due = 0, True
            while due:
                revalidator.wake(later, whole=whole)
                calls, due = calls + 1, revalidator.next_deadline() <= later
                assert calls < 100
            ends.append((installed(br), n_packets(br), revalidator.stats.n_rounds, revalidator.pushed_until))
            assert (calls == 1) is whole
    assert ends[0] == ends[1] and len(ends[0][0]) == 12


def test_the_limit_follows_a_round_and_not_its_slices() -> None:
    with lab() as br:
        revalidator = br.switch.revalidator
        send(br, 1)
        revalidator.flow_limit = 8000
        later = br.switch.now + 0.5
        n_slices = 0
        while revalidator.flow_limit == 8000:
            revalidator.wake(later, whole=False)
            revalidator.took(1.25)
            n_slices += 1
            assert n_slices < 50
        assert revalidator.next_deadline() > later and n_slices > 1
        assert revalidator.flow_limit == max(FLOW_LIMIT_MIN, int(8000 / (1.25 * n_slices)))


def test_flows_that_go_between_slices_are_passed_over() -> None:
    n = 2 * CHECK_SLICE
    with lab(n) as br:
        revalidator = br.switch.revalidator
        send(br, *range(n))
        br.add_flow("priority=1,ip,actions=drop")
        revalidator.settle(br.switch.now, CHECK_SLICE)
        gone: list[Ukey] = list(revalidator)[-5:]
        revalidator.delete(gone)
        revalidator.settle(br.switch.now)
        assert revalidator.stats.n_checked == n - 5 and len(revalidator) == n - 5


# -- what a change concerns ----------------------------------------------------------------------------

@pytest.mark.parametrize("change, n_checked", [
    ("table=0,arp,actions=drop", 1), ("table=1,arp,actions=drop", 1), ("table=2,arp,actions=drop", 0),
    ("table=9,arp,actions=drop", 1)])
def test_rules_of_tables_a_flow_was_not_looked_up_in_do_not_concern_it(change: str, n_checked: int) -> None:
    with lab() as br:
        br.add_flow("table=0,priority=40000,udp,actions=resubmit(,1),"
                    "learn(table=9,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])")
        br.inject(1, frame(), frame())
        before = br.switch.stats().revalidator.n_checked
        br.add_flow(change)
        br.switch.revalidator.settle(br.switch.now)
        assert br.switch.stats().revalidator.n_checked - before == n_checked
