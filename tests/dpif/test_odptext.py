"""Text of odp actions and keys: back and forth, and as the reference prints it."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fastpath.dpif.actions import (
    AddMpls,
    CheckPktLen,
    Clone,
    Ct,
    CtClear,
    CtNat,
    Hash,
    Meter,
    OdpAction,
    OdpActions,
    Output,
    PopEth,
    PopMpls,
    PopNsh,
    PopVlan,
    PushEth,
    PushMpls,
    PushNsh,
    PushVlan,
    Recirc,
    Sample,
    SetMasked,
    SlowPath,
    ToController,
    Trunc,
    Userspace,
)
from fastpath.dpif.key import ATTRS, Form
from fastpath.dpif.odptext import format_actions, parse_actions
from fastpath.dpif.program import compile_actions
from fastpath.dpif.userdata import SLOW_REASONS
from fastpath.errors import ParseError

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
SETTABLE = [a for a in ATTRS if a not in ("tunnel", "ct_zone", "ct_mark", "ct_label", "dp_hash", "mpls")]


@st.composite
def sets(draw: st.DrawFn, attrs: list[str]) -> SetMasked:
    attr = draw(st.sampled_from(attrs))
    rows = [m for m in ATTRS[attr] if m.form is not Form.FRAG and m.name not in ("proto", "mdtype", "np")]
    chosen = draw(st.lists(st.sampled_from(range(len(rows))), min_size=1, unique=True))
    members = []
    for m in (rows[i] for i in sorted(chosen)):
        full = (1 << m.bits) - 1
        mask = draw(st.one_of(st.just(full), st.integers(1, full)))
        members.append((m.name, draw(st.integers(0, full)) & mask, mask))
    return SetMasked(attr, tuple(members))


def actions(attrs: list[str], extra: list[st.SearchStrategy[OdpAction]]) -> st.SearchStrategy[OdpActions]:
    flat: st.SearchStrategy[OdpAction] = st.one_of(
        st.builds(Output, st.integers(0, 0xFFFF)), sets(attrs),
        st.builds(PushVlan, st.sampled_from((0x8100, 0x88A8)), U16), st.just(PopVlan()),
        st.builds(Recirc, U32), st.builds(Trunc, st.integers(14, 0xFFFF)), st.builds(Meter, U16),
        st.sampled_from(SLOW_REASONS).map(lambda r: Userspace(SlowPath((r,)))),
        st.builds(Userspace, st.builds(ToController, U16, st.booleans(), st.booleans(), U32,
                                       st.integers(0, (1 << 64) - 1), U16, U16), U32), *extra)
    some = st.lists(flat, min_size=1, max_size=3).map(tuple)
    share = st.integers(0, 1000).map(lambda n: int(0xFFFFFFFF * (n / 10 / 100) + 0.5))
    nested: st.SearchStrategy[OdpAction] = st.one_of(
        st.builds(Clone, some), st.builds(Sample, share, some), st.builds(CheckPktLen, U16, some, some))
    return st.lists(st.one_of(flat, flat, nested), max_size=4).map(tuple)


MAC, U8 = st.integers(0, (1 << 48) - 1), st.integers(0, 255)


@st.composite
def nats(draw: st.DrawFn) -> CtNat:
    """What ct() may do with addresses; ends of a range are left out where they are equal."""
    direction = draw(st.sampled_from(("src", "dst", "")))
    if not direction or draw(st.booleans()):
        return CtNat(direction)
    family = draw(st.sampled_from((4, 6)))
    low, high = sorted(draw(st.tuples(*2 * [st.integers(1, (1 << (32 if family == 4 else 128)) - 1)])))
    p, q = sorted(draw(st.tuples(*2 * [st.integers(0, 0xFFFF)])))
    return CtNat(direction, family, low, high if high > low else 0, p, q if q > p > 0 else 0,
                 *draw(st.tuples(*3 * [st.booleans()])))


@st.composite
def tracks(draw: st.DrawFn) -> Ct:
    def masked(bits: int) -> st.SearchStrategy[tuple[int, int]]:
        full = (1 << bits) - 1
        return st.tuples(st.integers(0, full), st.integers(1, full) | st.just(full))
    commit = draw(st.booleans())
    return Ct(draw(U16), commit, commit and draw(st.booleans()), draw(st.none() | masked(32)),
              draw(st.none() | masked(128)), draw(st.sampled_from(("", "ftp", "tftp"))),
              draw(st.none() | nats()))


@st.composite
def services(draw: st.DrawFn) -> PushNsh:
    mdtype = draw(st.sampled_from((1, 2)))
    context = draw(st.tuples(*4 * [U32])) if mdtype == 1 else (0, 0, 0, 0)
    metadata = draw(st.binary(max_size=60)) if mdtype == 2 else b""
    return PushNsh(draw(st.integers(0, 3)), draw(st.integers(0, 63)), mdtype, draw(U8),
                   draw(st.integers(0, 0xFFFFFF)), draw(U8), context, metadata + bytes(-len(metadata) % 4))


OURS = actions(SETTABLE, [
    st.builds(PushEth, MAC, MAC), st.just(PopEth()), services(), st.just(PopNsh()),
    st.builds(AddMpls, st.sampled_from((0x8847, 0x8848)), U32), tracks(), st.just(CtClear()),
    st.builds(PushMpls, st.sampled_from((0x8847, 0x8848)), U32),
    st.builds(PopMpls, U16), st.builds(Hash, st.sampled_from(("l4", "sym_l4")), U32)])
# What the reference's own parser takes: it has no text for the rest, and prints nd_reserved whether it is
# set or not, without its mask.
THEIRS = actions([a for a in SETTABLE if a not in ("nsh", "nd_ext", "pbb")], [])


@given(OURS)
def test_parse_gives_back_what_was_formatted(wanted: OdpActions) -> None:
    assert parse_actions(format_actions(wanted)) == wanted
    compile_actions(wanted)


def test_equals_the_reference(more: int) -> None:
    tool = shutil.which("ovs-dpctl")
    if not tool:
        pytest.skip("ovs-dpctl is not installed")

    @settings(max_examples=60 * more, deadline=None, suppress_health_check=list(HealthCheck))
    @example((SetMasked("nd_ext", (("nd_reserved", 0, 0xFFFFFFFF),)),))
    @example((SetMasked("nd_ext", (("nd_reserved", 9, 0xFFFFFFFF), ("nd_options_type", 1, 3))),))
    @given(THEIRS)
    def law(wanted: OdpActions) -> None:
        text = format_actions(wanted)
        # Its parser reads recirculation ids in decimal only, although it prints them in hexadecimal.
        given_text = re.sub(r"recirc\((0x[0-9a-f]+)\)", lambda m: f"recirc({int(m.group(1), 16)})", text)
        done = subprocess.run([tool, "parse-actions", given_text], capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.stdout.strip() == text, done.stderr

    law()


@pytest.mark.parametrize("text", [
    "drop",
    "set(eth(dst=00:00:00:00:00:99)),set(ipv4(ttl=63)),2",
    "push_vlan(vid=100,pcp=0),2",
    "push_vlan(tpid=0x88a8,vid=1,pcp=0,cfi=0)",
    "push_mpls(label=1,tc=0,ttl=64,bos=1,eth_type=0x8847),pop_mpls(eth_type=0x800)",
    "hash(l4(0)),recirc(0x3)",
    "set(mpls(label=3/0xff,tc=1/7,ttl=3/0xff,bos=1/1))",
    "set(tunnel(tun_id=0x1,src=1.2.3.4,dst=1.2.3.5,tos=0,ttl=64,flags(df|key)))",
    "sample(sample=50.0%,actions(drop))", "clone(drop)", "check_pkt_len(size=200,gt(drop),le(5))",
    "userspace(pid=0,slow_path(cfm,action))", "userspace(pid=0,slow_path(0))",
])
def test_text_survives(text: str) -> None:
    assert format_actions(parse_actions(text)) == text


def test_ports_may_be_names() -> None:
    assert format_actions((Output(1), Clone((Output(2),))), {1: "p1", 2: "p2"}) == "p1,clone(p2)"
    assert parse_actions("p1,clone(p2)", {"p1": 1, "p2": 2}) == (Output(1), Clone((Output(2),)))


@pytest.mark.parametrize("text", [
    "2,", ",2", "2,,3", "fly", "fly(2)", "set(ipv4(ttl=63)", "set(ipv4)", "set(ipv4(colour=1))",
    "set(ipv4(ttl=2x6))", "set(eth(src=1))", "sample(sample=101.0%,actions(2))", "sample(actions(2))",
    "push_vlan(pcp=1)", "hash(l7(0))", "check_pkt_len(gt(1),le(2))", "userspace(slow_path(action))",
    "userspace(pid=0,slow_path(rain))", "userspace(pid=0,userdata(0))", "userspace(pie=0)",
    "trunc(x)", "pop_mpls()", "set()",
])
def test_bad_text_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_actions(text)


@given(OURS, st.data())
def test_every_piece_of_text_parses_or_is_refused(wanted: OdpActions, data: st.DataObject) -> None:
    text = format_actions(wanted)
    piece = text[:data.draw(st.integers(0, len(text)))]
    try:
        parse_actions(piece)
    except ParseError as e:
        assert str(e)
