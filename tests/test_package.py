"""The package as it is installed: versions agree, stubs stand beside modules, importing is cheap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fastpath

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "fastpath"


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
                          timeout=30).stdout


def test_versions_agree() -> None:
    assert f'\nversion = "{fastpath.__version__}"\n' in (ROOT / "pyproject.toml").read_text()
    assert fastpath.__version__ in (ROOT / "CHANGELOG.md").read_text()


def test_the_package_says_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("_*.pyx")), ids=lambda path: path.stem)
def test_what_python_imports_has_a_stub(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    if any(f"from {module} import" in source.read_text() for source in PACKAGE.rglob("*.py")):
        assert path.with_suffix(".pyi").exists()


def test_importing_costs_little_and_pulls_in_nothing_heavy() -> None:
    code = ("import sys, time; t = time.process_time(); import fastpath, fastpath.testing\n"
            "print(time.process_time() - t, *(m for m in ('numpy', 'pyroute2') if m in sys.modules))")
    spent, *heavy = python("import pytest\n" + code).split()
    assert heavy == []
    assert float(spent) < 0.2
