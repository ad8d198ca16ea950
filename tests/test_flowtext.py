"""Text of keys, matches and megaflows against the reference's, and the law that it never fails."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import fields
from fastpath._flow import WINDOWS, FlowKey
from fastpath.flowtext import format_flow, format_match, format_megaflow

EXACT = {8: 0xFF, 16: 0xFFFF, 32: 0xFFFFFFFF, 64: (1 << 64) - 1, 128: (1 << 128) - 1}


def full(*names: str) -> FlowKey:
    mask = FlowKey()
    for name in names:
        mask.fill(WINDOWS[name])
    return mask


# text of a match -> key, mask
TCP_KEY = {"dl_type": 0x0800, "nw_proto": 6}
CASES: list[tuple[str, dict[str, int], dict[str, int]]] = [
    ("", {}, {}),
    ("tcp,tp_dst=80", {**TCP_KEY, "tp_dst": 80}, {"dl_type": 0xFFFF, "nw_proto": 0xFF, "tp_dst": 0xFFFF}),
    (
        "tcp,tp_src=0x50/0xfff0",
        {**TCP_KEY, "tp_src": 80},
        {"dl_type": 0xFFFF, "nw_proto": 0xFF, "tp_src": 0xFFF0},
    ),
    (
        "tcp,tcp_flags=+syn-ack",
        {**TCP_KEY, "tcp_flags": 2},
        {"dl_type": 0xFFFF, "nw_proto": 0xFF, "tcp_flags": 0x12},
    ),
    (
        "tcp,tcp_flags=syn",
        {**TCP_KEY, "tcp_flags": 2},
        {"dl_type": 0xFFFF, "nw_proto": 0xFF, "tcp_flags": 0xFFF},
    ),
    ("ip,nw_proto=2", {"dl_type": 0x0800, "nw_proto": 2}, {"dl_type": 0xFFFF, "nw_proto": 0xFF}),
    (
        "ip,nw_src=10.0.0.0/8,nw_dst=1.0.0.1/255.0.0.255",
        {"dl_type": 0x0800, "nw_src": 10 << 24, "nw_dst": 0x01000001},
        {"dl_type": 0xFFFF, "nw_src": 0xFF000000, "nw_dst": 0xFF0000FF},
    ),
    (
        "ipv6,ipv6_src=fe80::/10,ipv6_label=0x00005",
        {"dl_type": 0x86DD, "ipv6_src": 0xFE80 << 112, "ipv6_label": 5},
        {"dl_type": 0xFFFF, "ipv6_src": 0x3FF << 118, "ipv6_label": 0xFFFFF},
    ),
    (
        "icmp6,icmp_type=135,icmp_code=0,nd_target=::1,nd_sll=02:00:00:00:00:01",
        {"dl_type": 0x86DD, "nw_proto": 58, "tp_src": 135, "nd_target": 1, "arp_sha": 0x020000000001},
        {
            "dl_type": 0xFFFF,
            "nw_proto": 0xFF,
            "tp_src": 0xFFFF,
            "tp_dst": 0xFFFF,
            "nd_target": EXACT[128],
            "arp_sha": (1 << 48) - 1,
        },
    ),
    (
        "arp,arp_spa=1.2.3.4,arp_op=1,arp_tha=00:00:00:00:00:02",
        {"dl_type": 0x0806, "nw_src": 0x01020304, "nw_proto": 1, "arp_tha": 2},
        {"dl_type": 0xFFFF, "nw_src": EXACT[32], "nw_proto": 0xFF, "arp_tha": (1 << 48) - 1},
    ),
    ("dl_vlan=5", {"vlan_tci": 0x1005}, {"vlan_tci": 0x1FFF}),
    ("dl_vlan_pcp=3", {"vlan_tci": 0x7000}, {"vlan_tci": 0xF000}),
    ("dl_vlan=5,dl_vlan_pcp=3", {"vlan_tci": 0x7005}, {"vlan_tci": 0xFFFF}),
    ("vlan_tci=0x0000", {}, {"vlan_tci": 0xFFFF}),
    ("vlan_tci=0x0000/0x1fff", {}, {"vlan_tci": 0x1FFF}),
    ("vlan_tci=0x1000/0x1000", {"vlan_tci": 0x1000}, {"vlan_tci": 0x1000}),
    (
        "mpls,mpls_label=3,mpls_tc=1,mpls_ttl=4,mpls_bos=1",
        {"dl_type": 0x8847, "mpls_lse0": 3 << 12 | 1 << 9 | 0x104},
        {"dl_type": 0xFFFF, "mpls_lse0": EXACT[32]},
    ),
    (
        "ct_state=-new+trk,ct_zone=4,ct_mark=0x3/0xf,ct_label=0",
        {"ct_state": 0x20, "ct_zone": 4, "ct_mark": 3},
        {"ct_state": 0x21, "ct_zone": 0xFFFF, "ct_mark": 0xF, "ct_label": EXACT[128]},
    ),
    (
        "reg0=0,tun_id=0x5/0xff,tun_flags=+oam,metadata=0x1",
        {"tun_id": 5, "tun_flags": 1, "metadata": 1},
        {"reg0": EXACT[32], "tun_id": 0xFF, "tun_flags": 1, "metadata": EXACT[64]},
    ),
    ("in_port=LOCAL", {"in_port": 0xFFFE}, {"in_port": 0xFFFF}),
    ("dl_dst=01:00:00:00:00:00/01:00:00:00:00:00", {"dl_dst": 1 << 40}, {"dl_dst": 1 << 40}),
    (
        "packet_type=(1,0x800),nw_src=1.2.3.4",
        {"packet_type": 0x10800, "nw_src": 0x01020304},
        {"packet_type": EXACT[32], "nw_src": EXACT[32]},
    ),
    (
        "dl_type=0x894f,nsh_flags=1,nsh_mdtype=1,nsh_spi=0x0,nsh_c1=0x4/0x4",
        {"dl_type": 0x894F, "nsh_flags": 1, "nsh_mdtype": 1, "nsh_c1": 4},
        {"dl_type": 0xFFFF, "nsh_flags": 0xFF, "nsh_mdtype": 0xFF, "nsh_path_hdr": 0xFFFFFF00, "nsh_c1": 4},
    ),
    (
        "ip,nw_tos=4,nw_ecn=3,nw_ttl=64,nw_frag=not_later",
        {"dl_type": 0x0800, "nw_tos": 7, "nw_ttl": 64},
        {"dl_type": 0xFFFF, "nw_tos": 0xFF, "nw_ttl": 0xFF, "nw_frag": 2},
    ),
    (
        "tun_gbp_id=0x3/0x7,tun_gbp_flags=0x3",
        {"tun_gbp_id": 3, "tun_gbp_flags": 3},
        {"tun_gbp_id": 7, "tun_gbp_flags": 3},
    ),
    (
        "pkt_mark=0x3/0xf,recirc_id=0x4,dp_hash=0x4/0xff,conj_id=4",
        {"pkt_mark": 3, "recirc_id": 4, "dp_hash": 4, "conj_id": 4},
        {"pkt_mark": 15, "recirc_id": EXACT[32], "dp_hash": 255, "conj_id": EXACT[32]},
    ),
]


@pytest.mark.parametrize(("text", "key", "mask"), CASES, ids=[c[0] or "all" for c in CASES])
def test_match(text: str, key: dict[str, int], mask: dict[str, int]) -> None:
    assert format_match(FlowKey(**key), FlowKey(**mask)) == text


@pytest.mark.parametrize(("text", "key", "mask"), CASES, ids=[c[0] or "all" for c in CASES])
def test_match_text_is_what_the_reference_prints_back(
    text: str, key: dict[str, int], mask: dict[str, int], ovs_ofctl: str
) -> None:
    run = subprocess.run(
        [ovs_ofctl, "parse-flow", f"{text},actions=drop"], capture_output=True, text=True, timeout=60
    )
    m = re.search(r"FLOW_MOD .*: ADD (.*?) ?actions=drop", run.stdout)
    assert m, run.stdout + run.stderr
    assert m.group(1) == text


def test_priority_and_port_names() -> None:
    key, mask = FlowKey(in_port=3), full("in_port")
    assert format_match(key, mask, priority=7, ports={3: "p3"}) == "priority=7,in_port=p3"
    assert format_match(key, mask, priority=32768) == "in_port=3"
    assert format_match(key, FlowKey(), priority=0) == "priority=0"


def test_second_tag_has_a_suffix() -> None:
    key = FlowKey(vlan_tci=0x1005, vlan1_tci=0x3007, vlan_tpid=0x88A8, vlan1_tpid=0x8100, dl_type=0x1234)
    assert format_flow(key) == (
        "dl_vlan=5,dl_vlan_pcp=0,dl_vlan1=7,dl_vlan_pcp1=1,dl_src=00:00:00:00:00:00,"
        "dl_dst=00:00:00:00:00:00,dl_type=0x1234"
    )


def test_flow_leaves_zero_metadata_out() -> None:
    key = FlowKey(dl_type=0x88CC, in_port=1, reg3=5, metadata=6, ct_state=0x22, ct_zone=0)
    assert format_flow(key) == (
        "ct_state=est|trk,reg3=0x5,metadata=0x6,in_port=1,vlan_tci=0x0000,"
        "dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,dl_type=0x88cc"
    )
    assert str(key) == format_flow(key)


def test_megaflow() -> None:
    key = FlowKey(dl_type=0x0800, nw_proto=17, in_port=1, tp_dst=53)
    mask = FlowKey(dl_type=0xFFFF, nw_proto=0xFF, in_port=0xFFFF, nw_frag=0xFF, tp_dst=0xFFFF)
    assert format_megaflow(key, mask) == "recirc_id=0,eth,udp,in_port=1,nw_frag=no,tp_dst=53"


def random_key() -> st.SearchStrategy[FlowKey]:
    interesting = {
        "dl_type": (0x0800, 0x86DD, 0x0806, 0x8035, 0x8847, 0x894F, 0x05FF),
        "nw_proto": (1, 2, 6, 17, 58, 132, 0),
    }
    members = [m for m in fields.MEMBERS if m.name not in interesting]
    sparse = st.dictionaries(
        st.sampled_from([m.name for m in members]), st.integers(0, (1 << 2048) - 1), max_size=12
    )

    def build(values: dict[str, int], dl_type: int, nw_proto: int) -> FlowKey:
        key = FlowKey(dl_type=dl_type, nw_proto=nw_proto)
        for name, value in values.items():
            key.set(WINDOWS[name], value & WINDOWS[name].limit)
        return key

    return st.builds(build, sparse, *[st.sampled_from(v) for v in interesting.values()])


@settings(max_examples=300)
@given(random_key(), random_key(), st.binary(min_size=fields.FLOW_SIZE, max_size=fields.FLOW_SIZE))
def test_never_fails(key: FlowKey, mask: FlowKey, noise: bytes) -> None:
    for k in (key, FlowKey.from_bytes(noise)):
        for m in (mask, FlowKey.from_bytes(noise[::-1])):
            for shown in (format_flow(k), format_match(k, m), format_megaflow(k, m)):
                assert "\n" not in shown and not shown.startswith(",") and ",," not in shown


def test_lines_of_the_reference_trace(shared: Path) -> None:
    """Flow: and Megaflow: lines in the golden text name fields in the order we print them."""
    golden = (shared / "golden/ofctl_and_trace_ovs31.txt").read_text()
    lines = re.findall(r"^(?:Final |)?(?:Flow|Megaflow): (.+)$", golden, re.M)
    assert len(lines) > 20
    order = [re.sub(r"[=].*", "", p) for p in format_match(*_everything()).split(",") if "=" in p]
    rank = {name: i for i, name in enumerate(order)}
    for line in lines:
        names = [n for n in re.findall(r"(?:^|,)([a-z_0-9]+)=", line) if n in rank]
        assert names == sorted(names, key=rank.__getitem__), line


def _everything() -> tuple[FlowKey, FlowKey]:
    """A key and mask under which nearly every name is printed."""
    mask = FlowKey.from_bytes(b"\xff" * fields.FLOW_SIZE)
    return FlowKey(dl_type=0x0800, nw_proto=6, vlan_tci=0x1000, vlan1_tci=0x1000), mask
