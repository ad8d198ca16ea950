"""Blocks are freed once no reader is inside, and not before."""

from __future__ import annotations

import threading

import numpy as np

from fastpath._classifier import Classifier
from fastpath._flow import FlowKey

MASK = FlowKey(in_port=0xffffffff)


def test_without_readers_little_waits() -> None:
    cls: Classifier[int] = Classifier(seed=1)
    for i in range(1000):
        cls.replace(FlowKey(in_port=i % 7), MASK, 1, i)
        assert cls.waiting() < 32
    cls.purge(0)
    assert cls.waiting() == 0


def test_what_a_reader_may_hold_waits_for_it() -> None:
    cls: Classifier[int] = Classifier(seed=1)
    for i in range(64):
        cls.insert(FlowKey(in_port=i), FlowKey(in_port=0xffffffff, nw_src=1 << i % 32), 1, i)
    rows = np.zeros((20_000, len(bytes(FlowKey())) // 8), np.uint64)
    held = 0
    for n in range(50):                     # until a reader happens to be inside when we look
        reader = threading.Thread(target=cls.lookup_many, args=(rows,))
        reader.start()
        while reader.is_alive() and not held:
            cls.replace(FlowKey(in_port=1), MASK, 1, n)
            cls.purge(0)
            held = cls.waiting()
        reader.join()
        if held:
            break
    assert held
    cls.purge(0)
    assert cls.waiting() == 0
