"""fastpath dpctl over a kernel made of Python, and the text of flows as ovs-dpctl printed them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from model.hostile import packet
from model.kernel import FakeKernel

from fastpath import extract
from fastpath._flow import FlowKey
from fastpath.cli.dpctl import command
from fastpath.cli.dpctl.command import VERBS, run, split
from fastpath.cli.main import main
from fastpath.dpif.keyparse import parse_key
from fastpath.dpif.netlink.actions import encode_actions
from fastpath.dpif.netlink.connection import Connection, TcpState, Tuple
from fastpath.dpif.netlink.kernel import FlowInfo
from fastpath.dpif.netlink.key import encode_key, encode_mask
from fastpath.dpif.netlink.nla import attr
from fastpath.dpif.netlink.text import format_kernel_flow, format_kernel_key, format_ufid, parse_ufid
from fastpath.dpif.netlink.verb import CommandError, Options
from fastpath.dpif.odptext import parse_actions

# Lines that ovs-dpctl 3.1 printed of flows in a kernel 6.1, but for attributes only that kernel adds.
DUMPED = (
    "in_port(3),eth(),eth_type(0x0800),ipv4(proto=1,frag=no),icmp(type=8)",
    "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),"
    "ipv4(src=10.0.0.1,dst=10.0.0.0/255.255.255.0,proto=17,frag=no),udp(src=53,dst=768/0xff00)",
    "recirc_id(0x5),in_port(1),eth(),eth_type(0x0806),arp(sip=10.0.0.1,op=1/0xff)",
    "in_port(1),eth(),eth_type(0x8100),vlan(vid=7),encap(eth_type(0x86dd),ipv6(src=fe80::1,proto=58,frag=no),"
    "icmpv6(type=128,code=0))",
    "in_port(2),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),"
    "ipv4(src=10.0.0.1,proto=6,frag=no),tcp(src=80),tcp_flags(+syn-ack)",
    "in_port(2),eth(),eth_type(0x8847),mpls(label=100/0xfffff,tc=0/0,ttl=64/0xff,bos=1/1)",
    "in_port(3),skb_mark(0x5/0xff),eth(),eth_type(0x88cc)",
    "in_port(2),ct_state(-new+est),ct_zone(0x3),ct_mark(0x10/0xf0),ct_label(0x1/0x1),eth(),eth_type(0x0800),"
    "ipv4(frag=later)",
    "in_port(1),eth(),eth_type(0x86dd),ipv6(src=fe80::/ffff::,proto=58,frag=no),icmpv6(type=135,code=0),"
    "nd(target=fe80::1,sll=02:00:00:00:00:01)",
)
VERBOSE = (
    "recirc_id(0/0),dp_hash(0/0),skb_priority(0/0),in_port(v1),skb_mark(0/0),ct_state(0/0),ct_zone(0/0),"
    "ct_mark(0/0),ct_label(0/0),eth(src=00:00:00:00:00:00/00:00:00:00:00:00,"
    "dst=00:00:00:00:00:00/00:00:00:00:00:00),eth_type(0x8100),vlan(vid=7,pcp=0/0x0),"
    "encap(eth_type(0x86dd),ipv6(src=fe80::1,dst=::/::,label=0/0,proto=58,tclass=0/0,hlimit=0/0,frag=no),"
    "icmpv6(type=128,code=0))")


def encoded(text: str) -> tuple[bytes, bytes]:
    key, mask = parse_key(text, {"v1": 1})
    return encode_key(key), encode_mask(key, mask)


@pytest.mark.parametrize("text", DUMPED)
def test_keys_are_printed_as_the_reference_prints_them(text: str) -> None:
    assert format_kernel_key(*encoded(text)) == text


def test_all_attributes_are_printed_with_more() -> None:
    shown = format_kernel_key(*encoded(VERBOSE), {1: "v1"}, verbose=True)
    assert shown == VERBOSE
    # With what a kernel knows that has no name here.
    unknown = attr(32, b"\0\0")
    key, mask = encoded(DUMPED[0])
    assert format_kernel_key(key + unknown, mask + unknown, verbose=True).endswith(",key32(00 00/00 00)")
    assert format_kernel_key(key + unknown, mask + unknown) == f"{DUMPED[0]},key32(00 00/00 00)"


def test_any_key_has_a_text() -> None:
    for seed in range(200):
        key = extract(packet(Random(seed)), in_port=1)
        mask = FlowKey.from_bytes(b"\xff" * len(bytes(key)))
        for verbose in (False, True):
            text = format_kernel_key(encode_key(key), encode_mask(key, mask), verbose=verbose)
            assert "in_port(1)" in text and text.count("(") == text.count(")")
        assert format_kernel_key(encode_key(key), b"")


def test_a_flow_is_a_line() -> None:
    key, mask = encoded(DUMPED[1])
    flow = FlowInfo(bytes(range(16)), key, mask, encode_actions(parse_actions("2")), 3, 180, 7500, 0x12)
    assert format_kernel_flow(flow, 8.0) == (
        f"{DUMPED[1]}, packets:3, bytes:180, used:0.500s, flags:S., actions:2")
    line = format_kernel_flow(flow, 8.0, {1: "v1", 2: "v2"}, verbose=True)
    assert line.startswith("ufid:03020100-0706-0504-0b0a-09080f0e0d0c, recirc_id(0/0)")
    assert line.endswith(", flags:S., dp:ovs, actions:v2")
    assert parse_ufid(format_ufid(flow.ufid)) == flow.ufid
    assert parse_ufid("ufid:123") is None and parse_ufid("x" * 32) is None


# ---- verbs --------------------------------------------------------------------------------------------

@pytest.fixture
def do(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command on one fake kernel; returns what it printed, errors too."""
    fake = FakeKernel()
    monkeypatch.setattr("fastpath.io.link.names", lambda: ["v1", "v2"])
    monkeypatch.setattr("fastpath.io.link.configure", lambda name, **settings: None)

    def do(*words: str) -> str:
        try:
            return run(words, fake.kernel)
        except CommandError as error:
            return f"{error.printed}error: {error}"

    return do


