"""What the database wants of the switch, as values: rows read once, defaults filled in, nonsense left out.

A value that makes no sense costs its own setting, never the rest: ``notes`` collects what to warn of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from typing import Any, NamedTuple, TypedDict

from fastpath._classifier import DEFAULT_PREFIXES, PREFIX_FIELDS
from fastpath.dpif.userspace import MAX_POLL_US, POLL_US
from fastpath.errors import FastpathError, ParseError
from fastpath.fields import BY_NAME
from fastpath.in_band import place_of
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.ofproto.description import Description
from fastpath.ofproto.port import VLAN_MAX, vlan_config
from fastpath.ofproto.revalidate import MAX_FLOWS, Limits
from fastpath.ofproto.snooping import AGING_S, MAX_GROUPS, SnoopSettings
from fastpath.ofproto.subfield import Subfield
from fastpath.ofproto.xlate.context import VlanConfig, VlanMode
from fastpath.ofproto.xlate.packet import MAX_VLANS
from fastpath.openflow.roles import BUNDLE_IDLE_S
from fastpath.ovsdb.idl import Row, get
from fastpath.runtime.log import Level
from fastpath.text import format_mac, parse_mac, prefix_mask
from fastpath.vswitchd import VERSION
from fastpath.vswitchd.qos import NO_POLICING, NO_QOS, PolicingWanted, QosWanted, QueueWanted

OFPP_MAX = 0xFF00
MANAGER_PORT = 6640
MAX_PREFIXES = 3
MIN_INTERVAL_MS = 5000
_OTHER_NAMES = {"ip_src": "nw_src", "ip_dst": "nw_dst"}         # of fields that prefixes may be of
_INT_MAX = 0x7FFFFFFF
ACTIVE = ("tcp:", "ssl:", "unix:")      # how targets begin that are connected to
QUEUE_LEN, MAX_QUEUE_LEN = 100, 512     # packet-ins that wait for a controller
PROTOCOLS = {"OpenFlow10": OF10, "OpenFlow11": OF11, "OpenFlow12": OF12, "OpenFlow13": OF13,
             "OpenFlow14": OF14, "OpenFlow15": OF15}
# Without a word in the database the reference speaks these.
DEFAULT_PROTOCOLS = (OF10, OF11, OF12, OF13, OF14, OF15)
_QINQ = {"802.1q": 0x8100, "802.1ad": 0x88A8}
_PRIORITY_TAGS = {"true": "if-nonzero", "if-nonzero": "if-nonzero", "always": "always"}


@dataclass(frozen=True, slots=True)
class InterfaceWanted:
    """One interface.  *ofport* is the number to ask for: that requested, or that of last time."""

    row: Row = field(compare=False, repr=False)
    name: str
    type: str
    options: tuple[tuple[str, str], ...]
    ofport_request: int | None
    ofport: int | None = field(compare=False)
    mtu_request: int | None
    mac: int | None
    policing: PolicingWanted = NO_POLICING

    def option(self, name: str, default: str = "") -> str:
        """One of the options."""
        return dict(self.options).get(name, default)


@dataclass(frozen=True, slots=True)
class PortWanted:
    """One port, of one interface or, bonded, of several."""

    row: Row = field(compare=False, repr=False)
    name: str
    interfaces: tuple[InterfaceWanted, ...]
    vlan: VlanConfig
    protected: bool
    qos: QosWanted = NO_QOS
    floods: bool = False            # takes all multicast packets
    takes_reports: bool = False     # and all reports of who is in which group


class Treatment(TypedDict):
    """How a controller is treated, as ``patience.Patience`` has it."""

    max_backoff: float
    inactivity_probe: float
    rate_limit: float | None
    burst_limit: int | None
    dscp: int | None
    queue_len: int | None
    hears: bool


@dataclass(frozen=True, slots=True)
class LocalWanted:
    """What the host is called by on the local port of a bridge, to reach a controller: numbers; without a
    *gateway* 0."""

    address: int
    netmask: int
    gateway: int


@dataclass(frozen=True, slots=True)
class ControllerWanted:
    """One controller of a bridge."""

    row: Row = field(compare=False, repr=False)
    target: str
    max_backoff_s: float
    inactivity_probe_s: float
    rate_limit: int | None
    burst_limit: int | None
    dscp: int
    queue_len: int = QUEUE_LEN
    hears: bool = True
    is_service: bool = False        # which counts when it is met first
    local: LocalWanted | None = None

    @property
    def treatment(self) -> Treatment:
        """What ``Controllers.add`` and ``configure`` are told."""
        return {"max_backoff": self.max_backoff_s, "inactivity_probe": self.inactivity_probe_s,
                "rate_limit": self.rate_limit, "burst_limit": self.burst_limit, "dscp": self.dscp,
                "queue_len": self.queue_len, "hears": self.hears}


@dataclass(frozen=True, slots=True)
class TlsWanted:
    """Files for encrypted connections; with *bootstrap* the CA's certificate is taken from the first peer."""

    private_key: str = ""
    certificate: str = ""
    ca_cert: str = ""
    bootstrap: bool = False


