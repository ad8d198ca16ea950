"""Flow text: keys by command, cookies, flags, files, and the data sets of real flows."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import flows

from fastpath.errors import ParseError
from fastpath.ofproto.actions.versions import OF10, OF13, OF15
from fastpath.ofproto.flow_mod import GROUP_ANY, Command, FlowMod
from fastpath.ofproto.flow_text import format_flow_mod, parse_filter, parse_flow, parse_flows
from fastpath.ofproto.rule import FlowFlags, Rule


def rule_of(fm: FlowMod) -> Rule:
    return Rule(
        fm.match,
        fm.priority,
        fm.actions,
        table_id=fm.table_id,
        cookie=fm.new_cookie or 0,
        idle_timeout=fm.idle_timeout,
        hard_timeout=fm.hard_timeout,
        importance=fm.importance,
        flags=fm.flags,
    )


@given(st.booleans().flatmap(lambda of10: flows(of10=of10)))
def test_a_dumped_rule_parses_to_the_same_rule(text: str) -> None:
    fm = parse_flow(text)
    again = parse_flow(rule_of(fm).format(0.0))
    assert (again.match, again.actions, again.priority, again.new_cookie) == (
        fm.match,
        fm.actions,
        fm.priority,
        fm.new_cookie,
    )
    assert (again.table_id, again.idle_timeout, again.hard_timeout) == (
        fm.table_id,
        fm.idle_timeout,
        fm.hard_timeout,
    )


def test_all_keys_of_an_add() -> None:
    fm = parse_flow(
        "table=3,priority=0x10,cookie=0xabc,idle_timeout=7,hard_timeout=9,importance=3,send_flow_rem,"
        "check_overlap,reset_counts,tcp,actions=output:2"
    )
    assert (fm.command, fm.table_id, fm.priority, fm.new_cookie) == (Command.ADD, 3, 16, 0xABC)
    assert (fm.idle_timeout, fm.hard_timeout, fm.importance) == (7, 9, 3)
    assert fm.flags == FlowFlags.SEND_FLOW_REM | FlowFlags.CHECK_OVERLAP | FlowFlags.RESET_COUNTS


def test_dump_lines_can_be_fed_back() -> None:
    fm = parse_flow(
        " cookie=0x1, duration=627.643s, table=0, n_packets=2, n_bytes=108, idle_timeout=7, idle_age=328, "
        "priority=100,tcp,tp_dst=80 actions=output:2"
    )
    assert (fm.new_cookie, fm.idle_timeout, fm.priority, str(fm.match)) == (1, 7, 100, "tcp,tp_dst=80")


def test_a_command_there_is_not_is_refused() -> None:
    for parse in (parse_flow, lambda flow, command: parse_flows([flow], command)):
        with pytest.raises(ParseError, match="'remove': no command, expected one of add, "):
            parse("ip", "remove")


def test_command_in_front() -> None:
    assert parse_flow("delete tcp", None).command is Command.DELETE
    assert parse_flow("modify_strict tcp,actions=drop", None).command is Command.MODIFY_STRICT
    assert parse_flow("tcp,actions=drop", None).command is Command.ADD


def test_cookie_without_mask_is_set_and_with_mask_selects() -> None:
    fm = parse_flow("cookie=5/7,actions=drop", "modify")
    assert (fm.cookie, fm.cookie_mask, fm.new_cookie) == (5, 7, None)
    assert parse_flow("cookie=5/-1", "delete").cookie_mask == (1 << 64) - 1
    assert parse_flow("cookie=5,actions=drop", "modify").new_cookie == 5


def test_filter() -> None:
    fm = parse_filter("table=2,tcp,out_port=3,cookie=1/1")
    assert (fm.table_id, fm.out_port, fm.cookie_mask, fm.out_group) == (2, 3, 1, GROUP_ANY)


@pytest.mark.parametrize(
    "command, text, error",
    [
        ("add", "tcp", "must specify an action"),
        ("add", "foo=1,actions=drop", "unknown keyword foo"),
        ("add", "foo,actions=drop", "field foo missing value"),
        ("add", "out_port=3,actions=drop", "unknown keyword out_port"),
        ("add", "cookie=5/6,actions=drop", "flow additions cannot use a cookie mask"),
        ("add", "table=300,actions=drop", 'unknown table "300"'),
        ("add", "priority=70000,actions=drop", 'invalid priority "70000"'),
        ("add", "idle_timeout=-1,actions=drop", 'invalid idle_timeout "-1"'),
        ("add", "tcp,nw_frag=later,tp_dst=1,actions=drop", "prerequisites not met for setting tp_dst"),
        ("add", "nsh_spi=5,actions=drop", "prerequisites not met for setting nsh_path_hdr"),
        ("add", "ip,ct_nw_src=1.2.3.4,actions=drop", "prerequisites not met for setting ct_nw_src"),
        ("modify", "importance=3,actions=drop", "unknown keyword importance"),
        ("delete", "priority=3", "unknown keyword priority"),
        ("delete", "cookie=3", "cannot set cookie (to match on a cookie, specify a mask, e.g. cookie=3/-1)"),
        ("delete", "idle_timeout=3", "unknown keyword idle_timeout"),
        ("delete", "out_port=foo", "foo is not a valid OpenFlow port"),
        ("delete", "send_flow_rem", "field send_flow_rem missing value"),
    ],
)
def test_errors_are_those_of_the_reference(command: str, text: str, error: str) -> None:
    with pytest.raises(ParseError) as e:
        parse_flow(text, command)
    assert str(e.value) == error


def test_files_have_comments_and_errors_name_the_line() -> None:
    lines = ["# a comment", "", "tcp,actions=output:1  # the rest is comment", "delete udp"]
    assert [fm.command for fm in parse_flows(lines)] == [Command.ADD, Command.DELETE]
    with pytest.raises(ParseError, match=r"^f\.flows:2: unknown action frob$"):
        parse_flows(["actions=drop", "tcp,actions=frob"], name="f.flows")


@pytest.mark.parametrize(
    "version, flags",
    [(OF10, "check_overlap"), (OF13, "check_overlap reset_counts"), (OF15, "check_overlap reset_counts")],
)
def test_flow_mod_text(version: int, flags: str) -> None:
    fm = parse_flow(
        "table=3,priority=5,importance=7,check_overlap,reset_counts,tcp,idle_timeout=4,cookie=9,actions=dec_ttl"
    )
    importance = " importance:7" if version == OF15 else ""
    assert (
        format_flow_mod(fm, version)
        == f"ADD table:3 priority=5,tcp cookie:0x9 idle:4{importance} {flags} actions=dec_ttl"
    )


def test_every_truncation_parses_or_is_refused_in_one_line() -> None:
    text = (
        "table=3,priority=5,tcp,nw_src=10.0.0.0/8,tcp_flags=+syn-ack,reg0=0x1/0xff,"
        "actions=ct(commit,nat(src=1.1.1.1:80)),output:2"
    )
    outcomes = set()
    for end in range(len(text)):
        try:
            parse_flow(text[:end])
            outcomes.add("parsed")
        except ParseError as e:
            outcomes.add("refused")
            assert "\n" not in str(e)
    assert outcomes == {"parsed", "refused"}


def test_all_flows_of_the_data_sets_parse(shared: Path) -> None:
    n = 0
    for path in sorted((shared / "data" / "of").glob("*.flows.xz")):
        with lzma.open(path, "rt") as f:
            n += len(parse_flows(f, "add", name=path.name))
    assert n == 12000


def test_flows_of_a_running_ovn_parse_and_print_as_they_were_dumped(shared: Path) -> None:
    n, strip = 0, ("duration", "n_packets", "n_bytes", "idle_age")
    for path in sorted((shared / "data" / "ovn").glob("*.flows.xz")):
        with lzma.open(path, "rt") as f:
            for line in (line.strip() for line in f if "actions=" in line):
                n += 1
                # dec_ttl() with no controllers is something only the wire can say.
                dumped = "".join(
                    p for p in line.replace("dec_ttl()", "dec_ttl").split(", ") if not p.startswith(strip)
                )
                ours = rule_of(parse_flow(line)).format(0.0)
                again = "".join(p for p in ours.split(", ") if not p.startswith(strip))
                assert again == dumped
    assert n > 1900
