"""The command line of ``fastpath dpctl``: options, anywhere among the words, and the table of verbs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from fastpath.cli.dpctl import flow_verbs, remote, verbs
from fastpath.dpif.netlink import ctverbs
from fastpath.dpif.netlink.kernel import Kernel
from fastpath.dpif.netlink.verb import CommandError, Options, Target
from fastpath.errors import FastpathError
from fastpath.value import value

PROGRAM = "fastpath dpctl"
MANY = 1 << 30


@value
class Verb:
    """What the words of a verb are called, how many it takes (MANY: any number), and what carries it out:
    *call*; *ask* if the daemon can be asked the same; or *tell* if it is about text and needs no kernel."""

    usage: str
    least: int
    most: int
    call: Callable[[Kernel, list[str], Options], str] | None = None
    ask: Callable[[Target, list[str], Options], str] | None = None
    tell: Callable[[list[str], Options], str] | None = None


def _help(words: list[str], options: Options) -> str:
    return HELP


def _list(words: list[str], options: Options) -> str:
    return "The available commands are:\n" + "".join(
        f"  {name:<23} {verb.usage}\n" for name, verb in VERBS.items())


# In the order in which they are listed.
VERBS: dict[str, Verb] = {
    "add-dp":            Verb("dp [iface...]", 1, MANY, verbs.add_dp),
    "del-dp":            Verb("dp", 1, 1, verbs.del_dp),
    "add-if":            Verb("dp iface...", 2, MANY, verbs.add_if),
    "del-if":            Verb("dp iface...", 2, MANY, verbs.del_if),
    "set-if":            Verb("dp iface...", 2, MANY, verbs.set_if),
    "dump-dps":          Verb("", 0, 0, verbs.dump_dps),
    "show":              Verb("[-s] [dp...]", 0, MANY, verbs.show),
    "dump-flows":        Verb("[-m] [--names] [dp] [filter=..] [type=..] [pmd=..]", 0, 6,
                              flow_verbs.dump_flows),
    "add-flow":          Verb("[dp] flow actions", 2, 3, flow_verbs.add_flow),
    "mod-flow":          Verb("[dp] flow actions", 2, 3, flow_verbs.mod_flow),
    "get-flow":          Verb("[dp] ufid", 1, 2, flow_verbs.get_flow),
    "del-flow":          Verb("[dp] flow", 1, 2, flow_verbs.del_flow),
    "add-flows":         Verb("[dp] file", 1, 2, flow_verbs.add_flows),
    "mod-flows":         Verb("[dp] file", 1, 2, flow_verbs.mod_flows),
    "del-flows":         Verb("[dp] [file]", 0, 2, flow_verbs.del_flows),
    "offload-stats-show": Verb("[dp]", 0, 1, ask=ctverbs.offload_stats_show),
    "dump-conntrack":    Verb("[-m] [-s] [dp] [zone=N]", 0, 4, ask=ctverbs.dump_conntrack),
    "flush-conntrack":   Verb("[dp] [zone=N] [ct-orig-tuple] [ct-reply-tuple]", 0, 4,
                              ask=ctverbs.flush_conntrack),
    "cache-get-size":    Verb("[dp]", 0, 1, verbs.cache_get_size),
    "cache-set-size":    Verb("dp cache <size>", 3, 3, verbs.cache_set_size),
    "ct-stats-show":     Verb("[dp] [zone=N]", 0, 3, ask=ctverbs.ct_stats_show),
    "ct-bkts":           Verb("[dp] [gt=N]", 0, 2, ask=ctverbs.ct_bkts),
    "ct-set-maxconns":   Verb("[dp] maxconns", 1, 2, ask=ctverbs.ct_set_maxconns),
    "ct-get-maxconns":   Verb("[dp]", 0, 1, ask=ctverbs.ct_get_maxconns),
    "ct-get-nconns":     Verb("[dp]", 0, 1, ask=ctverbs.ct_get_nconns),
    "ct-enable-tcp-seq-chk":  Verb("[dp]", 0, 1, ask=ctverbs.ct_enable_tcp_seq_chk),
    "ct-disable-tcp-seq-chk": Verb("[dp]", 0, 1, ask=ctverbs.ct_disable_tcp_seq_chk),
    "ct-get-tcp-seq-chk": Verb("[dp]", 0, 1, ask=ctverbs.ct_get_tcp_seq_chk),
    "ct-set-limits":     Verb("[dp] [default=L] [zone=N,limit=L]...", 1, MANY, ask=ctverbs.ct_set_limits),
    "ct-del-limits":     Verb("[dp] zone=N1[,N2]...", 1, 2, ask=ctverbs.ct_del_limits),
    "ct-get-limits":     Verb("[dp] [zone=N1[,N2]...]", 0, 2, ask=ctverbs.ct_get_limits),
    "ipf-set-enabled":   Verb("[dp] v4|v6", 1, 2, ask=ctverbs.ipf_set_enabled),
    "ipf-set-disabled":  Verb("[dp] v4|v6", 1, 2, ask=ctverbs.ipf_set_disabled),
    "ipf-set-min-frag":  Verb("[dp] v4|v6 minfragment", 2, 3, ask=ctverbs.ipf_set_min_frag),
    "ipf-set-max-nfrags": Verb("[dp] maxfrags", 1, 2, ask=ctverbs.ipf_set_max_nfrags),
    "ipf-get-status":    Verb("[dp]", 0, 1, ask=ctverbs.ipf_get_status),
    "help":              Verb("", 0, MANY, tell=_help),
    "list-commands":     Verb("", 0, MANY, tell=_list),
    "parse-actions":     Verb("actions", 1, MANY, tell=flow_verbs.show_actions),
    "normalize-actions": Verb("actions", 2, MANY, tell=flow_verbs.normalize_actions),
}
_FLAGS = {"-s": "statistics", "--statistics": "statistics", "-m": "more", "--more": "more",
          "--may-create": "may_create", "--clear": "clear"}
HELP = f"""{PROGRAM}: the kernel's Open vSwitch datapaths, as ovs-dpctl asks and changes them
usage: {PROGRAM} [OPTION...] VERB [DP] [ARGUMENT...]
options: -s (counters), -m (all attributes), --names, --no-names, --may-create, --clear,
         -t SOCKET (ask the daemon with this control socket for the datapaths of its own)
