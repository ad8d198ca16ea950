"""The command line of ``fastpath ofctl``: the table of verbs, and who carries each out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from fastpath import __version__
from fastpath.cli.ofctl import (
    arguments,
    bytes_verbs,
    capture,
    flow_verbs,
    group_verbs,
    offline,
    switch_verbs,
    watch,
)
from fastpath.cli.ofctl.talk import Options, Quit, Talk
from fastpath.errors import FastpathError
from fastpath.openflow.client import Refused
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.printing.message import format_message
from fastpath.value import value

PROGRAM = "fastpath ofctl"
LOG_NAME = "ovs-ofctl"              # of files, whatever the command is called
MANY = 1 << 30
Tool = Callable[[list[str], Options], None]


@value
class Verb:
    """What a verb takes besides the switch, and what carries it out; *usage* as list-commands has it."""

    least: int
    most: int
    call: Callable[[Talk, list[str]], None]
    usage: str
    reads: bool = False             # whether it changes nothing
    suffix: str = "mgmt"


@value
class Offline:
    """The same of a verb without a switch."""

    least: int
    most: int
    call: Tool
    usage: str = ""
    reads: bool = False

def _help(args: list[str], options: Options) -> None:
    arguments.parser(PROGRAM, tuple(VERBS)).print_help()


def _list_commands(args: list[str], options: Options) -> None:
    print("The available commands are:")
    for name, verb in VERBS.items():
        print(f"  {name:<23} {verb.usage}")


_S, _F, _G, _O, _B = switch_verbs, flow_verbs, group_verbs, offline, bytes_verbs
_R = True
# In the order of list-commands.
VERBS: dict[str, Verb | Offline] = {
    "show":                 Verb(0, 0, _S.show, "switch", _R),
    "monitor":              Verb(0, 2, watch.monitor, "switch [misslen] [invalid_ttl] [watch:[...]]", _R),
    "snoop":                Verb(0, 0, watch.snoop, "switch", _R, "snoop"),
    "dump-desc":            Verb(0, 0, _S.dump_desc, "switch", _R),
    "dump-tables":          Verb(0, 0, _S.dump_tables, "switch", _R),
    "dump-table-features":  Verb(0, 0, _S.dump_table_features, "switch", _R),
    "dump-table-desc":      Verb(0, 0, _S.dump_table_desc, "switch", _R),
    "dump-flows":           Verb(0, 1, _F.dump_flows, "switch", _R),
    "dump-aggregate":       Verb(0, 1, _F.dump_aggregate, "switch", _R),
    "queue-stats":          Verb(0, 2, _S.queue_stats, "switch [port [queue]]", _R),
    "queue-get-config":     Verb(0, 2, _S.queue_get_config, "switch [port [queue]]", _R),
    "add-flow":             Verb(1, 1, _F.add_flow, "switch flow"),
    "add-flows":            Verb(1, 1, _F.add_flows, "switch file"),
    "mod-flows":            Verb(1, 1, _F.mod_flows, "switch flow"),
    "del-flows":            Verb(0, 1, _F.del_flows, "switch [flow]"),
    "replace-flows":        Verb(1, 1, _F.replace_flows, "switch file"),
    "diff-flows":           Offline(2, 2, _F.diff_flows, "source1 source2"),
    "add-meter":            Verb(1, 1, _G.add_meter, "switch meter"),
    "mod-meter":            Verb(1, 1, _G.mod_meter, "switch meter"),
    "del-meter":            Verb(0, 1, _G.del_meters, "switch meter"),
    "del-meters":           Verb(0, 1, _G.del_meters, "switch"),
    "dump-meter":           Verb(0, 1, _G.dump_meters, "switch meter", _R),
    "dump-meters":          Verb(0, 1, _G.dump_meters, "switch", _R),
    "meter-stats":          Verb(0, 1, _G.meter_stats, "switch [meter]", _R),
    "meter-features":       Verb(0, 0, _G.meter_features, "switch", _R),
    "packet-out":           Verb(1, MANY, _F.packet_out,
                                 'switch "in_port=<port> packet=<hex data> actions=..."'),
    "dump-ports":           Verb(0, 1, _S.dump_ports, "switch [port]", _R),
    "dump-ports-desc":      Verb(0, 1, _S.dump_ports_desc, "switch [port]", _R),
    "mod-port":             Verb(2, 2, _S.mod_port, "switch iface act"),
    "mod-table":            Verb(2, 2, _S.mod_table, "switch mod"),
    "get-frags":            Verb(0, 0, _S.get_frags, "switch", _R),
    "set-frags":            Verb(1, 1, _S.set_frags, "switch frag_mode"),
    "probe":                Verb(0, 0, _S.probe, "target", _R),
    "ping":                 Verb(0, 1, _S.ping, "target [n]", _R),
    "benchmark":            Verb(2, 2, _S.benchmark, "target n count", _R),
    "dump-ipfix-bridge":    Verb(0, 0, _S.dump_ipfix_bridge, "switch", _R),
    "dump-ipfix-flow":      Verb(0, 0, _S.dump_ipfix_flow, "switch", _R),
    "ct-flush-zone":        Verb(1, 1, _S.ct_flush_zone, "switch zone", _R),
    "ct-flush":             Verb(0, 3, _S.ct_flush, "switch [zone=N] [ct-orig-tuple [ct-reply-tuple]]", _R),
    "ofp-parse":            Offline(1, 1, _O.ofp_parse, "file"),
    "ofp-parse-pcap":       Offline(1, MANY, capture.ofp_parse_pcap, "pcap"),
    "add-group":            Verb(0, 1, _G.add_group, "switch group"),
    "add-groups":           Verb(1, 1, _G.add_groups, "switch file"),
    "mod-group":            Verb(0, 1, _G.mod_group, "switch group"),
    "del-groups":           Verb(0, 1, _G.del_groups, "switch [group]"),
    "insert-buckets":       Verb(0, 1, _G.insert_buckets, "switch [group]"),
    "remove-buckets":       Verb(0, 1, _G.remove_buckets, "switch [group]"),
    "dump-groups":          Verb(0, 1, _G.dump_groups, "switch [group]", _R),
    "dump-group-stats":     Verb(0, 1, _G.dump_group_stats, "switch [group]", _R),
    "dump-group-features":  Verb(0, 0, _G.dump_group_features, "switch", _R),
    "bundle":               Verb(1, 1, _F.bundle, "switch file"),
    "add-tlv-map":          Verb(1, 1, _S.add_tlv_map, "switch map", _R),
    "del-tlv-map":          Verb(0, 1, _S.del_tlv_map, "switch [map]", _R),
    "dump-tlv-map":         Verb(0, 0, _S.dump_tlv_map, "switch", _R),
    "help":                 Offline(0, MANY, _help, "", _R),
    "list-commands":        Offline(0, MANY, _list_commands, "", _R),
    "parse-flow":           Offline(1, 1, _O.parse_one),
    "parse-flows":          Offline(1, 1, _O.parse_many),
    "parse-group":          Offline(1, 1, _O.parse_group),
    "parse-nx-match":       Offline(0, 0, _B.parse_nxm),
    "parse-nxm":            Offline(0, 0, _B.parse_nxm),
    "parse-oxm":            Offline(1, 1, _B.parse_oxm),
    "parse-actions":        Offline(1, 1, _B.parse_actions),
    "parse-instructions":   Offline(1, 1, _B.parse_instructions),
    "parse-ofp10-match":    Offline(0, 0, _B.parse_ofp10_match),
    "parse-ofp11-match":    Offline(0, 0, _B.parse_ofp11_match),
    "parse-pcap":           Offline(1, MANY, _O.parse_pcap),
    "check-vlan":           Offline(2, 2, _B.check_vlan),
    "print-error":          Offline(1, 1, _O.print_error),
    "encode-error-reply":   Offline(2, 2, _O.encode_error_reply),
    "ofp-print":            Offline(1, 2, _O.ofp_print),
    "encode-hello":         Offline(1, 1, _O.encode_hello),
    "parse-key-value":      Offline(1, MANY, _O.parse_key_value),
    "compose-packet":       Offline(1, 2, _O.compose_packet, "", _R),
    "parse-packet":         Offline(0, 0, _O.parse_packet, "", _R),
}


def main(argv: Sequence[str]) -> int:
    """Carry out *argv*; return the exit status."""
    try:
        return _main(argv)
    except Quit as stop:
        return stop.status
    except Refused as refused:
        sys.stderr.write(format_message(refused.data))
    except FastpathError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
    except TimeoutError:
        print(f"{PROGRAM}: timed out", file=sys.stderr)
    return 1


def _main(argv: Sequence[str]) -> int:
    args = arguments.parse(arguments.parser(PROGRAM, tuple(VERBS)), argv)
    if args.version:
        print(f"{PROGRAM} {__version__}\nOpenFlow versions {min(VERSIONS):#x}:{max(VERSIONS):#x}")
        return 0
    log = arguments.start_log(args, LOG_NAME)
    try:
        options = arguments.options(args, PROGRAM)
        options.log = log
        return _run(args.words, options)
    finally:
        log.close()


def _run(words: list[str], options: Options) -> int:
    if not words:
        raise FastpathError("missing command name; use --help for help")
    name, *args = words
    verb = VERBS.get(name)
    if verb is None:
        raise FastpathError(f"unknown command '{name}'; use --help for help")
    with_switch = int(isinstance(verb, Verb))
    _check(name, len(args), verb.least + with_switch, verb.most + with_switch)
    if options.read_only and not verb.reads:
        raise FastpathError(f"'{name}' command does not work in read only mode")
    if isinstance(verb, Offline):
        verb.call(args, options)
        return 0
    talk = Talk(args[0], options, suffix=verb.suffix)
    try:
        verb.call(talk, args[1:])
    finally:
        talk.close()
    return 0


def _check(verb: str, n: int, least: int, most: int) -> None:
    if n < least:
        raise FastpathError(f"'{verb}' command requires at least {least} arguments")
    if n > most:
        raise FastpathError(f"'{verb}' command takes at most {most} arguments")
