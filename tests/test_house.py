"""House rules that can be counted: sizes, docstrings, imports, mirror tests (docs/architecture.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "fastpath"
LIMIT = {".py": 700, ".pyx": 900, ".pxd": 200, ".h": 200}
GENERATED = {"_flow_layout.h", "_flow_layout.pxd"}
WORLD = {"time", "socket", "threading", "select", "selectors", "subprocess"}
MAY_TOUCH_WORLD = {"runtime", "io", "cli", "testing.py"}
FUNCTION_LIMIT = 70


def files(*patterns: str) -> list[Path]:
    folders = (PACKAGE, ROOT / "tests", ROOT / "benches", ROOT / "examples")
    return sorted(p for pattern in patterns for folder in folders
                  for p in folder.rglob(pattern) if p.name not in GENERATED)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files("*.py", "*.pyx", "*.pxd", "*.h"), ids=name_of)
def test_no_file_outgrows_its_limit(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LIMIT[path.suffix]


@pytest.mark.parametrize("path", files("*.py"), ids=name_of)
def test_no_function_outgrows_the_screen(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    long = [f"{n.name}: {n.end_lineno - n.lineno + 1} lines" for n in ast.walk(tree)
            if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
            and (n.end_lineno or n.lineno) - n.lineno + 1 > FUNCTION_LIMIT]
    assert long == []


@pytest.mark.parametrize("path", [p for p in files("*.py") if PACKAGE in p.parents], ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    if path.name == "__init__.py" and not source.strip():
        return
    assert ast.get_docstring(ast.parse(source))


@pytest.mark.parametrize("path", [p for p in files("*.pyx") if PACKAGE in p.parents], ids=name_of)
def test_compiled_modules_keep_the_rules(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert any('"""' in line for line in lines[:6]), "no module docstring"
    assert not [line for line in lines if line.startswith("include ")], "paste of source"
    pxd = path.with_suffix(".pxd")
    stub = path.with_suffix(".pyi")
    assert pxd.exists() or stub.exists(), "neither a contract (.pxd) nor a stub (.pyi)"


@pytest.mark.parametrize("path", [p for p in files("*.py") if PACKAGE in p.parents], ids=name_of)
def test_only_the_edge_touches_clocks_threads_and_sockets(path: Path) -> None:
    if path.relative_to(PACKAGE).parts[0] in MAY_TOUCH_WORLD:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    assert not names & WORLD
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level], "relative import"


# Modules whose laws stand under another name, with the reason.
MIRRORED_ELSEWHERE = {
    "_layoutgen": "test_fields", "_flow": "test_flow", "flowtext": "test_flowtext",
    "_matchtext": "test_plain",         # equal to what flow_reader reads item by item
    "_entrywire": "test_flow_dump",     # equal to entries written one by one
    "_fieldsteps": "test_steps",        # equal to what the actions do one by one
    "shortcut": "test_express",
    "part": "test_switch",              # a contract, too: Bridge fulfils it
    "provider": "test_userspace",       # a contract: tested through what implements it
}


def mirror_exists(path: Path) -> bool:
    """Whether a test file mirrors *path*: same folder, ``test_<name>[_more].py``; a folder of small
    families (actions, xlate, cli) may be mirrored as a whole."""
    parts = path.relative_to(PACKAGE).parts
    stem = path.stem.lstrip("_")
    folder = ROOT / "tests" / Path(*parts[:-1])
    names = [p.stem for p in folder.rglob("test_*.py")] if folder.is_dir() else []
    names += [p.stem for p in (ROOT / "tests").glob("test_*.py")]
    names += [p.stem for p in (ROOT / "tests" / parts[0]).glob("test_*.py")] if len(parts) > 1 else []
    wanted = {MIRRORED_ELSEWHERE.get(path.stem, f"test_{stem}")}
    if len(parts) > 1:
        wanted.add(f"test_{parts[-2]}")
    return any(name == w or name.startswith(w + "_") for name in names for w in wanted)


@pytest.mark.parametrize("path", [p for p in sorted(PACKAGE.rglob("*.py")) + sorted(PACKAGE.rglob("*.pyx"))
                                  if p.stem not in ("__init__", "__main__", "errors")], ids=name_of)
def test_every_module_has_its_mirror(path: Path) -> None:
    assert mirror_exists(path), f"no test mirrors {name_of(path)}"
