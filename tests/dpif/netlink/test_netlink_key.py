"""Keys and masks of the kernel: what is written reads back, and bytes that lie are refused, not believed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model.hostile import packet

from fastpath import extract, fields
from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.actions import GeneveOption
from fastpath.dpif.netlink.key import (
    decode_key,
    decode_mask,
    encode_key,
    encode_mask,
    encode_metadata,
    fits,
    foreign,
)
from fastpath.dpif.netlink.layout import Form, Part, Struct
from fastpath.dpif.netlink.nla import attr, by_number, need, walk
from fastpath.dpif.netlink.rows import KEY, TABLES, TUNNEL_KEY, Kind, Row, Table, decode, encode
from fastpath.dpif.netlink.tunnel import decode_options, decode_tunnel, encode_tunnel
from fastpath.errors import FormatError
from fastpath.geneve import LENGTH_EXACT, MAX_SIZE, is_raw, raw_options, set_raw

SEEDS = st.integers(0, 1 << 48)
MEMBERS = [m.name for m in fields.MEMBERS if m.size <= 16 and not m.name.startswith(("reg", "pad_"))
           and m.name not in ("metadata", "conj_id", "actset_output")]
BITS = {"tun_erspan_dir": 1, "tun_erspan_hwid": 63, "tun_erspan_ver": 3, "nw_frag": 3, "tun_flags": 15}
_METADATA = ("recirc_id", "dp_hash", "skb_priority", "pkt_mark", "ct_zone", "ct_mark", "ct_label", "ct_state")


def keys(seed: int) -> FlowKey:
    """The key of a packet of any kind, with metadata, out of a tunnel now and then."""
    r = Random(seed)
    key = extract(packet(r), in_port=r.randrange(1 << 16))
    for name in r.sample(_METADATA, r.randrange(len(_METADATA))):
        key.set(WINDOWS[name], r.getrandbits(WINDOWS[name].bits))
    if r.random() < 0.3:
        _tunnel(key, r)
    if key.dl_type in (0x800, 0x86DD) and r.random() < 0.3:
        key.ct_nw_proto, key.ct_tp_src = r.randrange(1, 255), r.getrandbits(16)
        setattr(key, "ct_nw_src" if key.dl_type == 0x800 else "ct_ipv6_src", r.getrandbits(32))
    if r.random() < 0.1 and key.dl_type not in (0x5FF, 0) and not key.vlan_tci:
        key.packet_type, key.dl_src, key.dl_dst = 1 << 16 | key.dl_type, 0, 0
    return key


def _tunnel(key: FlowKey, r: Random) -> None:
    names = ["tun_src", "tun_dst"] if r.random() < 0.5 else ["tun_ipv6_src", "tun_ipv6_dst"]
    names += r.sample(["tun_tos", "tun_ttl", "tun_tp_src", "tun_tp_dst", "tun_gbp_id", "tun_gbp_flags"], 3)
    key.tun_flags = r.randrange(16)
    if key.tun_flags & 8:
        names.append("tun_id")
    for name in names:
        key.set(WINDOWS[name], r.getrandbits(WINDOWS[name].bits) or 1)
    if r.random() < 0.3:
        key.tun_erspan_ver = r.choice((1, 2))
        if key.tun_erspan_ver == 1:
            key.tun_erspan_idx = r.getrandbits(20)
        else:
            key.tun_erspan_dir, key.tun_erspan_hwid = r.getrandbits(1), r.getrandbits(6)


def masks(key: FlowKey, r: Random) -> FlowKey:
    """Any bits of members that *key* has a value in, and of some others."""
    mask = FlowKey(in_port=0xFFFFFFFF, recirc_id=0xFFFFFFFF)
    for name in MEMBERS:
        window = WINDOWS[name]
        if key.get(window) or r.random() < 0.1:
            mask.set(window, r.choice((0, window.limit, r.getrandbits(window.bits))))
    return mask


def known(key: FlowKey) -> FlowKey:
    """*key* without what the kernel's has not."""
    every = FlowKey.from_bytes(b"\xff" * len(bytes(key)))
    rest = int.from_bytes(bytes(every), "big") & ~int.from_bytes(bytes(foreign(key)), "big")
    return key.masked(FlowKey.from_bytes(rest.to_bytes(len(bytes(key)), "big")))


@given(SEEDS)
@settings(max_examples=400)
def test_a_key_reads_back(seed: int) -> None:
    key = known(keys(seed))
    assert decode_key(encode_key(key)) == key


@given(SEEDS)
@settings(max_examples=400)
def test_a_mask_reads_back_and_has_all_bits_asked_for(seed: int) -> None:
    key = known(keys(seed))
    mask = masks(key, Random(seed + 1))
    data = encode_mask(key, mask)
    read = decode_mask(data, key)
    assert encode_mask(key, read) == data
    for name in MEMBERS:
        window = WINDOWS[name]
        if key.get(window):
            lost = mask.get(window) & ~read.get(window) & ~foreign(key).get(window) & BITS.get(name, -1)
            assert not lost, f"{name}: {lost:#x} is not in the mask"


