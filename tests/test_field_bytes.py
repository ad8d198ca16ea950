"""Every field of a match comes back from the switch in the bytes the reference sends it back in.

ovs-ofctl shows fields as text, which says the same of several forms on the wire; controllers compare what
they sent with what they are told.  Each case is one TLV behind what it needs, with any value and any mask, in
a flow mod of its own; dumps and refusals are compared byte for byte.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import pytest
from ofctl_pair import Raw, our_bridge, reference_bridge

from fastpath.fields import FIELDS, Field, Id, Prereq
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.match import Match
from fastpath.openflow.codec import NX_VENDOR
from fastpath.openflow.messages import stats
from fastpath.openflow.messages.table import HEADER, encode

N_TOGETHER, N_CASES = 200, 600          # rules in one table; of a version in a run
XID, FLOW_MOD, EXPERIMENTER, ERROR, NXT_FLOW_MOD = 7, 14, 4, 1, 13
MULTIPART = {OF10: 17}                  # else 19
# The reference keeps the value as the mask of ERSPAN's and GTP-U's, and takes any; it lacks those of PBB.
_LEFT_OUT = ("tun_metadata", "tun_erspan", "tun_gtpu", "pbb")
_ETH_TYPES = {Prereq.ARP: 0x0806, Prereq.IPV4: 0x0800, Prereq.IPV6: 0x86DD, Prereq.IP: 0x0800,
              Prereq.MPLS: 0x8847, Prereq.NSH: 0x894F, Prereq.TCP: 0x0800, Prereq.UDP: 0x86DD,
              Prereq.SCTP: 0x0800, Prereq.ICMPV4: 0x0800, Prereq.ICMPV6: 0x86DD, Prereq.ND: 0x86DD,
              Prereq.ND_SOLICIT: 0x86DD, Prereq.ND_ADVERT: 0x86DD}
_PROTOCOLS = {Prereq.TCP: 6, Prereq.UDP: 17, Prereq.SCTP: 132, Prereq.ICMPV4: 1, Prereq.ICMPV6: 58,
              Prereq.ND: 58, Prereq.ND_SOLICIT: 58, Prereq.ND_ADVERT: 58}
_ND_TYPES = {Prereq.ND: 135, Prereq.ND_SOLICIT: 135, Prereq.ND_ADVERT: 136}
_OF_IP = {Prereq.NONE, Prereq.ETHERNET, Prereq.IP}
_TOGETHER = {p: {Prereq.NONE, Prereq.ETHERNET, p} for p in (Prereq.ARP, Prereq.MPLS, Prereq.NSH)} | {
    p: _OF_IP | {p, Prereq.IPV6 if _ETH_TYPES[p] == 0x86DD else Prereq.IPV4} for p in _PROTOCOLS} | {
    p: _OF_IP | {p, Prereq.IPV6, Prereq.ICMPV6, Prereq.ND} for p in _ND_TYPES}
# Parts of members that other fields stand for; and what the reference takes for its own.
_SHARED = ("in_port", "vlan", "dl_", "xreg", "xxreg", "nw_tos", "recirc_id", "dp_hash", "packet_type")
_OXS_DURATION = b"\x80\x02\x00\x08"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with reference_bridge() as theirs, our_bridge(tmp_path_factory.mktemp("ours")) as (ours, _bridge):
        yield ours, theirs


def tlv(cls: int, number: int, value: bytes, mask: bytes | None = None, experimenter: int = 0) -> bytes:
    payload = (struct.pack(">I", experimenter) if experimenter else b"") + value + (mask or b"")
    return struct.pack(">HBB", cls, number << 1 | (mask is not None), len(payload)) + payload


def needed(f: Field) -> bytes:
    """What has to stand before *f*, in OXM."""
    if f.prereq is Prereq.VLAN_VID:
        return tlv(0x8000, 6, b"\x10\x05")
    if f.prereq is Prereq.CT:
        out = tlv(0x8000, 5, b"\x86\xdd" if "ipv6" in f.name else b"\x08\x00")
        out += tlv(1, 105, b"\0\0\0\x21", b"\0\0\0\x21")
        return out + (tlv(1, 119, b"\x06") if f.name.startswith("ct_tp") else b"")
    out = b""
    if f.prereq in _ETH_TYPES and f.name != "eth_type":
        out += tlv(0x8000, 5, struct.pack(">H", _ETH_TYPES[f.prereq]))
    if f.prereq in _PROTOCOLS and f.name != "ip_proto":
        out += tlv(0x8000, 10, bytes([_PROTOCOLS[f.prereq]]))
    if f.prereq in _ND_TYPES:
        out += tlv(0x8000, 29, bytes([_ND_TYPES[f.prereq]]))
    return out


def a_case(f: Field, i: Id, r: random.Random) -> bytes:
    """TLVs of some value and mask of *f* under the number *i*."""
    full, wide = (1 << f.bits) - 1, (1 << 8 * f.n_bytes) - 1
    masks = [None, full, wide, 0, r.randrange(full + 1)]
    if f.name == "tcp_flags":           # the reference tells all flags under a mask from flags without one
        masks[1] = None
    mask = r.choice(masks)
    value = r.choice((r.randrange(full + 1), full, r.randrange(wide + 1)))
    if mask is not None and r.random() < 0.95:
        value &= mask
    numbers = [None if n is None else n.to_bytes(f.n_bytes, "big") for n in (value, mask)]
    assert numbers[0] is not None
    return needed(f) + tlv(i.cls, i.number, numbers[0], numbers[1], i.experimenter)


def several(family: Prereq, r: random.Random) -> bytes:
    """TLVs of several fields that stand together, in any order behind what they need."""
    fields = {f.name: f for f in FIELDS if f.prereq in _TOGETHER[family] and f.ids
              and not f.name.startswith((*_LEFT_OUT, *_SHARED))}
    last = next(f for f in fields.values() if f.prereq is family)
    out = needed(last)
    known = {"eth_type"} | ({"nw_proto"} if family in _PROTOCOLS else set())
    known |= {"icmpv6_type"} if family in _ND_TYPES else set()
    for name in r.sample(sorted(fields.keys() - known), r.randint(2, 9)):
        f, i = fields[name], fields[name].ids[-1]
        mask = r.randrange(1, 1 << f.bits) if f.maskable and r.random() < 0.3 else None
        bits = 1 if name == "ip_frag" else f.bits       # later fragments have no ports
        value = r.randrange(1 << bits) & ((1 << f.bits) - 1 if mask is None else mask)
        out += tlv(i.cls, i.number, value.to_bytes(f.n_bytes, "big"),
                   None if mask is None else mask.to_bytes(f.n_bytes, "big"), i.experimenter)
    return out


def flow_mod(version: int, tlvs: bytes, cookie: int) -> bytes:
    """Adds a rule of *tlvs* without actions; its priority is its cookie."""
    if version == OF10:
        kind, body = EXPERIMENTER, struct.pack(
            ">IIQHHHHIHHH6x", NX_VENDOR, NXT_FLOW_MOD, cookie, 0, 0, 0, cookie, 0xFFFFFFFF, 0xFFFF, 0,
            len(tlvs))
        body += tlvs + bytes(-len(tlvs) % 8)
    else:
        kind, match = FLOW_MOD, struct.pack(">HH", 1, 4 + len(tlvs)) + tlvs
        body = struct.pack(">QQBBHHHIII4x", cookie, 0, 0, 0, 0, 0, cookie, *[0xFFFFFFFF] * 3)
        body += match + bytes(-len(match) % 8)
    return HEADER.pack(version, kind, HEADER.size + len(body), XID) + body


def dump_request(version: int) -> bytes:
    if version == OF10:
        return encode(stats.NxFlowRequest(), version, XID)
    return encode(stats.FlowRequest(), version, XID)


def refusals(target: str, version: int, mods: list[bytes]) -> dict[int, bytes]:
    """Types and codes of the errors that *mods* meet on a switch without rules, by place."""
    with Raw(target, version) as peer:
        peer.send(FlowMod(Command.DELETE, 255, 0, Match(), ()))
        for at, mod in enumerate(mods):
            peer.send(mod[:4] + struct.pack(">I", at) + mod[8:])
        out = {}
        peer.send_barrier(0xFFFF)
        while (data := peer.next_bytes())[4:8] != b"\0\0\xff\xff":
            if data[1] == ERROR:
                out[int.from_bytes(data[4:8], "big")] = data[8:12]
        return out


def rules(target: str, version: int) -> dict[int, bytes]:
    """The bytes of each rule in a dump, without its age, by its cookie."""
    head, cookie = 24 if version == OF10 else 16, slice(16, 24) if version == OF15 else slice(24, 32)
    with Raw(target, version) as peer:
        peer.send(dump_request(version))
        out: dict[int, bytes] = {}
        more = True
        while more:
            data = peer.next_bytes()
            if data[1] != MULTIPART.get(version, 19):
                continue
            more, at = bool(data[11] & 1), head
            while at < len(data):
                rule = bytearray(data[at:at + int.from_bytes(data[at:at + 2], "big")])
                at += len(rule)
                if version == OF15:
                    rule[rule.index(_OXS_DURATION):] = b""      # the last but counters, which are 0
                else:
                    rule[4:12] = bytes(8)
                if version == OF10:
                    rule[20:24] = bytes(4)
                out[int.from_bytes(rule[cookie], "big")] = bytes(rule)
        return out


@pytest.mark.parametrize("version", [OF10, OF11, OF12, OF13, OF14, OF15])
def test_fields_come_back_in_the_same_bytes(both: tuple[str, str], version: int, more: int) -> None:
    r = random.Random(version)
    ids = [(f, i) for f in FIELDS if not f.name.startswith(_LEFT_OUT) for i in f.ids]
    n_told = 0
    for _ in range(N_CASES // N_TOGETHER * more):
        cases = [a_case(*r.choice(ids), r) for _ in range(N_TOGETHER)]
        n_told += compare(both, version, cases)
    assert n_told > N_TOGETHER


@pytest.mark.parametrize("version", [OF10, OF11, OF12, OF13, OF14, OF15])
def test_fields_come_back_in_the_same_order(both: tuple[str, str], version: int, more: int) -> None:
    r = random.Random(version)
    n_told = 0
    for _ in range(N_CASES // N_TOGETHER * more):
        cases = [several(r.choice(list(_TOGETHER)), r) for _ in range(N_TOGETHER)]
        n_told += compare(both, version, cases)
    assert n_told > N_TOGETHER


def compare(both: tuple[str, str], version: int, cases: list[bytes]) -> int:
    """Fail at the first of *cases* that is not refused or told alike; how many rules were told."""
    mods = [flow_mod(version, tlvs, cookie) for cookie, tlvs in enumerate(cases, 1)]
    refused, theirs_refused = (refusals(target, version, mods) for target in both)
    told, theirs_told = (rules(target, version) for target in both)
    for at, tlvs in enumerate(cases):
        assert refused.get(at) == theirs_refused.get(at), tlvs.hex()
        assert told.get(at + 1) == theirs_told.get(at + 1), tlvs.hex()
    return len(told)
