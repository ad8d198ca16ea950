"""Verbs of ``fastpath ofctl`` that ask no switch print what ovs-ofctl prints of the same words, bytes and
captures."""

from __future__ import annotations

import contextlib
import io
import random
import subprocess
import sys
from pathlib import Path

import pytest
from ofctl_pair import plain

from fastpath.cli.main import main
from fastpath.cli.ofctl.command import VERBS
from fastpath.io.pcapfile import PcapWriter
from fastpath.ofproto.match import Match
from fastpath.openflow import legacy_match, oxm
from fastpath.openflow.errors import ERRORS
from fastpath.testing import frame

Command = tuple[str, ...]
COMMANDS: list[Command] = [
    ("list-commands",), ("list-commands", "more"), ("--read-only", "parse-flow", "ip,actions=drop"),
    ("parse-flow",), ("parse-flow", "a", "b"), ("-vfoo", "list-commands"), ("-t", "0", "list-commands"),
    ("--verbose=any:any:any", "list-commands"), ("-vwarn:err", "list-commands"), ("-P", "foo", "show", "x"),
    ("--color=pink", "list-commands"), ("--sort=bogus", "dump-flows", "x"), ("bogus",), (),
    ("-F", "nxm", "parse-flow", "nw_src=1.2.3.4,actions=drop"),
    ("-vPATTERN:console:%p", "-F", "oxm", "-O", "OpenFlow13", "parse-flow", "tp_src=4,actions=1"),
    ("-voff", "parse-flow", "dl_type=0x1234,nw_proto=5,actions=drop"),
    ("-m", "parse-flow", "tcp,tp_src=123,actions=flood"), ("-F", "nxm", "-mmm", "parse-flow",
    "tcp,actions=drop"),
    ("print-error", "bogus"), ("encode-error-reply", "OFPBRC_EPERM", "01000008"),
    ("encode-error-reply", "OFPBRC_EPERM", "0100000900000001"), ("encode-error-reply", "x",
    "0100000800000001"),
    ("encode-error-reply", "OFPBRC_EPERM", "zz"), ("encode-error-reply", "NXBRC_NXM_INVALID",
    "0100000812345678"),
    ("-voff", "encode-error-reply", "OFPBIC_DUP_INST", "0100000812345678"),
    ("encode-error-reply", "OFPBAC_BAD_TYPE", "0600000812345678"),
    *(("encode-hello", word) for word in ("0x2", "2", "6", "0x3e", "0x50", "0x40", "020")),
    ("parse-key-value", "a", "a b", "a,b=1 c:d", "k(v)->rest,x(y(z))", "", "a==b", "learn(a=b,c=d),e"),
    ("check-vlan", "0000", "0000"), ("check-vlan", "0000", "ffff"), ("check-vlan", "1009", "1fff"),
    ("check-vlan", "1000", "1000"), ("check-vlan", "b009", "ffff"), ("check-vlan", "b000", "f000"),
    ("check-vlan", "0000", "1000"), ("check-vlan", "1001", "1001"), ("check-vlan", "x", "zz"),
    ("compose-packet", "udp,nw_src=1.2.3.4"), ("compose-packet", "ip,nw_proto=17", "0102"),
    ("compose-packet", "udp,bogus=1"), ("compose-packet", "udp,nw_src=1.2.3.4/8"), ("compose-packet", "udp",
    "zz"),
    ("compose-packet", "tun_id=5"), ("compose-packet", "arp,arp_op=1,arp_spa=1.2.3.4"),
    ("compose-packet", "dl_type=0x1234"), ("compose-packet", "icmp6,icmp_type=135,nd_target=::1"),
    ("compose-packet", "mpls,mpls_label=100,mpls_bos=1"), ("compose-packet", "dl_vlan=5,tcp,tcp_flags=0x12"),
    ("ofp-print", "010d000c00000001ffffffff"), ("ofp-print", "0209000800000001"),
    ("ofp-print", "0110002000000001ffff0000000023ff00000007000000000000000300000000"),
    ("ofp-print", "010400140000000100002320000000000000070000000000"),
    ("ofp-print", "0114000c0000000100000000"),
    ("ofp-print", "0104001400000001000023200000000000000700"), ("ofp-print", "0163000800000001"),
    ("ofp-print", "0110000c0000000100070000"),
    ("ofp-print", "0110001800000001fffffffe0000232000fd000300000008"),
    ("ofp-print", "02040072000000010000232000000020" + "00" * 98),
    ("ofp-print", "zz"), ("ofp-print", "0100000800000001", "3"), ("ofp-print", ""), ("ofp-print", "01"),
    ("parse-pcap", "/nowhere"), ("parse-flows", "/nowhere"), ("parse-oxm", "OpenFlow11"), ("parse-oxm", "x"),
    ("parse-actions", "OpenFlow19"), ("parse-instructions", "1"),
]
GROUPS = ("group_id=1,type=all", "group_id=1,type=all,bucket=bucket_id:3,actions=output:1", "type=all",
          "group_id=1,type=select,selection_method=hash,fields(ip_src),bucket=output:1",
          "group_id=1,type=select,selection_method=hash,fields(ip_src)",
          "group_id=1,type=all,bucket=push_vlan:0x8100",
          "group_id=1,type=indirect,bucket=output:1,bucket=output:2",
          "group_id=1,type=ff,bucket=watch_port:1,output:1")


