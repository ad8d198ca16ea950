"""QoS rows on devices of the host: the kernel's queueing is as the reference has it, and told of alike."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from netns import Lab
from reference import available
from stack import OURS, THEIRS, Stack

from fastpath.io import link


@pytest.fixture
def both(root: None) -> Iterator[tuple[Lab, list[tuple[str, Stack]]]]:
    """(lab, the namespaces with our daemon and with the reference, each with device p0 on bridge br0)."""
    if not available():
        pytest.skip("the reference's clients are not installed")
    with Lab() as lab:
        spaces = [lab.netns(name) for name in ("own", "ref")]
        for n, space in enumerate(spaces):
            lab.veth(space, "p0", lab.netns(f"peer{n}"), "p9", mac="02:00:00:00:00:07")
        with (link.in_netns(spaces[0]), Stack(OURS, "--disable-system") as ours,
              link.in_netns(spaces[1]), Stack(THEIRS, "--disable-system") as theirs):
            pairs = list(zip(spaces, (ours, theirs), strict=True))
            for _, stack in pairs:
                assert stack.run("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev "
                                 "-- add-port br0 p0 -- set interface p0 ofport_request=1") == ""
            yield lab, pairs


def told(lab: Lab, space: str, stack: Stack) -> tuple[str, str, str]:
    """What tc and the daemon say, in an order of their own and without what goes by."""
    tc = "".join(sorted(re.sub(r" refcnt \d+", "", part) for part in (
        lab.run(space, "tc", "qdisc", "show", "dev", "p0"),
        *lab.run(space, "tc", "-d", "class", "show", "dev", "p0").splitlines(keepends=True))))
    shown = stack.run("ovs-appctl qos/show p0")
    of = re.sub(r"duration=[0-9.]+s", "duration", stack.run("ovs-ofctl -O OpenFlow13 queue-stats br0 1"))
    return tc, "\n\n".join("\n".join(sorted(block.splitlines())) for block in sorted(shown.split("\n\n"))), \
        "\n".join(sorted(of.splitlines()))


STEPS = (
    "set port p0 qos=@q -- --id=@q create qos type=linux-htb other_config:max-rate=100000000 "
    "queues:0=@a queues:7=@b -- --id=@a create queue other_config:min-rate=1000000 "
    "-- --id=@b create queue other_config:max-rate=20000000 other_config:burst=800000 "
    "other_config:priority=3",
    "set qos p0 x=y",
    "set port p0 qos=@q -- --id=@q create qos type=linux-htb",
    "set port p0 qos=@q -- --id=@q create qos type=linux-noop",
    "set port p0 qos=@q -- --id=@q create qos type=linux-htb other_config:max-rate=x queues:9=@a "
    "-- --id=@a create queue other_config:min-rate=99999999999",
    "set port p0 qos=@q -- --id=@q create qos type=strange",
    "set port p0 qos=@q -- --id=@q create qos type=linux-hfsc other_config:max-rate=50000000 queues:3=@a "
    "-- --id=@a create queue other_config:min-rate=1000000",
    "set port p0 qos=@q -- --id=@q create qos type=linux-codel other_config:target=70",
    "set port p0 qos=@q -- --id=@q create qos type=linux-fq_codel",
    "set port p0 qos=@q -- --id=@q create qos type=linux-sfq other_config:perturb=20",
    "set port p0 qos=@q -- --id=@q create qos type=linux-netem other_config:latency=20000 "
    "other_config:loss=20",
    "clear port p0 qos",
)


def test_rows_of_qos_are_carried_out_as_the_reference_does(both: tuple[Lab, list[tuple[str, Stack]]]
                                                          ) -> None:
    lab, pairs = both
    for step in STEPS:
        for _, stack in pairs:
            stack.run(f"ovs-vsctl {step}")
        ours, theirs = (told(lab, *pair) for pair in pairs)
        assert ours == theirs, "\n---\n".join((step, *ours, *theirs))
    types = [sorted(stack.run("ovs-appctl qos/show-types p0").splitlines()) for _, stack in pairs]
    assert types[0] == types[1]
