"""Waits between tries, and addresses as they are written."""

from __future__ import annotations

import socket

import pytest

from fastpath.errors import ConfigError
from fastpath.runtime.addresses import parse_address
from fastpath.runtime.backoff import Backoff


def test_waits_double_up_to_their_limit() -> None:
    backoff, now, waits = Backoff(), 100.0, []
    for _ in range(6):
        backoff.tried()
        backoff.failed(now)
        waits.append(backoff.due - now)
    assert waits == [1, 2, 4, 8, 8, 8] and backoff.n_tries == 6


def test_what_held_for_a_while_starts_again_from_one_second() -> None:
    backoff = Backoff(4)
    for _ in range(5):
        backoff.failed(0)
    assert backoff.due == 4
    backoff.succeeded(10)
    backoff.failed(10.5)
    assert backoff.due == 14.5
    backoff.succeeded(20)
    backoff.failed(30)
    assert backoff.due == 31


def test_a_lower_limit_ends_a_wait_sooner_and_a_higher_one_does_not_prolong_it() -> None:
    backoff = Backoff(8)
    for _ in range(4):
        backoff.failed(100)
    assert backoff.due == 108
    backoff.limit(20, 101)
    assert backoff.due == 108
    backoff.limit(2, 101)
    assert (backoff.due, backoff.wait_s) == (103, 2)
    backoff.failed(103)
    assert backoff.due == 105


@pytest.mark.parametrize(("text", "passive", "where", "family", "tls"), [
    ("tcp:10.0.0.1", False, ("10.0.0.1", 6653), socket.AF_INET, False),
    ("ssl:[fe80::1]:77", False, ("fe80::1", 77), socket.AF_INET6, True),
    ("unix:/a b", False, "/a b", socket.AF_UNIX, False),
    ("ptcp:", True, ("127.0.0.1", 6653), socket.AF_INET, False),
    ("pssl:7:[::]", True, ("::", 7), socket.AF_INET6, True), ("punix:x", True, "x", socket.AF_UNIX, False)])
def test_addresses_are_read(text: str, passive: bool, where: object, family: int, tls: bool) -> None:
    found = parse_address(text, passive=passive)
    assert (found.where, found.family, found.is_tls) == (where, family, tls)


@pytest.mark.parametrize(("text", "passive"), [
    ("tcp:1.2.3.4", True), ("ptcp:1", False), ("punix:", True), ("tcp:h:x", False), ("", True),
    ("pudp:1", True)])
def test_other_addresses_are_refused(text: str, passive: bool) -> None:
    with pytest.raises(ConfigError, match="expected"):
        parse_address(text, passive=passive)
