"""The tables of a running OVN load, print back as they were dumped, and translate as in the reference.

Ports of all kinds are plain ports here, on both sides, with the numbers they had.
"""

from __future__ import annotations

from pathlib import Path

import ovn
import pytest
from ovn import Chassis
from pair import Pair

import fastpath

N_PACKETS = 500                                     # of each chassis
PORTS = {f"p{i}": i for i in range(1, ovn.N_PORTS + 1)}


@pytest.fixture(params=[1, 2], ids=["chassis1", "chassis2"])
def chassis(shared: Path, request: pytest.FixtureRequest) -> Chassis:
    return Chassis.read(shared / "data/ovn", request.param)


def fill(pair: Pair, chassis: Chassis) -> None:
    """The same ports, meters, groups and rules on both sides."""
    bridge, ref = pair.add_bridge("br0", PORTS, 100), pair.ref
    target = ref.bridge_target("br0")
    ref.ofctl("add-tlv-map", target, ovn.TLV_MAP)
    bridge.tlv_map.add(ovn.TLV_MAP)
    for meter in chassis.meters:
        ref.ofctl("add-meter", target, meter)
        bridge.add_meter(meter)
    for group in chassis.groups:
        ref.ofctl("add-group", target, group)
        bridge.add_group(group)
    ref.set_flows("br0", chassis.loadable())
    bridge.add_flows(chassis.loadable())


def test_all_flows_print_back_as_they_were_dumped(chassis: Chassis) -> None:
    with fastpath.Switch(seed=1) as switch:
        bridge = switch.add_bridge("br0")
        bridge.tlv_map.add(ovn.TLV_MAP)
        for meter in chassis.meters:
            bridge.add_meter(meter)
        for group in chassis.groups:
            bridge.add_group(group)
        bridge.add_flows(chassis.dumped)
        printed = [ovn.LIFE.sub("", line) for line in bridge.dump_flows().splitlines()]
    # Told to the wire with an empty list of controllers; as text, to ovs-ofctl too, that is plain dec_ttl.
    dumped = [line.replace("dec_ttl()", "dec_ttl") for line in chassis.dumped]
    assert len(printed) > 900
    assert sorted(printed) == sorted(dumped)


def test_packets_translate_as_in_the_reference(pair: Pair, chassis: Chassis, more: int) -> None:
    fill(pair, chassis)
    n_steps, hit, drawn = 0, set(), ovn.Packets(chassis, 1)
    for _ in range(N_PACKETS * more):
        packet, ct_next = drawn.draw()
        steps = pair.agree("br0", packet, (), ct_next).steps()
        drawn.got(len(steps))
        n_steps += len(steps)
        hit.update((s.table_id, str(s.rule)) for s in steps if s.rule is not None)
    # The packets are worth something: they get far, and reach many different rules.
    assert n_steps > 10 * N_PACKETS * more
    assert len(hit) > 150