verbs: {' '.join(VERBS)}
"""


def split(words: Sequence[str]) -> tuple[list[str], Options]:
    """The words that are no options, and the options.  Raises CommandError."""
    rest, given = [], {}
    for word in words:
        if word in _FLAGS:
            given[_FLAGS[word]] = True
        elif word in ("--names", "--no-names"):
            given["names"] = word == "--names"
        elif word.startswith("-"):
            raise CommandError(f"unrecognized option '{word}'; use --help for help")
        else:
            rest.append(word)
    return rest, Options(**given)


def _target(words: Sequence[str]) -> tuple[str, list[str]]:
    """The control socket to ask, "" for the kernel, and the other words."""
    out, target, rest = list(words), "", []
    while out:
        word = out.pop(0)
        if word in ("-t", "--target"):
            target = out.pop(0) if out else ""
        elif word.startswith("--target="):
            target = word.partition("=")[2]
        else:
            rest.append(word)
    return target, rest


def run(words: Sequence[str], kernel: Callable[[], Kernel] = Kernel) -> str:
    """Carry out a command line; what it prints.  Raises FastpathError."""
    if "--help" in words or "-h" in words:
        return HELP
    target, words = _target(words)
    if target:
        return remote.ask(target, words)
    rest, options = split(words)
    if not rest:
        raise CommandError("missing command name; use --help for help")
    name, *arguments = rest
    verb = VERBS.get(name)
    if verb is None:
        raise CommandError(f"unknown command '{name}'; use --help for help")
    if len(arguments) < verb.least:
        raise CommandError(f"'{name}' command requires at least {verb.least} arguments")
    if verb.most < len(arguments):
        raise CommandError(f"'{name}' command takes at most {verb.most} arguments")
    if verb.tell is not None:
        return verb.tell(arguments, options)
    opened = kernel()
    try:
        if verb.ask is not None:
            return verb.ask(verbs.Every(opened), arguments, options)
        assert verb.call is not None
        return verb.call(opened, arguments, options)
    finally:
        opened.close()


def main(words: Sequence[str]) -> int:
    """Run one command line; exit status 1 if it failed, as ovs-dpctl has it."""
    try:
        sys.stdout.write(run(words))
    except CommandError as error:
        sys.stdout.write(error.printed)
        sys.stdout.flush()
        for line in str(error).splitlines():
            print(f"{PROGRAM}: {line}", file=sys.stderr)
        return error.status
    except FastpathError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    return 0