def ours(words: Command, text: bytes = b"") -> tuple[int, str]:
    """Status of our command and all it prints."""
    out, err, stdin = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(text))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["ofctl", *words])
    finally:
        sys.stdin = stdin
    return status, out.getvalue() + err.getvalue().replace("fastpath ofctl: ", "ovs-ofctl: ")


def theirs(words: Command, text: bytes = b"") -> tuple[int, str]:
    done = subprocess.run(["ovs-ofctl", *words], input=text, capture_output=True, timeout=30)
    return done.returncode, (done.stdout + done.stderr).decode()


def agree(words: Command, text: str = "") -> list[str]:
    """What both print, in order; fails if they differ."""
    one, other = (plain(*say(words, text.encode()), sort=False) for say in (ours, theirs))
    assert one == other, (words, text)
    return one


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_verb_without_switch_says_the_same(ovs_ofctl: str, words: Command) -> None:
    agree(words)


@pytest.mark.parametrize("text", GROUPS)
def test_groups_are_printed_in_the_version_that_can_say_them(ovs_ofctl: str, text: str) -> None:
    agree(("parse-group", text))
    agree(("-O", "OpenFlow13,OpenFlow15", "parse-group", text))


def test_numbers_of_all_errors(ovs_ofctl: str, more: int) -> None:
    names = sorted(ERRORS)
    for name in names if more > 1 else random.sample(names, 25):
        agree(("print-error", name))


def test_all_verbs_are_there_in_their_order(ovs_ofctl: str) -> None:
    lines = agree(("list-commands",))
    assert [line.split()[0] for line in lines[2:]] == list(VERBS)


# -- bytes -----------------------------------------------------------------------------------------

MATCHES = ("", "in_port=1", "in_port=LOCAL", "dl_src=00:01:02:03:04:05", "dl_vlan=291", "dl_vlan_pcp=5",
           "ip,nw_tos=252",
           "vlan_tci=0", "tcp,tp_src=5,nw_src=192.168.128.0/17", "arp,arp_op=2,arp_spa=1.2.3.4",
           "icmp,icmp_type=8",
           "udp6,ipv6_src=2001:db8::/32", "dl_vlan=5,dl_vlan_pcp=3,udp,tp_dst=53", "metadata=0x1234/0xffff",
           "reg0=0x10/0xf0,reg5=7", "tun_id=0x1234567890", "mpls,mpls_label=7,mpls_bos=1",
           "ct_state=+trk-new",
           "icmp6,icmp_type=135,nd_target=::5", "ip,nw_frag=later", "tcp,tcp_flags=+syn-ack",
           "xreg1=0x1122334455667788")


