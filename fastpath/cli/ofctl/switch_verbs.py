"""Verbs about the switch itself, its ports, queues and tables."""

from __future__ import annotations

import random
from time import perf_counter

from fastpath.cli.ofctl.talk import Talk
from fastpath.errors import FastpathError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.ofproto.flow_mod import TABLE_ALL
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.tlv_table import parse_mappings
from fastpath.openflow.abilities import of_features
from fastpath.openflow.actions.base import put_property
from fastpath.openflow.client import Refused
from fastpath.openflow.formats import Formats
from fastpath.openflow.messages import basic, conntrack, port, queue, stats, tables, tlv
from fastpath.openflow.messages.table import HEADER, decode
from fastpath.openflow.printing.table_stats import format_abilities
from fastpath.text import parse_ipv4, parse_ipv6

_FRAGS = {"normal": basic.FRAG_NORMAL, "drop": basic.FRAG_DROP, "reassemble": basic.FRAG_REASM,
          "nx-match": basic.FRAG_NX_MATCH}
_FRAG_NAMES = {number: name for name, number in _FRAGS.items()}
# Verb of mod-port, bit of the configuration, whether it is set.
_PORT_ACTIONS = {
    "up": (port.CONFIG_DOWN, False), "down": (port.CONFIG_DOWN, True), "stp": (2, False), "no-stp": (2, True),
    "receive": (port.CONFIG_NO_RECV, False), "no-receive": (port.CONFIG_NO_RECV, True),
    "receive-stp": (8, False), "no-receive-stp": (8, True), "flood": (port.CONFIG_NO_FLOOD, False),
    "no-flood": (port.CONFIG_NO_FLOOD, True), "forward": (port.CONFIG_NO_FWD, False),
    "no-forward": (port.CONFIG_NO_FWD, True), "packet-in": (port.CONFIG_NO_PACKET_IN, False),
    "no-packet-in": (port.CONFIG_NO_PACKET_IN, True)}
_MISSES = {"controller": 0, "continue": 1, "drop": 2}
_VACANCY = 3


def show(talk: Talk, args: list[str]) -> None:
    talk.ask(basic.FeaturesRequest())
    if talk.version >= OF13:
        talk.ask(stats.PortDescRequest())
    talk.ask(basic.GetConfigRequest())


def dump_desc(talk: Talk, args: list[str]) -> None:
    talk.ask(stats.DescRequest())


def dump_tables(talk: Talk, args: list[str]) -> None:
    talk.ask(stats.TableRequest())


def dump_table_features(talk: Talk, args: list[str]) -> None:
    """As one list, however many messages it comes in."""
    talk.need(OF13, "dump-table-features")
    try:
        frames = talk.client.answer(stats.TableFeaturesRequest())
    except Refused as refused:
        talk.show([refused.data])
        frames = []
    text = format_abilities((of_features(t, talk.version), None) for frame in frames
                            for t in frame.message.tables)
    talk.print(text.removeprefix("\n") + "\n")


def dump_table_desc(talk: Talk, args: list[str]) -> None:
    talk.need(OF14, "dump-table-desc")
    talk.ask(tables.TableDescRequest())


def dump_ports(talk: Talk, args: list[str]) -> None:
    talk.ask(stats.PortStatsRequest(port_number(talk, args[0]) if args else OFPP_ANY))


def dump_ports_desc(talk: Talk, args: list[str]) -> None:
    talk.ask(stats.PortDescRequest(port_number(talk, args[0]) if args else OFPP_ANY))


def port_number(talk: Talk, word: str) -> int:
    """Number of a port.  Raises FastpathError in ovs-ofctl's words."""
    found = numbers.port(word)
    if found is None:
        found = talk.ports.get(word.strip('"'))
    if found is None:
        raise FastpathError(f"{talk.name}: unknown port `{word}'")
    return found


def queue_stats(talk: Talk, args: list[str]) -> None:
    number = OFPP_ANY if not args or args[0].lower() == "all" else port_number(talk, args[0])
    queue_id = _queue(args[1:])
    talk.ask(queue.QueueRequest(number, queue_id))


def _queue(args: list[str]) -> int:
    return queue.ALL if not args or args[0].lower() == "all" else numbers.atoi(args[0], 32)


