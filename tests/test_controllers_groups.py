"""Groups and meters over OpenFlow: real ovs-ofctl prints of us what it prints of the reference switch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ofctl_pair import compare, ofctl, our_bridge, reference_bridge

GROUPS: tuple[tuple[str, ...], ...] = (
    ("del-flows",), ("del-groups",),
    ("add-group", "group_id=1,type=all,bucket=output:1,bucket=output:2"),
    ("add-group", "group_id=2,type=select,bucket=weight=3,output:1,bucket=set_field:5->reg0,output:2"),
    ("add-group", "group_id=3,type=indirect,bucket=mod_dl_src:00:00:00:00:00:01,output:1"),
    ("add-group", "group_id=4,type=ff,bucket=watch_port=1,output:1,bucket=watch_group=2,output:2"),
    ("add-group", "group_id=5,type=select,selection_method=hash,fields(ip_src,ip_dst=255.255.0.0),"
                  "bucket=output:1"),
    ("add-group", "group_id=6,type=select,selection_method=dp_hash,selection_method_param=7,"
                  "bucket=bucket_id:7,output:1"),
    ("add-group", "group_id=7,type=select,selection_method=hash,bucket=bucket_id:7,output:1,"
                  "bucket=bucket_id:9,output:2"),
    ("add-group", "group_id=1,type=all,bucket=output:1"),
    ("add-group", "group_id=9,type=indirect,bucket=output:1,bucket=output:2"),
    ("add-flow", "table=3,in_port=1,actions=group:1"), ("add-flow", "table=3,in_port=2,actions=group:8"),
    ("dump-groups",), ("dump-groups", "2"), ("dump-groups", "99"), ("dump-group-stats",),
    ("dump-group-stats", "1"), ("dump-group-stats", "99"), ("dump-group-features",),
    ("mod-group", "group_id=2,type=all,bucket=output:1"),
    ("mod-group", "group_id=77,type=all,bucket=output:1"),
    ("--may-create", "mod-group", "group_id=78,type=all,bucket=output:1"),
    ("insert-buckets", "group_id=1,command_bucket_id=last,bucket=bucket_id:5,output:2"),
    ("insert-buckets", "group_id=1,command_bucket_id=first,bucket=bucket_id:6,output:2"),
    ("insert-buckets", "group_id=1,command_bucket_id=5,bucket=bucket_id:8,output:2"),
    ("insert-buckets", "group_id=1,command_bucket_id=99,bucket=bucket_id:8,output:2"),
    ("insert-buckets", "group_id=1,command_bucket_id=last,bucket=bucket_id:5,output:2"),
    ("insert-buckets", "group_id=7,command_bucket_id=last,bucket=bucket_id:5,output:2"),
    ("insert-buckets", "group_id=66,command_bucket_id=last,bucket=bucket_id:5,output:2"),
    ("dump-groups",), ("remove-buckets", "group_id=1,command_bucket_id=first"),
    ("remove-buckets", "group_id=1,command_bucket_id=last"),
    ("remove-buckets", "group_id=1,command_bucket_id=8"),
    ("remove-buckets", "group_id=1,command_bucket_id=88"), ("dump-groups",),
    ("remove-buckets", "group_id=1,command_bucket_id=all"), ("dump-groups", "1"),
    ("del-groups", "group_id=1"), ("dump-flows",), ("del-groups", "group_id=1"), ("dump-groups",),
    ("del-groups",), ("dump-groups",), ("show",))
METERS: tuple[tuple[str, ...], ...] = (
    ("del-flows",), ("del-meters",), ("add-meter", "meter=1,kbps,band=type=drop,rate=1000"),
    ("add-meter", "meter=2,pktps,burst,stats,band=type=drop,rate=100,burst_size=50,"
                  "type=drop,rate=200,burst_size=9"),
    ("add-meter", "meter=1,kbps,band=type=drop,rate=1000"),
    ("add-meter", "meter=controller,pktps,band=type=drop,rate=10"),
    ("add-meter", "meter=slowpath,pktps,band=type=drop,rate=10"),
    ("add-meter", "meter=5,kbps,band=type=dscp_remark,rate=5,prec_level=1"),
    ("add-meter", "meter=6,stats,band=type=drop,rate=5"),
    ("add-meter", "meter=all,pktps,band=type=drop,rate=10"),
    ("add-meter", "meter=999999,pktps,band=type=drop,rate=10"), ("dump-meters",),
    ("dump-meter", "meter=2"), ("dump-meter", "meter=22"), ("meter-stats",), ("meter-stats", "meter=1"),
    ("meter-stats", "meter=12"), ("meter-features",),
    ("mod-meter", "meter=1,pktps,band=type=drop,rate=7"),
    ("mod-meter", "meter=71,pktps,band=type=drop,rate=7"),
    ("add-flow", "table=3,in_port=1,actions=meter:1,output:2"),
    ("add-flow", "table=3,in_port=2,actions=meter:9,output:2"), ("meter-stats",), ("dump-meters",),
    ("del-meter", "meter=1"), ("dump-flows",), ("del-meter", "meter=1"), ("del-meters",), ("dump-meters",))


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with reference_bridge() as theirs, our_bridge(tmp_path_factory.mktemp("of")) as (ours, _bridge):
        yield ours, theirs


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4, 5])
def test_groups_are_told_as_by_the_reference(targets: tuple[str, str], version: int) -> None:
    compare(*targets, version, GROUPS)


@pytest.mark.parametrize("version", [3, 4, 5])
def test_meters_are_told_as_by_the_reference(targets: tuple[str, str], version: int) -> None:
    compare(*targets, version, METERS)


def test_five_thousand_groups_come_in_several_messages(tmp_path: Path, ovs_ofctl: str) -> None:
    with our_bridge(tmp_path) as (target, bridge):
        bridge.add_groups(f"group_id={i},type=all,bucket=output:{i % 99 + 1}" for i in range(1, 5001))
        lines = ofctl(target, 3, ("dump-groups",))
        assert sum("type=all,bucket=actions=output:" in line for line in lines) == 5000
