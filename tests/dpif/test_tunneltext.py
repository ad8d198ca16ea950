"""Members of one kind of tunnel as text, there and back."""

from __future__ import annotations

import pytest

from fastpath.dpif.key import TUNNEL_KINDS, members_of
from fastpath.dpif.odptext import format_actions, parse_actions
from fastpath.dpif.program import compile_actions
from fastpath.dpif.tunneltext import format_kind, parse_kind
from fastpath.errors import ParseError

# As ovs-vswitchd 3.1 prints them.
SETS = (
    "set(tunnel(tun_id=0x5,ipv6_dst=fe80::9,ttl=64,tp_dst=9999,vxlan(gbp(id=4,flags=0)),flags(df|key)))",
    "set(tunnel(tun_id=0x5,dst=1.1.1.3,ttl=64,tp_dst=4789,vxlan(gbp(id=0,flags=0x8)),flags(oam|df|key)))",
    "set(tunnel(tun_id=0x7,dst=1.1.1.7,ttl=64,erspan(ver=1,idx=0x1f),flags(df|key)))",
    "set(tunnel(tun_id=0x9,dst=1.1.1.9,ttl=64,erspan(ver=2,dir=1,hwid=0x4),flags(df|key)))",
    "set(tunnel(tun_id=0x9,dst=1.1.1.9,ttl=64,gtpu(flags=0x30,msgtype=255),flags(df|key)))",
)


@pytest.mark.parametrize("source", SETS)
def test_sets_come_back_as_they_were(source: str) -> None:
    actions = parse_actions(source)
    assert format_actions(actions) == source
    assert compile_actions(actions)


@pytest.mark.parametrize("kind", TUNNEL_KINDS)
def test_masks_come_back_too(kind: str) -> None:
    members = tuple((name, 1, (1 << bits) - 1 & ~2) for name, bits in members_of(kind))
    (term,) = format_kind(members)
    assert "/" in term or kind == "erspan"
    inside = term.partition("(")[2][:-1]
    assert parse_kind(kind, inside) == members


@pytest.mark.parametrize("source", ["vxlan(id=4)", "vxlan(gbp(port=4))", "erspan(ver=99)", "gtpu(teid=1)",
                                    "vxlan()"])
def test_what_is_no_member_is_refused(source: str) -> None:
    with pytest.raises(ParseError):
        parse_actions(f"set(tunnel(dst=1.1.1.1,{source}))")
