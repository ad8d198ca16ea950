"""A provider's switch: customers' frames, tagged or not, cross it in a tag of its own."""

from __future__ import annotations

from fastpath import Switch
from fastpath.testing import frame as padded


def frame(kind: str, **given: object) -> bytes:
    """A frame that needs no padding, so that a tag more is all that changes."""
    return padded(kind, size=0, **given)        # type: ignore[arg-type]


def test_customer_frames_are_tunnelled_in_the_providers_vlan() -> None:
    with Switch(seed=1) as switch:
        br = switch.add_bridge("br0")
        customer = br.add_port("c1", tag=9, vlan_mode="dot1q-tunnel", cvlans=[0, 5])
        other = br.add_port("c2", tag=8, vlan_mode="dot1q-tunnel")
        trunk = br.add_port("up")
        br.add_flow("actions=NORMAL")
        assert br.inject(customer, frame("udp", vlan=5)) == {trunk: [frame("udp", vlan=[9, 5])]}
        assert br.inject(customer, frame("udp", vlan=7)) == {}
        assert br.inject(customer, frame("udp")) == {trunk: [with_tag(frame("udp"), 9)]}
        back = frame("udp", src=2, dst=1, vlan=[9, 5])
        assert br.inject(trunk, back) == {customer: [frame("udp", src=2, dst=1, vlan=5)]}
        flooded = frame("udp", src=3, dst=0xFFFFFFFFFFFF, vlan=[9, 7])
        assert br.inject(trunk, flooded) == {}
        for vlan in (5, 7):
            packet = frame("udp", src=3, dst=4, vlan=[8, vlan])
            assert br.inject(trunk, packet) == {other: [frame("udp", src=3, dst=4, vlan=vlan)]}


def with_tag(packet: bytes, vid: int) -> bytes:
    """*packet* in a service tag."""
    return packet[:12] + b"\x88\xa8" + vid.to_bytes(2, "big") + packet[12:]
