"""Metadata: what a flow key tells of a packet that no header of it does, as controllers are told and tell it.

A packet-in shows what there is of it as a match, a packet-out since 1.5 gives some of it to a packet, and who
resumes a packet may change all.
"""

from __future__ import annotations

from fastpath._flow import FlowKey
from fastpath.errors import OpenFlowError
from fastpath.fields import BY_NAME, N_REGS
from fastpath.ofproto.match import ETH_IP, ETH_IPV6, Match
from fastpath.ofproto.values import full_mask
from fastpath.tlv import Options, present

_TUNNEL = ("tun_id", "tun_flags", "tun_src", "tun_dst", "tun_ipv6_src", "tun_ipv6_dst", "tun_gbp_id",
           "tun_gbp_flags", "tun_erspan_ver", "tun_erspan_idx", "tun_erspan_dir", "tun_erspan_hwid",
           "tun_gtpu_flags", "tun_gtpu_msgtype")
_OPTIONS = ("tun_opt_map", "tun_opts")
_PIPELINE = ("packet_type", "metadata", *(f"reg{i}" for i in range(N_REGS)))
_CONNTRACK = ("ct_state", "ct_zone", "ct_mark", "ct_label")
_CT_PORTS = ("ct_nw_proto", "ct_tp_src", "ct_tp_dst")
_CT_TUPLES = {ETH_IP: ("ct_nw_src", "ct_nw_dst", *_CT_PORTS),
              ETH_IPV6: ("ct_ipv6_src", "ct_ipv6_dst", *_CT_PORTS)}
_CT_INVALID, _CT_TRACKED = 0x10, 0x20
_SHOWN = (*_TUNNEL, *_PIPELINE, "pkt_mark", *_CONNTRACK)
_GIVEN = (*_SHOWN, *_OPTIONS, *_CT_TUPLES[ETH_IP][:2], *_CT_TUPLES[ETH_IPV6])
_ANY_PACKET_OUT = (*_TUNNEL, *_OPTIONS, *_PIPELINE, "in_port")


def shown(key: FlowKey, in_port: int, options: Options) -> Match:
    """The metadata of *key*, whose tunnel options lie where *options* says; what is zero is not told."""
    told = Match.of(in_port=in_port)
    for name in _SHOWN:
        _show(told, name, getattr(key, name))
    if key.ct_state:
        told.set(BY_NAME["eth_type"], key.dl_type)      # without it nobody could read the rest
        if key.ct_state & (_CT_TRACKED | _CT_INVALID) == _CT_TRACKED and key.ct_nw_proto:
            for name in _CT_TUPLES.get(key.dl_type, ()):
                told.set(BY_NAME[name], getattr(key, name))
    told.options = options
    for place in present(options, key):
        place.write(told.key, place.read(key))
        place.write(told.mask, place.limit)
    return told


def _show(told: Match, name: str, value: int) -> None:
    f = BY_NAME[name]
    value &= full_mask(f)               # some have bits that are for the switch alone
    if value:
        told.set(f, value)


def give(key: FlowKey, given: FlowKey) -> None:
    """Make the metadata of *key* that of *given*."""
    for name in _GIVEN:
        setattr(key, name, getattr(given, name))


def check_given(match: Match) -> None:
    """Raise OpenFlowError if *match* gives what a packet-out may not."""
    rest = match.mask.copy()
    for name in _ANY_PACKET_OUT:
        setattr(rest, name, 0)
    if not rest.is_zero():
        raise OpenFlowError("OFPBRC_PIPELINE_FIELDS_ONLY", "a packet-out that gives headers")
