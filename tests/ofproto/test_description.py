"""What controllers are told of a bridge is what its owner says, or who made the software."""

from __future__ import annotations

import fastpath
from fastpath.controllers import Control
from fastpath.ofproto.description import Description, own


def test_a_bridge_tells_what_its_owner_says() -> None:
    with fastpath.Switch(seed=0) as sw:
        br = sw.add_bridge("br0")
        control = Control(br, None)
        assert control.description == own() and own().manufacturer == "fastpath"
        br.description = Description("us", "ours", "1", "7", "the one")
        assert control.description.datapath == "the one"
