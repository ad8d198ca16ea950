"""Commands of dpctl that the kernel answers, where the datapath they are about is the kernel's.

What has to do with the kernel is imported when such a datapath is there.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from fastpath.vswitchd.commands.command import Command, CommandError
from fastpath.vswitchd.commands.dpctl import find, is_datapath
from fastpath.vswitchd.datapaths import Datapath

if TYPE_CHECKING:
    from fastpath.dpif.netlink.kernel import DpInfo, Kernel
    from fastpath.vswitchd.daemon import Daemon
_FLAGS = {"-m": "more", "--more": "more", "-s": "statistics", "--statistics": "statistics"}


def by_kernel(command: Command) -> Command:
    """*command*, answered by the verb of that name of ``dpif.netlink.ctverbs`` for the kernel's datapaths."""
    verb, otherwise = command.name.partition("/")[2], command.answer

    def answer(daemon: Daemon, args: list[str]) -> str | None:
        datapath = _meant(daemon, [arg for arg in args if not arg.startswith("-")])
        return _ask(daemon, datapath, verb, args) if datapath is not None else otherwise(daemon, args)

    return Command(command.name, command.usage, command.min_args, command.max_args, answer)


def _meant(daemon: Daemon, words: list[str]) -> Datapath | None:
    """The kernel's datapath that *words* are about: the one named first, or the only one there is."""
    if words and is_datapath(daemon, words[0]):
        found = find(daemon, words[0])
    else:
        every = list(daemon.datapaths)
        if len(every) != 1:
            return None
        found, = every
    return found if found.switch.is_kernel else None


def _ask(daemon: Daemon, datapath: Datapath, verb: str, args: list[str]) -> str:
    from fastpath.dpif.netlink import ctverbs
    from fastpath.dpif.netlink.verb import CommandError as VerbError
    from fastpath.dpif.netlink.verb import Options
    options = Options(**{_FLAGS[arg]: True for arg in args if arg in _FLAGS})
    words = [arg for arg in args if not arg.startswith("-")]
    with datapath.switch.lock:
        try:
            return ctverbs.VERBS[verb](_Only(daemon, datapath), words, options)
        except VerbError as error:
            said = "".join(f"ovs-vswitchd: {line}\n" for line in str(error).splitlines())
            raise CommandError(error.printed + said) from None


class _Only:
    """The one datapath that a command is about, as the verbs ask for it."""

    def __init__(self, daemon: Daemon, datapath: Datapath) -> None:
        from fastpath.dpif.netlink.provider import NetlinkDpif
        assert isinstance(datapath.switch.dpif, NetlinkDpif)
        self._daemon, self._dpif = daemon, datapath.switch.dpif
        self.kernel: Kernel = self._dpif.kernel

    def names(self, word: str) -> bool:
        """Whether *word* names it."""
        return is_datapath(self._daemon, word)

    def opened(self, words: list[str], most: int) -> DpInfo:
        """It; its name is taken from *words*."""
        from fastpath.dpif.netlink.kernel import DpInfo
        from fastpath.dpif.netlink.verb import CommandError as VerbError
        if words and self.names(words[0]):
            words.pop(0)
        elif len(words) == most:
            raise VerbError(f"datapath not found ({os.strerror(errno.EINVAL)})")
        return DpInfo(self._dpif.name, self._dpif.index)
