"""Run a command once for each of many texts, without starting it as often (many_runs.c tells how)."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().with_suffix(".c")
BUILD = SOURCE.parent.parent / "build"
N_AT_ONCE = 2
TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Done:
    """How one run ended and what it printed."""

    status: int
    out: str
    err: str


@functools.cache
def library() -> Path:
    """The compiled SOURCE, built where it is missing or old; skips where there is no compiler."""
    path = BUILD / "many_runs.so"
    if not path.exists() or path.stat().st_mtime < SOURCE.stat().st_mtime:
        compiler = shutil.which("gcc")
        if compiler is None:
            pytest.skip("no gcc")
        BUILD.mkdir(exist_ok=True)
        own = path.with_suffix(f".{os.getpid()}")
        flags = ("-O1", "-Wall", "-Werror", "-shared", "-fPIC")
        subprocess.run([compiler, *flags, "-o", own, SOURCE], check=True)
        own.rename(path)
    return path


def run_each(command: Sequence[str], texts: Sequence[str]) -> list[Done]:
    """What *command*, with each of *texts* as one more argument, did."""
    size = -(-len(texts) // N_AT_ONCE) or 1
    parts = [texts[i:i + size] for i in range(0, len(texts), size)]
    environment = {**os.environ, "LD_PRELOAD": str(library())}
    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        done = pool.map(lambda part: _run_part(command, part, environment), parts)
        return [one for part in done for one in part]


def _run_part(command: Sequence[str], texts: Sequence[str], environment: dict[str, str]) -> list[Done]:
    run = subprocess.run([*command, ""], input=b"".join(text.encode() + b"\0" for text in texts), check=True,
                         capture_output=True, timeout=TIMEOUT_S, env=environment)
    out, err = (stream.decode(errors="replace").split("\0")[:-1] for stream in (run.stdout, run.stderr))
    # The status follows the last line, and every line is ended.
    ends = [part.rpartition("\n") for part in out]
    return [Done(int(end), before, error) for (before, _, end), error in zip(ends, err, strict=True)]
