"""Fixtures every test may use: shared data, oracles, and how much to try."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--more", type=int, default=1, metavar="N",
                     help="multiply the number of generated cases by N")


def pytest_configure(config: pytest.Config) -> None:
    """The plain run tries the same cases every time; with --more they are drawn anew.  How long one case
    takes says more of the machine than of the code."""
    settings.register_profile("same", derandomize=True, deadline=None)
    settings.register_profile("anew", deadline=None)
    settings.load_profile("same" if config.getoption("--more") == 1 else "anew")


# Fast tests first, then those that run the reference or make namespaces, sanitizers and stress last.
LATER = (("interop", 1), ("netns", 1), ("oracle", 1), ("differential", 1), ("af_packet", 1), ("cli_run", 1),
         ("tests/vswitchd", 1), ("stress", 2), ("asan", 2), ("sanitize", 2))
SANITIZERS = 2
REFERENCE = ("tests/vswitchd/", "tests/interop/")       # these wait for other programs most of the time


@pytest.hookimpl(tryfirst=True)         # before -m chooses by the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def turn(item: pytest.Item) -> int:
        return max((rank for word, rank in LATER if word in path(item) or word in item.name), default=0)

    def path(item: pytest.Item) -> str:
        return str(item.path.relative_to(ROOT))

    items.sort(key=turn)
    for item in items:
        if turn(item) == SANITIZERS or path(item).startswith(REFERENCE):
            item.add_marker("beside")


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
def controllers() -> Path:
    """The environment that tools/controllers made, with Faucet and os-ken; skips where it is not named."""
    path = os.environ.get("FASTPATH_CONTROLLERS")
    if path is None:
        pytest.skip("FASTPATH_CONTROLLERS names no environment with Faucet (tools/controllers makes it)")
    return Path(path).absolute()


@pytest.fixture(scope="session")
def root() -> None:
    """Skips unless the tests run with the privileges network namespaces need."""
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        pytest.skip("needs root and /dev/net/tun")


@pytest.fixture(params=["words", "avx2"], scope="module")
def unwildcard_form(request: pytest.FixtureRequest) -> Iterator[None]:
    """Un-wildcarding by each form in turn; skips one that this processor has not."""
    from fastpath._unwildcard import set_form

    try:
        before = set_form(request.param)
    except ValueError:
        pytest.skip("a processor without AVX2")
    yield
    set_form(before)