@given(SEEDS)
def test_what_the_kernel_does_not_know_is_told(seed: int) -> None:
    key = keys(seed)
    bits = foreign(key)
    assert fits(key, FlowKey()) and fits(key, FlowKey(in_port=0xFFFFFFFF, dl_type=0xFFFF))
    assert fits(key, bits) == bits.is_zero()


def test_neighbour_discovery_and_igmp_have_bits_the_kernel_does_not_know() -> None:
    solicit = FlowKey(dl_type=0x86DD, nw_proto=58, tp_src=135)
    assert fits(solicit, FlowKey(nd_target=1)) and not fits(solicit, FlowKey(igmp_group_ip4=1))
    assert not fits(FlowKey(dl_type=0x800, nw_proto=2), FlowKey(tp_src=0xFF))
    assert fits(FlowKey(dl_type=0x800, nw_proto=6), FlowKey(tp_src=0xFF, igmp_group_ip4=1))


@given(SEEDS)
def test_a_mask_names_a_header_under_an_exact_type_only(seed: int) -> None:
    """What the kernel demands: it answers EINVAL otherwise."""
    key = keys(seed)
    found = by_number(encode_mask(key, masks(key, Random(seed + 2))), "mask")
    while KEY["encap"] in found:
        assert found[KEY["ethertype"]] == b"\xff\xff" and found[KEY["vlan"]][0] & 0x10
        found = by_number(found[KEY["encap"]], "encap")
    above = {KEY[name] for name in ("tcp", "udp", "sctp", "icmp", "icmpv6", "tcp_flags", "nd")} & found.keys()
    if {KEY["ipv4"], KEY["ipv6"], KEY["arp"], KEY["mpls"], KEY["nsh"]} & found.keys():
        assert found[KEY["ethertype"]] == b"\xff\xff"
    if above:
        network = found.get(KEY["ipv4"]) or found[KEY["ipv6"]]
        assert network[-4] == 0xFF
    if KEY["nd"] in found:
        assert found[KEY["icmpv6"]] == b"\xff\xff"


def spoilt(data: bytes, r: Random) -> Iterator[bytes]:
    """Every truncation of *data*, and some with bytes changed."""
    for end in range(len(data)):
        yield data[:end]
    for _ in range(40):
        wrong = bytearray(data)
        for _ in range(r.randrange(1, 4)):
            wrong[r.randrange(len(wrong))] = r.getrandbits(8)
        yield bytes(wrong)


@given(SEEDS)
@settings(max_examples=60)
def test_spoilt_keys_are_read_or_refused(seed: int) -> None:
    r = Random(seed)
    key = keys(seed)
    n_refused = 0
    for data in spoilt(encode_key(key), r):
        try:
            read = decode_key(data)
        except FormatError:
            n_refused += 1
        else:
            encode_key(read)
    for data in spoilt(encode_mask(key, masks(key, r)), r):
        try:
            decode_mask(data, key)
        except FormatError:
            n_refused += 1
    assert n_refused > 40


@given(SEEDS)
def test_metadata_is_what_of_a_key_is_no_header(seed: int) -> None:
    key = keys(seed)
    found = by_number(encode_metadata(key), "metadata")
    whole = by_number(encode_key(key), "key")
    assert all(whole[number] == payload for number, payload in found.items() if number != KEY["ethertype"])
    assert not found.keys() & {KEY[name] for name in ("vlan", "encap", "ipv4", "ipv6", "tcp", "arp", "mpls")}
    assert (KEY["ethernet"] in found) == (not key.packet_type)


def test_the_bytes_of_a_key() -> None:
    """By hand, of the structs in linux/openvswitch.h."""
    key = FlowKey(in_port=2, dl_src=0x020000000001, dl_dst=0x020000000002, vlan_tpid=0x8100, vlan_tci=0x1007,
                  dl_type=0x800, nw_src=0x0A000001, nw_dst=0x0A000002, nw_proto=17, nw_ttl=64, nw_frag=1,
                  tp_src=53, tp_dst=1000, ct_state=0x21, ct_label=1)
    found = by_number(encode_key(key), "key")
    assert found[KEY["in_port"]] == bytes([2, 0, 0, 0])
    assert found[KEY["ct_state"]] == bytes([0x21, 0, 0, 0])
    assert found[KEY["ct_labels"]] == bytes([1]) + bytes(15)
    assert found[KEY["ethernet"]].hex() == "020000000001020000000002"
    assert found[KEY["ethertype"]].hex() == "8100" and found[KEY["vlan"]].hex() == "1007"
    inside = by_number(found[KEY["encap"]], "encap")
    assert inside[KEY["ethertype"]].hex() == "0800"
    assert inside[KEY["ipv4"]].hex() == "0a0000010a00000211004001"
    assert inside[KEY["udp"]].hex() == "003503e8"


