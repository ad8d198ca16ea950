"""The private reference switch starts, answers, keeps to its directory and goes away."""

from __future__ import annotations

from pathlib import Path

import pytest
from reference import Reference, Refused, available


def test_it_lives_and_dies_in_its_own_directory() -> None:
    if not available():
        pytest.skip("the reference switch is not installed")
    with Reference() as ref:
        ref.add_bridge("br7", "p1")
        ref.set_flows("br7", ["in_port=1 actions=LOCAL"])
        assert "Datapath actions: 107" in ref.trace("br7", "in_port=1")
        with pytest.raises(Refused, match="unknown bridge"):
            ref.trace("nosuch", "in_port=1")
        pids = [child.pid for child in ref._children]
        where = ref.dir
    assert not where.exists()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