def test_datapaths_come_and_go(do: Callable[..., str]) -> None:
    assert do("dump-dps") == "" and do("show") == ""
    assert do("dump-flows") == "error: no datapaths exist\ndatapath not found (Invalid argument)"
    assert do("add-dp", "dp0") == "" and do("add-dp", "dp0") == "error: add_dp (File exists)"
    assert do("add-dp", "dp0", "--may-create") == ""
    assert do("add-dp", "system@dp1", "v1") == ""
    assert do("dump-dps") == "system@dp0\nsystem@dp1\n"
    assert do("show", "dp1", "nosuch").endswith(
        "error: opening datapath nosuch failed (No such device)")
    assert "  port 1: v1\n" in do("show", "-s", "dp1") and "RX packets:" in do("show", "dp1", "-s")
    assert do("dump-flows") == (
        "error: multiple datapaths, specify one\ndatapath not found (Invalid argument)")
    assert do("del-dp", "dp1") == "" and do("del-dp", "dp1") == "error: opening datapath (No such device)"
    assert do("del-dp", "netdev@dp0").startswith("error: opening datapath netdev@dp0 failed")


def test_ports_come_and_go(do: Callable[..., str]) -> None:
    do("add-dp", "dp0")
    assert do("add-if", "dp0", "v1", "i0,type=internal", "x0,type=vxlan,port_no=7,dst_port=99") == ""
    assert "  port 2: i0 (internal)\n  port 7: x0 (vxlan: dst_port=99, packet_type=ptap)\n" in do("show")
    assert do("add-if", "dp0", "v1") == "error: adding v1 to dp0 failed (File exists)"
    assert do("add-if", "dp0", "v9") == "error: v9: failed to open network device (No such device)"
    assert do("add-if", "dp0", "y,type=strange") == (
        "error: y: failed to open network device (Address family not supported by protocol)")
    assert do("del-if", "dp0", "v1", "7") == ""
    assert do("del-if", "dp0", "v1", "7") == (
        "error: no port named v1\ndeleting port 7 from dp0 failed (No such device)")


