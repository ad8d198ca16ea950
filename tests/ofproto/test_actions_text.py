"""Actions: text both ways, what is refused, and how a list looks in each OpenFlow version."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import NEW_ACTIONS, OLD_ACTIONS, PACKETS, Packet, any_action, packet_action

from fastpath.errors import ParseError
from fastpath.ofproto.actions.check import check_actions
from fastpath.ofproto.actions.controller import Controller
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.actions.output import Output, OutputReg, Resubmit
from fastpath.ofproto.actions.set_field import Load, SetField
from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.actions.versions import OF10, OF11, OF13, OF15, format_actions
from fastpath.ofproto.match import Match


def shown(text: str, version: int | None = None, match: str = "tcp") -> str:
    m = Match.parse(match)
    actions = parse_actions(text)
    check_actions(actions, m)
    return format_actions(actions, version, match=m)


def refused(text: str, match: str = "tcp") -> str:
    with pytest.raises(ParseError) as e:
        shown(text, match=match)
    return str(e.value)


@given(
    st.lists(
        st.one_of(
            any_action(),
            st.sampled_from(PACKETS).flatmap(packet_action),
            st.sampled_from(NEW_ACTIONS + OLD_ACTIONS),
        ),
        max_size=6,
    )
)
def test_text_round_trip(texts: list[str]) -> None:
    actions = parse_actions(",".join(texts))
    assert parse_actions(format_list(actions)) == actions


@given(
    st.sampled_from(PACKETS).flatmap(lambda p: st.tuples(st.just(p), st.lists(packet_action(p), max_size=4))),
    st.sampled_from([OF10, OF11, OF13, OF15]),
)
def test_rewritten_text_parses_and_stays_what_it_is(drawn: tuple[Packet, list[str]], version: int) -> None:
    packet, texts = drawn
    m = Match.parse(packet.word)
    once = format_actions(parse_actions(",".join(texts)), version, match=m)
    assert format_actions(parse_actions(once), version, match=m) == once


# text, as given, OpenFlow 1.0, 1.3, 1.5 ("" = the same as before); all seen from the reference
FORMS = (
    ("mod_dl_dst:00:11:22:33:44:55", "", "", "set_field:00:11:22:33:44:55->eth_dst", ""),
    ("set_field:5->reg0", "set_field:0x5->reg0", "load:0x5->NXM_NX_REG0[]", "set_field:0x5->reg0", ""),
    ("set_field:0->reg0", "set_field:0->reg0", "load:0->NXM_NX_REG0[]", "set_field:0->reg0", ""),
    ("load:7->NXM_NX_REG1[0..15]", "load:0x7->NXM_NX_REG1[0..15]", "", "", "set_field:0x7/0xffff->reg1"),
    ("load:0->NXM_NX_REG3[4..7]", "", "", "", "set_field:0/0xf0->reg3"),
    ("load:46->OXM_OF_IP_DSCP[]", "load:0x2e->OXM_OF_IP_DSCP[]", "", "", "set_field:46/0x3f->ip_dscp"),
    (
        "set_field:12/0xc->tun_gbp_id",
        "",
        "load:0x3->NXM_NX_TUN_GBP_ID[2..3]",
        "",
        "set_field:12/0xc->tun_gbp_id",
    ),
    (
        "set_field:5->xxreg0",
        "set_field:0x5->xxreg0",
        "load:0x5->NXM_NX_XXREG0[0..63],load:0->NXM_NX_XXREG0[64..127]",
        "set_field:0x5->xxreg0",
        "",
    ),
    ("set_field:5->tun_metadata0", "set_field:0x5->tun_metadata0", "", "", ""),
    ("move:reg0[0..3]->reg1[3..6]", "move:NXM_NX_REG0[0..3]->NXM_NX_REG1[3..6]", "", "", ""),
    ("enqueue:1:2", "enqueue:1:2", "", "set_queue:2,output:1,pop_queue", ""),
    ("mod_vlan_vid:5", "", "", "push_vlan:0x8100,set_field:4101->vlan_vid", ""),
    (
        "mod_vlan_vid:5,mod_vlan_pcp:3",
        "",
        "",
        "push_vlan:0x8100,set_field:4101->vlan_vid,set_field:3->vlan_pcp",
        "",
    ),
    (
        "push_vlan:0x8100,set_field:4196->vlan_vid",
        "",
        "mod_vlan_vid:100",
        "push_vlan:0x8100,set_field:4196->vlan_vid",
        "",
    ),
    ("mod_nw_tos:16", "", "", "set_field:4->ip_dscp", ""),
    ("mod_nw_src:1.2.3.4", "", "", "set_field:1.2.3.4->ip_src", ""),
    ("mod_nw_ecn:2", "", "load:0x2->NXM_NX_IP_ECN[]", "set_field:2->nw_ecn", ""),
    ("mod_nw_ttl:3", "", "load:0x3->NXM_NX_IP_TTL[]", "mod_nw_ttl:3", ""),
    ("mod_tp_dst:80", "", "", "set_field:80->tcp_dst", ""),
    ("set_tunnel:0x77", "", "", "set_field:0x77->tun_id", ""),
    ("set_tunnel64:5", "set_tunnel64:0x5", "", "set_field:0x5->tun_id", ""),
    ("goto_table:3", "", "resubmit(,3)", "goto_table:3", ""),
    ("clear_actions", "", "drop", "clear_actions", ""),
    ("write_actions(mod_nw_tos:8)", "", "drop", "write_actions(set_field:2->ip_dscp)", ""),
    ("clone(output:1,mod_nw_tos:8)", "", "", "clone(output:1,set_field:2->ip_dscp)", ""),
    (
        "ct(commit,exec(set_field:0x5/0xf->ct_label))",
        "",
        "ct(commit,exec(load:0x5->NXM_NX_CT_LABEL[0..3]))",
        "",
        "ct(commit,exec(set_field:0x5/0xf->ct_label))",
    ),
)


@pytest.mark.parametrize("text, given, of10, of13, of15", FORMS)
def test_forms_by_version(text: str, given: str, of10: str, of13: str, of15: str) -> None:
    expected = given or text
    for version, form in ((None, given), (OF10, of10), (OF13, of13), (OF15, of15)):
        expected = form or expected
        assert shown(text, version) == expected, version


@pytest.mark.parametrize(
    "text, expected",
    [
        ("controller", "CONTROLLER:65535"),
        ("controller:128", "CONTROLLER:128"),
        ("controller()", "CONTROLLER:65535"),
        ("controller(max_len=65535,pause)", "controller(pause)"),
        ("2", "output:2"),
        ("local", "LOCAL"),
        ("", "drop"),
        ("controller(reason=no_match,userdata=0102)", "controller(reason=no_match,userdata=01.02)"),
        ("output(1)", "output:1"),
        ("output:reg0", "output:NXM_NX_REG0[]"),
        ("resubmit(1)", "resubmit:1"),
        ("resubmit(1,255)", "resubmit:1"),
        ("resubmit(LOCAL,3)", "resubmit(LOCAL,3)"),
        ("dec_ttl:1", "dec_ttl(1)"),
        ("dec_ttl()", "dec_ttl"),
        ("note:01.02", "note:01.02.00.00.00.00"),
        ("ct", "ct()"),
        ("clone()", "clone(drop)"),
        ("ct(commit,zone=3,table=5)", "ct(commit,table=5,zone=3)"),
        ("pop_vlan", "pop_vlan"),
        ("decap", "decap()"),
        (
            "ct(commit,nat(src=1.1.1.1-1.1.1.5:80-90,random))",
            "ct(commit,nat(src=1.1.1.1-1.1.1.5:80-90,random))",
        ),
        ("learn()", "learn(table=1)"),
        ("encap(nsh(md_type=1))", "encap(nsh(md_type=1))"),
        (
            "learn(eth_type=0x800,load:5->reg0[0..3],reg1[0..3]=7)",
            "learn(table=1,eth_type=0x800,load:0x5->NXM_NX_REG0[0..3],NXM_NX_REG1[0..3]=0x7)",
        ),
        (
            "learn(limit=4,cookie=5,NXM_OF_VLAN_TCI[0..11],eth_dst=eth_src)",
            "learn(table=1,cookie=0x5,limit=4,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])",
        ),
        ("bundle(eth_src,0,hrw,ofport,slaves:1,2)", "bundle(eth_src,0,hrw,ofport,members:1,2)"),
        ("sample(probability=1)", "sample(probability=1,collector_set_id=0,obs_domain_id=0,obs_point_id=0)"),
        ("write_metadata:5/7", "write_metadata:0x5/0x7"),
        ("set_mpls_label:5", "set_mpls_label(5)"),
    ],
)
def test_forms_of_text(text: str, expected: str) -> None:
    assert format_list(parse_actions(text)) == expected


BAD = "actions are invalid with specified match "


@pytest.mark.parametrize(
    "text, error",
    [
        ("frob", "unknown action frob"),
        ("output:foo", "foo: output to unknown port"),
        ("0x1", "unknown action 0x1"),
        ("drop,output:1", '"drop" must not be accompanied by any other action or instruction'),
        ("apply_actions", "apply_actions is the default instruction"),
        ("enqueue:1", '"enqueue" syntax is "enqueue:PORT:QUEUE" or "enqueue(PORT,QUEUE)"'),
        ("resubmit()", 'at least one "in_port" or "table" must be specified on resubmit'),
        ("resubmit(foo)", "foo: resubmit to unknown port"),
        ("resubmit(,300)", "300: resubmit to unknown table"),
        ("mod_vlan_vid:4096", "4096: not a valid VLAN VID"),
        ("mod_nw_tos:5", "5: not a valid TOS"),
        ("set_field:3->foo", "foo is not a valid OXM field name"),
        ("set_field:3", "3: missing `->'"),
        ("set_field:3->tcp_flags", "tcp_flags is read-only"),
        ("set_field:64->ip_dscp", "64 is not a valid value for field ip_dscp"),
        ("load:7->reg0[3]", "7->reg0[3]: value 0x7 does not fit into 1 bits"),
        (
            "move:reg0[]->reg1[3]",
            "reg0[]->reg1[3]: source field is 32 bits wide but destination is 1 bits wide",
        ),
        (
            "goto_table:3,output:1",
            "invalid instruction ordering: apply_actions must appear before goto_table, for "
            "OpenFlow 1.1+ compatibility",
        ),
        (
            "goto_table:1,goto_table:2",
            "duplicate goto_table instruction not allowed, for OpenFlow 1.1+ compatibility",
        ),
        ("clone(goto_table:2)", "goto_table instruction not allowed here"),
        ("clone(meter:2)", "clone action doesn't support nested action meter"),
        ("set_field:1->ct_mark", "cannot set CT fields outside of ct action"),
        ("ct(commit,exec(output:1))", "ct action doesn't support nested action output"),
        ("ct(commit,exec(set_field:1->reg0))", "ct action doesn't support nested modification of reg0"),
        ("ct(force)", '"force" flag requires "commit" flag.'),
        ("ct(foo)", 'invalid argument to "ct" action: `foo\''),
        ("nat", 'Cannot have NAT action outside of "ct" action'),
        ("conjunction(1,3/2)", "clause index must be less than or equal to number of clauses"),
        (
            "conjunction(1,1/2),output:1",
            '"conjunction" actions may be used along with "note" but not any other kind of action '
            '(such as the "output" action used here)',
        ),
        ("check_pkt_larger(100)->reg0[]", "Only 1-bit destination field is allowed"),
        ("sample()", 'non-zero "probability" must be specified on sample'),
        ("output:NONE", BAD + "(OFPBAC_BAD_OUT_PORT)"),
        ("enqueue:CONTROLLER:3", BAD + "(OFPBAC_BAD_OUT_PORT)"),
        ("meter:0", BAD + "(OFPMMFC_INVALID_METER)"),
        ("set_field:3->vlan_pcp", BAD + "(OFPBAC_MATCH_INCONSISTENT)"),
        ("set_field:1->nsh_si", BAD + "(OFPBAC_MATCH_INCONSISTENT)"),
        ("resubmit(,2,ct)", BAD + "(OFPBAC_MATCH_INCONSISTENT)"),
        ("pop:NXM_OF_IP_PROTO[]", BAD + "(OFPBAC_BAD_SET_ARGUMENT)"),
        ("delete_field:reg0", BAD + "(OFPBAC_BAD_ARGUMENT)"),
        ("push_mpls:0x800", BAD + "(OFPBAC_BAD_ARGUMENT)"),
        ("set_mpls_label:0x100000", "0x100000: not a valid MPLS label"),
        ("set_mpls_label:-1", "-1: not a valid MPLS label"),
        ("set_mpls_label:abc", "invalid numeric format abc"),
        ("set_mpls_tc:8", "8: not a valid MPLS TC"),
        ("set_mpls_tc:256", 'invalid MPLS TC "256"'),
        ("set_mpls_ttl:256", 'invalid MPLS TTL "256"'),
        ("push_vlan:0x8100,push_vlan:0x8100,push_vlan:0x8100", BAD + "(OFPBAC_BAD_TAG)"),
        ("learn(nw_src=1.2.3.4)", BAD + "(OFPBAC_MATCH_INCONSISTENT)"),
        ("ct(commit,nat(src=fe80::1))", BAD + "(OFPBAC_MATCH_INCONSISTENT)"),
        ("ct(zone=reg0)", BAD + "(OFPBAC_BAD_SET_LEN)"),
    ],
)
def test_errors_are_those_of_the_reference(text: str, error: str) -> None:
    assert refused(text) == error


@pytest.mark.parametrize("match", ["", "arp"])
@pytest.mark.parametrize(
    "text, ok",
    [
        ("mod_nw_tos:4", True),
        ("mod_tp_dst:7,dec_ttl", True),
        ("strip_vlan", True),
        ("set_mpls_label:3", True),
        ("mod_nw_ttl:3", False),
        ("set_field:1.1.1.1->ip_src", False),
        ("ct()", False),
        ("move:tcp_src[]->reg0[0..15]", False),
        ("mod_nw_tos:4,push_vlan:0x8100", False),
        ("push_vlan:0x8100,set_field:4100->vlan_vid", True),
        ("push_mpls:0x8847,set_field:3->mpls_label", True),
        ("push_mpls:0x8847,set_field:3->nw_ttl", False),
    ],
)
def test_old_setters_may_stand_without_prerequisites_if_the_rest_fits_openflow_10(
    match: str, text: str, ok: bool
) -> None:
    if ok:
        shown(text, match=match)
    else:
        assert refused(text, match) == BAD + "(OFPBAC_MATCH_INCONSISTENT)"


def test_goto_must_lead_forward() -> None:
    m = Match()
    check_actions(parse_actions("goto_table:4"), m, table_id=3)
    with pytest.raises(ParseError, match="OFPBIC_BAD_TABLE_ID"):
        check_actions(parse_actions("goto_table:3"), m, table_id=3)


def test_names_print_where_they_are_given() -> None:
    actions = parse_actions("output:p1,resubmit(p1,2),enqueue(p1,3),9", ports={"p1": 7})
    assert format_list(actions) == "output:7,resubmit(7,2),enqueue:7:3,output:9"
    assert format_list(actions, {7: "p1"}) == "output:p1,resubmit(p1,2),enqueue:p1:3,output:9"
    assert format_list(actions, {7: "p-1"}) == 'output:"p-1",resubmit("p-1",2),enqueue:"p-1":3,output:9'


def test_values_of_some_actions() -> None:
    (out, reg, resubmit, ctl, load, field) = parse_actions(
        "LOCAL,output:reg3[0..15],resubmit(,4),controller(id=3),load:5->reg1[0..3],set_field:9/0xff->reg2"
    )
    assert parse_actions("CONTROLLER:9") == (Output(0xFFFD, 9),)
    assert out == Output(0xFFFE) and isinstance(reg, OutputReg) and reg.source.n_bits == 16
    assert resubmit == Resubmit(0xFFF8, 4) and ctl == Controller(controller_id=3)
    assert isinstance(load, Load) and load.value == 5 and str(load.target) == "NXM_NX_REG1[0..3]"
    assert isinstance(field, SetField) and (field.value, field.mask, field.is_exact) == (9, 0xFF, False)


def test_every_truncation_parses_or_is_refused_in_one_line() -> None:
    n_refused = 0
    for text in (row[0] for row in FORMS):
        for end in range(len(text)):
            try:
                parse_actions(text[:end])
            except ParseError as e:
                n_refused += 1
                assert "\n" not in str(e)
    assert n_refused > 100


@pytest.mark.parametrize("text", [
    "write_actions(pop_vlan,set_tunnel:0x5,push_vlan:0x8100)", "write_actions(mod_nw_src:1.1.1.1)",
    "ct(commit,zone=NXM_NX_REG1[0..15],nat(src=fe80::1))",
])
def test_what_the_reference_does_not_look_into_is_taken(text: str) -> None:
    """An action set is judged when it runs, and so is a ct whose zone is a field."""
    assert shown(text, match="ip") == text


def test_an_action_set_that_no_version_takes_is_refused() -> None:
    said = refused("write_actions(set_field:1.1.1.1->nw_src)", match="udp6")
    assert said == BAD + "(OFPBAC_MATCH_INCONSISTENT)"
