"""Text of features, ports, queues and tables."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import Any

from fastpath.ofproto.actions.output import OFPP_ANY, format_port
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14
from fastpath.ofproto.flow_mod import TABLE_ALL
from fastpath.openflow.codec import Reader
from fastpath.openflow.durations import format_duration
from fastpath.openflow.messages import port, queue, stats, tables
from fastpath.openflow.printing.basics import ACTIONS10, capabilities
from fastpath.openflow.printing.context import Context, all_bits, bits, mac

_CONFIG10 = ("PORT_DOWN", "NO_STP", "NO_RECV", "NO_RECV_STP", "NO_FLOOD", "NO_FWD", "NO_PACKET_IN")
_CONFIG11 = ("PORT_DOWN", "", "NO_RECV", "", "", "NO_FWD", "NO_PACKET_IN")
_STP = ("", "STP_LEARN", "STP_FORWARD", "STP_BLOCK")        # bits 8 and 9 of the state, in 1.0
_STATE = ("LINK_DOWN", "BLOCKED", "LIVE")
_SPEEDS = ("10MB-HD", "10MB-FD", "100MB-HD", "100MB-FD", "1GB-HD", "1GB-FD", "10GB-FD")
_MEDIA = ("COPPER", "FIBER", "AUTO_NEG", "AUTO_PAUSE", "AUTO_PAUSE_ASYM")
_FEATURES10 = (*_SPEEDS, *_MEDIA)
_FEATURES11 = (*_SPEEDS, "40GB-FD", "100GB-FD", "1TB-FD", "OTHER", *_MEDIA)
_ALL_FEATURES = (1 << len(_FEATURES11)) - 1
_ACTIONS10_ORDER = ("output", "enqueue", *ACTIONS10[1:11])
_REASONS = ("ADD", "DEL", "MOD")
_MISSES = ("controller", "continue", "drop", "controller")      # the last is no number, and told so
_EVICTIONS = ("OTHER", "IMPORTANCE", "LIFETIME")
ALL_RATE = 1000                 # tenths of a percent: all there is


# -- the switch and its ports ----------------------------------------------------------------------

def _features(m: port.FeaturesReply, c: Context) -> str:
    out = f" dpid:{m.datapath_id:016x}\nn_tables:{m.n_tables}, n_buffers:{m.n_buffers}"
    out += f", auxiliary_id:{m.auxiliary_id}" if m.auxiliary_id else ""
    out += f"\ncapabilities: {capabilities(m.capabilities, c.version)}\n"
    if c.version == OF10 and m.actions:
        names = {name for i, name in enumerate(ACTIONS10) if m.actions >> i & 1}
        out += "actions: " + " ".join(name for name in _ACTIONS10_ORDER if name in names) + "\n"
    return out + "".join(format_port_desc(p, c) for p in sorted(m.ports, key=lambda p: p.port))


def format_port_desc(p: port.PortDesc, c: Context) -> str:
    """Lines of one port."""
    return f" {format_port(p.port, None)}({_name(p.name)}): " + _port_lines(p, c)


def _name(name: str) -> str:
    """*name* up to what cannot be printed."""
    return "".join(takewhile(lambda c: " " <= c <= "~", name))


def _config(number: int, c: Context) -> str:
    return bits(number, _CONFIG10 if c.version == OF10 else _CONFIG11)


def _state(number: int, c: Context) -> str:
    stp = _STP[number >> 8 & 3] if c.version == OF10 else ""
    others = bits(number, _STATE[:1] if c.version == OF10 else _STATE, none="" if stp else "0")
    return stp + others


def _port_lines(p: port.PortDesc, c: Context) -> str:
    out = f"addr:{mac(p.mac)}\n     config:     {_config(p.config, c)}\n"
    out += f"     state:      {_state(p.state, c)}\n"
    for title, features in (("current", p.curr), ("advertised", p.advertised), ("supported", p.supported),
                            ("peer", p.peer)):
        if features & _ALL_FEATURES:
            out += f"     {title + ':':<12}{bits(features, _FEATURES11)}\n"
    now, most = (port.kbps_of(p.curr), port.kbps_of(p.supported)) if c.version == OF10 else (
        p.curr_speed, p.max_speed)
    return f"{out}     speed: {now // 1000} Mbps now, {most // 1000} Mbps max\n"


def _port_status(m: port.PortStatus, c: Context) -> str:
    reason = _REASONS[m.reason] if m.reason < len(_REASONS) else str(m.reason)
    return f" {reason}:{format_port_desc(m.desc, c)}"


def _port_mod(m: port.PortMod, c: Context) -> str:
    names = _FEATURES10 if c.version == OF10 else _FEATURES11
    advertise = bits(m.advertise, names, none="UNCHANGED")
    return (f" port: {c.port(m.port)}: addr:{mac(m.mac)}\n     config: {_config(m.config & m.mask, c)}\n"
            f"     mask:   {_config(m.mask, c)}\n     advertise: {advertise}\n")


def _counter(n: int) -> str:
    return "?" if n == stats.UNKNOWN else str(n)


def _port_stats(m: stats.PortStatsReply, c: Context) -> str:
    out = f" {len(m.ports)} ports\n"
    for p in m.ports:
        def told(*names: tuple[str, str], p: stats.PortCounts = p) -> str:
            return ", ".join(f"{word}={_counter(getattr(p, name))}" for word, name in names)
        rx = told(("pkts", "rx_packets"), ("bytes", "rx_bytes"), ("drop", "rx_dropped"),
                  ("errs", "rx_errors"), ("frame", "rx_frame_err"), ("over", "rx_over_err"),
                  ("crc", "rx_crc_err"))
        tx = told(("pkts", "tx_packets"), ("bytes", "tx_bytes"), ("drop", "tx_dropped"),
                  ("errs", "tx_errors"), ("coll", "collisions"))
        out += f"  port {c.port(p.port):>2}: rx {rx}\n           tx {tx}\n"
        if c.version >= OF13:
            out += f"           duration={format_duration(p.duration)}\n"
        out += _rfc2819(p.rfc2819) + _custom(p.custom)
    return out


# Counters of RFC 2819 by their place, as they are told.
_SIZES_RX = ("1_to_64_packets", "65_to_127_packets", "128_to_255_packets", "256_to_511_packets",
             "512_to_1023_packets", "1024_to_1522_packets", "1523_to_max_packets")
_RX = (*enumerate(_SIZES_RX), (15, "broadcast_packets"), (17, "undersized_errors"), (18, "oversize_errors"),
       (19, "rx_fragmented_errors"), (20, "rx_jabber_errors"))
_TX = (*enumerate(_SIZES_RX, 7), (14, "multicast_packets"), (16, "broadcast_packets"))


def _rfc2819(counts: tuple[int, ...]) -> str:
    out = ""
    for way, names in (("rx", _RX), ("tx", _TX)) if counts else ():
        told = "".join(f"{name}={counts[i]}, " for i, name in names if counts[i] != stats.UNKNOWN)
        out += f"           {way} rfc2819 {told}\n" if told else ""
    return out


def _custom(counters: tuple[tuple[str, int], ...]) -> str:
    if not counters:
        return ""
    told = [f"{name}={value}," for name, value in counters]
    rows = (" ".join(told[i:i + 3]) for i in range(0, len(told), 3))
    return "           CUSTOM Statistics\n" + "".join(f"{'':22}{row}\n" for row in rows)


def _port_request(m: stats.PortStatsRequest, c: Context) -> str:
    return f" port_no={c.port(m.port)}" if m.port != OFPP_ANY else " port_no=ANY"


def _port_desc_request(m: stats.PortDescRequest, c: Context) -> str:
    return f" port={c.port(m.port) if m.port != OFPP_ANY else 'ANY'}"


# -- queues ----------------------------------------------------------------------------------------

def _queue_request(m: queue.QueueRequest | queue.QueueDescRequest, c: Context) -> str:
    port_name = c.port(m.port) if m.port != OFPP_ANY else "ANY"
    if isinstance(m, queue.QueueDescRequest) and m.queue == queue.ALL:
        return f" port={port_name}"
    return f" port={port_name} queue={_queue_name(m.queue)}"


def _queue_name(number: int) -> str:
    return "ALL" if number == queue.ALL else str(number)


def _queue_stats(m: queue.QueueReply, c: Context) -> str:
    out = f" {len(m.queues)} queues\n"
    for q in m.queues:
        lasted = "?" if q.duration is None else format_duration(q.duration)
        out += (f"  port {c.port(q.port)} queue {_queue_name(q.queue)}: bytes={_counter(q.tx_bytes)}, "
                f"pkts={_counter(q.tx_packets)}, errors={_counter(q.tx_errors)}, duration={lasted}\n")
    return out


def _rate(name: str, tenths: int | None) -> str:
    if tenths is None:
        return ""
    return f" {name}:{tenths // 10}.{tenths % 10}%" if tenths <= ALL_RATE else f" {name}:(disabled)"


def _queue_configs(queues: list[tuple[int, queue.QueueConfig]], c: Context) -> str:
    """Queues of ports, each port's number once."""
    out, last = "", 0
    for number, q in sorted(queues, key=lambda pair: (pair[0], pair[1].queue)):
        out += f"port={c.port(number)}\n" if number != last else ""
        out += f"queue {q.queue}:{_rate('min_rate', q.min_rate)}{_rate('max_rate', q.max_rate)}\n"
        last = number
    return out and f" {out}"


