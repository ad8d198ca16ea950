"""What is known of a packet while its rule's actions are read one after another.

Starts from the match and follows the actions that change which headers there are, so that checks
and rewriting agree on, say, whether a VLAN tag is there when set_vlan_vid comes.
"""

from __future__ import annotations

from fastpath._flow import FlowKey
from fastpath.fields import Field, Prereq
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.encap import Decap, Encap
from fastpath.ofproto.actions.mpls import PopMpls, PushMpls
from fastpath.ofproto.actions.pbb import PopPbb, PushPbb
from fastpath.ofproto.actions.set_field import Load, SetField
from fastpath.ofproto.actions.vlan import PushVlan, SetVlanPcp, SetVlanVid, StripVlan
from fastpath.ofproto.match import (
    CT_INVALID,
    ETH_ARP,
    ETH_IP,
    ETH_IPV6,
    ETH_MPLS,
    ETH_NSH,
    ETH_PBB,
    ETH_RARP,
    FRAG_LATER,
    ICMP,
    ICMPV6,
    SCTP,
    TCP,
    UDP,
    Match,
    ct_valid,
)
from fastpath.ofproto.subfield import VLAN_CFI

MAX_VLANS = 2
_UNKNOWN_TYPE = 0xFFFF


class HeaderState:
    """Ethernet type, protocol, VLAN tag and such of a packet that satisfies a match."""

    __slots__ = ("ct_invalid", "ct_valid", "dl_type", "ethernet", "later_frag", "n_vlans", "nd_type",
                 "nw_proto")

    def __init__(self, match: Match | None) -> None:
        if match is None:
            self.dl_type = self.nw_proto = self.nd_type = 0
            self.n_vlans = 0
            self.later_frag = self.ct_valid = self.ct_invalid = False
            self.ethernet = True
            return
        key, mask = match.key, match.mask
        self.ethernet = not key.packet_type
        self.dl_type = key.dl_type if self.ethernet else key.packet_type & 0xFFFF
        self.nw_proto = key.nw_proto
        self.nd_type = 0 if key.tp_dst else key.tp_src        # their code is 0
        self.n_vlans = bool(key.vlan_tci & VLAN_CFI) + bool(key.vlan1_tci & VLAN_CFI)
        self.later_frag = bool(key.nw_frag & FRAG_LATER)
        self.ct_valid = ct_valid(key, mask)
        self.ct_invalid = bool(key.ct_state & CT_INVALID)

    def copy(self) -> HeaderState:
        """The same state, to follow nested actions with."""
        new = HeaderState(None)
        for name in HeaderState.__slots__:
            setattr(new, name, getattr(self, name))
        return new

    @property
    def vlan(self) -> bool:
        """Whether there is a VLAN tag."""
        return self.n_vlans > 0

    @property
    def is_ip(self) -> bool:
        """IPv4 or IPv6."""
        return self.dl_type in (ETH_IP, ETH_IPV6)

    @property
    def has_ports(self) -> bool:
        """TCP, UDP or SCTP, and not a later fragment."""
        return self.is_ip and self.nw_proto in (TCP, UDP, SCTP) and not self.later_frag

    def satisfies(self, prereq: Prereq) -> bool:
        """Whether a packet in this state has what *prereq* names."""
        match prereq:
            case Prereq.NONE:
                return True
            case Prereq.ETHERNET:
                return self.ethernet
            case Prereq.VLAN_VID:
                return self.ethernet and self.vlan
            case Prereq.ARP:
                return self.dl_type in (ETH_ARP, ETH_RARP)
            case Prereq.IPV4:
                return self.dl_type == ETH_IP
            case Prereq.IPV6:
                return self.dl_type == ETH_IPV6
            case Prereq.IP:
                return self.is_ip
            case Prereq.MPLS:
                return self.dl_type in ETH_MPLS
            case Prereq.PBB:
                return self.dl_type == ETH_PBB
            case Prereq.NSH:
                return self.dl_type == ETH_NSH
            case Prereq.CT:
                return self.ct_valid
            case _:
                return self._satisfies_l4(prereq)

    def _satisfies_l4(self, prereq: Prereq) -> bool:
        if prereq in _L4_PROTO:
            return self.is_ip and self.nw_proto == _L4_PROTO[prereq] and not self.later_frag
        if prereq is Prereq.ICMPV4:
            return self.dl_type == ETH_IP and self.nw_proto == ICMP
        icmp6 = self.dl_type == ETH_IPV6 and self.nw_proto == ICMPV6
        if prereq is Prereq.ICMPV6:
            return icmp6
        return icmp6 and self.nd_type in _ND_TYPES[prereq]

    def _retype(self, name: str, value: int) -> None:
        if name == "eth_type":
            self.dl_type, self.nw_proto = value, 0
        elif name == "nw_proto":
            self.nw_proto = value

    def allows(self, f: Field) -> bool:
        """Whether field *f* exists in such a packet."""
        return self.satisfies(f.prereq)

    def advance(self, action: Action) -> None:
        """Take over what *action* does to the headers."""
        match action:
            case PushVlan():
                self.n_vlans = min(self.n_vlans + 1, MAX_VLANS)
            case SetVlanVid() | SetVlanPcp():
                self.n_vlans = max(self.n_vlans, 1)
            case StripVlan():
                self.n_vlans = max(self.n_vlans - 1, 0)
            case PushMpls(ethertype):
                self.dl_type, self.nw_proto = ethertype, 0
            case PopMpls(ethertype):
                self.dl_type = ethertype
            case PushPbb(ethertype):
                self.dl_type, self.nw_proto, self.n_vlans = ethertype, 0, 0
            case PopPbb():
                self.dl_type, self.nw_proto = _UNKNOWN_TYPE, 0
            case SetField(field, value, _) if field.name == "vlan_tci":
                self.n_vlans = int(bool(value & VLAN_CFI))
            case Load(target, value) if target.field.name == "vlan_tci":
                self.n_vlans = int(bool(value << target.ofs & VLAN_CFI))
            case SetField() | Load():
                self._retype(action.target.field.name, action.value)
            case Encap(packet_type):
                self.ethernet = packet_type == 0
                if not self.ethernet:
                    self.dl_type = packet_type & 0xFFFF
                if not self.is_ip:
                    self.nw_proto = 0
            case Decap() if self.ethernet:
                self.ethernet = False           # the packet is now of the type its header named
            case Decap():
                self.dl_type = _UNKNOWN_TYPE    # known when a packet goes through: no header may be touched
            case _:
                pass


# The kinds of actions that ``advance`` does anything for.
CHANGING = frozenset((PushVlan, SetVlanVid, SetVlanPcp, StripVlan, PushMpls, PopMpls, PushPbb, PopPbb,
                      SetField, Load, Encap, Decap))


def signature(match: Match) -> tuple[bytes, int]:
    """The same for two matches only if the states they begin with are equal."""
    key = match.key
    bits = _ICMP6_BITS if key.nw_proto == ICMPV6 else _STATE_BITS
    return key.masked(bits).pack(bits), match.mask.ct_state


_STATE_BITS = FlowKey(packet_type=0xFFFFFFFF, dl_type=0xFFFF, nw_proto=0xFF, vlan_tci=VLAN_CFI,
                      vlan1_tci=VLAN_CFI, nw_frag=FRAG_LATER, ct_state=0xFF)
_ICMP6_BITS = FlowKey(tp_src=0xFFFF)
_ICMP6_BITS.fold(_STATE_BITS)
_L4_PROTO = {Prereq.TCP: TCP, Prereq.UDP: UDP, Prereq.SCTP: SCTP}
_ND_TYPES = {Prereq.ND: (135, 136), Prereq.ND_SOLICIT: (135,), Prereq.ND_ADVERT: (136,)}
