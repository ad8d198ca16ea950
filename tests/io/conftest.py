"""Fixtures of port tests: a lab of network namespaces."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "netns"))


@pytest.fixture
def lab(root: None) -> Iterator[object]:
    """Namespaces that end with the test; skips without the privileges they need."""
    from netns import Lab
    with Lab() as lab:
        yield lab