# -- tables ----------------------------------------------------------------------------------------

def _table_mod(m: port.TableMod, c: Context) -> str:
    out = " table_id: ALL_TABLES" if m.table_id == TABLE_ALL else f" table_id={m.table_id}"
    if c.version in (OF11, OF12):
        out += f", flow_miss_config={_MISSES[m.config & tables.MISS_MASK]}"
    elif c.version >= OF14:
        settings = tables.TableSettings.get(Reader(m.properties))
        evicts, watched = m.config & tables.CONFIG_EVICTION, m.config & tables.CONFIG_VACANCY
        out += f", eviction={'on' if evicts else 'off'}"
        if settings.eviction is not None:
            out += f"eviction_flags={_evictions(settings.eviction)}"
        out += f", vacancy={'on' if watched else 'off'}"
        if watched:
            down, up, _free = settings.vacancy or (0, 0, 0)
            out += f" vacancy:{down},{up}"
    return out


def _evictions(flags: int) -> str:
    return all_bits(flags, _EVICTIONS, none="(none)", joined="|")


def _table_desc(t: tables.TableDesc, c: Context) -> str:
    flags = "(default)" if t.settings.eviction is None else _evictions(t.settings.eviction)
    out = f"\n  table {c.table(t.table_id)}:\n"
    out += f"   eviction={'on' if t.config & 4 else 'off'} eviction_flags={flags}\n"
    if not t.config & tables.CONFIG_VACANCY:
        return f"{out}   vacancy=off\n"
    down, up, free = t.settings.vacancy or (0, 0, 0)
    return f"{out}   vacancy=on vacancy_down={down}% vacancy_up={up}% vacancy={free}%\n"


