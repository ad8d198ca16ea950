"""fastpath replay, trace and extract: answers from files, and one line for what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fastpath import extract
from fastpath.cli.main import main
from fastpath.flowtext import format_flow
from fastpath.io.pcapfile import PcapWriter, read_pcap
from fastpath.testing import frame

FLOWS = """# DNS goes to port 3, the rest is switched
priority=0,actions=NORMAL
udp,tp_dst=53,actions=output:3
tcp,tp_dst=23,actions=drop
icmp,hard_timeout=10,actions=output:4
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "flows.txt").write_text(FLOWS)
    with PcapWriter(tmp_path / "in.pcap") as pcap:
        for second in range(20):
            kind, dport = (("udp", 53), ("udp", 80), ("tcp", 23), ("icmp", 0))[second % 4]
            pcap.write(frame(kind, dport=dport), time_ns=(1_000 + second) * 1_000_000_000)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*args: object) -> tuple[int, str, str]:
        try:
            status = main([str(arg) for arg in args])
        except SystemExit as stop:
            status = int(stop.code or 0)
        out, err = capsys.readouterr()
        return status, out, err
    return call


def test_replay_writes_a_capture_for_each_port_and_a_summary(files: Path, run: Run) -> None:
    status, out, err = run("replay", files / "in.pcap", "--flows", files / "flows.txt",
                           "--out", files / "out")
    assert (status, err) == (0, "")
    assert "20 packets in by port 1, 5 dropped" in out
    frames = {path.name: list(read_pcap(path)) for path in (files / "out").glob("*.pcap")}
    dns = [record for record in frames["port-3.pcap"] if record.frame == frame("udp", dport=53)]
    assert [record.time_ns // 10**9 for record in dns] == [1000, 1004, 1008, 1012, 1016]
    # ICMP has its rule for the first ten seconds and is switched like anything else after that.
    icmp = {name: [r.time_ns // 10**9 for r in records if r.frame[23] == 1]
            for name, records in frames.items()}
    assert icmp["port-4.pcap"] == [1003, 1007, 1011, 1015, 1019]
    assert icmp["port-2.pcap"] == [1011, 1015, 1019]
    assert (files / "out" / "summary.txt").read_text() == out
    assert "n_packets=5, n_bytes=300, idle_age=3, udp,tp_dst=53 actions=output:3" in out


def test_a_capture_cut_short_is_named_and_what_came_before_is_written(files: Path, run: Run) -> None:
    whole = (files / "in.pcap").read_bytes()
    (files / "cut.pcap").write_bytes(whole[:-10])
    status, _out, err = run("replay", files / "cut.pcap", "--flows", files / "flows.txt",
                            "--out", files / "out")
    assert status == 2 and err.count("\n") == 1 and "cut.pcap: offset" in err
    assert len(list(read_pcap(files / "out" / "port-3.pcap"))) > 0
    assert "19 packets in" in (files / "out" / "summary.txt").read_text()


def test_trace_explains_flow_packet_and_capture(files: Path, run: Run) -> None:
    flows = ("--flows", files / "flows.txt")
    status, by_flow, _err = run("trace", *flows, "in_port=1,udp,udp_dst=53")
    assert status == 0 and by_flow.endswith("Datapath actions: 3\n") and "udp,tp_dst=53" in by_flow
    status, by_packet, _err = run("trace", *flows, "--packet", frame("udp", dport=53).hex(" "))
    assert status == 0 and by_packet.endswith("Datapath actions: 3\n")
    status, by_pcap, _err = run("trace", *flows, "--pcap", files / "in.pcap")
    assert status == 0 and by_pcap.count("Datapath actions:") == 20
    assert by_packet.strip() in by_pcap
    status, other, _err = run("trace", *flows, "--in-port", "3", "udp,udp_dst=53")
    assert status == 0 and "skipping output to input port" in other


def test_rules_may_use_groups_and_meters_that_are_given(files: Path, run: Run) -> None:
    (files / "uses.txt").write_text("in_port=1,actions=meter:7,group:1\nin_port=2,actions=group:2\n")
    (files / "groups.txt").write_text("# one more\ngroup_id=2,type=ff,bucket=watch_port=9,output:9\n")
    given = ("--flows", files / "uses.txt", "--groups", files / "groups.txt",
             "--group", "group_id=1,type=all,bucket=output:2,bucket=output:3",
             "--meter", "meter=7,pktps,burst,band=type=drop,rate=1,burst_size=8")
    status, out, err = run("trace", *given, "in_port=1,ip")
    assert (status, err) == (0, "") and "Datapath actions: meter(0),2,3" in out
    assert "Datapath actions: 4" in run("trace", *given, "in_port=2,ip")[1]
    status, out, err = run("replay", files / "in.pcap", *given, "--out", files / "metered")
    assert (status, err) == (0, "") and len(list(read_pcap(files / "metered" / "port-3.pcap"))) == 20
    (files / "groups.txt").write_text("group_id=1,type=foo\n")
    assert run("trace", *given, "in_port=1")[2] == (
        f"fastpath: {files / 'groups.txt'}:1: invalid group type foo\n")


def test_extract_prints_the_key_of_every_packet(files: Path, run: Run) -> None:
    status, out, err = run("extract", files / "in.pcap")
    assert (status, err) == (0, "")
    assert out.splitlines() == [format_flow(extract(record.frame)) for record in read_pcap(files / "in.pcap")]


def test_trace_says_which_rules_were_missed_and_for_what(files: Path, run: Run) -> None:
    asked = ("trace", "--flows", files / "flows.txt", "in_port=1,udp,udp_dst=54")
    status, plain, _err = run(*asked)
    status_why, told, _err = run(*asked, "--why")
    assert (status, status_why) == (0, 0)
    assert told.startswith(plain.rstrip("\n"))
    assert "missed priority=32768,udp,tp_dst=53 wants tp_dst=53, the packet has tp_dst=54" in told


def test_the_page_on_traces_shows_what_is_printed(tmp_path: Path, run: Run) -> None:
    page = (Path(__file__).parent.parent / "docs/trace.md").read_text()
    rules, printed = page.split("\n```\n")[1:4:2]
    (tmp_path / "acl.txt").write_text(rules)
    command = next(line for line in page.splitlines() if line.startswith("`fastpath")).strip("`").split()
    status, text, _err = run(*(tmp_path / "acl.txt" if word == "acl.txt" else word for word in command[1:]))
    assert (status, text.rstrip("\n")) == (0, printed)


def test_trace_is_told_what_conntrack_finds(tmp_path: Path, run: Run) -> None:
    (tmp_path / "ct.txt").write_text("ip,actions=ct(table=1)\ntable=1,ct_state=+trk+est,ip,actions=1\n")
    trace = ("trace", "--flows", tmp_path / "ct.txt", "in_port=2,ip")
    status, new, _err = run(*trace)
    assert status == 0 and "default ct_state=trk|new" in new and new.endswith("Datapath actions: drop\n")
    status, known, _err = run(*trace, "--ct-next", "trk,est")
    assert status == 0 and "with ct_state=est|trk" in known and known.endswith("Datapath actions: 1\n")


@pytest.mark.parametrize("args, words", [
    (["replay", "none.pcap", "--flows", "flows.txt", "--out", "o"], "none.pcap: no such file"),
    (["replay", "flows.txt", "--flows", "flows.txt", "--out", "o"], "flows.txt: offset 0: not a pcap file"),
    (["replay", "in.pcap", "--flows", "none.txt", "--out", "o"], "none.txt: no such file"),
    (["replay", "in.pcap", "--flows", "in.pcap", "--out", "o"], "in.pcap: byte"),
    (["replay", "in.pcap", "--flows", "wrong.txt", "--out", "o"], "wrong.txt:2: unknown keyword nope"),
    (["replay", "in.pcap", "--flows", "flows.txt", "--out", "flows.txt"], "not a directory"),
    (["replay", "in.pcap", "--flows", "flows.txt", "--out", "o", "--in-port", "99999"], "--in-port 99999"),
    (["replay", "in.pcap"], "required: --flows, --out"),
    (["trace", "--flows", "flows.txt"], "give one of FLOW, --packet HEX or --pcap FILE"),
    (["trace", "ip"], "--flows FILE"),
    (["trace", "--flows", "flows.txt", "bogus=1"], "flow 'bogus=1': unknown keyword bogus"),
    (["trace", "--flows", "flows.txt", "--packet", "abc"], "half a byte"),
    (["trace", "--flows", "flows.txt", "--packet", "0g"], "'g' is no hexadecimal digit"),
    (["trace", "--flows", "flows.txt", "--in-port", "x", "ip"], "--in-port x"),
    (["trace", "--flows", "flows.txt", "--bridge", "br7", "ip"], "--bridge names one of a running instance"),
    (["extract", "in.pcap", "--in-port", "-1"], "--in-port: '-1': not a port number"),
    (["extract", "in.pcap", "--in-port", "4294967296"], "'4294967296': not a port number"),
    (["extract", "flows.txt"], "not a pcap file"),
    (["extract", "."], "is a directory"),
    (["extract", ""], "'': no such file"),
    (["replay", "flows.txt", "--flows", "flows.txt", "--out", "never"], "not a pcap file"),
    (["replay", "in.pcap", "--flows", "wrong.txt", "--out", "never"], "wrong.txt:2"),
    (["frobnicate"], "frobnicate"),
    ([], "no command"),
])
def test_bad_input_is_one_line_and_status_2(files: Path, run: Run, monkeypatch: pytest.MonkeyPatch,
                                            args: list[str], words: str) -> None:
    monkeypatch.chdir(files)
    (files / "wrong.txt").write_text("actions=drop\nnope=1,actions=drop\n")
    status, _out, err = run(*args)
    assert status == 2
    assert words in err and err.count("\n") == 1 and err.startswith("fastpath"), err
    assert not (files / "never").exists()


def test_version(run: Run) -> None:
    assert run("--version")[:2] == (0, "fastpath 0.1.0\n")