def test_frames_without_a_type_have_none_in_the_key_and_an_exact_one_in_the_mask() -> None:
    key = FlowKey(dl_type=0x5FF, dl_src=1)
    assert KEY["ethertype"] not in by_number(encode_key(key), "key")
    assert by_number(encode_mask(key, FlowKey()), "mask")[KEY["ethertype"]] == b"\xff\xff"
    assert decode_key(encode_key(key)) == key


# ---- tunnels ------------------------------------------------------------------------------------------

@given(st.lists(st.builds(GeneveOption, st.integers(0, 0xFFFF), st.integers(0, 255),
                          st.integers(0, 31).map(lambda n: bytes(range(4 * n)))), max_size=4)
       .filter(lambda options: sum(4 + len(option.data) for option in options) <= MAX_SIZE))
def test_geneve_options_read_back(options: list[GeneveOption]) -> None:
    data = encode_tunnel(FlowKey(tun_dst=1), options=options)
    assert decode_options(data) == tuple(options)
    decode_tunnel(data, bytearray(len(bytes(FlowKey()))))


@given(st.binary(max_size=MAX_SIZE), st.binary(max_size=MAX_SIZE))
def test_options_of_a_packet_are_in_keys_and_masks(data: bytes, bits: bytes) -> None:
    key = FlowKey(tun_dst=1, tun_ttl=64, dl_type=0x1234)
    set_raw(key, data)
    assert decode_key(encode_key(key)) == (key if data else FlowKey(
        tun_dst=1, tun_ttl=64, dl_type=0x1234))             # of none, a kernel says nothing
    mask = FlowKey(tun_dst=0xFF)
    set_raw(mask, bits[:len(data)].ljust(len(data), b"\0"), LENGTH_EXACT)
    found = decode_mask(encode_mask(key, mask), key)
    assert raw_options(found, len(data)) == raw_options(mask, len(data)) and is_raw(found)
    assert found.tun_opt_map == LENGTH_EXACT and fits(key, mask)
    nest = by_number(by_number(encode_mask(key, mask), "mask")[KEY["tunnel"]], "tunnel")
    assert len(nest[TUNNEL_KEY["geneve_opts"]]) == len(data)


def test_unknown_tunnel_attributes_and_flags_with_a_payload_are_refused() -> None:
    raw = bytearray(len(bytes(FlowKey())))
    for number, payload in ((60, b""), (5, b"x"), (11, attr(1, b"\xff" * 4)), (15, b"abc")):
        with pytest.raises(FormatError):
            decode_tunnel(attr(number, payload), raw)
    with pytest.raises(FormatError):
        decode_options(attr(8, b"\0\1\2\3"))


# ---- attributes ---------------------------------------------------------------------------------------

@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=8))
def test_attributes_read_back(given_: list[tuple[int, bytes]]) -> None:
    data = b"".join(attr(number, payload) for number, payload in given_)
    assert list(walk(data, "test")) == given_ and len(data) % 4 == 0


@given(st.binary(max_size=60))
def test_any_bytes_are_attributes_or_refused(data: bytes) -> None:
    try:
        found = list(walk(data, "test"))
    except FormatError:
        return
    assert sum(4 + len(payload) for _, payload in found) <= len(data)


def test_needed_attributes_must_be_there_and_whole() -> None:
    assert need({1: b"abcd"}, 1, 4, "test") == b"abcd"
    for found in ({}, {1: b"abc"}):
        with pytest.raises(FormatError, match="attribute 1"):
            need(found, 1, 4, "test")
    with pytest.raises(FormatError, match="twice"):
        by_number(attr(1) + attr(1), "test")


# ---- rows ---------------------------------------------------------------------------------------------

def _values(row: Row, r: Random) -> object:
    sizes = {"B": 8, "H": 16, "I": 32, "Q": 64}
    if row.kind.value[-1] in sizes:
        return r.getrandbits(sizes[row.kind.value[-1]])
    if row.kind is Kind.TEXT:
        return "".join(r.choice("abc0") for _ in range(r.randrange(1, 16)))
    if row.kind in (Kind.U32S, Kind.U64S):
        return tuple(r.getrandbits(32) for _ in range(r.randrange(1, 9)))
    if row.kind is Kind.FLAG:
        return True
    if row.inside is None:
        return r.randbytes(r.randrange(20))
    inside = [_attrs(row.inside, r) for _ in range(r.randrange(3))]
    return inside if row.kind is Kind.LIST else _attrs(row.inside, r)


def _attrs(table: Table, r: Random) -> dict[str, object]:
    return {row.name: _values(row, r) for row in r.sample(table.rows, r.randrange(len(table.rows) + 1))}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.prefix)
def test_values_of_every_table_read_back(table: Table) -> None:
    r = Random(table.prefix)
    for _ in range(60):
        values = _attrs(table, r)
        data = encode(table, values)
        assert decode(table, data, "test") == values
        for wrong in spoilt(data, r) if data else ():
            with suppress(FormatError):
                decode(table, wrong, "test")


def test_forms_name_themselves() -> None:
    assert Struct(1, Part(Form.PAD, 3)).size == 3
    with pytest.raises(FormatError, match="expected 3"):
        Struct(1, Part(Form.PAD, 3)).load(b"", bytearray())
