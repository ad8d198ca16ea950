"""Actions said in one version of OpenFlow are told in every other as the reference tells them.

Those here are told in another form somewhere: set_field and load become each other, or a setter of an older
version; a mask is there or not; and some cannot be told at all.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ofctl_pair import ofctl, our_bridge, reference_bridge

# Match and action, of one table each.
SETS = (
    ("", "set_field:0x1005->vlan_tci"), ("dl_vlan=5", "set_field:0x1005->vlan_tci"),
    ("dl_vlan=5", "set_field:0x1005->vlan_vid"), ("dl_vlan=5", "set_field:0x1005/0x1fff->vlan_vid"),
    ("dl_vlan=5", "load:1->vlan_tci[0..11]"), ("dl_vlan=5", "load:1->vlan_pcp[]"),
    ("dl_vlan=5", "set_field:1/7->vlan_pcp"), ("ip", "set_field:2->nw_ecn"), ("ip", "mod_nw_ecn:2"),
    ("ip", "set_field:1/3->nw_ecn"), ("ip", "load:1->nw_ecn[]"), ("ip", "load:5->NXM_OF_IP_TOS[2..7]"),
    ("ip", "load:0x14->NXM_OF_IP_TOS[]"), ("ip", "set_field:20->nw_tos"), ("ip", "set_field:20/0xfc->nw_tos"),
    ("ip", "set_field:20/0xff->nw_tos"), ("ip", "load:1->ip_dscp[]"), ("ip", "set_field:3/0x3f->ip_dscp"),
    ("mpls", "load:1->OXM_OF_MPLS_LABEL[]"), ("mpls", "set_field:1/0xfffff->mpls_label"),
    ("mpls", "load:1->mpls_tc[]"), ("arp", "load:1->NXM_OF_ARP_OP[]"), ("arp", "set_field:1->arp_op"),
    ("arp", "set_field:1/0xff->arp_op"), ("arp", "load:1->NXM_OF_ARP_OP[0..7]"),
    ("ipv6", "load:1->ipv6_label[]"), ("ipv6", "set_field:1/0xfffff->ipv6_label"),
    ("", "load:1->tun_flags[]"), ("", "set_field:oam->tun_flags"), ("", "set_field:+oam->tun_flags"),
    ("", "set_field:-oam->tun_flags"), ("", "set_field:1/1->tun_flags"), ("", "load:1->tun_erspan_ver[]"),
    ("", "load:1->tun_erspan_idx[]"), ("", "load:1->xreg0[]"), ("", "load:1->tun_gbp_flags[]"))
# Refused by some version, or told in a form that ovs-ofctl refuses.
ALONE = (
    ("dl_vlan=5", "set_field:5->vlan_vid"), ("dl_vlan=5", "load:5->OXM_OF_VLAN_VID[]"),
    ("dl_vlan=5", "clone(set_field:5->vlan_vid)"),
    ("", "write_actions(push_vlan:0x8100,set_field:5->vlan_vid)"),
    ("", "set_field:5->in_port_oxm"), ("", "load:4294967294->OXM_OF_IN_PORT[]"),
    ("", "load:70000->OXM_OF_IN_PORT[]"), ("ip", "load:5->NXM_OF_IP_TOS[]"),
    ("", "bundle_load(eth_src,0,hrw,ofport,reg0[0..3],members:1)"),
    ("", "bundle_load(eth_src,0,hrw,ofport,reg0[0..15],members:1)"), ("", "encap(nsh)"), ("", "decap"),
    ("", "encap(nsh),dec_nsh_ttl"), ("", "write_actions(encap(nsh))"), ("dp_hash=1", "drop"),
    ("dp_hash=1/1", "drop"), ("recirc_id=1", "drop"), ("recirc_id=0", "drop"))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with reference_bridge() as theirs, our_bridge(tmp_path_factory.mktemp("ours")) as (ours, _bridge):
        yield ours, theirs


def flow(match: str, action: str) -> str:
    return f"{match + ',' if match else ''}actions={action}"


def alike(both: tuple[str, str], version: int, *command: str) -> None:
    """Fail unless both print the same."""
    ours, theirs = both
    assert ofctl(ours, version, command) == ofctl(theirs, version, command), (version, command)


def test_what_is_set_is_told_alike(both: tuple[str, str], more: int) -> None:
    for version in (0, 5, 1, 3, 2, 4)[:2 * more]:
        alike(both, 5, "del-flows")
        for priority, (match, action) in enumerate(SETS, 1):
            alike(both, version, "add-flow", f"priority={priority},{flow(match, action)}")
        for other in range(6):
            alike(both, other, "--no-stats", "dump-flows")


@pytest.mark.parametrize("place", range(len(ALONE)), ids=[f"{match},{action}" for match, action in ALONE])
def test_what_is_refused_is_refused_alike(both: tuple[str, str], place: int, more: int) -> None:
    match, action = ALONE[place]
    for version in ((3 * place + extra) % 6 for extra in range(min(6, 3 * more))):
        alike(both, 5, "del-flows")
        alike(both, version, "add-flow", flow(match, action))
        for other in (0, 1, 3, 5):
            alike(both, other, "--no-stats", "dump-flows")
