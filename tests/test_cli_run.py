"""fastpath run: from options or a file, until the time is up or a signal comes; its views."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastpath import Bridge, Switch
from fastpath.cli import config, control, help, openflow, run, signals, table
from fastpath.cli.main import main, parser
from fastpath.dpif.provider import DatapathStats, PortStats
from fastpath.errors import ConfigError, FastpathError, PortError
from fastpath.io.pcapfile import PcapWriter, read_pcap
from fastpath.io.port import FAULTS, PORT_TYPES, RECORDERS
from fastpath.ofproto.snooping import SnoopSettings
from fastpath.runtime.listener import Listener
from fastpath.testing import frame

Capture = pytest.CaptureFixture[str]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
TOML = """
[switch]
seconds = 0.2
threads = 1

[bridges.br0]
flows = ["in_port=in,actions=output:out"]
flow_file = "more.txt"
mac_aging = 60
flood_vlans = [9]
static_macs = ["out 10 02:00:00:00:00:77"]

[bridges.br0.ports]
in = {io = "pcap:in,read=IN"}
out = {io = "pcap:out,write=OUT", number = 7, tag = 10}
to-lan = {patch = "to-br0"}

[bridges.br0.mirrors.span]
select_dst_port = ["out"]
output_port = "to-lan"

[bridges.br0.snooping]
aging = 60
flood_unregistered = false
flood = ["to-lan"]

