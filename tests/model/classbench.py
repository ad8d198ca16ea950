"""ClassBench text -> rules of a classifier and flow keys.  Ranges of ports become prefixes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastpath._classifier import Classifier
from fastpath._flow import FlowKey
from fastpath.fields import FLOW_WORDS, OFFSETS


def prefixes(low: int, high: int) -> Iterator[tuple[int, int]]:
    """(value, mask) of the fewest 16-bit prefixes that cover low..high."""
    while low <= high:
        size = low & -low or 0x10000
        while size > high - low + 1:
            size //= 2
        yield low, 0xffff & ~(size - 1)
        low += size


def address(text: str) -> tuple[int, int]:
    """(value, mask) of a.b.c.d/len."""
    dotted, length = text.split("/")
    value = 0
    for byte in dotted.split("."):
        value = value << 8 | int(byte)
    return value, 0xffffffff << (32 - int(length)) & 0xffffffff


def matches(line: str) -> Iterator[tuple[FlowKey, FlowKey]]:
    """(key, mask) of every rule that one line stands for."""
    src, dst, sports, dports, proto = line.lstrip("@").split("\t")[:5]
    (nw_src, src_mask), (nw_dst, dst_mask) = address(src), address(dst)
    nw_proto, proto_mask = (int(part, 16) for part in proto.split("/"))
    low, high = (int(p) for p in sports.split(" : "))
    for tp_src, tp_src_mask in prefixes(low, high):
        for tp_dst, tp_dst_mask in prefixes(*(int(p) for p in dports.split(" : "))):
            yield (FlowKey(dl_type=0x0800, nw_src=nw_src, nw_dst=nw_dst, nw_proto=nw_proto, tp_src=tp_src,
                           tp_dst=tp_dst),
                   FlowKey(dl_type=0xffff, nw_src=src_mask, nw_dst=dst_mask, nw_proto=proto_mask,
                           tp_src=tp_src_mask, tp_dst=tp_dst_mask))


def load(cls: Classifier[int], lines: Sequence[str]) -> None:
    """Insert every line as rules whose object is the line's number; the first line has top priority."""
    for number, line in enumerate(lines):
        for key, mask in matches(line):
            priority = len(lines) - number
            if cls.find_exact(key, mask, priority) is None:
                cls.insert(key, mask, priority, number)


def as_keys(trace: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Flow keys, a row each, of lines "sip dip sport dport proto ..."."""
    numbers = np.array([line.split("\t")[:5] for line in trace], np.int64)
    keys = np.zeros((len(trace), FLOW_WORDS), np.uint64)
    view: npt.NDArray[Any] = keys.view(np.uint8)
    columns = (("nw_src", ">u4"), ("nw_dst", ">u4"), ("tp_src", ">u2"), ("tp_dst", ">u2"), ("nw_proto", "u1"))
    for column, (name, kind) in zip(numbers.T, columns, strict=True):
        raw = column.astype(kind).view(np.uint8).reshape(len(trace), -1)
        view[:, OFFSETS[name]:OFFSETS[name] + raw.shape[1]] = raw
    view[:, OFFSETS["dl_type"]] = 8
    return keys
