"""Build extensions with a sanitizer in a copy of the tree, and run Python code against them.

    done = sanitize.run("address", ["_flow", "_extract"], "from fastpath._extract import extract; ...")
    assert done.returncode == 0, done.stderr

The interpreter itself is not instrumented: the runtime comes by LD_PRELOAD.  That is enough, for the
memory of an extension goes through the preloaded malloc, and the GIL's mutex and condition variable
through the preloaded pthread calls, so that ThreadSanitizer knows what the GIL orders.  The builds
stay in build/sanitize, one tree per kind, and are brought up to date once a session.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLAGS = {"address": ("-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
                    " -O1 -g1 -Wno-error"),
         "thread": "-fsanitize=thread -fno-omit-frame-pointer -O1 -g1 -Wno-error"}
LDFLAGS = {"address": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"}
RUNTIME = {"address": "libasan.so", "thread": "libtsan.so"}
# Races whose top frame is the interpreter or numpy.  ("race:" would match any frame of a stack, and all
# stacks of a writer begin in the interpreter.)
SUPPRESSIONS = "race_top:^Py\nrace_top:^_Py\nrace_top:_multiarray_umath\n"
JOBS = str(os.cpu_count() or 1)
Edit = tuple[str, str, str]     # file, old text, new text
FAILED = 66                     # exit status of a process in which a sanitizer found something


def library(kind: str) -> str:
    """Path of the sanitizer's runtime; skips where the compiler has none."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc")
    path = subprocess.run([compiler, f"-print-file-name={RUNTIME[kind]}"], capture_output=True, text=True,
                          check=True).stdout.strip()
    if not Path(path).is_absolute():
        pytest.skip(f"no {RUNTIME[kind]}")
    return str(Path(path).resolve())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other test runs out of the same build tree."""
    with path.open("w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def copy_sources(tree: Path) -> None:
    """Bring *tree* up to date with the sources, keeping the times of unchanged files."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, tree / name)
    for source in (ROOT / "fastpath").rglob("*"):
        if source.suffix not in (".py", ".pyx", ".pxd", ".h"):
            continue
        target = tree / source.relative_to(ROOT)
        if not target.exists() or target.stat().st_mtime != source.stat().st_mtime:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def take_translations(tree: Path) -> None:
    """Start *tree* with the C files of the ordinary build: what is as new as its source is not made again."""
    made = ROOT / "build" / "cython"
    if made.exists() and not (tree / "build" / "cython").exists():
        shutil.copytree(made, tree / "build" / "cython")


def start_from(base: Path, tree: Path, edits: Iterable[Edit]) -> None:
    """Make *tree* a copy of *base*, which is built, without what was made of the files to be edited: of a
    header, all there is."""
    shutil.copytree(base, tree)
    for name, _, _ in edits:
        stem = "*" if name.endswith(".h") else Path(name).stem
        # Headers lie beside the C files as well, and are found there first.
        for made in (*tree.glob(f"build/cython/**/{stem}.c"), *tree.glob(f"fastpath/**/{stem}.*.so"),
                     *tree.glob(f"build/cython/**/{Path(name).stem}.h")):
            made.unlink()


def spoil(tree: Path, edits: Iterable[Edit]) -> None:
    """Apply *edits* to the sources in *tree*."""
    for name, old, new in edits:
        text = (ROOT / name).read_text(encoding="utf-8")
        if old not in text:
            raise ValueError(f"{name} has no {old!r} to spoil")
        spoilt = text.replace(old, new)
        if (tree / name).read_text(encoding="utf-8") != spoilt:
            (tree / name).write_text(spoilt, encoding="utf-8")
        os.utime(tree / name, ((ROOT / name).stat().st_mtime,) * 2)


@functools.cache
def build(kind: str, modules: frozenset[str], edits: tuple[Edit, ...] = ()) -> Path:
    """Directory from which ``fastpath`` imports with *modules* instrumented."""
    library(kind)
    suffix = f"-{hashlib.sha256(repr(edits).encode()).hexdigest()[:8]}" if edits else ""
    tree = ROOT / "build" / "sanitize" / f"{kind}-{sys.implementation.cache_tag}{suffix}"
    if edits and not tree.exists():
        start_from(build(kind, modules), tree, edits)
    tree.mkdir(parents=True, exist_ok=True)
    with locked(tree / "lock"):
        copy_sources(tree)
        take_translations(tree)
        spoil(tree, edits)
        env = os.environ | {"FASTPATH_CFLAGS": FLAGS[kind], "FASTPATH_LDFLAGS": LDFLAGS[kind],
                            "FASTPATH_ONLY": ",".join(sorted(modules)), "FASTPATH_BUILD_DIR": "build/cython",
                            "FASTPATH_JOBS": JOBS}
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "-j", JOBS]
        done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"{kind} build of {sorted(modules)} failed:\n{done.stdout}{done.stderr}"[-4000:])
    return tree


def run(kind: str, modules: Iterable[str], code: str, *, timeout: float = 900, args: Iterable[str] = (),
        edits: Iterable[Edit] = ()) -> subprocess.CompletedProcess[str]:
    """Run *code* in a new interpreter over *modules* built with sanitizer *kind*.

    *modules* names all that the code imports, directly or not, without the package ("_flow").  *edits*
    (file, old text, new text) spoil the sources first: how a test shows that it can fail.
    The exit status is FAILED when the sanitizer found something; its report is in stderr.
    """
    tree = build(kind, frozenset(modules), tuple(edits))
    (tree / "suppressions").write_text(SUPPRESSIONS)
    env = os.environ | {
        "LD_PRELOAD": library(kind), "PYTHONPATH": f"{tree}:{ROOT / 'tests'}", "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": f"detect_leaks=0:exitcode={FAILED}",
        "TSAN_OPTIONS": f"halt_on_error=1:exitcode={FAILED}:suppressions={tree / 'suppressions'}"}
    command = [sys.executable, "-c", code, *args]
    if shutil.which("setarch"):         # the runtimes want the memory layout they were built for
        command = ["setarch", platform.machine(), "-R", *command]
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=timeout)


def finds(modules: Iterable[str], code: str, edit: Edit, *, tries: int = 20) -> bool:
    """Whether ThreadSanitizer finds the race that *edit* makes.

    A race is seen when threads meet, in the first instants or, often, not at all: many short runs find
    what a long one may not.  *code* takes for how many seconds to run.
    """
    for _ in range(tries):
        done = run("thread", modules, code, args=["3"], edits=[edit])
        if done.returncode:
            assert done.returncode == FAILED and "ThreadSanitizer" in done.stderr, done.stderr[-4000:]
            return True
    return False
