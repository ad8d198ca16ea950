"""The command line of ``fastpath dpctl``: options, anywhere among the words, and the table of verbs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from fastpath.cli.dpctl import remote, verbs
from fastpath.cli.dpctl.verbs import CommandError, Options
from fastpath.dpif.netlink.kernel import Kernel
from fastpath.errors import FastpathError
from fastpath.value import value

PROGRAM = "fastpath dpctl"


@value
class Verb:
    """How many words a verb takes (-1: any number), and what carries it out."""

    least: int
    most: int
    call: Callable[[Kernel, list[str], Options], str]


VERBS: dict[str, Verb] = {
    "add-dp":            Verb(1, -1, verbs.add_dp),
    "del-dp":            Verb(1, 1, verbs.del_dp),
    "dump-dps":          Verb(0, 0, verbs.dump_dps),
    "show":              Verb(0, -1, verbs.show),
    "add-if":            Verb(2, -1, verbs.add_if),
    "del-if":            Verb(2, -1, verbs.del_if),
    "dump-flows":        Verb(0, 6, verbs.dump_flows),
    "add-flow":          Verb(2, 3, verbs.add_flow),
    "mod-flow":          Verb(2, 3, verbs.mod_flow),
    "get-flow":          Verb(1, 2, verbs.get_flow),
    "del-flow":          Verb(1, 2, verbs.del_flow),
    "del-flows":         Verb(0, 1, verbs.del_flows),
    "parse-actions":     Verb(1, -1, verbs.show_actions),
    "cache-get-size":    Verb(0, 1, verbs.cache_get_size),
    "cache-set-size":    Verb(3, 3, verbs.cache_set_size),
    "dump-conntrack":    Verb(0, 2, verbs.dump_conntrack),
    "flush-conntrack":   Verb(0, 2, verbs.flush_conntrack),
    "ct-get-limits":     Verb(0, 2, verbs.ct_get_limits),
    "ct-set-limits":     Verb(1, -1, verbs.ct_set_limits),
    "ct-del-limits":     Verb(1, 2, verbs.ct_del_limits),
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
    if 0 <= verb.most < len(arguments):
        raise CommandError(f"'{name}' command takes at most {verb.most} arguments")
    opened = kernel()
    try:
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
        return 1
    except FastpathError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    return 0