[bridges.lan.ports.to-br0]
patch = "to-lan"
"""


@pytest.fixture
def pcap(tmp_path: Path) -> Path:
    with PcapWriter(tmp_path / "in.pcap") as writer:
        for i in range(100):
            writer.write(frame(sport=i), time_ns=i)
    return tmp_path / "in.pcap"


def start(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "fastpath", "run", *args], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


def test_ports_are_numbered_in_the_order_given_and_flows_obeyed(pcap: Path, capsys: Capture) -> None:
    out = pcap.with_name("out.pcap")
    status = main(["run", "--port", f"pcap:a,read={pcap}", "--port", "memory:b",
                   "--port", f"pcap:c,write={out}", "--flow", "in_port=1,actions=output:3",
                   "--seconds", "0.2"])
    assert status == 0
    # In threads the first packets, which miss, may be overtaken by those that hit the flow they made.
    assert sorted(r.frame for r in read_pcap(out)) == sorted(r.frame for r in read_pcap(pcap))
    text, err = capsys.readouterr()
    assert err == "" and "hits" in text
    assert [line.split()[1:4] for line in text.splitlines()[-4:-1]] == [
        ["1", "a", "100"], ["2", "b", "0"], ["3", "c", "0"]]


def test_without_flows_it_learns_and_floods(pcap: Path) -> None:
    outs = [pcap.with_name(f"out{i}.pcap") for i in range(2)]
    ports = [f"pcap:a,read={pcap}", *[f"pcap:p{i},write={path}" for i, path in enumerate(outs)]]
    options = [word for port in ports for word in ("--port", port)]
    assert main(["run", *options, "--seconds", "0.2", "--quiet"]) == 0
    assert [len(list(read_pcap(path))) for path in outs] == [100, 100]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(pcap: Path, number: signal.Signals, tmp_path: Path) -> None:
    out, sock = tmp_path / "out.pcap", tmp_path / "control.sock"
    process = start("--port", f"pcap:a,read={pcap},loop=yes,pace=real", "--port", f"pcap:b,write={out}",
                    "--flow", "in_port=1,actions=output:2", "--quiet", "--socket", str(sock))
    end = time.monotonic() + 60
    while not sock.exists() and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (0, "", "")
    assert len(list(read_pcap(out))) >= 100
    assert not sock.exists()


# -- configuration file --------------------------------------------------------------------------------

def write(folder: Path, text: str) -> Path:
    path = folder / "lab.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("strict", [False, True])
def test_what_open_vswitch_refuses_is_refused_where_that_is_asked_for(tmp_path: Path, capsys: Capture,
                                                                      strict: bool) -> None:
    path = write(tmp_path, f"[switch]\nstrict = {str(strict).lower()}\nseconds = 0\n"
                           "[bridges.br0]\nflows = ['mpls,actions=copy_ttl_out']\n")
    asked = ["run", "--config", str(path), "--quiet"]
    assert main(asked) == 2 * strict
    assert main([*asked, "--strict"]) == 2
    assert "unknown action copy_ttl_out" in capsys.readouterr().err


def test_a_file_says_bridges_ports_and_flows(pcap: Path, capsys: Capture) -> None:
    out = pcap.with_name("out.pcap")
    pcap.with_name("more.txt").write_text("# nothing yet\npriority=1,actions=NORMAL\n")
    path = write(pcap.parent, TOML.replace("IN", str(pcap)).replace("OUT", str(out)))
    found = config.load(path)
    assert (found.seconds, [b.name for b in found.bridges]) == (0.2, ["br0", "lan"])
    assert [flow for _place, flow in found.bridges[0].flows] == ["in_port=in,actions=output:out",
                                                                  "priority=1,actions=NORMAL"]
    with Switch(realtime=True) as switch:
        run.build(switch, found)
        run.add_rules(switch, found)
        assert [(p.number, p.name) for p in switch["br0"].ports] == [(1, "in"), (2, "to-lan"), (7, "out")]
        assert switch["br0"].port("to-lan").of.peer[0].name == "lan"
        snooping = switch["br0"].ofproto.snooping
        assert (snooping.settings, list(snooping.flooded)) == (
            SnoopSettings(60, floods_unregistered=False), [switch["br0"].port("to-lan").number])
        assert not switch["lan"].is_snooping
        assert "actions=NORMAL" in switch["lan"].dump_flows()
    assert main(["run", "--config", str(path), "--quiet"]) == 0
    assert len(list(read_pcap(out))) == 100


def test_a_file_says_what_is_spoken(tmp_path: Path, ovs_ofctl: str) -> None:
    path = write(tmp_path, f"""
        [switch]
        rundir = "{tmp_path}"
        [bridges.one]
        protocols = ["OpenFlow13"]
        dpid = "2a"
        [bridges.two]
        listen = ["punix:{tmp_path}/two.sock"]
    """)
    process = start("--config", str(path), "--protocols", "OpenFlow10,OpenFlow14", "--dpid", "0x77",
                    "--quiet")
    try:
        for socket, version, told in (("one.mgmt", 13, "dpid:000000000000002a"), ("two.mgmt", 14, "dpid:0"),
                                      ("two.sock", 10, "dpid:0000000000000077"),
                                      ("one.mgmt", 14, "version negotiation failed"),
                                      ("two.sock", 13, "version negotiation failed")):
            end = time.monotonic() + 60
            while not (tmp_path / socket).exists() and time.monotonic() < end:
                time.sleep(0.01)
            done = subprocess.run([ovs_ofctl, "-O", f"OpenFlow{version}", "show",
                                   f"unix:{tmp_path / socket}"], capture_output=True, text=True, timeout=60)
            assert told in done.stdout + done.stderr, (socket, version)
    finally:
        process.terminate()
        assert process.communicate(timeout=60)[1] == ""


def test_a_socket_asked_for_twice_is_of_one_bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, f"""
        [switch]
        rundir = "{tmp_path}"
        [bridges.one]
        listen = ["punix:{tmp_path}/./one.mgmt", "ptcp:0", "ptcp:0"]
        [bridges.two]
    """)
    options, asked = argparse.ArgumentParser(), []
    openflow.add_options(options)
    listen = Bridge.listen

    def note(bridge: Bridge, address: str, **settings: Any) -> Listener:
        asked.append((bridge.name, address))
        return listen(bridge, address, **settings)
    monkeypatch.setattr(Bridge, "listen", note)
    found = config.load(path)
    for bridge in ("one", "two"):
        asked.clear()
        args = options.parse_args(["--listen", f"{bridge}@punix:{tmp_path}/one.mgmt"])
        with Switch(realtime=True) as switch:
            run.build(switch, found)
            if bridge == "one":
                openflow.serve(switch, args, found)
            else:
                with pytest.raises(ConfigError, match="bridge 'one' is served there"):
                    openflow.serve(switch, args, found)
        assert asked == [("one", f"punix:{tmp_path}/one.mgmt"), ("one", "ptcp:0"), ("one", "ptcp:0"),
                         ("two", f"punix:{tmp_path}/two.mgmt")]


def test_a_file_says_controllers_and_where_to_listen(tmp_path: Path) -> None:
    path = write(tmp_path, f"""
        [bridges.led]
        controllers = ["unix:{tmp_path}/controller"]
        listen = ["punix:{tmp_path}/led.sock"]
        [bridges.ruled]
        controllers = ["unix:{tmp_path}/controller"]
        flows = ["actions=drop"]
        [bridges.alone]
        [bridges.bad]
        controllers = ["carrier-pigeon:1"]
    """)
    found = config.load(path)
    options = argparse.ArgumentParser()
    openflow.add_options(options)
    args = options.parse_args([])
    with Switch(realtime=True) as switch:
        run.build(switch, found)
        with pytest.raises(FastpathError, match=r"lab.toml: bridges.bad.controllers\[0\]: .*carrier-pigeon"):
            openflow.connect(switch, args, found)
        run.add_rules(switch, found)
        openflow.serve(switch, args, found)
        assert (tmp_path / "led.sock").exists()
        assert [len(b.dump_flows().splitlines()) for b in switch] == [0, 1, 1, 1]
        assert [len(b.controllers) for b in switch] == [1, 1, 0, 0]


def test_a_file_says_groups_and_meters(tmp_path: Path) -> None:
    (tmp_path / "groups.txt").write_text("group_id=2,type=all,bucket=group:1\n")
    path = write(tmp_path, """
        [bridges.br0]
        meters = ["meter=1,pktps,band=type=drop,rate=5"]
        groups = ["group_id=1,type=indirect,bucket=output:1"]
        group_file = "groups.txt"
        flows = ["actions=meter:1,group:2"]
        [bridges.br0.ports.a]
        io = "memory:a"
    """)
    found = config.load(path)
    with Switch(realtime=True) as switch:
        run.build(switch, found)
        run.add_rules(switch, found)
        bridge = switch["br0"]
        assert [g.group_id for g in bridge.groups()] == [1, 2] and len(bridge.meters()) == 1
        assert "actions=meter:1,group:2" in bridge.dump_flows()
        for view, words in (("dump-groups", "group_id=2,type=all"), ("dump-meters", "meter=1 pktps bands="),
                            ("dump-group-stats", "ref_count=1"), ("meter-stats", "flow_count:1")):
            assert words in control.COMMANDS[view](switch, {})


@pytest.mark.parametrize("text, words", [
    ("[bridges.br0]\ngroups = ['group_id=1']\n", "bridges.br0.groups[0]: must specify a type"),
    ("[bridges.br0]\nmeters = ['meter=1']\n", "bridges.br0.meters[0]: must specify bands"),
    ("[bridges.br0\n", "lab.toml: expected ']'"),
    ("", "lab.toml: no bridge"),
    ("bridge = 1\n", "lab.toml: bridge: unknown key, expected one of switch, bridges"),
    ("[bridges.br0]\nport = 1\n", "bridges.br0.port: unknown key"),
    ("[bridges.br0.ports.a]\ntag = 'ten'\n", "bridges.br0.ports.a.tag: 'ten' given, expected a whole number"),
    ("[bridges.br0.ports.a]\nno_flood = 1\n", "no_flood: 1 given, expected true or false"),
    ("[bridges.br0.ports.a]\nnumber = true\n", "number: True given"),
    ("[bridges.br0.ports.a]\nio = 'memory:a'\npatch = 'b'\n", "either io or patch"),
    ("[bridges.br0.ports.a]\nio = 'memory:a'\ntrunks = ['x']\n", "trunks[0]: 'x' given"),
    ("[bridges]\nbr0 = 3\n", "bridges.br0: 3 given, expected a table"),
    ("[bridges.br0]\nflows = ['zork=1,actions=drop']\n", "bridges.br0.flows[0]: unknown keyword zork"),
    ("[bridges.br0]\nflow_file = 'none.txt'\n", "none.txt: no such file"),
    ("[switch]\nthreads = 0\n[bridges.br0]\n", "threads"),
    ("[bridges.br0.ports.a]\nio = 'warp:a'\n", "type 'warp'"),
    ("[bridges.br0.ports.a]\nio = 'memory:a'\ntag = 5000\n", "lab.toml: bridges.br0.ports.a: VLAN 5000"),
    ("[bridges.br0.ports.a]\nio = 'memory:a'\nnumber = 0\n", "bridges.br0.ports.a: port number 0"),
    ("[bridges.br0.ports.a]\npatch = 'b'\n", "ports.a: patch 'b', but no port of that name has patch 'a'"),
    ("[bridges.br0.ports.a]\npatch = 'a'\n", "bridges.br0.ports.a: port 'a': a patch port cannot be its own"),
    ("[bridges.br0]\nmac_aging = -1\n", "bridges.br0: mac_aging -1"),
    ("[bridges.br0]\nmax_macs = 0\n", "bridges.br0: max_macs 0"),
    ("[bridges.br0]\nflood_vlans = [4096]\n", "bridges.br0: flood VLAN 4096"),
    ("[bridges.br0]\nflood_vlans = ['x']\n", "bridges.br0.flood_vlans[0]: 'x' given"),
    ("[bridges.br0.snooping]\naging = 1\n", "bridges.br0.snooping: aging 1, max_groups 2048: expected 15 to"),
    ("[bridges.br0.snooping]\nflood = ['a']\n", "bridges.br0.snooping: bridge 'br0' has no port 'a'"),
    ("[bridges.br0.snooping]\nflood = [1]\n", "bridges.br0.snooping.flood[0]: 1 given, expected"),
    ("[bridges.br0.snooping]\nfloods = 1\n", "bridges.br0.snooping.floods: unknown key"),
    ("[bridges.br0]\nstatic_macs = ['a 1']\n", "bridges.br0.static_macs[0]: 'a 1': expected port, VLAN and"),
    ("[bridges.br0]\nstatic_macs = ['a 1 02:00:00:00:00:01']\n", "static_macs[0]: bridge 'br0' has no"),
    ("[bridges.br0]\nfail_mode = 'open'\n", "bridges.br0: fail_mode 'open': neither standalone nor secure"),
    ("[bridges.br0]\nprotocols = ['OpenFlow9']\n", "bridges.br0.protocols: 'OpenFlow9': not one of Open"),
    ("[bridges.br0]\nprotocols = [13]\n", "lab.toml: bridges.br0.protocols[0]: 13 given"),
    ("[bridges.br0]\nprotocols = []\n", "bridges.br0.protocols: '': not one of"),
    ("[bridges.br0]\ndpid = 'xyz'\n", "bridges.br0.dpid: 'xyz': expected up to 16 hexadecimal digits"),
    ("[bridges.br0.mirrors]\nm = 3\n", "bridges.br0.mirrors.m: 3 given, expected a table"),
    ("[bridges.br0.mirrors.m]\nselect = 3\n", "bridges.br0.mirrors.m.select: unknown key"),
    ("[bridges.br0.mirrors.m]\nselect_vlan = ['x']\n", "mirrors.m.select_vlan[0]: 'x' given"),
    ("[bridges.br0.mirrors.m]\noutput_port = 'x'\n", "bridges.br0.mirrors.m: bridge 'br0' has no port 'x'"),
    ("[bridges.br0]\nflows = ['']\n", "bridges.br0.flows[0]: no rule, expected one"),
    ("[bridges.'']\n", "bridge '': expected a name"),
    ("[switch]\nseconds = nan\n[bridges.br0]\n", "switch.seconds: nan given"),
    ("[switch]\nseconds = -1\n[bridges.br0]\n", "switch.seconds: -1 given"),
    ("[switch]\nflow_limit = -5\n[bridges.br0]\n", "flow_limit -5: not between 0 and"),
    ("[switch]\npoll_us = 2000000\n[bridges.br0]\n", "poll_us cannot be 2000000: expected a whole number"),
    ("[switch]\nmax_revalidator = 0\n[bridges.br0]\n", "max_revalidator 0: expected seconds"),
])
def test_what_is_wrong_with_a_file_is_one_line(tmp_path: Path, capsys: Capture,
                                               text: str, words: str) -> None:
    status = main(["run", "--config", str(write(tmp_path, text)), "--seconds", "0"])
    err = capsys.readouterr().err
    assert status == 2 and words in err and err.count("\n") == 1, err


@pytest.mark.parametrize("args, words", [
    ([], "no ports"),
    (["--port", "nosuchdev9"], "nosuchdev9"),
    (["--port", "memory:a", "--flow", "in_port=1,actions=zork"], "--flow 'in_port=1,actions=zork'"),
    (["--port", "memory:a", "--port", "memory:a"], "'a'"),
    (["--port", "memory:a,capacity=x"], "capacity=x: expected a whole number"),
    (["--port", "memory:a", "--threads", "0"], "threads 0"),
    (["--port", "memory:a", "--poll-us", "-1"], "poll_us cannot be -1"),
    (["--port", "memory:a", "--seconds", "ten"], "'ten': not a number of seconds"),
    (["--port", "memory:a", "--socket", "/nonexistent/s"], "--socket /nonexistent/s: no such file"),
    (["--port", "pcap:a,read=none.pcap"], "none.pcap"),
    (["--port", "pcap:in.pcap"], "port 'pcap:in.pcap': capture files need read=FILE or write=FILE"),
    (["--port", "pcap:a,write=x,epoch_s=nan"], "epoch_s=nan: expected a number"),
    (["--port", "memory:a", "--flow", ""], "--flow '': no rule, expected one such as"),
    (["--port", "memory:a", "--flow", "# drop all"], "no rule"),
    (["--port", "af_packet:a,netns=nosuch"], "no network namespace 'nosuch', there are: "),
    (["--config", ""], "is a directory"),
    (["--config", "x.toml", "--port", "memory:a"], "--config"),
])
def test_bad_options_are_one_line_and_status_2(capsys: Capture, args: list[str], words: str) -> None:
    try:
        status = main(["run", *args])
    except SystemExit as stop:
        status = int(stop.code or 0)
    out, err = capsys.readouterr()
    assert (status, out) == (2, "") and words in err and err.count("\n") == 1, err


@pytest.mark.parametrize("port, words", [("lo", "CAP_NET_RAW"), ("tap:fpnotap", "CAP_NET_ADMIN")])
def test_a_missing_privilege_is_one_line(port: str, words: str) -> None:
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    if without and shutil.which("setpriv") is None:
        pytest.skip("no setpriv to give root's capabilities up with")
    command = [sys.executable, "-m", "fastpath", "run", "--port", port, "--seconds", "0"]
    done = subprocess.run([*without, *command],
                          text=True, capture_output=True, env=ENVIRONMENT)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and words in done.stderr, done.stderr


def test_a_capture_is_not_written_over_while_it_is_read(pcap: Path, capsys: Capture) -> None:
    before = pcap.read_bytes()
    assert main(["run", "--port", f"pcap:a,read={pcap},write={pcap}", "--seconds", "0"]) == 2
    assert "cannot be read and written at once" in capsys.readouterr().err
    assert pcap.read_bytes() == before


def test_a_seed_given_is_that_of_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []

    class Watched(Switch):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            seeds.append(self.seed)
    monkeypatch.setattr(run, "Switch", Watched)
    for options in (["--seed", "7"], ["--seed", "0"], [], []):
        assert main(["run", "--port", "memory:a", "--seconds", "0", "--quiet", *options]) == 0
    assert seeds[:2] == [7, 0] and seeds[2] != seeds[3]


@pytest.mark.parametrize("args", [("run", "--port", "memory:a", "--seconds", "0.05"), ("--version",)])
def test_a_closed_standard_output_is_no_error(args: tuple[str, ...]) -> None:
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "fastpath", *args],
                          stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_before_all_is_ready_ends_it_cleanly(number: signal.Signals) -> None:
    """The signal is there once stop_signals is; what takes time comes after."""
    with signals.stop_signals() as stop:
        os.kill(os.getpid(), number)
        assert stop.wait(5)
        args = parser().parse_args(["run", "--port", "memory:a", "--quiet"])
        assert run.main(args, stop) == 0


def test_the_help_of_run_names_every_type_and_option_of_ports(tmp_path: Path) -> None:
    words = set(re.findall(r"\w+", help.RUN_MORE))
    known = {*PORT_TYPES, *FAULTS, *RECORDERS, *config._SWITCH, *config._BRIDGE, *config._PORT}
    for kind in PORT_TYPES.values():
        known |= set(kind.options)
    assert known <= words
    for line in re.findall(r"fastpath run (.*)", help.RUN_MORE):
        parser().parse_args(["run", *re.split("  +", line)[0].split()])
    toml = write(tmp_path, help.RUN_MORE.partition("--config:\n")[2])
    assert config.load(toml).bridges[0].ports[0].settings == {"tag": 10}


# -- views of a running instance -----------------------------------------------------------------------

@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "s")
    with Switch(seed=0) as switch:
        br = switch.add_bridge("br0", normal=True)
        a, _b = br.add_port("a"), br.add_port("b")
        br.add_mirror("m", output_vlan=9)
        br.inject(a, frame(src=1, dst=2))
        server = control.Server(switch, path)
        try:
            yield path
        finally:
            server.close()


def test_views_show_a_running_instance(served: str, capsys: Capture) -> None:
    for command, words in (("show", "br0: 1 rules, 1 addresses"), ("dump-flows", "n_packets=1"),
                           ("dump-megaflows", "actions:2"), ("dump-ports", "rx pkts=1"),
                           ("fdb", "02:00:00:00:00:01"), ("fdb-stats", "1/8192"), ("mdb", "is disabled"),
                           ("mirrors", "m: src=none"),
                           ("controllers", "")):
        assert main([command, "--socket", served]) == 0
        assert words in capsys.readouterr().out
    flow = "in_port=b,dl_src=02:00:00:00:00:02,dl_dst=02:00:00:00:00:01"
    assert main(["trace", "--socket", served, flow]) == 0
    assert capsys.readouterr().out.endswith("Datapath actions: 1\n")
    assert main(["trace", "--socket", served, "--in-port", "2", "--packet", frame(src=2, dst=1).hex()]) == 0
    assert capsys.readouterr().out.endswith("Datapath actions: 1\n")
    assert main(["dump-flows", "--socket", served, "udp"]) == 0
    assert capsys.readouterr().out == ""


def test_ports_of_a_running_instance_come_and_go(served: str, capsys: Capture) -> None:
    assert main(["add-port", "--socket", served, "memory:late", "--number", "7"]) == 0
    assert main(["show", "--socket", served]) == 0
    assert "  7: late (MemoryPort)\n" in capsys.readouterr().out
    for verb, words, why in (("add-port", ["memory:late"], "late"), ("add-port", ["nosuch0"], "nosuch0"),
                             ("add-port", ["memory:z", "--number", "7"], "7"),
                             ("del-port", ["zork"], "no bridge has it")):
        assert main([verb, "--socket", served, *words]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and why in said
    assert main(["del-port", "--socket", served, "late"]) == 0
    assert main(["show", "--socket", served]) == 0
    assert "late" not in capsys.readouterr().out


def test_controllers_of_a_running_instance_are_shown(capsys: Capture) -> None:
    with Switch(realtime=True) as switch:
        br = switch.add_bridge("br0")
        br.controllers.add("tcp:127.0.0.1:1")
        assert control.COMMANDS["controllers"](switch, {}).startswith("tcp:127.0.0.1:1 (")


def test_a_link_that_is_down_is_shown() -> None:
    with Switch(seed=0) as switch:
        br = switch.add_bridge("br0")
        br.add_port("a")
        br.ofproto.set_port(br.add_port("b").of, link_up=False)
        text = control.COMMANDS["show"](switch, {})
    assert "  1: a (MemoryPort)\n  2: b (MemoryPort, link down)\n" in text


def test_what_a_running_instance_has_against_a_question_is_told(served: str, capsys: Capture) -> None:
    for args in (["show", "--bridge", "br7"], ["dump-flows", "zork=1"], ["trace", "zork=1"]):
        assert main([args[0], "--socket", served, *args[1:]]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_requests_that_make_no_sense_are_answered(served: str) -> None:
    with Switch() as switch:
        for request in (b"", b"nonsense\n", b"[]\n", b"3\n", b'{"command": "rm"}\n', b"\xff\xfe\n",
                        b'{"command": "show", "args": 3}\n',
                        b'{"command": "trace", "args": {"packet": "zz"}}\n'):
            assert "error" in control.answer(switch, request)


def test_a_socket_in_use_is_not_taken_and_a_stale_one_is(served: str, tmp_path: Path) -> None:
    with Switch() as switch:
        with pytest.raises(FastpathError, match="another process"):
            control.Server(switch, served)
        stale = tmp_path / "stale"
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(stale))
        server = control.Server(switch, str(stale))
        assert oct(stale.stat().st_mode & 0o777) == "0o600"
        assert "flows 0" in control.ask(str(stale), "show", {})
        server.close()
        assert not stale.exists()
        stale.write_text("a letter")
        with pytest.raises(PortError, match="exists and is no socket"):
            control.Server(switch, str(stale))
        with pytest.raises(PortError, match="exists and is no socket"):
            switch.add_bridge("br1").listen(f"punix:{stale}")
        assert stale.read_text() == "a letter"


# -- the table -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("value, text", [
    (0, "0"), (999, "999"), (1000, "1k"), (12_345, "12.3k"), (999_000, "999k"), (1_230_000, "1.23M"),
    (14_800_000, "14.8M"), (16e9, "16G")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert table.short(value) == text


def test_rates_are_what_happened_between_two_samples() -> None:
    stats = DatapathStats(n_hit=90, n_missed=10, n_cache_hit=45, n_flows=3, n_masks=1, drops={"explicit": 2})
    before = table.Sample(10.0, {("br0", 1, "a"): PortStats(rx_packets=100, rx_bytes=1000)}, stats)
    now = table.Sample(12.0, {("br0", 1, "a"): PortStats(rx_packets=3100, rx_bytes=251_000)}, stats)
    row = table.table(now, before).splitlines()[1].split()
    assert row == ["br0", "1", "a", "3100", "1.5k", "1M", "0", "0", "0", "0"]
    assert table.summary(stats) == (
        "flows 3, masks 1, hits 90.0% (cache 45.0%), misses 10, lost 0, dropped 2")
    assert table.line(now, before, 2.0).startswith("10s: rx 1.5k/s, tx 0/s, ")


def test_every_view_has_its_answer() -> None:
    args = parser().parse_args(["show", "--socket", "s"])
    assert args.view in control.COMMANDS
    with pytest.raises(ConfigError, match="give --port"):
        run.configuration(parser().parse_args(["run"]))
