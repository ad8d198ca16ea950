"""Keys of plain packets by compiled code: equal to the plain twin in ``key``, or left to it."""

from __future__ import annotations

from contextlib import suppress
from random import Random

from model.frames import ICMP, TCP, UDP, Frame
from model.hostile import packet

from fastpath import extract
from fastpath._flow import FlowKey
from fastpath.dpif.netlink._plainkey import decode_plain, encode_plain, encode_plain_metadata
from fastpath.dpif.netlink.key import (
    decode_key_by_rows,
    encode_key_by_rows,
    encode_mask_by_rows,
    encode_metadata_by_rows,
)
from fastpath.errors import FormatError

METADATA = ("recirc_id", "dp_hash", "skb_priority", "pkt_mark", "ct_mark", "ct_zone", "ct_state", "ct_label")


def random_key(r: Random) -> FlowKey:
    data = packet(r) if r.random() < 0.7 else Frame(proto=r.choice((UDP, TCP, ICMP))).build()
    key = extract(data, in_port=r.randrange(1 << 16))
    for name in r.sample(METADATA, r.randrange(4)):
        setattr(key, name, r.getrandbits({"ct_zone": 16, "ct_state": 8, "ct_label": 128}.get(name, 32)))
    if r.random() < 0.1:
        setattr(key, r.choice(("tun_dst", "ct_nw_proto", "vlan_tci", "packet_type", "tun_ipv6_dst")), 1)
    return key


def random_mask(r: Random) -> FlowKey:
    if r.random() < 0.5:
        return FlowKey.from_bytes(bytes(r.choice((0, 0, 255, r.getrandbits(8))) for _ in bytes(FlowKey())))
    mask = FlowKey(in_port=0xFFFFFFFF, dl_type=0xFFFF, recirc_id=0xFFFFFFFF)
    for name in r.sample(("nw_src", "nw_proto", "tp_src", "tp_dst", "tcp_flags", "nw_frag", "dl_dst",
                          "ipv6_dst", "ipv6_label", "arp_sha"), 3):
        setattr(mask, name, r.choice((1, 3)))
    return mask


def test_keys_and_masks_are_those_of_the_rows(more: int) -> None:
    r, n_plain = Random(1), 0
    for _ in range(4000 * more):
        key, mask = random_key(r), random_mask(r)
        data = encode_plain(key)
        assert (data is None) == (encode_plain(key, mask) is None)
        if data is not None:
            n_plain += 1
            assert data == encode_key_by_rows(key), key
            assert encode_plain(key, mask) == encode_mask_by_rows(key, mask), (key, mask)
            assert encode_plain_metadata(key) == encode_metadata_by_rows(key), key
    assert n_plain > 1000 * more


def test_what_is_read_is_what_the_rows_read(more: int) -> None:
    r, n_plain, n_left = Random(2), 0, 0
    for _ in range(4000 * more):
        data = bytearray(encode_key_by_rows(random_key(r)))
        if r.random() < 0.5:
            for _ in range(r.randrange(1, 4)):
                data[r.randrange(len(data))] = r.choice((0, 1, 4, 255, r.getrandbits(8)))
        if r.random() < 0.1:
            del data[r.randrange(len(data)):]
        found = decode_plain(bytes(data))
        if found is None:
            n_left += 1
            with suppress(FormatError):
                decode_key_by_rows(bytes(data))
        else:
            n_plain += 1
            assert found == decode_key_by_rows(bytes(data)), bytes(data).hex()
    assert min(n_plain, n_left) > 500 * more


def test_every_truncation_is_left_to_the_rows_or_read_alike() -> None:
    data = encode_key_by_rows(extract(Frame(proto=TCP).build(), in_port=1))
    for end in range(len(data)):
        found = decode_plain(data[:end])
        assert found is None or found == decode_key_by_rows(data[:end])