def test_flows_come_and_go(do: Callable[..., str]) -> None:
    do("add-dp", "dp0", "v1", "v2")
    ufid = "ufid:00000000-0000-0000-0000-000000000001"
    assert do("add-flow", f"{ufid},{DUMPED[1]}", "2") == ""
    assert do("add-flow", f"{ufid},{DUMPED[1]}", "2") == "error: updating flow table (File exists)"
    assert do("dump-flows") == f"{DUMPED[1]}, packets:0, bytes:0, used:never, actions:2\n"
    assert do("dump-flows", "--names", "dp0").endswith("actions:v2\n")
    assert do("dump-flows", "filter=in_port=2") == "" and do("dump-flows", "filter=udp,tp_src=53")
    assert do("dump-flows", "filter=fish=2").startswith("error: Failed to parse filter")
    assert do("dump-flows", "type=ovs") == (
        "error: Invalid argument 'type'. Use 'ovs-appctl dpctl/dump-flows' instead.")
    assert do("mod-flow", "dp0", f"{ufid},{DUMPED[1]}", "1") == ""
    assert do("get-flow", ufid).endswith("actions:1\n")
    assert do("get-flow", ufid[:-1] + "2") == "error: getting flow (No such file or directory)"
    assert do("del-flow", ufid) == ""
    assert do("del-flow", ufid) == ("Perhaps you need to specify a UFID?\n"
                                    "error: deleting flow (No such file or directory)")
    assert do("add-flow", "in_port(9),fish(1)", "1") == (
        "error: parsing flow key (syntax error at fish(1)) (Invalid argument)")
    assert do("add-flow", DUMPED[0], "fly") == "error: parsing actions (Invalid argument)"
    assert do("add-flow", "ufid:12,in_port(1)", "1") == "error: parsing flow ufid (Invalid argument)"
    assert do("del-flows") == "" and do("dump-flows") == ""
    assert do("parse-actions", "set(ipv4(ttl=63)),2") == "set(ipv4(ttl=63)),2\n"


def test_limits_and_caches(do: Callable[..., str]) -> None:
    do("add-dp", "dp0")
    assert do("ct-get-limits") == "default limit=0\n"
    assert do("ct-set-limits", "default=10", "zone=5,limit=3", "zone=0,limit=7") == ""
    assert do("ct-get-limits") == "default limit=10\nzone=0,limit=7,count=0\nzone=5,limit=3,count=0\n"
    assert do("ct-del-limits", "dp0", "zone=5") == ""
    assert do("ct-get-limits", "zone=0") == "default limit=10\nzone=0,limit=7,count=0\n"
    assert do("ct-set-limits", "zone=99999,limit=1") == (
        "error: failed to parse field zone (Invalid argument)")
    assert do("cache-get-size") == "system@dp0:\n  caches:\n    masks-cache: size:256\n"
    assert do("cache-set-size", "dp0", "masks-cache", "512") == (
        "Setting cache size successful, new size 512\n")


def test_flows_are_read_from_files(do: Callable[..., str], tmp_path: Path) -> None:
    do("add-dp", "dp0", "v1", "v2")
    ufid = "ufid:00000000-0000-0000-0000-00000000000"
    file = tmp_path / "flows"
    file.write_text(f"{ufid}1,{DUMPED[1]} 2\n\n# none\nadd {ufid}2,{DUMPED[0]} 1 # more\nnonsense\n")
    assert do("add-flows", "dp0", str(file)) == "error: Failed parsing line number 5, skipped!"
    assert sorted(line.rpartition(":")[2] for line in do("dump-flows").splitlines()) == ["1", "2"]
    file.write_text(f"{ufid}1,{DUMPED[1]} drop\ndelete {ufid}2\ndelete {ufid}3\n")
    assert do("mod-flows", str(file)) == ("Perhaps you need to specify a UFID?\n"
                                          "error: deleting flow (No such file or directory)")
    assert do("dump-flows").endswith("actions:drop\n") and do("dump-flows").count("\n") == 1
    file.write_text(f"{ufid}1\n")
    assert do("del-flows", str(file)) == do("dump-flows") == ""
    assert do("del-flows", "dp0", str(tmp_path / "nosuch")).endswith("failed (No such file or directory)")


def test_settings_of_ports_are_checked(do: Callable[..., str]) -> None:
    do("add-dp", "dp0", "v1")
    assert do("set-if", "dp0", "v1,type=system,port_no=1") == ""
    assert do("set-if", "dp0", "v1,type=internal", "v1,port_no=7", "v2").splitlines() == [
        "error: v1: can't change type from system to internal", "v1: can't change port number from 1 to 7",
        "v2: failed to query port in dp0 (No such device)"]


