"""Texts with something wrong in them, made of good ones: what people mistype, and what they never would."""

from __future__ import annotations

import lzma
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from strategies import flows

ALPHABET = "0123456789abcxf,:=/()[]->+. "
VALUES = (
    "", "-1", "0x", "99999999999999999999", "foo", "1/0", "*", "0x1/0x2", "1.2.3.4", "00:11:22:33:44:55",
    "(1)", "65536", "256", "1:2", "[0..3]", "any", "LOCAL", "08", "1e3", "+1", "0x100", "fe80::1/64", "1-5",
    "4294967296", "0xffffffff", "-0", "all", "[]", "a/b", "1.2.3.4/33", "1.2.3/8",
    "9" * 5000,
)
DATA_SETS = ("of/of1_1k.flows.xz", "of/of2_1k.flows.xz", "ovn/br-int.1.flows.xz")


def drawn(strategy: st.SearchStrategy[str], n: int, *, seed_with: int) -> list[str]:
    """*n* texts of *strategy*; gathered first, because one process of the reference reads many."""
    out: list[str] = []

    @seed(seed_with)
    @settings(max_examples=n, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(text: str) -> None:
        out.append(text)

    collect()
    return out


def good_flows(folder: Path, *, n: int = 60) -> list[str]:
    """Generated flows, and lines of the tables in *folder*."""
    random = Random(n)
    lines = drawn(flows(of10=True), n, seed_with=11) + drawn(flows(of10=False), n, seed_with=12)
    for name in DATA_SETS:
        with lzma.open(folder / name, "rt") as file:
            table = [re.sub(r"duration=[\d.]+s, ", "", x.strip()) for x in file if "actions=" in x]
        lines += random.sample(table, min(n, len(table)))
    return lines


def spoilt(good: Sequence[str], n: int, seed_with: int) -> list[str]:
    """*n* texts made of *good* ones, most of them wrong."""
    random = Random(seed_with)
    tokens = [t for text in good for t in text.replace(" ", ",").split(",")]
    out = []
    for _ in range(n):
        text = random.choice(good)
        for _ in range(random.choice((1, 1, 1, 2))):
            if random.random() < 0.6:
                text = _mutated(text, random, tokens)
            else:
                text = _with_other_value(text, random)
        out.append(text)
    return out


def _mutated(text: str, random: Random, tokens: Sequence[str]) -> str:
    """*text* with one thing wrong, or perhaps still right: a character or an item changed."""
    at, parts = random.randrange(len(text) or 1), text.split(",")
    match random.randrange(5):
        case 0:
            return text[:at] + text[at + 1:]
        case 1:
            return text[:at] + random.choice(ALPHABET) + text[at:]
        case 2:
            return text[:at] + random.choice(ALPHABET) + text[at + 1:]
        case 3:
            parts[random.randrange(len(parts))] = random.choice(tokens)
        case _:
            del parts[random.randrange(len(parts))]
    return ",".join(parts)


def _with_other_value(text: str, random: Random) -> str:
    """*text* with the value of one item replaced, or cut short."""
    parts = text.split(",")
    at = random.randrange(len(parts))
    if random.randrange(3) == 0:
        return text[:random.randrange(len(text) or 1)]
    parts[at] = parts[at][:parts[at].rfind("=") + 1] + random.choice(VALUES)
    return ",".join(parts)
