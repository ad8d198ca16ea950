"""ClassBench rule sets: the answers of a brute-force search, and the megaflows of the reference switch.

The sets are not part of the project; the tests skip where they are absent (see conftest `shared`).
"""

from __future__ import annotations

import lzma
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from model.classbench import as_keys, load

from fastpath._classifier import Classifier
from fastpath.fields import OFFSETS

SMALL = ["acl1_1k", "acl5_1k", "fw1_1k", "fw5_1k", "ipc1_1k"]
LARGE = ["acl1_10k", "fw1_10k"]


@cache
def table(path: Path) -> Classifier[int]:
    """The rules of *path*; objects are line numbers."""
    cls: Classifier[int] = Classifier(seed=1)
    load(cls, lines(path))
    return cls


def lines(path: Path) -> list[str]:
    return lzma.decompress(path.read_bytes()).decode().splitlines()


@pytest.mark.parametrize("name", SMALL + LARGE)
def test_answers_are_those_of_a_brute_force_search(shared: Path, more: int, name: str) -> None:
    folder = shared / "data" / "classbench"
    if not (folder / f"{name}.rules.xz").exists():
        pytest.skip(f"no {name}")
    cls = table(folder / f"{name}.rules.xz")
    keys = as_keys(lines(folder / f"{name}.trace.xz")[:None if more > 1 else 10_000])
    expected = np.array(lines(folder / f"{name}.expected.xz")[:len(keys)], np.int64)
    plain = cls.lookup_many(keys)
    ids, _ = cls.lookup_many(keys, wc=True)
    assert (plain == ids).all()
    line_of = np.array([-1 if obj is None else obj for obj in cls.objects(range(int(ids.max()) + 1))] + [-1])
    assert (line_of[ids] == expected).all()


def megaflows(keys: npt.NDArray[np.uint64], masks: npt.NDArray[np.uint64]) -> set[str]:
    """The distinct masked keys, as the reference file writes them."""
    columns = []
    for name, size in (("nw_src", 4), ("nw_dst", 4), ("tp_src", 2), ("tp_dst", 2), ("nw_proto", 1)):
        for array in (keys & masks, masks):
            at = OFFSETS[name]
            raw = np.ascontiguousarray(array.view(np.uint8)[:, at:at + size])
            columns.append(raw.view(f">u{size}")[:, 0])
    widths = (8, 8, 4, 4, 2)
    rows = np.unique(np.stack([c.astype(np.uint32) for c in columns], axis=1), axis=0)
    return {" ".join(f"{row[2 * i]:0{w}x}/{row[2 * i + 1]:0{w}x}" for i, w in enumerate(widths))
            for row in rows}


@pytest.mark.parametrize("name", LARGE)
def test_megaflows_are_those_of_the_reference(shared: Path, name: str) -> None:
    folder = shared / "data" / "classbench"
    if not (folder / f"{name}.megaflows-ovs31.xz").exists():
        pytest.skip(f"no megaflows of {name}")
    keys = as_keys(lines(folder / f"{name}.trace.xz"))
    _, masks = table(folder / f"{name}.rules.xz").lookup_many(keys, wc=True)
    assert megaflows(keys, masks) == set(lines(folder / f"{name}.megaflows-ovs31.xz"))
