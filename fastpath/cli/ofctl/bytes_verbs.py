"""Verbs that read bytes of matches and actions, print what they mean, and how they differ when written again:
``parse-nxm``, ``parse-oxm``, ``parse-ofp10-match``, ``parse-actions`` and their like.

They ask no switch; each takes lines from standard input.  What differs is told as ovs-ofctl tells it, so
that scripts made for it can judge this package's codec.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator

from fastpath.cli.ofctl.talk import Options
from fastpath.errors import FastpathError, InvalidFlow, OpenFlowError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.check import check_actions
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, as_version
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.match import Match
from fastpath.ofproto.normal_log import tell_normalized
from fastpath.openflow import instructions, legacy_match, oxm
from fastpath.openflow.actions.nested import get_actions, put_actions
from fastpath.openflow.codec import Reader, padding
from fastpath.openflow.formats import version_of_name
from fastpath.openflow.matchtext import format_tlvs, parse_tlvs
from fastpath.openflow.printing.context import plain_dump

_OXM_HEAD = 4                       # type and length before the fields of an OXM match
_VID = 0x1FFF                       # of a tag, with the bit that says there is one
_HEAD11 = b"\0\0\0\x58"             # the same of the match of 1.1


# -- NXM and OXM -----------------------------------------------------------------------------------

def parse_nxm(args: list[str], options: Options) -> None:
    _parse_tlvs(oxm.NXM, options)


def parse_oxm(args: list[str], options: Options) -> None:
    version = version_of_name(args[0])
    if version is None or version < OF12:
        raise FastpathError(f"{args[0]}: not a valid version for OXM")
    _parse_tlvs(version, options)


def _parse_tlvs(version: int, options: Options) -> None:
    for line in _test_lines():
        data = parse_tlvs(line)
        try:
            match, cookie, cookie_mask = oxm.get_match(Reader(data, "OFPBMC_BAD_LEN"),
                                                       loose=not options.strict)
            if version != oxm.NXM and cookie_mask and options.strict:
                raise OpenFlowError("OFPBMC_BAD_FIELD", "a cookie in an OXM match")
        except OpenFlowError as error:
            print(f"nx_pull_match() returned error {error.code}")
            continue
        tlvs = oxm.put_match(match, version, cookie, cookie_mask if version == oxm.NXM else 0)
        print(format_tlvs(tlvs))
        if options.more:
            head = b"" if version == oxm.NXM else b"\0\1" + (_OXM_HEAD + len(tlvs)).to_bytes(2, "big")
            whole = head + tlvs
            sys.stdout.write(plain_dump(whole + padding(len(whole))))


def _test_lines() -> Iterator[str]:
    """Lines of standard input; those that are empty or a comment are printed as they are."""
    for line in sys.stdin:
        line = line.rstrip("\n")
        if line.startswith("#"):
            print(line)
        elif line.partition("#")[0].strip():
            yield line.partition("#")[0]
        else:
            print()


# -- actions ---------------------------------------------------------------------------------------

def parse_actions(args: list[str], options: Options) -> None:
    version = _version(args[0])

    def get(data: bytes, table: int) -> ActionList:
        if len(data) % 8:
            raise OpenFlowError("OFPBRC_BAD_LEN", f"{len(data)} bytes of actions")
        return get_actions(Reader(data, "OFPBAC_BAD_LEN"), version)
    _parse_actions(args[0], "actions", get,
                   lambda actions: put_actions(as_version(actions, version), version))


def parse_instructions(args: list[str], options: Options) -> None:
    version = _version(args[0])

    def get(data: bytes, table: int) -> ActionList:
        if len(data) % 8:
            raise OpenFlowError("OFPBRC_BAD_LEN" if version == OF10 else "OFPBIC_BAD_LEN",
                                f"{len(data)} bytes of instructions")
        actions = instructions.get(Reader(data, "OFPBIC_BAD_LEN"), version)
        check_actions(actions, Match(), table_id=table, version=version)
        return actions
    _parse_actions(args[0], "instructions", get, lambda actions: instructions.put(actions, version))


def _version(name: str) -> int:
    version = version_of_name(name)
    if version is None:
        raise FastpathError(f"{name}: not a valid OpenFlow version")
    return version


def _parse_actions(version: str, what: str, get: Callable[[bytes, int], ActionList],
                   put: Callable[[ActionList], bytes]) -> None:
    for line in _lines():
        table, comma, rest = line.partition(",")
        data = _from_hex(rest if comma else line)
        try:
            actions = get(data, int(table) if comma else 0)
        except (OpenFlowError, InvalidFlow) as error:
            print(f"bad {version} {what}: {error.code}\n")
            continue
        print(f"actions={format_list(actions)}")
        _print_differences("", data, put(actions))
        print()


# -- matches of 1.0 and 1.1 ------------------------------------------------------------------------

def parse_ofp10_match(args: list[str], options: Options) -> None:
    """An ``x`` stands for a digit that does not matter: it is drawn when read, and zero when written."""
    for line in _lines():
        expected = _sized(line.replace("x", "0"), legacy_match.MATCH10.size(OF10))
        drawn = "".join(random.choice("0123456789abcdef") if c == "x" else c for c in line)
        match = legacy_match.get_match10(Reader(_from_hex(drawn)))
        print(match.format())
        out = legacy_match.put_match10(match)
        _print_differences("", expected, out)
        normal = match.normalized()
        tell_normalized(match, normal)
        _print_differences("normal: ", out, legacy_match.put_match10(normal))
        print()


def parse_ofp11_match(args: list[str], options: Options) -> None:
    for line in _lines():
        data = _sized(line, legacy_match.MATCH11_SIZE)
        try:
            match = legacy_match.get_match(Reader(_HEAD11 + data[len(_HEAD11):]), OF11)
        except OpenFlowError as error:
            print(f"bad ofp11_match: {error.code}\n")
            continue
        print(match.format())
        _print_differences("", data, legacy_match.put_match11(match))
        print()


def _sized(line: str, size: int) -> bytes:
    data = _from_hex(line)
    if len(data) != size:
        raise FastpathError(f"Input is {len(data)} bytes, expected {size}")
    return data


# -- VLANs -----------------------------------------------------------------------------------------

def check_vlan(args: list[str], options: Options) -> None:
    """What becomes of a match on a tag in each form there is."""
    match = Match()
    match.mask.vlan_tci = numbers.strtoul(args[1], 16) & 0xFFFF
    match.key.vlan_tci = numbers.strtoul(args[0], 16) & match.mask.vlan_tci
    text = match.format()
    print(f"{text} -> {_tci(parse_flow(f'{text} actions=', None).match)}")
    for name, version in (("NXM", oxm.NXM), ("OXM", OF12)):
        tlvs = oxm.put_match(match, version)
        read = oxm.get_match(Reader(tlvs))[0]
        print(f"{name}: {format_tlvs(tlvs)} -> {_tci(read) if version == oxm.NXM else _vid_and_pcp(read)}")
    for name, put, get in (("OF1.0", legacy_match.put_match10, legacy_match.fields10),
                           ("OF1.1", legacy_match.put_match11, legacy_match.fields11)):
        data = put(match)
        vid, no_vid, pcp, no_pcp = get(data)
        read = legacy_match.get_match(Reader(data), OF10 if name == "OF1.0" else OF11)
        print(f"{name}: {vid:04x}/{no_vid:d},{pcp:02x}/{no_pcp:d} -> {_tci(read)}")


def _tci(match: Match) -> str:
    return f"{match.key.vlan_tci:04x}/{match.mask.vlan_tci:04x}"


def _vid_and_pcp(match: Match) -> str:
    """Of the wire of 1.2, where the priority is a field of its own."""
    vid, mask = match.key.vlan_tci & _VID, match.mask.vlan_tci & _VID
    has_pcp = vid and match.mask.vlan_tci >> 13
    return f"{vid:04x}/{mask:04x}," + (f"{match.key.vlan_tci >> 13:02d}" if has_pcp else "--")


# -- lines and bytes -------------------------------------------------------------------------------

def _lines() -> Iterator[str]:
    """Lines of standard input that are more than a comment."""
    for line in sys.stdin:
        source = line.partition("#")[0].strip()
        if source:
            yield source


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise FastpathError("Trailing garbage in hex data") from None


def _print_differences(prefix: str, a: bytes, b: bytes) -> None:
    both = min(len(a), len(b))
    for at in range(both):
        if a[at] != b[at]:
            print(f"{prefix}{at:2d}: {a[at]:02x} -> {b[at]:02x}")
    for at in range(both, len(b)):
        print(f"{prefix}{at:2d}: (none) -> {b[at]:02x}")
    for at in range(both, len(a)):
        print(f"{prefix}{at:2d}: {a[at]:02x} -> (none)")
