"""VLAN settings of a port: the usual defaults, and what makes no sense."""

from __future__ import annotations

import pytest

from fastpath.errors import ConfigError
from fastpath.ofproto.port import vlan_config
from fastpath.ofproto.xlate.context import VlanConfig, VlanMode


@pytest.mark.parametrize("given, expected", [
    ({}, VlanConfig()),
    ({"tag": 10}, VlanConfig(VlanMode.ACCESS, 10)),
    ({"trunks": [1, 2]}, VlanConfig(VlanMode.TRUNK, 0, frozenset((1, 2)))),
    ({"tag": 10, "trunks": [1]}, VlanConfig(VlanMode.NATIVE_TAGGED, 10, frozenset((1,)))),
    ({"tag": 10, "mode": "native-untagged"}, VlanConfig(VlanMode.NATIVE_UNTAGGED, 10)),
    ({"tag": 9, "mode": "dot1q-tunnel", "cvlans": [0, 5]},
     VlanConfig(VlanMode.DOT1Q_TUNNEL, 9, cvlans=frozenset((0, 5)))),
    ({"priority_tags": "always"}, VlanConfig(priority_tags="always"))])
def test_vlan_settings_have_the_usual_defaults(given: dict[str, object], expected: VlanConfig) -> None:
    assert vlan_config(**given) == expected         # type: ignore[arg-type]


@pytest.mark.parametrize("given, words", [
    ({"tag": 4096}, "VLAN 4096"), ({"trunks": [-1]}, "VLAN -1"), ({"mode": "access"}, "needs a tag"),
    ({"mode": "hybrid"}, "'hybrid'"), ({"tag": 1, "trunks": [2], "mode": "access"}, "no trunks"),
    ({"priority_tags": "maybe"}, "'maybe'"), ({"cvlans": [5]}, "only with VLAN mode dot1q-tunnel"),
    ({"tag": 9, "mode": "dot1q-tunnel", "trunks": [2]}, "no trunks"),
    ({"tag": 9, "mode": "dot1q-tunnel", "qinq_ethtype": 0x9100}, "neither 0x8100 nor 0x88a8")])
def test_vlan_settings_that_make_no_sense_are_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        vlan_config(**given)                        # type: ignore[arg-type]
