"""``fastpath ofctl`` and real ovs-ofctl, the same commands to two bridges alike: they print the same.

Left out: words about which flow formats could say a flow, colours, and names of tables, which ours has not.
"""

from __future__ import annotations

import contextlib
import io
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ofctl_pair import LOCAL, ofctl, plain, words_of
from session_options import FILES, MORE
from session_scripts import SCRIPTS, Command

import fastpath
from fastpath.cli.main import main
from fastpath.ofproto.queue import QueueCounts
from fastpath.openflow.codec import VERSIONS
from fastpath.runtime.dial import Dial

# Of scripts, commands whose text is known to differ: ``-`` as a source of diff-flows, which only ours takes;
# the control socket of monitor; a match without what it needs, of which ovs-ofctl leaves something; words
# about wrong tuples of connections, and about table numbers in formats without them.
OTHERWISE = re.compile(r"'diff-flows', 'SWITCH', '-'|'monitor'|'tcp_dst|"
                       r"'dump-flows', 'table=255'|FNXM\+table_id|icmp_type=8|ct_ipv6_dst=::1|"
                       r"'ct-flush', 'bogus'|--names', 'dump-ports'")


ALL = SCRIPTS | MORE


@pytest.fixture
def bridges(tmp_path: Path) -> Iterator[tuple[str, str]]:
    with fastpath.Switch(seed=0, realtime=True, strict=True) as switch:
        for name in ("br0", "br1"):
            bridge = switch.add_bridge(name)
            bridge.add_port(name, number=LOCAL)
            for port in ("p1", "p2"):
                bridge.add_port(f"{port}{name[-1]}")
            for queue_id in (7, 0):
                bridge.port(1).queues.set(queue_id, counts=lambda: QueueCounts(1, 2, 3))
            bridge.listen(f"punix:{tmp_path / name}.mgmt")
        switch.start(1)
        yield f"unix:{tmp_path / 'br0'}.mgmt", f"unix:{tmp_path / 'br1'}.mgmt"


def ours(target: str, version: int, words: list[str], text: str | None) -> tuple[int, str]:
    """Status and text of our command."""
    out, err, stdin = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(text or "")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["ofctl", "-t", "10", "-O", f"OpenFlow1{version}", *words_of(target, tuple(words))])
    finally:
        sys.stdin = stdin
    return status, out.getvalue() + err.getvalue()


def renamed(word: str, to: str) -> str:
    return re.sub(r"\bp([12])\b", rf"p\g<1>{to}", word)


def alike(lines: list[str], other: str) -> list[str]:
    """Lines without which bridge they are of, dumps of requests (which hold xids) and logs."""
    # A word begins behind a colour, too.
    name = re.compile(rf"(?:\b|(?<=\x1b\[K))(?:p([12])|br){other}\b")
    out = [name.sub(lambda m: f"p{m[1]}" if m[1] else "br", line) for line in lines]
    return sorted(line for line in out if not re.match(r"[0-9a-f]{8}  |[a-z_]+\|[A-Z]+\|", line))