NO_TLS = TlsWanted()


@dataclass(frozen=True, slots=True)
class TableWanted:
    """Settings of one OpenFlow table."""

    name: str
    flow_limit: int | None
    evicts: bool
    groups: tuple[str, ...]
    prefixes: tuple[str, ...] = DEFAULT_PREFIXES


@dataclass(frozen=True, slots=True)
class MirrorWanted:
    """One mirror; ports by name."""

    row: Row = field(compare=False, repr=False)
    name: str
    select_all: bool
    src: tuple[str, ...]
    dst: tuple[str, ...]
    vlans: tuple[int, ...]
    output_port: str | None
    output_vlan: int | None
    snaplen: int


@dataclass(frozen=True, slots=True)
class InBandWanted:
    """Who is to be reached in band: IPv4 addresses and TCP ports, and the queue for what goes there."""

    places: tuple[tuple[int, int], ...] = ()
    queue: int | None = None


NO_IN_BAND = InBandWanted()


@dataclass(frozen=True, slots=True)
class BridgeWanted:
    """One bridge and all that is on it."""

    row: Row = field(compare=False, repr=False)
    name: str
    type: str
    fail_mode: str
    versions: tuple[int, ...]
    dpid: int | None
    hwaddr: int | None
    description: Description
    mac_aging: int
    mac_table_size: int
    forward_bpdu: bool
    flood_vlans: tuple[int, ...]
    ports: tuple[PortWanted, ...]
    controllers: tuple[ControllerWanted, ...]
    tables: tuple[tuple[int, TableWanted], ...]
    mirrors: tuple[MirrorWanted, ...]
    tls: TlsWanted = NO_TLS
    in_band: InBandWanted = NO_IN_BAND
    snooping: SnoopSettings | None = None


class Note(NamedTuple):
    """What of the rows makes no sense, told whenever they are read, or some times a minute if *is_few*."""

    level: Level
    text: str
    is_few: bool = False


