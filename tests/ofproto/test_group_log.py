"""What a select group logs of its buckets; that the lines are the reference's is in scenarios/logs.txt."""

from __future__ import annotations

import logging

import pytest

import fastpath


def _lines(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    with fastpath.Switch(seed=0) as sw, caplog.at_level(logging.DEBUG, "fastpath.ofproto_dpif"):
        sw.add_bridge("br0").add_group(text)
    return caplog.messages


def test_hash_values_are_dealt_out_by_weight(caplog: pytest.LogCaptureFixture) -> None:
    assert _lines(caplog, "group_id=7,type=select,bucket=weight:1,output:1,bucket=weight:3,output:2") == [
        "Constructing select group 7", "No selection method specified. Trying dp_hash.",
        "  Minimum weight: 1, total weight: 4", "  Using 16 hash values:",
        "  Bucket 0: weight=1, target=4.00 hits=4", "  Bucket 1: weight=3, target=12.00 hits=12",
        "Use dp_hash with 16 hash values using algorithm 1."]


def test_weights_too_uneven_are_told(caplog: pytest.LogCaptureFixture) -> None:
    lines = _lines(caplog, "group_id=7,type=select,bucket=weight:1,output:1,bucket=weight:999,output:2")
    assert lines[-2:] == [
        "  Too many hash values required: 1024", "Falling back to default hash method."]


def test_other_groups_log_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert _lines(caplog, "group_id=7,type=all,bucket=output:1") == []