def _table_status(m: tables.TableStatus, c: Context) -> str:
    reason = {3: "VACANCY_DOWN", 4: "VACANCY_UP"}.get(m.reason, str(m.reason))
    return f" reason={reason}\ntable_desc:-{_table_desc(m.table, c)}"


def _desc(m: stats.DescReply, c: Context) -> str:
    return (f"\nManufacturer: {m.manufacturer}\nHardware: {m.hardware}\nSoftware: {m.software}\n"
            f"Serial Num: {m.serial}\nDP Description: {m.datapath}\n")


BODIES: dict[type, Callable[[Any, Context], str]] = {
    port.FeaturesReply: _features, port.PortStatus: _port_status, port.PortMod: _port_mod,
    port.TableMod: _table_mod, stats.DescRequest: lambda m, c: "", stats.DescReply: _desc,
    stats.PortStatsRequest: _port_request, stats.PortStatsReply: _port_stats,
    stats.PortDescRequest: _port_desc_request,
    stats.PortDescReply: lambda m, c: "\n" + "".join(format_port_desc(p, c) for p in m.ports),
    queue.QueueRequest: _queue_request, queue.QueueReply: _queue_stats,
    queue.QueueConfigRequest: lambda m, c: f" port={c.port(m.port) if m.port != OFPP_ANY else 'ANY'}",
    queue.QueueConfigReply: lambda m, c: _queue_configs([(m.port, q) for q in m.queues], c),
    queue.QueueDescRequest: _queue_request,
    queue.QueueDescReply: lambda m, c: _queue_configs([(q.port, q) for q in m.queues], c),
    tables.TableStatus: _table_status,
    tables.TableDescRequest: lambda m, c: "",
    tables.TableDescReply: lambda m, c: "".join(_table_desc(t, c) for t in m.tables),
}