class Reader:
    """Reads rows.  *notes* says what of them made no sense, and how bad that is."""

    def __init__(self, tls: TlsWanted = NO_TLS) -> None:
        self.notes: list[Note] = []
        self._tls = tls                 # where the database does not say
        self._managers: tuple[tuple[int, int], ...] = ()        # those to be reached in band

    def warn(self, text: str, *, is_few: bool = False) -> None:
        """Note what is not carried out as it stands."""
        self.notes.append(Note(Level.WARN, text, is_few))

    def err(self, text: str) -> None:
        """Note what is not carried out at all."""
        self.notes.append(Note(Level.ERR, text))

    def bridges(self, root: Row) -> list[BridgeWanted]:
        """All bridges, by name."""
        self._managers = _reached(column(root, "manager_options", []), MANAGER_PORT)
        tls = one(root, "ssl")
        if tls is not None:
            key, certificate, ca = (str(get(tls, name)) for name in ("private_key", "certificate", "ca_cert"))
            self._tls = TlsWanted(key, certificate, ca, bool(get(tls, "bootstrap_ca_cert")))
        return [self.bridge(row) for row in _by_name(column(root, "bridges", [])) if self._is_named(row)]

    def _is_named(self, row: Row) -> bool:
        """Whether a bridge may be called so, as files are called by it."""
        name = str(get(row, "name"))
        if "/" in name or "\\" in name:
            self.warn(f'ignoring bridge with invalid name "{name}"', is_few=True)
            return False
        return True

    def poll_us(self, root: Row) -> int:
        """How long datapath threads look for packets at most: ``other_config:pmd-poll-us``."""
        asked = texts(root, "other_config").get("pmd-poll-us")
        us = _int(asked, POLL_US)
        if 0 <= us <= MAX_POLL_US:
            return us
        self.warn(f"ignoring pmd-poll-us {asked}: expected 0 to {MAX_POLL_US}", is_few=True)
        return POLL_US

    def limits(self, root: Row) -> Limits:
        """How many flows there may be and how long they live."""
        other, usual = texts(root, "other_config"), Limits()

        def asked(name: str, default: float) -> int:
            number = _int(other.get(name), int(default))
            return number if number >= 0 else int(default)
        return Limits(min(asked("flow-limit", usual.flow_limit), MAX_FLOWS),
                      max(1, asked("max-idle", usual.max_idle * 1000)) / 1000,
                      max(1, asked("max-revalidator", usual.max_revalidator * 1000)) / 1000,
                      asked("min-revalidate-pps", usual.min_revalidate_pps))

    def bundle_idle_s(self, root: Row) -> float:
        """After how many seconds a bundle nobody touches is dropped: ``other_config:bundle-idle-timeout``."""
        return float(_unsigned(texts(root, "other_config").get("bundle-idle-timeout"), 0)) or BUNDLE_IDLE_S

    def max_tags(self, root: Row) -> int:
        """How many VLAN tags of a frame are read: ``other_config:vlan-limit``, 0 being all there are."""
        asked = _int(texts(root, "other_config").get("vlan-limit"), 1)
        return asked if 0 < asked <= MAX_VLANS else MAX_VLANS

    def bridge(self, row: Row) -> BridgeWanted:
        """What a row of Bridge wants."""
        other = texts(row, "other_config")
        name = str(get(row, "name"))
        return BridgeWanted(
            row, name, datapath_type(one(row, "datapath_type") or ""), one(row, "fail_mode") or "standalone",
            tuple(sorted(PROTOCOLS[p] for p in column(row, "protocols", []) if p in PROTOCOLS))
            or DEFAULT_PROTOCOLS,
            _hex(other.get("datapath-id")), self._hwaddr(other.get("hwaddr"), name),
            Description("Nicira, Inc.", "Open vSwitch", VERSION, other.get("dp-sn") or "None",
                        other.get("dp-desc") or "None"),
            _unsigned(other.get("mac-aging-time"), 300),
            _unsigned(other.get("mac-table-size"), 8192),
            other.get("forward-bpdu") == "true", tuple(sorted(column(row, "flood_vlans", []))),
            tuple(self._ports(row, name)), tuple(self._controllers(row)), tuple(self._tables(row)),
            tuple(self._mirrors(row)), self._tls, self._in_band(row, other), _snooping(row, other))

    def _in_band(self, row: Row, other: Mapping[str, str]) -> InBandWanted:
        if other.get("disable-in-band") == "true":
            return NO_IN_BAND
        queue = _int(other.get("in-band-queue"), -1)
        return InBandWanted((*_reached(column(row, "controller", [])), *self._managers),
                            None if queue < 0 else queue)

    def _ports(self, bridge: Row, name: str) -> Iterator[PortWanted]:
        rows = _by_name(column(bridge, "ports", []))
        for row in rows:
            interfaces = _by_name(get(row, "interfaces"))
            yield PortWanted(row, str(get(row, "name")), tuple(self._interface(i, name) for i in interfaces),
                             self._vlan(row), bool(column(row, "protected", False)), _qos(one(row, "qos")),
                             *(texts(row, "other_config").get(f"mcast-snooping-{name}") == "true"
                               for name in ("flood", "flood-reports")))

    def _interface(self, row: Row, bridge: str) -> InterfaceWanted:
        name = str(get(row, "name"))
        kind = str(get(row, "type")) or "system"
        request, before = one(row, "ofport_request"), one(row, "ofport")
        return InterfaceWanted(
            row, name, "internal" if name == bridge else kind, tuple(sorted(texts(row, "options").items())),
            request, request or (before if before and 0 < before < OFPP_MAX else None),
            one(row, "mtu_request"), self._own_mac(row, bridge), _policing(row))

    def _vlan(self, row: Row) -> VlanConfig:
        """VLAN settings as the reference reads them: a tag makes an access port, whatever trunks say."""
        tag, trunks, cvlans = one(row, "tag"), column(row, "trunks", []), column(row, "cvlans", [])
        other = texts(row, "other_config")
        if tag is not None and not 0 <= tag <= VLAN_MAX:
            tag = None
        mode = VlanMode(one(row, "vlan_mode") or ("trunk" if tag is None else "access"))
        if not one(row, "vlan_mode") and tag is not None and trunks:
            self.warn(f"port {row.name}: ignoring trunks in favor of implicit vlan")
        if mode in (VlanMode.ACCESS, VlanMode.DOT1Q_TUNNEL):
            trunks = []
        if mode is not VlanMode.TRUNK:
            tag = tag or 0
        return vlan_config(
            tag=None if mode is VlanMode.TRUNK else tag, trunks=trunks or None, mode=mode,
            priority_tags=_PRIORITY_TAGS.get(other.get("priority-tags", ""), "no"),
            cvlans=(cvlans or None) if mode is VlanMode.DOT1Q_TUNNEL else None,
            qinq_ethtype=_QINQ.get(other.get("qinq-ethtype", ""), 0x88A8))

    def _controllers(self, bridge: Row) -> Iterator[ControllerWanted]:
        for row in sorted(column(bridge, "controller", []), key=lambda row: str(get(row, "target"))):
            backoff, probe = one(row, "max_backoff"), one(row, "inactivity_probe")
            rate, queue, kind = (one(row, name) for name in (
                "controller_rate_limit", "controller_queue_size", "type"))
            target = str(get(row, "target"))
            yield ControllerWanted(
                row, target, 8.0 if backoff is None else max(1.0, backoff // 1000),
                5.0 if probe is None else max(5.0, probe // 1000) if probe >= 1000 else 0.0, rate or None,
                one(row, "controller_burst_limit"), _dscp(texts(row, "other_config")),
                queue if queue is not None and 0 < queue <= MAX_QUEUE_LEN else QUEUE_LEN,
                one(row, "enable_async_messages") is not False,
                kind == "service" if kind else not target.startswith(ACTIVE), _local(row))

    def _tables(self, bridge: Row) -> Iterator[tuple[int, TableWanted]]:
        for number, row in sorted(column(bridge, "flow_tables", {}).items()):
            yield number, TableWanted(
                one(row, "name") or "", one(row, "flow_limit"), one(row, "overflow_policy") == "evict",
                self._groups(row, f"bridge {bridge.name} table {number}"),
                self._prefixes(row, str(bridge.name)))

    def _groups(self, row: Row, where: str) -> tuple[str, ...]:
        """The fields whose values make the groups of which one is evicted; what is none is left out."""
        found: list[str] = []
        for text in sorted(column(row, "groups", [])):
            field, bracket, rest = text.partition("]")
            try:
                Subfield.parse(field + bracket)
            except FastpathError as error:
                self.warn(f"{where}: error parsing 'groups' ({error})", is_few=True)
            else:
                if rest:
                    self.warn(f"{where}: 'groups' element '{text}' contains trailing garbage", is_few=True)
                else:
                    found.append(text)
        return tuple(found)

    def _prefixes(self, row: Row, bridge: str) -> tuple[str, ...]:
        found: list[str] = []
        for name in sorted(column(row, "prefixes", [])):
            if name == "none":
                return ()
            field = BY_NAME.get(name)
            if field is None:
                self.warn(f"bridge {bridge}: 'prefixes' with unknown field: {name}")
            elif _OTHER_NAMES.get(field.name, field.name) not in PREFIX_FIELDS:
                self.warn(f"bridge {bridge}: 'prefixes' with incompatible field: {name}")
            elif len(found) == MAX_PREFIXES:
                self.warn(f"bridge {bridge}: 'prefixes' with too many fields, field not used: {name}")
            else:
                found.append(_OTHER_NAMES.get(field.name, field.name))
        return tuple(found) or DEFAULT_PREFIXES

    def _mirrors(self, bridge: Row) -> Iterator[MirrorWanted]:
        for row in _by_name(column(bridge, "mirrors", [])):
            output, vlan = one(row, "output_port"), one(row, "output_vlan")
            named = f"bridge {bridge.name}: mirror {row.name}"
            if output is None and vlan is None:
                self.err(f"{named} does not specify output; ignoring")
                continue
            if output is not None and vlan is not None:
                self.err(f"{named} specifies both output port and output vlan; ignoring output vlan")
                vlan = None
            yield MirrorWanted(
                row, str(get(row, "name")), bool(row.select_all), _names(row.select_src_port),
                _names(row.select_dst_port), tuple(sorted(row.select_vlan)),
                None if output is None else str(output.name),
                vlan, one(row, "snaplen") or 0)

    def _hwaddr(self, text: str | None, bridge: str) -> int | None:
        """The address of a bridge; what is no address is as none."""
        mac = _mac(text)
        if mac is None:
            return None
        if mac >> 40 & 1:
            self.err(f"bridge {bridge}: cannot set MAC address to multicast address {format_mac(mac)}")
        elif not mac:
            self.err(f"bridge {bridge}: cannot set MAC address to zero")
        return mac if mac and not mac >> 40 & 1 else None

    def _own_mac(self, row: Row, bridge: str) -> int | None:
        """The address an interface of type internal asks for."""
        mac, name = _mac(one(row, "mac")), str(row.name)
        if mac is None:
            return None
        if name == bridge:
            self.err(f"interface {name}: ignoring mac in Interface record "
                     "(use Bridge record to set local port's mac)")
        elif str(row.type) == "internal" and mac >> 40 & 1:
            self.err(f"interface {name}: cannot set MAC to multicast address")
        return None if name == bridge or mac >> 40 & 1 else mac


def _mac(text: str | None) -> int | None:
    try:
        return parse_mac(text) if text else None
    except ParseError:
        return None


def _policing(row: Row) -> PolicingWanted:
    return PolicingWanted(*(one(row, f"ingress_policing_{what}") or 0
                            for what in ("rate", "burst", "kpkts_rate", "kpkts_burst")))


def _qos(row: Row | None) -> QosWanted:
    """What a row of QoS wants; none is as one without a type."""
    if row is None:
        return NO_QOS
    return QosWanted(str(get(row, "type")), tuple(sorted(texts(row, "other_config").items())), tuple(
        QueueWanted(number, one(queue, "dscp"), tuple(sorted(texts(queue, "other_config").items())))
        for number, queue in sorted(column(row, "queues", {}).items())))


def _reached(rows: Iterable[Row], default_port: int | None = None) -> tuple[tuple[int, int], ...]:
    """IPv4 addresses and ports of those of *rows*, controllers or managers, that are not out of band."""
    places = [place_of(str(get(row, "target")), default_port) for row in rows
              if one(row, "connection_mode") != "out-of-band"]
    return tuple(sorted(place for place in places if place is not None))


# -- columns -------------------------------------------------------------------------------------------


def column(row: Row, name: str, default: Any) -> Any:
    """A column of *row*, *default* where the database has none of that name."""
    return get(row, name, default)


def one(row: Row, name: str) -> Any:
    """Value of a column that has one or none (then None)."""
    value = column(row, name, None)
    if isinstance(value, list):
        return value[0] if value else None
    return value


def texts(row: Row, name: str) -> Mapping[str, str]:
    """A column that maps texts to texts."""
    return column(row, name, None) or {}


def statistics_interval(root: Row) -> float:
    """Every how many seconds counters are told: ``other_config:stats-update-interval``."""
    return max(MIN_INTERVAL_MS, _int(texts(root, "other_config").get("stats-update-interval"), 0)) / 1000


def datapath_type(text: str) -> str:
    """The name a datapath type goes by."""
    return text or "system"


def _by_name(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: str(get(row, "name")))


def _names(rows: Iterable[Row]) -> tuple[str, ...]:
    return tuple(sorted(str(get(row, "name")) for row in rows))


def _int(text: str | None, default: int) -> int:
    """A number of an other_config, *default* for none or nonsense."""
    found = (text or "").strip()
    digits = found[1:] if found[:1] in ("+", "-") else found
    return int(found) if digits.isascii() and digits.isdecimal() and abs(int(found)) <= _INT_MAX else default


def number_of(text: str) -> int:
    """A number among options, 0 for none or nonsense."""
    return _int(text, 0)


def _unsigned(text: str | None, default: int) -> int:
    """The same where the reference takes what is below zero for a large number."""
    return _int(text, default) % (_INT_MAX * 2 + 2)


def _hex(text: str | None) -> int | None:
    """A datapath id: 16 hexadecimal digits, or as many after ``0x``; None if it is none or zero."""
    digits = (text or "").lower()
    if digits.startswith("0x") and len(digits) <= 18:
        digits = digits[2:].rjust(16, "0")
    if len(digits) != 16 or any(c not in "0123456789abcdef" for c in digits):
        return None
    return int(digits, 16) or None


def _local(row: Row) -> LocalWanted | None:
    """The local address that a controller's row asks for."""
    address, netmask, gateway = (_ipv4(one(row, f"local_{name}")) for name in ("ip", "netmask", "gateway"))
    return None if address is None else LocalWanted(address, netmask or _usual_netmask(address), gateway or 0)


def _ipv4(text: str | None) -> int | None:
    try:
        return None if text is None else int(IPv4Address(text))
    except AddressValueError:
        return None


def _usual_netmask(address: int) -> int:
    """That of the address's class (RFC 791 section 3.2)."""
    for first, n_bits in ((0x80, 8), (0xC0, 16), (0xE0, 24)):
        if address >> 24 < first:
            return prefix_mask(n_bits, 32)
    return 0


def _snooping(row: Row, other: Mapping[str, str]) -> SnoopSettings | None:
    """How a bridge listens to who is in which multicast groups, None if it does not."""
    if not column(row, "mcast_snooping_enable", False):
        return None
    return SnoopSettings(_int(other.get("mcast-snooping-aging-time"), AGING_S),
                         _int(other.get("mcast-snooping-table-size"), MAX_GROUPS),
                         other.get("mcast-snooping-disable-flood-unregistered") != "true").bounded()


def _dscp(config: Mapping[str, str]) -> int:
    """The DSCP of what is said to a controller: that of internetwork control, unless another is named."""
    named = config.get("dscp", "")
    return int(named) if named.isdecimal() and int(named) < 64 else 48
