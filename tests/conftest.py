"""Fixtures every test may use: shared data, oracles, and how much to try."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--more", type=int, default=1, metavar="N",
                     help="multiply the number of generated cases by N")


@pytest.fixture(scope="session")
def more(request: pytest.FixtureRequest) -> int:
    """How many times the usual number of generated cases to try (--more N)."""
    return int(request.config.getoption("--more"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with rule sets, captures and reference text; skips where there is none."""
    path = Path(os.environ.get("FASTPATH_SHARED", ROOT.parent / "shared"))
    if not (path / "data").is_dir():
        pytest.skip("no shared data folder (set FASTPATH_SHARED)")
    return path


@pytest.fixture(scope="session")
def ovs_ofctl() -> str:
    """Path of the reference ovs-ofctl; skips where it is not installed."""
    path = shutil.which("ovs-ofctl")
    if not path:
        pytest.skip("ovs-ofctl is not installed")
    return path


@pytest.fixture(scope="session")
def root() -> None:
    """Skips unless the tests run with the privileges network namespaces need."""
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        pytest.skip("needs root and /dev/net/tun")