def test_matches_of_fixed_size_mean_and_become_the_same(ovs_ofctl: str) -> None:
    matches = [Match.parse(text) for text in MATCHES]
    ten = "\n".join(legacy_match.put_match10(m).hex() for m in matches)
    agree(("-vPATTERN:console:%c|%p|%m", "parse-ofp10-match"), f"# comment\n\n{ten}\n")
    eleven = "\n".join(legacy_match.put_match11(m).hex() for m in matches)
    agree(("parse-ofp11-match",), f"{eleven}\n")
    agree(("parse-ofp10-match",), "0011\n")
    agree(("parse-ofp11-match",), "zz\n")


def test_any_bytes_of_a_fixed_size_mean_the_same(ovs_ofctl: str, more: int) -> None:
    dice = random.Random(5)
    for size, verb, head in ((40, "parse-ofp10-match", b""), (88, "parse-ofp11-match", b"\0\0\0\x58")):
        lines = []
        for _ in range(60 * more):
            data = bytearray(head + dice.randbytes(size - len(head)))
            if dice.random() < 0.7:     # types that mean something
                at = 22 if size == 40 else 38
                data[at:at + 2] = dice.choice((b"\x08\x00", b"\x08\x06", b"\x86\xdd", b"\x88\x47"))
            lines.append(bytes(data).hex())
        agree(("-voff", verb), "\n".join(lines) + "\n")


SPELLED = (
    "<any>", "NXM_OF_IN_PORT(0000)", "NXM_OF_IN_PORT(fffe)", "NXM_OF_ETH_TYPE(0800), NXM_OF_IP_PROTO(06)",
    "NXM_OF_ETH_DST_W(010000000000/010000000000)", "NXM_OF_VLAN_TCI_W(1009/1fff)",
    "NXM_NX_COOKIE(00000000abcdef01)",
    "NXM_NX_COOKIE_W(00000000ABCD0000/00000000FFFF0000)", "NXM_OF_IP_SRC(ac100014)",
    "NXM_NX_REG0_W(a0e0d050/f0f0f0f0)",
    "NXM_OF_ETH_TYPE(0800) NXM_OF_IP_SRC(ac100014)", "NXM_OF_ETH_TYPE(0800), NXM_OF_IP_TOS(f0)",
    "NXM_OF_ETH_TYPE(0800), NXM_OF_IP_PROTO(06), NXM_NX_TCP_FLAGS_W(0131/0F77)", "00007e05(0123456789)",
    "00007c02(0102)",
    "# a comment", "", "OXM_OF_IN_PORT(00000001)", "OXM_OF_VLAN_VID(1009), OXM_OF_VLAN_PCP(05)",
    "ONFOXM_ET_ACTSET_OUTPUT(fffffff7)", "NXOXM_ET_ERSPAN_VER_W(01/01)",
    "OXM_OF_PKT_REG0_W(0000000012345678/00000000ffffffff)",
    "NXM_NX_REG0(00000001), NXM_NX_REG0(00000002)", "OXM_OF_METADATA(5a5a5a5a5a5a5a5a)",
    "NXM_OF_ETH_TYPE(86dd), "
    "NXM_NX_IPV6_SRC_W(20010db83c4d00010000000000000000/ffffffffffffffff0000000000000000)")
MISSPELLED = ("NXM_OF_IN_PORT", "NXM_BOGUS(00)", "NXM_OF_IN_PORT(00)", "NXM_OF_IN_PORT(0000",
              "NXM_NX_REG0_W(00000000)",
              "NXM_NX_REG0_W(00000000/00)", "NXM_OF_IN_PORT_W(0000/ffff)",
              "NXM_NX_TUN_METADATA0(" + "11" * 130 + ")")


@pytest.mark.parametrize("command", [
    ("parse-nxm",), ("--strict", "parse-nx-match"), ("-m", "parse-nxm"), ("parse-oxm", "OpenFlow12"),
    ("--strict", "parse-oxm", "OpenFlow15"), ("-m", "parse-oxm", "OpenFlow15")], ids=" ".join)
def test_spelled_matches_are_read_and_written_the_same(ovs_ofctl: str, command: Command) -> None:
    agree(("-voff", *command), "".join(f"{line}\n" for line in SPELLED))