@pytest.mark.parametrize("name", list(ALL))
def test_it_prints_what_ovs_ofctl_prints(ovs_ofctl: str, bridges: tuple[str, str], name: str, more: int,
                                         tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file, text in FILES.items():
        (tmp_path / file).write_text(text)
    monkeypatch.chdir(tmp_path)
    first = list(ALL).index(name)
    for version in ((first + extra) % 6 for extra in range(min(more, 6))):
        for target in bridges:
            for verb in ("del-flows", "del-groups", "del-meters", "del-tlv-map"):
                ours(target, 5, [verb], None)
        for command in ALL[name]:
            # In 1.0 ovs-ofctl does not replace rules of tables.
            if not OTHERWISE.search(str(command)) and not (
                    "table=5,priority=3" in str(command) and version == 0):
                agree(bridges, version, command)


def agree(bridges: tuple[str, str], version: int, command: Command) -> None:
    one, other = told_by_both(bridges, version, command)
    assert one == other, (version, command)


def told_by_both(bridges: tuple[str, str], version: int, command: Command) -> tuple[list[str], list[str]]:
    """What our tool prints of one bridge, and ovs-ofctl of the other."""
    text = command[-1].decode() if isinstance(command[-1], bytes) else None
    words = [word for word in command if isinstance(word, str)]
    status, told = ours(bridges[0], version, [renamed(word, "0") for word in words],
                        text and renamed(text, "0"))
    one = alike(plain(status, told.replace("fastpath ofctl: ", "ovs-ofctl: ")), "0")
    other = alike(ofctl(bridges[1], version, tuple(renamed(word, "1") for word in words),
                        text and renamed(text, "1")), "1")
    return one, other


NAMED: tuple[Command, ...] = (
    ("add-flow", "table=zero,in_port=1,actions=goto_table:three"), ("add-flow", "table=three,ip,actions=p2"),
    ("add-flow", "table=bogus,actions=drop"), ("add-flow", "table=zero,ip,actions=resubmit(,three)"),
    ("add-flow", "table=zero,udp,actions=learn(table=three,in_port=99),ct(table=three)"),
    ("--no-names", "add-flow", "table=three,actions=drop"), ("dump-flows",), ("--names", "dump-flows"),
    ("--names", "--no-stats", "dump-flows", "table=three"), ("--names", "--sort", "dump-flows"),
    ("--names", "dump-aggregate", "table=three"), ("mod-table", "three", "evict"),
    ("--names", "dump-table-desc"), ("del-flows", "table=three"), ("mod-table", "three", "noevict"),
    ("dump-table-features",), ("dump-tables",), ("--names", "dump-flows"))


@pytest.mark.parametrize("version", [3, 4, 5])
def test_tables_have_names(ovs_ofctl: str, tmp_path: Path, version: int) -> None:
    with fastpath.Switch(seed=0, realtime=True, strict=True) as switch:
        for name in ("br0", "br1"):
            bridge = switch.add_bridge(name)
            for port in ("p1", "p2"):
                bridge.add_port(f"{port}{name[-1]}")
            bridge.set_table(0, name="zero")
            bridge.set_table(3, name="three")
            bridge.listen(f"punix:{tmp_path / name}.mgmt")
        switch.start(1)
        targets = (f"unix:{tmp_path / 'br0'}.mgmt", f"unix:{tmp_path / 'br1'}.mgmt")
        for command in NAMED:
            if version == 3 and "dump-table-desc" in command:
                continue
            one, other = told_by_both(targets, version, command)
            assert one == other, command


# -- by itself -------------------------------------------------------------------------------------

def test_differences_are_printed_and_told_by_the_status(bridges: tuple[str, str], tmp_path: Path,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    flows = tmp_path / "flows"
    flows.write_text("in_port=1,actions=2\ntable=3,ip,priority=9,cookie=5,idle_timeout=9,actions=drop\n")
    assert main(["ofctl", "add-flow", bridges[0], "in_port=1,actions=output:1"]) == 0
    assert main(["ofctl", "diff-flows", bridges[0], str(flows)]) == 2
    assert capsys.readouterr().out == (
        "-in_port=1 actions=output:1\n+in_port=1 actions=output:2\n"
        "+table=3 priority=9,ip cookie=0x5 idle_timeout=9 actions=drop\n")
    assert main(["ofctl", "replace-flows", bridges[0], str(flows)]) == 0
    assert main(["ofctl", "diff-flows", str(flows), bridges[0]]) == 0
    assert capsys.readouterr().out == ""


def test_messages_of_a_file_are_printed(ovs_ofctl: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
                                        ) -> None:
    from fastpath.openflow.messages import basic
    from fastpath.openflow.messages.table import encode
    path = tmp_path / "stream"
    path.write_bytes(b"".join(encode(basic.EchoRequest(b"abc"), version, version) for version in VERSIONS))
    assert main(["ofctl", "ofp-parse", str(path)]) == 0
    told = subprocess.run([ovs_ofctl, "ofp-parse", str(path)], capture_output=True, text=True, timeout=60)
    assert capsys.readouterr().out == told.stdout
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["ofctl", "ofp-parse", str(path)]) == 1
    assert "mid-message" in capsys.readouterr().err


@pytest.mark.parametrize("words", [
    ("-O", "OpenFlow13", "parse-flow", "ip,actions=goto_table:3"), ("parse-flow", "table=1,reg0=1,actions=1"),
    ("parse-flow", "actions=push_vlan:0x8100"), ("-F", "nxm", "parse-flow", "table=1,actions=drop"),
    ("-O", "OpenFlow10,OpenFlow12", "parse-flow", "ip,actions=strip_vlan,output:1"),
    ("-F", "bogus", "parse-flow", "ip,actions=drop"), ("-O", "OpenFlow11", "-F", "NXM", "show", "x")])
def test_flows_are_printed_in_the_format_that_can_say_them(
        ovs_ofctl: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run([ovs_ofctl, *words], capture_output=True, text=True, timeout=60)
    assert main(["ofctl", *words]) == done.returncode
    told = capsys.readouterr()
    assert (told.out, told.err.replace("fastpath ofctl", "ovs-ofctl")) == (done.stdout, done.stderr)


@pytest.mark.parametrize(("words", "error"), [
    ([], "missing command name"), (["bogus"], "unknown command 'bogus'"), (["show"], "requires at least 1"),
    (["show", "a", "b"], "at most 1"), (["-O", "OpenFlow9", "show", "x"], "unknown OpenFlow version"),
    (["--nonsense"], "unrecognized arguments"),
    (["show", "unix:/nowhere"], "connecting to unix:/nowhere (No such file or directory)"),
    (["show", "nosuch"], "nosuch is not a bridge or a socket"),
    (["show", "bogus:1"], "connecting to bogus:1 (Address family not supported by protocol)"),
    (["ofp-print", "zz"], "hex"), (["ofp-parse", "/nowhere"], "no such file")])
def test_mistakes_end_in_one_line(words: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ofctl", *words]) in (1, 2)
    told = capsys.readouterr().err
    assert error in told and told.count("\n") == 1


def test_a_switch_that_hangs_up_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def hang_up() -> None:
            client, _peer = listener.accept()
            client.recv(100)
            client.close()
        thread = threading.Thread(target=hang_up)
        thread.start()
        assert main(["ofctl", "show", f"unix:{tmp_path}/s"]) == 1
        thread.join()
    assert capsys.readouterr().err == (
        f"fastpath ofctl: unix:{tmp_path}/s: failed to connect to socket (End of file)\n")


def test_a_monitor_prints_what_comes(bridges: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    thread = threading.Thread(target=main, args=(
        ["ofctl", "-t", "3", "-O", "OpenFlow13", "monitor", bridges[0], "65534", "watch:table=0,!actions"],))
    thread.start()
    deadline = threading.Event()
    seen = ""
    for _ in range(100):
        seen += "".join(capsys.readouterr())
        if "FLOW_MONITOR reply" in seen:
            break
        deadline.wait(0.02)
    assert main(["ofctl", "add-flow", bridges[0], "in_port=1,actions=controller"]) == 0
    assert main(["ofctl", "packet-out", bridges[0], f"in_port=1 packet={'ff' * 60} actions=controller"]) == 0
    thread.join(20)
    seen += capsys.readouterr().err
    assert "event=ADDED table=0 cookie=0 in_port=1\n" in seen
    assert "NXT_PACKET_IN2" in seen and "(via action)" in seen


def test_a_silent_switch_times_out(tmp_path: Path) -> None:
    import socket
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / "silent"))
        s.listen()
        with Dial(f"unix:{tmp_path / 'silent'}", timeout=0.05) as dial, pytest.raises(TimeoutError):
            dial.next()