def queue_get_config(talk: Talk, args: list[str]) -> None:
    number = OFPP_ANY if not args else port_number(talk, args[0])
    queue_id = _queue(args[1:])
    if talk.version >= OF14:
        talk.ask(queue.QueueDescRequest(number, queue_id))
        return
    numbers = [number] if number != OFPP_ANY or talk.version > OF10 else [
        p.port for p in talk.descriptions() if p.port < 0xFF00]
    for one in numbers:
        talk.ask(queue.QueueConfigRequest(one))


def mod_port(talk: Talk, args: list[str]) -> None:
    word, action = args
    desc = next((p for p in talk.descriptions() if word in (p.name, str(p.port))), None)
    if desc is None:
        raise FastpathError(f"{talk.name}: couldn't find port `{word}'")
    if action.lower() not in _PORT_ACTIONS:
        raise FastpathError(f"unknown mod-port command '{action}'")
    bit, on = _PORT_ACTIONS[action.lower()]
    talk.tell(port.PortMod(desc.port, desc.mac, bit if on else 0, bit))


def get_frags(talk: Talk, args: list[str]) -> None:
    config = talk.client.answer(basic.GetConfigRequest())[0].message
    talk.print(f"{_FRAG_NAMES[config.flags & basic.FRAG_MASK]}\n")


def set_frags(talk: Talk, args: list[str]) -> None:
    mode = _FRAGS.get(args[0])
    if mode is None:
        raise FastpathError(f"{args[0]}: unknown fragment handling mode")
    config = talk.client.answer(basic.GetConfigRequest())[0].message
    if config.flags & basic.FRAG_MASK == mode:
        return
    talk.client.tell(basic.SetConfig(config.flags & ~basic.FRAG_MASK | mode, config.miss_send_len))
    config = talk.client.answer(basic.GetConfigRequest())[0].message
    if config.flags & basic.FRAG_MASK != mode:
        raise FastpathError(f"{talk.name}: setting fragment handling mode failed (this switch probably "
                            f"doesn't support mode \"{args[0]}\")")


def mod_table(talk: Talk, args: list[str]) -> None:
    table = _table(talk, args[0])
    word, _, text = args[1].partition(":")
    marks = _marks(text) if word == "vacancy" else None
    if word in _MISSES:
        _need_one_of(talk, args[1], (OF11, OF12))
        talk.tell(port.TableMod(table, _MISSES[word]))
        return
    if word not in ("evict", "noevict", "vacancy", "novacancy"):
        raise FastpathError(f"invalid table_mod setting {args[1]}")
    _need_one_of(talk, args[1], (OF14, OF15))
    config, properties = _kept(talk, table, word)
    if word == "evict":
        config |= tables.CONFIG_EVICTION
    elif marks is not None:
        down, up = marks
        config |= tables.CONFIG_VACANCY
        properties = put_property(_VACANCY, bytes((down, up, 0, 0)))
    talk.tell(port.TableMod(table, config, properties))


def _table(talk: Talk, word: str) -> int:
    found = TABLE_ALL if word.lower() == "all" else numbers.table(word, talk.tables)
    if found is None:
        raise FastpathError(f"unknown table \"{word}\"")
    return found


def _need_one_of(talk: Talk, setting: str, versions: tuple[int, ...]) -> None:
    if talk.version not in versions:
        names = ", ".join(f"OpenFlow1{v - 1}" for v in versions)
        raise FastpathError(f"table_mod '{setting}' requires one of the OpenFlow versions {names}")


def _marks(text: str) -> tuple[int, int]:
    words = text.split(",")
    for word, which in zip(words, ("down", "up"), strict=False):
        if not word.isdecimal() or int(word) > 100:
            raise FastpathError(f'Invalid vacancy {which} value "{word}"')
    if len(words) != 2:
        raise FastpathError("Vacancy up value missing")
    down, up = int(words[0]), int(words[1])
    if up < down:
        raise FastpathError("Invalid vacancy range, vacancy up should be greater than vacancy down "
                            "(OFPBPC_BAD_VALUE)")
    return down, up


def _kept(talk: Talk, table: int, word: str) -> tuple[int, bytes]:
    """The setting of *table* that *word* is not about, as a mod says it."""
    found = next((t for frame in talk.client.answer(tables.TableDescRequest()) for t in frame.message.tables
                  if table in (TABLE_ALL, t.table_id)), None)
    if found is None:
        return 0, b""
    if word in ("vacancy", "novacancy"):
        return found.config & tables.CONFIG_EVICTION, b""
    marks = found.settings.vacancy
    if marks is None or not found.config & tables.CONFIG_VACANCY:
        return 0, b""
    return tables.CONFIG_VACANCY, put_property(_VACANCY, bytes((*marks[:2], 0, 0)))


