"""multipath, bundle and bundle_load choose as the reference does: same hash values, same mask, same text."""

from __future__ import annotations

from action_sets import bundle, case, multipath
from pair import Pair

CHOICES = (multipath, bundle)
PORTS = {"p1": 1, "p2": 2, "p3": 3}
def test_links_and_members_are_the_references(pair: Pair, more: int) -> None:
    pair.add_bridge("br0", PORTS, 100)
    n_taken = sum(pair.compare("br0", case(seed, CHOICES)) for seed in range(100 * more))
    assert n_taken >= 95 * more


def test_a_member_whose_link_is_down_is_passed_over(pair: Pair, more: int) -> None:
    bridge = pair.add_bridge("br0", PORTS, 100)
    pair.ref.appctl("netdev-dummy/set-admin-state", "p2", "down")
    ofproto = bridge.ofproto
    ofproto.set_port(ofproto.port_named("p2"), link_up=False)
    try:
        n_taken = sum(pair.compare("br0", case(seed, CHOICES, 3)) for seed in range(1000, 1000 + 50 * more))
    finally:
        pair.ref.appctl("netdev-dummy/set-admin-state", "p2", "up")
    assert n_taken >= 47 * more
