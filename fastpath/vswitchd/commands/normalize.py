"""``dpctl/normalize-actions``: actions in a form in which two lists that do the same are the same text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.dpif.normalize import tell
from fastpath.vswitchd.commands.command import MANY, Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def normalize_actions(daemon: Daemon, args: list[str]) -> str:
    """What is done to the packets of a flow, by the tags they have then; ports may be named."""
    verbose, words = "-m" in args or "--more" in args, [arg for arg in args if arg not in ("-m", "--more")]
    said, wrong = tell(words, verbose=verbose, max_tags=1)
    if wrong:
        raise CommandError(f"{said}ovs-vswitchd: {wrong}")
    return said


COMMANDS = (Command("dpctl/normalize-actions", "actions", 2, MANY, normalize_actions),)
