"""Datapath (odp) actions as values: what translation emits and a datapath executes.

Text form as ``ovs-appctl dpctl/dump-flows`` prints it (``dpif.odptext``).  ``dpif.program`` compiles
a list of them for the userspace datapath.  An empty list means drop.
"""

from __future__ import annotations

from typing import TypeAlias

from fastpath.value import value

NO_PORT = 0xFFFFFFFF


@value
class Output:
    """Send the packet as it is now to datapath port *port*."""

    port: int


@value
class GeneveOption:
    """One option of a Geneve header (RFC 8926, section 3.5); *data* is a multiple of 4 bytes."""

    cls: int
    type: int
    data: bytes = b""


@value
class SetMasked:
    """Rewrite members of one header or metadata attribute.

    *attr* is the odp key attribute ("eth", "ipv4", "ipv6", "arp", "tcp", "udp", "sctp", "icmp",
    "icmpv6", "nd", "nd_ext", "mpls", "pbb", "nsh", "tunnel", "skb_mark", "skb_priority"); *members* holds
    (member name as dpctl prints it, value, mask) in the order dpctl prints them, masks never 0.
    A whole attribute without members (skb_mark) uses its own name as member name.  A "tunnel" may have
    *options*, too.
    """

    attr: str
    members: tuple[tuple[str, int, int], ...]
    options: tuple[GeneveOption, ...] = ()


@value
class PushVlan:
    """Push a tag.  *tci* includes the CFI ("present") bit 0x1000 as in the flow key."""

    tpid: int
    tci: int


@value
class PopVlan:
    """Remove the outermost VLAN tag."""


@value
class PushMpls:
    """Push label stack entry *lse* (host-order 32 bits), setting dl_type to *ethertype*."""

    ethertype: int
    lse: int


@value
class PopMpls:
    """Remove the outermost label; dl_type becomes *ethertype*."""

    ethertype: int


@value
class PushEth:
    """Put an Ethernet header before a packet that has none."""

    src: int
    dst: int


@value
class PopEth:
    """Remove the Ethernet header; the packet is then of the type that it named."""


@value
class PushNsh:
    """Put a network service header before the packet.  *mdtype* 1 has *context*, 2 has *metadata*: TLVs as
    they go over the wire."""

    flags: int = 0
    ttl: int = 63
    mdtype: int = 1
    np: int = 0
    spi: int = 0
    si: int = 255
    context: tuple[int, int, int, int] = (0, 0, 0, 0)
    metadata: bytes = b""


@value
class PopNsh:
    """Remove the network service header."""


@value
class AddMpls:
    """Put label stack entry *lse* before the whole packet, its Ethernet header included; the packet is then
    of type (1, *ethertype*)."""

    ethertype: int
    lse: int


@value
class SetType:
    """Set the Ethernet type.  This and the four after it are the userspace datapath's own."""

    ethertype: int


@value
class SetProto:
    """Set the protocol of the IP header; what follows it is left alone."""

    proto: int


@value
class PushPbb:
    """Put a backbone header (IEEE 802.1ah) before an Ethernet frame: its addresses again, and *itag*
    (host-order 32 bits)."""

    itag: int


@value
class PopPbb:
    """Remove the backbone header."""


@value
class CopyTtl:
    """Copy the TTL of the header after the outermost label into that label, or *inwards* the other way."""

    inwards: bool = False


@value
class CtNat:
    """What ct() is to do with addresses.  *direction* "src" or "dst" chooses new ones for a new connection,
    from a range (*family* 4 or 6, 0 for none) whose missing ends are 0; "" does what the connection says."""

    direction: str = ""
    family: int = 0
    addr_min: int = 0
    addr_max: int = 0
    port_min: int = 0
    port_max: int = 0
    persistent: bool = False
    hash: bool = False
    random: bool = False


@value
class Ct:
    """Send the packet through conntrack in *zone*.

    *commit* keeps the connection, *force* one that the other side had opened.  *mark* and *label* are
    (value, mask) of what to set in it; *helper* "ftp" or "tftp" watches it for related ones.
    """

    zone: int = 0
    commit: bool = False
    force: bool = False
    mark: tuple[int, int] | None = None
    label: tuple[int, int] | None = None
    helper: str = ""
    nat: CtNat | None = None


@value
class CtClear:
    """Forget what conntrack said of the packet."""


@value
class Trunc:
    """Cut the packet to *max_len* bytes at the next output."""

    max_len: int


@value
class Recirc:
    """Look the packet up again with this recirc_id."""

    recirc_id: int


@value
class Hash:
    """Set dp_hash; *alg* is "l4" or "sym_l4"."""

    alg: str
    basis: int


@value
class Meter:
    """Pass the packet through meter *meter_id*; what a band drops goes no further."""

    meter_id: int


@value
class Sample:
    """Run *actions* on a copy with *probability*/2**32 (0xffffffff is always)."""

    probability: int
    actions: tuple[OdpAction, ...]


@value
class Clone:
    """Run *actions* on a copy; the packet itself goes on unchanged."""

    actions: tuple[OdpAction, ...]


@value
class CheckPktLen:
    """Run *greater* if the packet is longer than *size* bytes, else *less_equal*."""

    size: int
    greater: tuple[OdpAction, ...]
    less_equal: tuple[OdpAction, ...]


@value
class SlowPath:
    """Userdata: ofproto must translate every packet itself; *reasons* as dpctl prints them
    ("cfm", "bfd", "lacp", "stp", "lldp", "action", "match")."""

    reasons: tuple[str, ...]


@value
class ToController:
    """Userdata: send the packet to controllers (reason is an OFPR_* number)."""

    reason: int
    dont_send: bool
    continuation: bool
    recirc_id: int
    rule_cookie: int
    controller_id: int
    max_len: int


@value
class FlowSample:
    """Userdata: report the packet to the IPFIX collectors of a set, as a sample action asks.  *output_port*
    is a datapath port or NO_PORT; *direction* "ingress", "egress" or neither."""

    probability: int                    # of 65536
    collector_set_id: int
    obs_domain_id: int
    obs_point_id: int
    output_port: int
    direction: str = ""


@value
class RawUserdata:
    """Userdata that somebody else gave an action, and whose meaning is not known here."""

    data: bytes = b""


Userdata: TypeAlias = SlowPath | ToController | FlowSample | RawUserdata


@value
class Userspace:
    """Hand the packet to ofproto with *userdata*."""

    userdata: Userdata
    pid: int = 0


@value
class Drop:
    """Drop with the XLATE_* reason number of translation."""

    reason: int


OdpAction: TypeAlias = (
    Output | SetMasked | PushVlan | PopVlan | PushMpls | PopMpls | PushEth | PopEth | PushNsh
    | PopNsh | AddMpls | SetType | SetProto | PushPbb | PopPbb | CopyTtl | Ct | CtClear | Trunc | Recirc
    | Hash | Meter | Sample | Clone | CheckPktLen | Userspace | Drop)
OdpActions: TypeAlias = tuple[OdpAction, ...]


def mentions(actions: OdpActions, wanted: OdpAction) -> bool:
    """Whether *wanted* is one of *actions*, or of those that they hold."""
    for action in actions:
        match action:
            case Sample(actions=inner) | Clone(actions=inner):
                if mentions(inner, wanted):
                    return True
            case CheckPktLen(greater=greater, less_equal=less_equal):
                if mentions(greater, wanted) or mentions(less_equal, wanted):
                    return True
            case _ if action == wanted:
                return True
    return False
