"""Hypothesis strategies for what controllers write: field values, matches, actions, flows.

A drawn match has the prerequisites of its fields, so that nothing in it is normalized away and the
reference accepts it.  All strategies yield text or lists of text; ``flows`` joins them.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from fastpath import text
from fastpath.fields import BY_NAME, FIELDS, Field, Fmt

BITS = {8: 0xFF, 16: 0xFFFF, 32: 0xFFFFFFFF, 48: (1 << 48) - 1, 64: (1 << 64) - 1, 128: (1 << 128) - 1}


@dataclass(frozen=True)
class Packet:
    """A kind of packet: the word that matches it and the fields such a packet has."""

    word: str
    fields: tuple[str, ...]
    nat: str = ""  # an address that nat takes with such a packet


_META = (
    "pkt_mark",
    "tun_id",
    "tun_src",
    "tun_dst",
    "metadata",
    "in_port",
    "reg0",
    "reg1",
    "reg7",
    "reg15",
    "xreg3",
    "xxreg2",
    "conj_id",
    "recirc_id",
    "dp_hash",
    "ct_mark",
    "ct_label",
    "ct_state",
    "ct_zone",
    "tun_gbp_id",
    "tun_gbp_flags",
    "tun_flags",
    "tun_ipv6_src",
    "tun_ipv6_dst",
    "actset_output",
)
_ETH = ("eth_src", "eth_dst")
_IP = ("nw_tos", "nw_ecn", "nw_ttl", "ip_frag")
_V4, _V6 = ("nw_src", "nw_dst"), ("ipv6_src", "ipv6_dst", "ipv6_label")
_ARP = ("arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha")

PACKETS: tuple[Packet, ...] = (
    Packet("", ()),
    Packet("dl_type=0x88cc", _ETH),
    Packet("arp", (*_ETH, *_ARP)),
    Packet("rarp", (*_ETH, *_ARP)),
    Packet("mpls", (*_ETH, "mpls_label", "mpls_tc", "mpls_bos", "mpls_ttl")),
    Packet("mplsm", (*_ETH, "mpls_label")),
    Packet("ip", (*_ETH, *_IP, *_V4), "10.0.0.1"),
    Packet("ipv6", (*_ETH, *_IP, *_V6), "fe80::1"),
    Packet("ip,nw_proto=47", (*_ETH, *_IP, *_V4), "10.0.0.1"),
    *(
        Packet(
            f"{p}{v}", (*_ETH, *_IP, *a, f"{p}_src", f"{p}_dst", *(("tcp_flags",) if p == "tcp" else ())), nat
        )
        for p in ("tcp", "udp", "sctp")
        for v, a, nat in (("", _V4, "10.0.0.1-10.0.0.9:80"), ("6", _V6, "fe80::1"))
    ),
    Packet("icmp", (*_ETH, *_IP, *_V4, "icmp_type", "icmp_code"), "10.0.0.1"),
    Packet("icmp6", (*_ETH, *_IP, *_V6, "icmpv6_type", "icmpv6_code"), "fe80::1"),
    Packet("icmp6,icmpv6_type=135,icmpv6_code=0", (*_ETH, *_V6, "nd_target", "nd_sll"), "fe80::1"),
    Packet("icmp6,icmpv6_type=136,icmpv6_code=0", (*_ETH, *_V6, "nd_target", "nd_tll"), "fe80::1"),
)
_VLAN = (
    "dl_vlan=0xffff",
    "vlan_tci=0",
    "vlan_tci=0x1000/0x1000",
    "dl_vlan=7",
    "dl_vlan=4095",
    "dl_vlan=5,dl_vlan_pcp=3",
    "dl_vlan_pcp=6",
    "vlan_tci=0x1abc",
    "vlan_tci=0x1004/0x100f",
    "vlan_vid=0x1123",
)


@st.composite
def numbers(draw: st.DrawFn, bits: int) -> int:
    """Integers of *bits* bits: small, single bits, all ones, anything."""
    top = (1 << bits) - 1
    return draw(
        st.one_of(
            st.integers(0, min(top, 7)),
            st.integers(0, bits - 1).map(lambda i: 1 << i),
            st.just(top),
            st.integers(0, top),
        )
    )


def masks(bits: int) -> st.SearchStrategy[int]:
    """Masks of *bits* bits that are not zero: prefixes and anything else."""
    prefix = st.integers(1, bits).map(lambda n: text.prefix_mask(n, bits))
    return st.one_of(prefix, st.integers(1, (1 << bits) - 1))


@st.composite
def value_text(draw: st.DrawFn, f: Field, *, masked: bool = True) -> str:
    """A value of *f* as ovs-ofctl reads it, with a mask now and then where *f* takes one."""
    mask = draw(masks(f.bits)) if masked and f.maskable and draw(st.booleans()) else None
    if f.name == "tun_gbp_flags":
        mask = None  # the reference prints no mask for it
    match f.fmt:
        case Fmt.ETH:
            v = draw(numbers(48))
            return (
                text.format_mac(v) if mask is None else f"{text.format_mac(v & mask)}/{text.format_mac(mask)}"
            )
        case Fmt.IPV4:
            v = draw(numbers(32))
            return text.format_ipv4_masked(v & (mask or text.IPV4_MAX), mask or text.IPV4_MAX)
        case Fmt.IPV6:
            v = draw(numbers(128))
            return text.format_ipv6_masked(v & (mask or text.IPV6_MAX), mask or text.IPV6_MAX)
        case Fmt.OFP_PORT | Fmt.OFP_PORT32:
            return draw(st.sampled_from(["1", "2", "300", "LOCAL", "65279", "0"]))
        case Fmt.PACKET_TYPE:
            return f"({draw(st.integers(0, 3))},{draw(numbers(16)):#x})"
        case Fmt.FRAG:
            return draw(st.sampled_from(["no", "yes", "first", "later", "not_later"]))
        case Fmt.TCP_FLAGS:
            return draw(
                st.sampled_from(
                    ["+syn-ack", "+fin", "0x12/0x12", "syn|ack", "+rst+psh-urg", "0", "+ece+cwr-ns"]
                )
            )
        case Fmt.CT_STATE:
            return draw(
                st.sampled_from(
                    ["+trk", "-trk", "+trk+new", "+trk+est-inv", "0x21/0x21", "+rpl+trk", "+snat+trk"]
                )
            )
        case Fmt.TUN_FLAGS:
            return draw(st.sampled_from(["+oam", "-oam", "oam", "0"]))
        case _:
            v = draw(numbers(f.bits))
            shown = draw(st.sampled_from([str(v), hex(v)])) if v < 1 << 64 else hex(v)
            return shown if mask is None else f"{v & mask:#x}/{mask:#x}"


# Fields that the Ethernet type or ICMP type already fixes, or whose values are not free.
_DSCP_ONLY = {"nw_tos"}


@st.composite
def match_items(draw: st.DrawFn, packet: Packet) -> list[str]:
    """Items of a match on *packet*: its word and some of its fields and metadata."""
    out = [packet.word] if packet.word else []
    names = draw(st.lists(st.sampled_from(_META), max_size=3, unique=True))
    if packet.fields:
        names += draw(st.lists(st.sampled_from(packet.fields), max_size=4, unique=True))
        if draw(st.integers(0, 3)) == 0:
            out.append(draw(st.sampled_from(_VLAN)))
    for name in names:
        f = BY_NAME[name]
        value = draw(value_text(f))
        if name == "ip_frag" and value == "later":
            value = "first"  # a later fragment has no ports, so those could not be matched or set
        if name in _DSCP_ONLY:
            value = str(draw(st.integers(0, 63)) << 2)
        out.append(f"{name}={value}")
    return out


_SETTABLE_META = (
    "reg0",
    "reg5",
    "reg15",
    "xreg1",
    "xxreg0",
    "metadata",
    "pkt_mark",
    "tun_id",
    "tun_src",
    "tun_dst",
    "tun_ipv6_src",
    "tun_gbp_id",
    "in_port",
)
_PARTS = (
    "NXM_NX_REG0[0..15]",
    "NXM_NX_REG3[7]",
    "NXM_NX_REG9[]",
    "reg2[4..11]",
    "OXM_OF_METADATA[0..31]",
    "NXM_NX_XXREG0[100..127]",
    "xreg2[]",
    "NXM_NX_TUN_ID[0..31]",
    "NXM_NX_PKT_MARK[8..15]",
)
_PAIRS = (
    ("NXM_NX_REG0[]", "NXM_NX_REG1[]"),
    ("NXM_NX_REG0[0..15]", "NXM_NX_REG4[16..31]"),
    ("NXM_OF_IN_PORT[]", "NXM_NX_REG2[0..15]"),
    ("NXM_OF_ETH_SRC[]", "NXM_OF_ETH_DST[]"),
    ("NXM_OF_ETH_SRC[0..31]", "reg3[]"),
    ("OXM_OF_METADATA[]", "xreg0[]"),
)


_OUTPUTS = ("output:1", "output:300", "2", "LOCAL", "in_port", "ALL", "FLOOD", "NORMAL", "TABLE",
            "controller", "CONTROLLER:128", "output:LOCAL", "output:CONTROLLER")
_PLAIN_ACTIONS = (
    "output(port=3,max_len=64)", "output(port=LOCAL,max_len=1500)", "exit", "ct_clear", "pop_queue",
    "note:01.02.03", "note:", "note:0102030405060708", "clone(output:1,set_field:1->reg0)",
    "clone(clone(drop),output:2)", "resubmit:3", "resubmit(1,2)", "resubmit(,7)", "resubmit(LOCAL,3)",
    "resubmit(1)")
_LONG_ACTIONS = (
    "multipath(symmetric_l4,1024,modulo_n,4,0,NXM_NX_REG0[0..3])", "multipath(eth_src,50,hrw,12,0,reg1[])",
    "bundle(symmetric_l4,0,active_backup,ofport,members:1,2)", "bundle(eth_src,0,hrw,ofport,members:)",
    "bundle_load(nw_src,0,hrw,ofport,NXM_NX_REG0[],members:1,LOCAL)", "check_pkt_larger(100)->NXM_NX_REG0[0]",
    "learn(table=7,idle_timeout=10,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
    "output:NXM_OF_IN_PORT[])",
    "learn(table=2,priority=7,hard_timeout=3,cookie=0x9,load:0x5->NXM_NX_REG0[0..3],eth_type=0x800,nw_proto=6,"
    "reg1=0x7)",
    "learn()", "learn(delete_learned,send_flow_rem,fin_idle_timeout=3,limit=7,result_dst=reg0[3])")


def _controller(max_len: int, number: int, reason: str, rest: str) -> str:
    return f"controller(max_len={max_len},id={number},reason={reason}{rest})"


def _drawn_actions() -> list[st.SearchStrategy[str]]:
    """Actions whose arguments are drawn, one strategy a kind."""
    u8, u16, u32 = st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, (1 << 32) - 1)
    parts = st.sampled_from(_PARTS)
    extras = st.sampled_from(("", ",pause", ",userdata=01.ff", ",meter_id=3"))
    return [
        parts.map("output:{}".format),
        u32.map("set_queue:{}".format),
        u32.map("set_tunnel:{}".format),
        u32.map("group:{}".format),
        st.builds("mod_dl_{}:{}".format, st.sampled_from(("src", "dst")), numbers(48).map(text.format_mac)),
        st.sampled_from(_PAIRS).map(lambda pair: f"move:{pair[0]}->{pair[1]}"),
        st.builds("load:{}->{}".format, st.sampled_from(("0", "1", "0x1")), parts),
        st.builds("{}:{}".format, st.sampled_from(("push", "pop")), parts),
        st.builds(_controller, u16, u16, st.sampled_from(("action", "no_match")), extras),
        st.builds("sample(probability={},collector_set_id={},obs_domain_id={})".format,
                  st.integers(1, 0xFFFF), u32, u8),
        st.sampled_from(_SETTABLE_META).map(BY_NAME.__getitem__).flatmap(
            lambda f: value_text(f, masked=False).map(lambda value: f"set_field:{value}->{f.name}")),
    ]


def any_action() -> st.SearchStrategy[str]:
    """An action that stands with any match and is said in every version."""
    return st.one_of(*(st.sampled_from(words) for words in (_OUTPUTS, _PLAIN_ACTIONS, _LONG_ACTIONS)),
                     *_drawn_actions())


@st.composite
def packet_action(draw: st.DrawFn, packet: Packet) -> str:
    """An action on a header that *packet* has."""
    choices: list[str] = [
        f"set_field:{draw(value_text(BY_NAME[n], masked=False))}->{BY_NAME[n].name}"
        for n in packet.fields
        if BY_NAME[n].writable and n not in ("nw_tos", "arp_op")
    ]
    names = set(packet.fields)
    if "nw_src" in names:
        choices += [
            "mod_nw_src:1.2.3.4",
            "mod_nw_dst:10.0.0.1",
            f"set_field:{draw(st.integers(0, 63))}->ip_dscp",
        ]
    if "nw_tos" in names:
        choices += ["dec_ttl", "dec_ttl(1,2)", "mod_nw_tos:16", "mod_nw_ecn:2", "mod_nw_ttl:9"]
    if names & {"tcp_src", "udp_src", "sctp_src"}:
        choices += ["mod_tp_src:80", "mod_tp_dst:81"]
    if "mpls_ttl" in names:
        choices += ["set_mpls_label:7", "set_mpls_tc:3", "set_mpls_ttl:9", "dec_mpls_ttl", "pop_mpls:0x0800"]
    if packet.nat:
        choices += [
            "ct(commit)",
            "ct(table=3,zone=5,nat)",
            f"ct(commit,zone=NXM_NX_REG0[0..15],nat(src={packet.nat}))",
            "ct(commit,force,exec(set_field:0x1->ct_mark))",
            f"ct(commit,nat(dst={packet.nat.split('-')[0]},random))",
            "ct(commit,exec(load:0x3->NXM_NX_CT_LABEL[0..31],set_field:7->ct_mark))",
            "ct()",
        ]
    return draw(st.sampled_from(choices)) if choices else "output:1"


NEW_ACTIONS = (
    "push_vlan:0x8100",
    "push_vlan:0x88a8,set_field:4100->vlan_vid",
    "push_vlan:0x8100,set_field:3->vlan_pcp",
    "enqueue:1:2",
    "mod_vlan_vid:5",
    "mod_vlan_pcp:3",
    "push_vlan:0x8100,pop_vlan",
)
OLD_ACTIONS = ("enqueue:1:2", "mod_vlan_vid:5", "mod_vlan_pcp:3", "strip_vlan", "mod_vlan_vid:5,strip_vlan")
INSTRUCTIONS = (
    "clear_actions",
    "write_actions(output:1,set_field:3->reg1)",
    "write_metadata:0x12/0xff",
    "goto_table:200",
)  # in the order they must stand


@st.composite
def flows(draw: st.DrawFn, *, of10: bool) -> str:
    """A flow for add-flow: sayable in OpenFlow 1.0 with extensions, or (not *of10*) in 1.3 and 1.5."""
    packet = draw(st.sampled_from(PACKETS))
    items = draw(match_items(packet))
    if draw(st.booleans()):
        items.append(f"priority={draw(st.integers(0, 0xFFFF))}")
    if draw(st.booleans()):
        items.append(f"table={draw(st.integers(0, 100))}")
    for key in draw(
        st.lists(st.sampled_from(["idle_timeout", "hard_timeout", "cookie"]), max_size=2, unique=True)
    ):
        items.append(f"{key}={draw(st.integers(0, 0xFFFF))}")
    items += draw(st.lists(st.sampled_from(["send_flow_rem", "check_overlap"]), max_size=1))
    order = draw(st.randoms(use_true_random=False))
    head, tail = items[:1], items[1:]
    order.shuffle(tail)
    special = OLD_ACTIONS if of10 else NEW_ACTIONS
    one = st.one_of(
        any_action(), packet_action(packet), *([st.sampled_from(special)] if packet.fields else [])
    )
    actions = draw(st.lists(one, max_size=5))
    actions = _only_one("pop_mpls", _only_one("push_vlan", actions))
    if not of10:
        actions += [a for a in INSTRUCTIONS if draw(st.integers(0, 4)) == 0]
    return f"{','.join(head + tail)} actions={','.join(actions) or 'drop'}".strip()


def _only_one(prefix: str, actions: list[str]) -> list[str]:
    """*actions* with at most one that begins with *prefix*, which comes last."""
    return [a for a in actions if not a.startswith(prefix)] + [a for a in actions if a.startswith(prefix)][:1]


ALL_FIELDS = tuple(f for f in FIELDS if not f.name.startswith("tun_metadata"))