def test_what_the_kernels_conntrack_does_not_tell_is_refused(do: Callable[..., str]) -> None:
    do("add-dp", "dp0")
    refused = "(Operation not supported)"
    for words, message in ((("ct-get-maxconns",), "maxconns could not be retrieved"),
                           (("ct-set-maxconns", "dp0", "5"), "ct set maxconns failed"),
                           (("ct-get-nconns", "dp0"), "nconns could not be retrieved"),
                           (("ct-enable-tcp-seq-chk",), "enabling TCP sequence checking failed"),
                           (("ipf-set-disabled", "v6"), "disabling fragmentation reassembly failed"),
                           (("ipf-set-min-frag", "dp0", "v4", "500"),
                            "requested minimum fragment size too small; see documentation"),
                           (("ipf-get-status",), "ipf status could not be retrieved"),
                           (("offload-stats-show",), "retrieving offload statistics")):
        assert do(*words) == f"error: {message} {refused}"
    assert do("ct-bkts", "gt=3") == "Command is available for UserSpace ConnTracker only.\n"
    assert do("ct-bkts", "nosuch") == "error: datapath not found (Invalid argument)"
    assert do("ipf-set-enabled", "v5") == (
        "error: parameter missing: 'v4' for IPv4 or 'v6' for IPv6 (Invalid argument)")
    assert do("flush-conntrack", "dp0", "fish=1") == (
        "error: invalid conntrack tuple field: fish (Invalid argument)")
    assert do("flush-conntrack", "zone=x") == "error: failed to parse zone (Invalid argument)"
    assert "\n  add-dp                  dp [iface...]\n" in do("list-commands")


def test_connections_are_told_of(do: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    web = Connection(Tuple("10.0.0.1", "10.0.0.2", 6, (1, 80)), Tuple("10.0.0.2", "10.0.0.1", 6, (80, 1)),
                     tcp=TcpState(3))
    monkeypatch.setattr("fastpath.dpif.netlink.conntrack.dump", lambda zone: asked.append(zone) or [web])
    monkeypatch.setattr("fastpath.dpif.netlink.conntrack.flush",
                        lambda zone, match=None: asked.append((zone, match and match.proto)))
    do("add-dp", "dp0")
    assert do("dump-conntrack", "dp0", "zone=5").startswith("tcp,orig=(src=10.0.0.1,") and asked == [5]
    assert "state_orig=ESTABLISHED" in do("dump-conntrack", "-m")
    assert do("ct-stats-show", "verbose", "zone=7").endswith("\t  [ESTABLISHED]=1\n")
    assert do("flush-conntrack") == do("flush-conntrack", "dp0", "zone=3", "", "ct_nw_proto=6") == ""
    assert asked == [5, None, 7, (None, None), (3, 6)]


def test_words_are_checked(do: Callable[..., str]) -> None:
    assert do() == "error: missing command name; use --help for help"
    assert do("fly") == "error: unknown command 'fly'; use --help for help"
    assert do("add-dp") == "error: 'add-dp' command requires at least 1 arguments"
    assert do("del-dp", "a", "b") == "error: 'del-dp' command takes at most 1 arguments"
    assert do("show", "--fly").startswith("error: unrecognized option")
    assert all(verb in do("--help") for verb in VERBS)
    assert split(["-s", "show", "-m", "--no-names"]) == (["show"], Options(True, True, False))


def test_the_command_is_one_of_fastpaths(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dpctl", "--help"]) == 0 and "ovs-dpctl" in capsys.readouterr().out
    assert main(["dpctl", "fly"]) == 1
    assert capsys.readouterr().err == f"{command.PROGRAM}: unknown command 'fly'; use --help for help\n"


# ---- datapaths of a daemon ----------------------------------------------------------------------------

def _serve(path: Path, reply: bytes) -> threading.Thread:
    """A control socket that answers once, in two parts, and the thread that does."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def answer() -> None:
        peer, _ = listener.accept()
        request = json.loads(peer.recv(4096))
        assert request["method"] == "dpctl/show" and request["params"] == ["-s", "dp0"]
        peer.sendall(reply[:5])
        peer.sendall(reply[5:])
        peer.close()
        listener.close()

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


@pytest.mark.parametrize(("reply", "said"), [
    (b'{"result":"netdev@dp0:\\n","error":null,"id":0}', "netdev@dp0:\n"),
    (b'{"result":null,"error":"ovs-vswitchd: opening datapath\\n","id":0}',
     "error: ovs-vswitchd: opening datapath"),
])
def test_a_daemon_is_asked_by_its_socket(tmp_path: Path, do: Callable[..., str], reply: bytes,
                                         said: str) -> None:
    path = tmp_path / "ctl"
    thread = _serve(path, reply)
    assert do("-t", str(path), "show", "-s", "dp0") == said
    thread.join(20)


def test_a_daemon_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dpctl", f"--target={tmp_path}/none", "show"]) == 1
    assert "cannot connect (No such file or directory)" in capsys.readouterr().err
