"""Actions of the kernel: what is written reads back, spoilt bytes are refused, numbers are the header's."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.dpif.actions import (
    AddMpls,
    CheckPktLen,
    Clone,
    Ct,
    CtClear,
    CtNat,
    Drop,
    FlowSample,
    GeneveOption,
    Hash,
    Meter,
    OdpAction,
    OdpActions,
    Output,
    PopEth,
    PopMpls,
    PopNsh,
    PopPbb,
    PopVlan,
    PushEth,
    PushMpls,
    PushNsh,
    PushVlan,
    RawUserdata,
    Recirc,
    Sample,
    SetMasked,
    SlowPath,
    ToController,
    Trunc,
    Userspace,
)
from fastpath.dpif.key import ATTRS, Form
from fastpath.dpif.netlink.actions import decode_actions, encode_actions
from fastpath.dpif.netlink.cookie import SIZE, decode_cookie, encode_cookie
from fastpath.dpif.netlink.ct import decode_ct, encode_ct
from fastpath.dpif.netlink.nla import attr, walk
from fastpath.dpif.netlink.rows import ACTION, KEY, TABLES
from fastpath.dpif.netlink.sets import decode_set, encode_set
from fastpath.dpif.userdata import SLOW_REASONS
from fastpath.errors import ConfigError, FormatError

HEADER = Path("/usr/include/linux/openvswitch.h")
U8, U16, U32 = st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
U64, MAC, U128 = st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 48) - 1), st.integers(0, (1 << 128) - 1)
SETS = ("eth", "ipv4", "ipv6", "arp", "tcp", "udp", "sctp", "icmp", "icmpv6", "nd", "mpls", "skb_mark",
        "skb_priority", "nsh")
MPLS = st.sampled_from((0x8847, 0x8848))


@st.composite
def set_actions(draw: st.DrawFn) -> SetMasked:
    attribute = draw(st.sampled_from(SETS))
    rows = [m for m in ATTRS[attribute]
            if m.form is not Form.FRAG and m.name not in ("proto", "mdtype", "np")]
    chosen = draw(st.lists(st.sampled_from(range(len(rows))), min_size=1, unique=True))
    members = []
    for m in (rows[i] for i in sorted(chosen)):
        full = (1 << m.bits) - 1
        mask = draw(st.just(full) | st.integers(1, full))
        members.append((m.name, draw(st.integers(0, full)) & mask, mask))
    return SetMasked(attribute, tuple(members))


@st.composite
def set_tunnels(draw: st.DrawFn) -> SetMasked:
    """As translation makes them: members with a value, the TTL in any case."""
    parts = [("tun_id", 64), ("src", 32), ("dst", 32), ("tos", 8), ("ttl", 8), ("tp_src", 16), ("tp_dst", 16)]
    members = [(name, draw(st.integers(1, (1 << bits) - 1)), (1 << bits) - 1) for name, bits in parts
               if name == "ttl" or draw(st.booleans())]
    flags = draw(st.integers(0, 7)) | 8 * (members[0][0] == "tun_id")
    kind = draw(st.sampled_from(("", "vxlan", "erspan1", "erspan2")))
    if kind == "vxlan":
        members += [("gbp_id", draw(st.integers(1, 0xFFFF)), 0xFFFF), ("gbp_flags", 8, 0xFF)]
    if kind == "erspan1":
        members += [("erspan_ver", 1, 0xFF), ("erspan_idx", draw(st.integers(1, 0xFFFFF)), 0xFFFFFFFF)]
    if kind == "erspan2":
        members += [("erspan_ver", 2, 0xFF), ("erspan_dir", 1, 0xFF),
                    ("erspan_hwid", draw(st.integers(1, 63)), 0xFF)]
    some = st.lists(st.builds(GeneveOption, U16, U8, st.just(b"abcd")), max_size=2)
    options = draw(some) if not kind else []
    members += [("flags", flags, 0xFFFF)] if flags else []
    return SetMasked("tunnel", tuple(members), tuple(options))


@st.composite
def nats(draw: st.DrawFn) -> CtNat:
    direction = draw(st.sampled_from(("src", "dst", "")))
    if not direction or draw(st.booleans()):
        return CtNat(direction)
    family = draw(st.sampled_from((4, 6)))
    address = st.integers(1, (1 << (32 if family == 4 else 128)) - 1)
    return CtNat(direction, family, draw(address), draw(st.just(0) | address), draw(U16), draw(U16),
                 *draw(st.tuples(*3 * [st.booleans()])))


@st.composite
def tracks(draw: st.DrawFn) -> Ct:
    commit = draw(st.booleans())
    return Ct(draw(U16), commit, commit and draw(st.booleans()), draw(st.none() | st.tuples(U32, U32)),
              draw(st.none() | st.tuples(U128, U128)), draw(st.sampled_from(("", "ftp", "tftp"))),
              draw(st.none() | nats()))


@st.composite
def services(draw: st.DrawFn) -> PushNsh:
    mdtype = draw(st.sampled_from((1, 2)))
    context = draw(st.tuples(*4 * [U32])) if mdtype == 1 else (0, 0, 0, 0)
    return PushNsh(draw(U8), draw(U8), mdtype, draw(U8), draw(st.integers(0, 0xFFFFFF)), draw(U8), context,
                   draw(st.binary(max_size=60)) if mdtype == 2 else b"")


USERDATA = st.one_of(
    st.lists(st.sampled_from(SLOW_REASONS), unique=True).map(
        lambda some: SlowPath(tuple(r for r in SLOW_REASONS if r in some))),
    st.builds(ToController, U16, st.booleans(), st.booleans(), U32, U64, U16, U16),
    st.builds(FlowSample, U16, U32, U32, U32, U32, st.sampled_from(("", "ingress", "egress"))),
    st.builds(RawUserdata, st.binary(max_size=SIZE - 1)))
FLAT: st.SearchStrategy[OdpAction] = st.one_of(
    st.builds(Output, U32), set_actions(), set_tunnels(), st.builds(PushVlan, U16, U16), st.just(PopVlan()),
    st.builds(PushMpls, MPLS, U32), st.builds(PopMpls, U16), st.builds(AddMpls, MPLS, U32),
    st.builds(PushEth, MAC, MAC), st.just(PopEth()), services(), st.just(PopNsh()), tracks(),
    st.just(CtClear()), st.builds(Trunc, U32), st.builds(Recirc, U32), st.builds(Meter, U32),
    st.builds(Drop, U32), st.builds(Hash, st.sampled_from(("l4", "sym_l4")), U32),
    st.builds(Userspace, USERDATA, st.integers(1, 0xFFFFFFFF)))


def _nest(inner: st.SearchStrategy[OdpActions]) -> st.SearchStrategy[OdpActions]:
    nested: st.SearchStrategy[OdpAction] = st.one_of(
        st.builds(Clone, inner), st.builds(Sample, U32, inner), st.builds(CheckPktLen, U16, inner, inner))
    return st.lists(FLAT | nested, max_size=4).map(tuple)


ACTIONS = st.recursive(st.lists(FLAT, max_size=4).map(tuple), _nest, max_leaves=6)


@given(ACTIONS)
@settings(max_examples=400)
def test_actions_read_back(actions: OdpActions) -> None:
    data = encode_actions(actions, drops=True)
    assert decode_actions(data) == actions
    assert len(data) % 4 == 0 and len(list(walk(data, "test"))) == len(actions)


@given(ACTIONS, st.integers(0, 1 << 32))
@settings(max_examples=60)
def test_spoilt_actions_are_read_or_refused(actions: OdpActions, seed: int) -> None:
    data, r = encode_actions(actions, drops=True), Random(seed)
    for end in range(len(data)):
        with suppress(FormatError):
            decode_actions(data[:end])
    for _ in range(40 if data else 0):
        wrong = bytearray(data)
        for _ in range(r.randrange(1, 4)):
            wrong[r.randrange(len(wrong))] = r.getrandbits(8)
        with suppress(FormatError):
            decode_actions(bytes(wrong))


@given(USERDATA)
def test_cookies_read_back(userdata: SlowPath | ToController | FlowSample | RawUserdata) -> None:
    data = encode_cookie(userdata)
    assert decode_cookie(data) == userdata
    assert len(data) == SIZE or isinstance(userdata, RawUserdata)


@given(st.binary(max_size=60) | st.binary(min_size=SIZE, max_size=SIZE))
def test_any_bytes_are_some_cookie(data: bytes) -> None:
    userdata = decode_cookie(data)
    if isinstance(userdata, RawUserdata):
        assert encode_cookie(userdata) == data


@given(set_actions())
def test_a_set_of_all_bits_is_not_masked(action: SetMasked) -> None:
    is_masked, inside = encode_set(action.attr, action.members)
    ((number, data),) = walk(inside, "test")
    assert decode_set(number, data, is_masked=is_masked) == action
    bits = sum(mask.bit_count() for _, _, mask in action.members)
    whole = {"eth": 96, "tcp": 32, "udp": 32, "sctp": 32, "icmp": 16, "icmpv6": 16, "nd": 224, "mpls": 32,
             "skb_mark": 32, "skb_priority": 32}
    assert is_masked == (bits != whole.get(action.attr))


@given(tracks())
def test_conntrack_reads_back(action: Ct) -> None:
    assert decode_ct(encode_ct(action)) == action


def test_userspace_without_a_socket_goes_to_that_given() -> None:
    action, sent = Userspace(SlowPath(("action",))), Userspace(SlowPath(("action",)), 77)
    assert decode_actions(encode_actions((action,), 77)) == (sent,)
    assert decode_actions(encode_actions((Clone((action,)),), 77)) == (Clone((sent,)),)


def test_a_drop_is_left_out_for_kernels_without_one() -> None:
    assert encode_actions((Drop(3),)) == b"" and encode_actions((Drop(3),), drops=True)


@pytest.mark.parametrize("action", [
    PopPbb(), SetMasked("pbb", (("isid", 1, 0xFFFFFF),)), SetMasked("eth", (("size", 1, 1),)),
    SetMasked("tcp", (("src", 1 << 16, 0xFFFF),)), SetMasked("tunnel", (("colour", 1, 1),)), Output(1 << 32),
    PushVlan(1 << 16, 0), PushEth(1 << 48, 0), Ct(zone=1 << 16), Ct(mark=(1 << 32, 1)),
    Userspace(ToController(1 << 16, False, False, 0, 0, 0, 0)), SetMasked("tunnel", (("ttl", 256, 255),)),
])
def test_what_no_kernel_does_is_refused(action: OdpAction) -> None:
    with pytest.raises(ConfigError):
        encode_actions((action,))


@pytest.mark.parametrize("data", [
    attr(99), attr(0), attr(23, attr(1)), attr(1, b"abc"), attr(5, b"x"), attr(2), attr(3), attr(3, attr(1)),
    attr(3, attr(200)), attr(11, attr(4, bytes(12))), attr(8, b"\7" + bytes(7)), attr(22, bytes(7) + b"\1"),
    attr(12, attr(3, b"abc")), attr(12, attr(6, attr(3, b"abc"))), attr(12, attr(6, attr(1) + attr(2))),
    attr(12, attr(30)), attr(12, attr(6, attr(30))),
])
def test_what_is_no_action_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode_actions(data)


def test_nesting_has_a_bound() -> None:
    data = b""
    for _ in range(18):
        data = attr(ACTION["clone"], data)
    with pytest.raises(FormatError, match="nested deeper"):
        decode_actions(data)


# ---- the header ---------------------------------------------------------------------------------------

def enumerators() -> dict[str, int]:
    """Every enumerator of the kernel's header with its value."""
    if not HEADER.exists():
        pytest.skip("no linux/openvswitch.h")
    text = re.sub(r"/\*.*?\*/|#.*?$", "", HEADER.read_text(), flags=re.S | re.M)
    found = {}
    for body in re.findall(r"enum(?:\s+\w+)?\s*\{(.*?)\}", text, re.S):
        number = -1
        for name, given_ in re.findall(r"(\w+)\s*(?:=\s*(\w+))?\s*(?:,|$)", body.strip()):
            number = int(given_, 0) if given_ else number + 1
            found[name] = number
    return found


def test_every_attribute_of_the_header_has_its_row() -> None:
    found = enumerators()
    ours = {f"{table.prefix}{row.name.upper()}": row.number for table in TABLES for row in table.rows}
    ends = ("_UNSPEC", "_MAX")
    theirs = {name: number for name, number in found.items() if not name.endswith(ends)
              and any(name.startswith(table.prefix) for table in TABLES) and "_VERSION" not in name}
    # Inside of the kernel alone.
    for name in ("OVS_KEY_ATTR_TUNNEL_INFO", "OVS_TUNNEL_KEY_ATTR_PAD"):
        ours.pop(name, None)
        theirs.pop(name, None)
    assert len(theirs) > 100
    assert {name: number for name, number in theirs.items() if ours.get(name) != number} == {}


def test_numbers_that_only_the_reference_has_are_not_sent() -> None:
    assert max(KEY.by_number) == 32
    assert {row.number for row in ACTION.rows} == set(range(1, 26))
