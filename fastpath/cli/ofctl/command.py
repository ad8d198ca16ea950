"""The command line of ``fastpath ofctl``: options, anywhere among the words, and the table of verbs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import NoReturn

from fastpath.cli.ofctl import capture, flow_verbs, group_verbs, offline, switch_verbs, watch
from fastpath.cli.ofctl.talk import Options, Quit, Talk
from fastpath.errors import FastpathError
from fastpath.ofproto.actions.versions import OF10, OF13, OF14
from fastpath.openflow.client import Refused
from fastpath.openflow.codec import VERSION_NAMES
from fastpath.openflow.formats import Formats, format_formats, of_version, parse_formats, versions_of
from fastpath.openflow.printing.message import format_message
from fastpath.runtime.tls import Tls
from fastpath.value import value

PROGRAM = "fastpath ofctl"
_VERSION_WORDS = {f"openflow{name.replace('.', '')}": version for version, name in VERSION_NAMES.items()}


@value
class Verb:
    """What a verb takes besides the switch, and what carries it out."""

    least: int
    most: int
    call: Callable[[Talk, list[str]], None]
    suffix: str = "mgmt"


_S, _F, _G = switch_verbs, flow_verbs, group_verbs
VERBS: dict[str, Verb] = {
    "show":                Verb(0, 0, _S.show),
    "dump-desc":           Verb(0, 0, _S.dump_desc),
    "dump-tables":         Verb(0, 0, _S.dump_tables),
    "dump-table-features": Verb(0, 0, _S.dump_table_features),
    "dump-table-desc":     Verb(0, 0, _S.dump_table_desc),
    "dump-ports":          Verb(0, 1, _S.dump_ports),
    "dump-ports-desc":     Verb(0, 1, _S.dump_ports_desc),
    "queue-stats":         Verb(0, 2, _S.queue_stats),
    "queue-get-config":    Verb(0, 2, _S.queue_get_config),
    "mod-port":            Verb(2, 2, _S.mod_port),
    "mod-table":           Verb(2, 2, _S.mod_table),
    "get-frags":           Verb(0, 0, _S.get_frags),
    "set-frags":           Verb(1, 1, _S.set_frags),
    "probe":               Verb(0, 0, _S.probe),
    "ping":                Verb(0, 1, _S.ping),
    "benchmark":           Verb(2, 2, _S.benchmark),
    "dump-tlv-map":        Verb(0, 0, _S.dump_tlv_map),
    "add-tlv-map":         Verb(1, 1, _S.add_tlv_map),
    "del-tlv-map":         Verb(0, 1, _S.del_tlv_map),
    "dump-ipfix-bridge":   Verb(0, 0, _S.dump_ipfix_bridge),
    "dump-ipfix-flow":     Verb(0, 0, _S.dump_ipfix_flow),
    "ct-flush-zone":       Verb(1, 1, _S.ct_flush_zone),
    "ct-flush":            Verb(0, 3, _S.ct_flush),
    "dump-flows":          Verb(0, 1, _F.dump_flows),
    "dump-aggregate":      Verb(0, 1, _F.dump_aggregate),
    "add-flow":            Verb(1, 1, _F.add_flow),
    "add-flows":           Verb(1, 1, _F.add_flows),
    "mod-flows":           Verb(1, 1, _F.mod_flows),
    "del-flows":           Verb(0, 1, _F.del_flows),
    "replace-flows":       Verb(1, 1, _F.replace_flows),
    "packet-out":          Verb(1, 99, _F.packet_out),
    "bundle":              Verb(1, 1, _F.bundle),
    "add-group":           Verb(0, 1, _G.add_group),
    "add-groups":          Verb(1, 1, _G.add_groups),
    "mod-group":           Verb(1, 1, _G.mod_group),
    "del-groups":          Verb(0, 1, _G.del_groups),
    "insert-buckets":      Verb(1, 1, _G.insert_buckets),
    "remove-buckets":      Verb(1, 1, _G.remove_buckets),
    "dump-groups":         Verb(0, 1, _G.dump_groups),
    "dump-group-stats":    Verb(0, 1, _G.dump_group_stats),
    "dump-group-features": Verb(0, 0, _G.dump_group_features),
    "add-meter":           Verb(1, 1, _G.add_meter),
    "mod-meter":           Verb(1, 1, _G.mod_meter),
    "del-meter":           Verb(0, 1, _G.del_meters),
    "del-meters":          Verb(0, 1, _G.del_meters),
    "dump-meter":          Verb(0, 1, _G.dump_meters),
    "dump-meters":         Verb(0, 1, _G.dump_meters),
    "meter-stats":         Verb(0, 1, _G.meter_stats),
    "meter-features":      Verb(0, 0, _G.meter_features),
    "monitor":             Verb(0, 9, watch.monitor),
    "snoop":               Verb(0, 0, watch.snoop, "snoop"),
}
_LOOKING = ("dump-", "show", "queue-", "meter-", "get-", "monitor", "snoop", "probe", "ping", "benchmark")
_READS = frozenset(verb for verb in VERBS if verb.startswith(_LOOKING) or verb.endswith("-tlv-map"))
# Verbs without a switch: least and most words, and what carries them out.
OFFLINE: dict[str, tuple[int, int, Callable[[list[str], Options], None]]] = {
    "ofp-print":   (1, 2, offline.ofp_print),
    "ofp-parse":   (1, 1, offline.ofp_parse),
    "ofp-parse-pcap": (1, 999, capture.ofp_parse_pcap),
    "parse-flow":  (1, 1, offline.parse_one),
    "parse-flows": (1, 1, offline.parse_many),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise FastpathError(f"{message} (try {PROGRAM} --help)")


def _parser() -> argparse.ArgumentParser:
    p = _Parser(prog=PROGRAM, description="Ask an OpenFlow switch, as ovs-ofctl does.",
                epilog="verbs: " + " ".join([*VERBS, "diff-flows", *OFFLINE]))
    p.add_argument("-O", "--protocols", metavar="NAMES", default="", help="versions, such as OpenFlow13")
    p.add_argument("-F", "--flow-format", metavar="NAMES", default="", help="flow formats, such as NXM")
    p.add_argument("-P", "--packet-in-format", metavar="NAME", default="", help="how monitor has packets")
    p.add_argument("-m", "--more", action="count", default=0, help="say more")
    p.add_argument("-t", "--timeout", type=float, metavar="SECONDS", help="give up after so long")
    p.add_argument("--strict", action="store_true", help="mod-flows and del-flows: equal, not covered")
    p.add_argument("--bundle", action="store_true", help="all or nothing")
    p.add_argument("--names", action=argparse.BooleanOptionalAction, default=None, help="names of ports")
    p.add_argument("--stats", action=argparse.BooleanOptionalAction, default=True, help="counters of rules")
    p.add_argument("--color", nargs="?", metavar="WHEN", help="taken and not looked at")
    p.add_argument("--read-only", action="store_true", help="refuse verbs that change anything")
    p.add_argument("--timestamp", action="store_true", help="monitor, snoop: when each message came")
    p.add_argument("--may-create", action="store_true", help="mod-group: or add it")
    p.add_argument("--readd", action="store_true", help="replace-flows: also what is the same")
    p.add_argument("--sort", action="append", nargs="?", const="priority", default=[], metavar="FIELD",
                   help="dump-flows: in ascending order (--sort=FIELD)")
    p.add_argument("--rsort", action="append", nargs="?", const="priority", default=[], metavar="FIELD",
                   help="dump-flows: in descending order")
    p.add_argument("-p", "--private-key", metavar="PEM", help="our private key, for ssl:")
    p.add_argument("-c", "--certificate", metavar="PEM", help="our certificate")
    p.add_argument("-C", "--ca-cert", metavar="PEM", help="certificate of who vouches for the switch")
    p.add_argument("words", nargs="*", metavar="VERB [SWITCH] [ARGUMENT...]")
    return p


def _versions(text: str) -> tuple[int, ...]:
    out = []
    for name in filter(None, text.replace(" ", ",").split(",")):
        if name.lower() not in _VERSION_WORDS:
            raise FastpathError(f"{name}: unknown OpenFlow version")
        out.append(_VERSION_WORDS[name.lower()])
    return tuple(out) or (OF10,)


def _allowed(args: argparse.Namespace) -> tuple[tuple[int, ...], Formats]:
    """Versions and formats that may be used.  Raises FastpathError if there are none."""
    versions = _versions(args.protocols)
    if (args.bundle or args.words[:1] == ["bundle"]) and max(versions) < OF13:
        versions = (OF14,)              # bundles begin with 1.3
    wanted = parse_formats(args.flow_format) if args.flow_format else Formats.ANY
    allowed = wanted & reduce(or_, map(of_version, versions))
    if not allowed:
        names = ", ".join(f"OpenFlow1{version - 1}" for version in sorted(versions))
        raise FastpathError(
            f"None of the enabled OpenFlow versions ({names}) supports any of the enabled flow formats "
            f"({format_formats(wanted)}).  (Use -O to enable additional OpenFlow versions or -F to enable "
            "additional flow formats.)")
    return versions_of(allowed), allowed


def _options(args: argparse.Namespace) -> Options:
    keys = (args.private_key, args.certificate, args.ca_cert)
    sort = tuple((name, False) for name in args.sort) + tuple((name, True) for name in args.rsort)
    versions, formats = _allowed(args)
    return Options(versions, formats, args.strict, args.bundle, args.names, args.stats, args.may_create,
                   args.more, sort, args.timeout, args.packet_in_format, args.readd, args.read_only,
                   args.timestamp, Tls(*keys) if all(keys) else None)


def main(argv: Sequence[str]) -> int:
    """Carry out *argv*; return the exit status."""
    try:
        return _main(argv)
    except Quit:
        return 1
    except Refused as refused:
        sys.stderr.write(format_message(refused.data))
    except FastpathError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
    except TimeoutError:
        print(f"{PROGRAM}: timed out", file=sys.stderr)
    return 1


def _main(argv: Sequence[str]) -> int:
    parser = _parser()
    # --sort takes a field only after "=", as with getopt; argparse would take the verb.
    argv = [f"{word}=priority" if word in ("--sort", "--rsort") else word for word in argv]
    args = parser.parse_intermixed_args(argv)
    options = _options(args)
    if not args.words:
        raise FastpathError("missing command name; use --help for help")
    verb, *words = args.words
    if verb in OFFLINE:
        least, most, call = OFFLINE[verb]
        _check(verb, len(words), least, most)
        call(words, options)
        return 0
    if verb == "diff-flows":
        _check(verb, len(words), 2, 2)
        return flow_verbs.diff_flows(words[0], words[1], options)
    if verb not in VERBS:
        raise FastpathError(f"unknown command '{verb}'; use --help for help")
    row = VERBS[verb]
    if options.read_only and verb not in _READS:
        raise FastpathError(f"'{verb}' command does not work in read only mode")
    _check(verb, len(words), row.least + 1, row.most + 1)
    talk = Talk(words[0], options, suffix=row.suffix)
    try:
        row.call(talk, words[1:])
    finally:
        talk.close()
    return 0


def _check(verb: str, n: int, least: int, most: int) -> None:
    if n < least:
        raise FastpathError(f"'{verb}' command requires at least {least} arguments")
    if n > most:
        raise FastpathError(f"'{verb}' command takes at most {most} arguments")