def dump_tlv_map(talk: Talk, args: list[str]) -> None:
    talk.ask(tlv.TlvTableRequest())


_WITH_OPTIONS = Formats.OF10_NXM | Formats.OXM      # those that can name tunnel options


def add_tlv_map(talk: Talk, args: list[str]) -> None:
    mappings = parse_mappings(args[0])
    talk.need_format(_WITH_OPTIONS)
    talk.tell(tlv.TlvTableMod(tlv.ADD, mappings))


def del_tlv_map(talk: Talk, args: list[str]) -> None:
    talk.need_format(_WITH_OPTIONS)
    talk.tell(tlv.TlvTableMod(tlv.DELETE, parse_mappings(args[0])) if args else tlv.TlvTableMod(tlv.CLEAR))


def dump_ipfix_bridge(talk: Talk, args: list[str]) -> None:
    talk.ask(conntrack.IpfixBridgeRequest())


def dump_ipfix_flow(talk: Talk, args: list[str]) -> None:
    talk.ask(conntrack.IpfixFlowRequest())


def ct_flush_zone(talk: Talk, args: list[str]) -> None:
    if not args[0].isdecimal() or int(args[0]) > 0xFFFF:
        raise FastpathError(f'invalid zone_id "{args[0]}"')
    talk.tell(conntrack.CtFlushZone(int(args[0])))


_TUPLE_WORDS = {"ct_nw_src": "src", "ct_nw_dst": "dst", "ct_ipv6_src": "src", "ct_ipv6_dst": "dst",
                "ct_tp_src": "src_port", "ct_tp_dst": "dst_port", "icmp_id": "icmp_id",
                "icmp_type": "icmp_type", "icmp_code": "icmp_code"}


def ct_flush(talk: Talk, args: list[str]) -> None:
    zone = None
    if args and args[0].startswith("zone="):
        zone, args = int(args[0].removeprefix("zone=")) & 0xFFFF, args[1:]
    tuples, proto = [], 0
    for text in args:
        given: dict[str, int] = {}
        for name, word in key_values(text):
            if name == "ct_nw_proto":
                proto = int(word)
            elif name in _TUPLE_WORDS:
                given[_TUPLE_WORDS[name]] = _tuple_value(name, word)
            else:
                raise FastpathError(f"invalid conntrack tuple field: {name}")
        tuples.append(conntrack.CtTuple(**given) if given else None)
    original, reply = (*tuples, None, None)[:2]
    talk.tell(conntrack.CtFlush(proto, original, reply, zone))


def _tuple_value(name: str, word: str) -> int:
    if "nw_" in name:
        return 0xFFFF << 32 | parse_ipv4(word)
    return parse_ipv6(word) if "ipv6" in name else int(word)


def probe(talk: Talk, args: list[str]) -> None:
    if decode(talk.client.ask(basic.EchoRequest())[0]).message.data:
        raise FastpathError("reply does not match request")


_PINGS, _PAYLOAD = 10, 64
_MOST = 65535 - HEADER.size


def _payload(word: str) -> bytes:
    size = numbers.atoi(word, 31)
    if not 0 <= size <= _MOST:
        raise FastpathError(f"payload must be between 0 and {_MOST} bytes")
    return random.randbytes(size)


def _echo(talk: Talk, data: bytes) -> float:
    """Have *data* echoed; return how long it took, in seconds.  Raises FastpathError for another answer."""
    start = perf_counter()
    if decode(talk.client.ask(basic.EchoRequest(data))[0]).message.data != data:
        raise FastpathError("reply does not match request")
    return perf_counter() - start


def ping(talk: Talk, args: list[str]) -> None:
    data = _payload(args[0] if args else str(_PAYLOAD))
    for xid in range(2, 2 + _PINGS):
        took = _echo(talk, data)
        talk.print(f"{len(data)} bytes from {talk.target}: xid={xid:08x} time={took * 1000:.1f} ms\n")


def benchmark(talk: Talk, args: list[str]) -> None:
    data, count = _payload(args[0]), numbers.atoi(args[1], 31)
    size = HEADER.size + len(data)
    talk.print(f"Sending {count} packets * {size} bytes (with header) = {count * size} bytes total\n")
    took = max(1e-9, sum(_echo(talk, data) for _ in range(count)))
    talk.print(f"Finished in {took * 1000:.1f} ms ({count / took:.0f} packets/s) "
               f"({count * size / took:.0f} bytes/s)\n")
