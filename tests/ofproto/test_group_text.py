"""Text of groups: there and back, in every version, and every truncation of a good one."""

from __future__ import annotations

from pathlib import Path

import pytest
from group_strategies import groups
from hypothesis import given
from hypothesis import strategies as st

from fastpath.errors import ParseError
from fastpath.ofproto.group import GroupCommand, GroupMod, GroupTable, GroupType
from fastpath.ofproto.group_text import (
    COMMANDS,
    format_bucket,
    format_group_mod,
    parse_group_mod,
    parse_group_mods,
)


@given(groups(), st.sampled_from(("add", "modify", "add_or_mod")))
def test_text_goes_there_and_back(text: str, command: str) -> None:
    gm = parse_group_mod(text, command)
    said = format_group_mod(gm)
    again = parse_group_mod(said.partition(" ")[2], command)
    assert format_group_mod(again) == said
    assert parse_group_mod(f"{command} {text}", None) == gm
    assert (again.group_id, again.type, again.method, again.method_param, again.fields) == (
        gm.group_id, gm.type, gm.method, gm.method_param, gm.fields)


@given(groups())
def test_every_truncation_is_read_or_refused_in_words(text: str) -> None:
    for end in range(len(text)):
        try:
            parse_group_mod(text[:end])
        except ParseError as error:
            assert str(error) and "\n" not in str(error)


@pytest.mark.parametrize(("text", "command"), [
    ("add group_id=1,type=all", GroupCommand.ADD), ("group_id=1,type=all", GroupCommand.ADD),
    ("a group_id=1,type=all", GroupCommand.ADD), ("d group_id=1", GroupCommand.DELETE),
    ("delete", GroupCommand.DELETE), ("modify group_id=1,type=all", GroupCommand.MODIFY),
    ("add_or_mod group_id=1,type=all", GroupCommand.ADD_OR_MOD),
    ("insert_bucket group_id=1,command_bucket_id=first,bucket=output:1", GroupCommand.INSERT_BUCKET),
    ("remove_bucket group_id=1,command_bucket_id=all", GroupCommand.REMOVE_BUCKET),
])
def test_a_line_may_begin_with_its_command(text: str, command: GroupCommand) -> None:
    assert parse_group_mod(text, None).command is command


def test_a_file_names_the_line_that_is_wrong() -> None:
    lines = ["# groups", "group_id=1,type=all", "", "group_id=2  # no type"]
    with pytest.raises(ParseError, match=r"my\.groups:4: must specify a type"):
        parse_group_mods(lines, name="my.groups")
    assert [gm.group_id for gm in parse_group_mods(lines[:3])] == [1]


def test_ports_have_names() -> None:
    gm = parse_group_mod("group_id=1,type=ff,bucket=watch_port=eth0,output:eth0", ports={"eth0": 5})
    assert gm.buckets[0].watch_port == 5
    assert format_bucket(gm.buckets[0], GroupType.FF, ports={5: "eth0"}) == (
        'bucket=watch_port:eth0,actions=output:eth0')


def test_bucket_ids_and_selection_methods_are_told_since_15() -> None:
    text = "group_id=1,type=select,selection_method=hash,fields=eth_dst,bucket=bucket_id:3,actions=output:1"
    gm = parse_group_mod(text)
    group = GroupTable().apply(gm, 0).added[0]
    assert str(group) == text and str(gm) == f"ADD {text}"
    assert format_group_mod(gm, 4) == "ADD group_id=1,type=select,bucket=actions=output:1"
    assert format_group_mod(GroupMod(COMMANDS["delete"])) == "DEL group_id=4294967292,type=all"


def test_dumps_of_ovn_s_groups_load_and_print_back(shared: Path) -> None:
    """As ``ovs-ofctl dump-groups`` of two hypervisors wrote them."""
    n = 0
    for path in sorted((shared / "data" / "ovn").glob("*.groups")):
        table = GroupTable()
        for line in path.read_text().splitlines():
            if line.lstrip().startswith("group_id"):
                gm = parse_group_mod(line.strip())
                assert str(table.apply(gm, 0).added[0]) == line.strip()
                n += 1
    assert n >= 4
