"""Rules that ask for more conntrack than the datapath has."""

from __future__ import annotations

import pytest

from fastpath.dpif.provider import Features
from fastpath.errors import InvalidFlow
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.support import refuse_unsupported
from fastpath.value import replace

# A flow, and the feature without which it cannot be.
NEEDS = [
    ("ct_state=+trk,ip,actions=drop", "ct_state"), ("ct_zone=5,ip,actions=drop", "ct_zone"),
    ("ct_state=+trk,ip,ct_mark=1,actions=drop", "ct_mark"), ("ip,ct_label=1,actions=drop", "ct_label"),
    ("ct_state=+trk+snat,ip,actions=drop", "ct_state_nat"),
    ("ct_state=+trk+est,ip,ct_nw_src=1.2.3.4,actions=drop", "ct_orig_tuple"),
    ("ct_state=+trk+est,ipv6,ct_ipv6_src=::1,actions=drop", "ct_orig_tuple6"),
    ("ip,actions=ct(table=1)", "ct_state"), ("ip,actions=ct(zone=5)", "ct_zone"),
    ("ip,actions=ct(commit,nat(src=1.1.1.1))", "ct_state_nat"),
    ("ip,actions=ct(commit,exec(set_field:1->ct_mark))", "ct_mark"),
    ("ip,actions=clone(ct(commit,exec(load:1->NXM_NX_CT_LABEL[])))", "ct_label"),
]


@pytest.mark.parametrize(("text", "name"), NEEDS)
def test_a_rule_is_refused_without_just_what_it_needs(text: str, name: str) -> None:
    mod = parse_flow(text)
    for feature in {feature for _text, feature in NEEDS}:
        features = replace(Features(), **{feature: False})
        if feature == name or (feature == "ct_state" and "ct_state" in text) or (
                feature == "ct_state" and "ct(" in text):
            with pytest.raises(InvalidFlow, match="track"):
                refuse_unsupported(mod.match, mod.actions, features)
        else:
            refuse_unsupported(mod.match, mod.actions, features)


def test_nothing_is_refused_where_there_is_all() -> None:
    for text, _name in NEEDS:
        mod = parse_flow(text)
        refuse_unsupported(mod.match, mod.actions, Features())