@pytest.mark.parametrize("line", MISSPELLED)
def test_misspelled_matches_are_refused_with_the_same_words(ovs_ofctl: str, line: str) -> None:
    agree(("parse-nxm",), line + "\n")


def test_spelled_matches_of_flows(ovs_ofctl: str) -> None:
    from fastpath.openflow.matchtext import format_tlvs
    for version, command in ((oxm.NXM, ("--strict", "parse-nxm")), (3, ("--strict", "parse-oxm",
    "OpenFlow12")),
                             (6, ("--strict", "parse-oxm", "OpenFlow15"))):
        lines = [format_tlvs(oxm.put_match(Match.parse(text), version)) for text in MATCHES]
        assert agree(command, "".join(f"{line}\n" for line in lines))[1:] == lines


ACTIONS = ("0000 0008 0001 0000", "0000 0008 fffb 0000", "0001 0008 0009 0000", "0003 0008 00000000",
           "0000 0010 00",
           "0004 0010 001122334455 000000000000", "00ff 0008 00000000",
           "ffff 0010 00002320 0001 0005 00000000",
           "ffff 0018 00002320 0006 0000 0000 0002 0001 0000 0000", "", "0000 0009 0001 0000 00",
           "ffff 0018 00002320 0007 001f 00010004 000000000000f009",
           "0000 0008 0001 0000 0003 0008 0000 0000")
INSTRUCTIONS = ("0004 0018 00000000 0000 0010 00000001 0000 000000000000", "0001 0008 02 000000",
                "5, 0001 0008 02 000000",
                "0005 0008 00000000", "0002 0018 00000000 fedcba9876543210 ffffffffffffffff",
                "0001 0008 01 000001",
                "0001 0010 02 000000 0000000000000000", "0001 0007 02 0000")


@pytest.mark.parametrize("version", range(6))
def test_actions_are_read_and_written_the_same(ovs_ofctl: str, version: int) -> None:
    agree(("-voff", "parse-actions", f"OpenFlow1{version}"), "".join(f"{line}\n" for line in ACTIONS if line))
    agree(("-voff", "parse-instructions", f"OpenFlow1{version}"),
          "".join(f"{line}\n" for line in INSTRUCTIONS))
    agree(("-voff", "parse-actions", f"OpenFlow1{version}"), "zz\n")


# -- packets ---------------------------------------------------------------------------------------

def test_packets_of_captures(ovs_ofctl: str, tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("a.pcap", "b.pcap")]
    for path, kinds in zip(paths, (("udp", "tcp"), ("icmp", "arp")), strict=True):
        with PcapWriter(path) as pcap:
            for kind in kinds:
                pcap.write(frame(kind))
    agree(("parse-pcap", *paths))


def test_a_composed_packet_is_a_capture_that_parses(ovs_ofctl: str, tmp_path: Path) -> None:
    flow, path = "udp,nw_src=1.2.3.4,udp_dst=53", tmp_path / "one.pcap"
    with open(path, "wb") as out:
        subprocess.run([sys.executable, "-m", "fastpath.cli.main", "ofctl", "--pcap", "compose-packet",
                       flow], stdout=out,
                       timeout=60, check=True)
    status, text = theirs(("parse-pcap", str(path)))
    assert status == 0 and "nw_src=1.2.3.4" in text and "tp_dst=53" in text


def test_a_packet_and_a_message_from_standard_input(ovs_ofctl: str, tmp_path: Path) -> None:
    hello = "0100000800000001"
    agree(("ofp-print", "-"), hello + "\n")
    agree(("ofp-print", "-", "1"), hello + "garbage\n")
    assert ours(("--raw", "ofp-print", "-"), bytes.fromhex(hello)) == theirs(("--raw", "ofp-print", "-"),
    bytes.fromhex(hello))
    path = tmp_path / "frame"
    path.write_bytes(frame("tcp"))
    with open(path, "rb") as data:
        done = subprocess.run([sys.executable, "-m", "fastpath.cli.main", "ofctl",
        "parse-packet"], stdin=data,
                              capture_output=True, timeout=60)
    assert done.stdout.decode() == theirs(("parse-packet",), frame("tcp"))[1]
