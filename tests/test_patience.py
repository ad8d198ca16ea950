"""A thread looks for packets while that has been worth it, gives way to others, and else sleeps."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath._patience import HOLD_MOST_S, LEAST_S, Patience

MOST_S = 0.01
STEP_S = 5e-6
pauses = st.lists(st.floats(1e-5, 0.03), min_size=1, max_size=25)


@dataclass
class Lived:
    """What became of a thread: seconds it looked in vain after each packet, and packets it slept before."""

    looked: list[float]
    n_woken: int


def live(gaps: list[float], *, most_s: float = MOST_S) -> Lived:
    """A thread with packets so far apart, alone on its core, until it sleeps after the last of them."""
    patience = Patience(most_s=most_s)
    now = 1.0
    patience.found(now)
    out = Lived([], 0)
    for gap in [*gaps, 100.0]:
        comes, since = now + gap, now
        while now < comes and not patience.nap(now):
            now += STEP_S
        out.looked.append(now - since)
        if now < comes:
            patience.slept()
            out.n_woken += 1
            now = comes
        patience.found(now)
    return out


@given(pauses)
@settings(deadline=None, max_examples=60)
def test_it_looks_no_longer_than_twice_the_longest_pause_lately(gaps: list[float]) -> None:
    lived = live(gaps)
    longest = 0.0
    for gap, looked in zip([*gaps, 100.0], lived.looked, strict=True):
        assert looked <= max(LEAST_S, min(MOST_S, 2 * longest)) + 2 * STEP_S
        longest = 0.0 if gap > MOST_S else max(longest, gap + STEP_S)


@given(st.floats(1e-4, 0.009), st.integers(5, 40))
@settings(deadline=None, max_examples=40)
def test_a_steady_trickle_is_soon_answered_without_a_sleep(gap: float, n: int) -> None:
    assert live([gap] * n).n_woken <= 4 + 1            # the last sleep is that after the last packet


@given(st.floats(MOST_S * 1.01, 3.0), st.integers(1, 9))
@settings(deadline=None, max_examples=40)
def test_rare_packets_are_looked_for_as_little_as_can_be(gap: float, n: int) -> None:
    assert all(looked <= LEAST_S + 2 * STEP_S for looked in live([gap] * n).looked)


def test_a_few_short_pauses_prove_nothing() -> None:
    assert all(looked <= LEAST_S + 2 * STEP_S for looked in live([0.002] * 3).looked)
    assert live([0.002] * 4).looked[-1] > 0.003


@given(pauses)
@settings(deadline=None, max_examples=40)
def test_with_nothing_allowed_it_sleeps_at_once(gaps: list[float]) -> None:
    assert max(live(gaps, most_s=0.0).looked) <= 2 * STEP_S


@given(st.floats(3e-5, 0.004))
@settings(deadline=None, max_examples=40)
def test_on_a_core_that_others_want_it_sleeps_and_seldom_tries_again(turn: float) -> None:
    patience = Patience(most_s=MOST_S)
    now, n_tries = 1.0, 0
    while now < 5.0:                        # a packet each millisecond, and a neighbour who takes long turns
        patience.found(now)
        comes = now + 0.001
        while now < comes:
            nap = patience.nap(now)
            n_tries += nap == 0
            now += min(nap, comes - now) or turn
            if nap:
                patience.slept()
    assert n_tries <= 30 + 2 * 4.0 / HOLD_MOST_S


def test_an_errand_of_another_costs_a_nap_and_no_more() -> None:
    patience = Patience(most_s=MOST_S)
    now = 1.0
    for _ in range(6):
        patience.found(now)
        now += 0.004
    patience.found(now)
    assert patience.nap(now) == 0
    nap = patience.nap(now + 0.0001)        # somebody had the core for 100 us
    assert 0 < nap < 0.001
    patience.slept()
    assert patience.nap(now + 0.0001 + nap + STEP_S) == 0          # and it looks again
    assert patience.nap(now + 0.0001 + nap + 2 * STEP_S) == 0


def test_looking_that_is_worth_it_makes_up_for_what_was_taken() -> None:
    patience = Patience(most_s=MOST_S)
    now, naps = 1.0, []
    for others in (True,) * 6 + (False,) * 12 + (True,):
        patience.found(now)
        assert patience.nap(now) == 0
        now += 3e-5 if others else 1e-5
        nap = patience.nap(now)
        assert (nap > 0) is others
        naps.append(nap)
        patience.slept() if others else None
        now += 1.0 if others else 1e-5      # long after, or at once
    assert naps[0] == float("inf")          # it would have looked for less than that


def test_errands_too_short_do_not_count() -> None:
    patience = Patience(most_s=MOST_S)
    patience.found(1.0)
    assert not any(patience.nap(1.0 + i * 1e-5) for i in range(4))


def test_gaps_in_which_nobody_had_the_core_do_not_count() -> None:
    patience = Patience(most_s=MOST_S)
    patience.count(7)
    now = 1.0
    for _ in range(6):
        patience.found(now)
        now += 0.004
        patience.slept()
    patience.found(now)
    assert patience.nap(now) == patience.nap(now + 1e-4) == patience.nap(now + 3e-4) == 0
    patience.count(8)
    assert 0 < patience.nap(now + 5e-4) < 0.001             # this one was somebody's
    assert patience.nap(now + 5e-4 + 0.001) == 0


def test_that_it_slept_is_not_taken_for_somebody_who_had_the_core() -> None:
    patience = Patience(most_s=MOST_S)
    patience.count(7)
    patience.found(1.0)
    patience.count(9)
    patience.slept()
    patience.found(1.001)
    assert patience.nap(1.001) == patience.nap(1.00104) == 0
