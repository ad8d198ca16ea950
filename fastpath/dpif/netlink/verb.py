"""What a verb of dpctl over the kernel's datapaths is: words and options in; text, or what is wrong, out.

The verbs are ``fastpath dpctl``'s, and of those that only the kernel can answer the daemon's, too.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Protocol, TypeAlias

from fastpath.dpif.netlink.kernel import DpInfo, Kernel
from fastpath.errors import DatapathError, ExistsError, FastpathError, NotFoundError, PrivilegeError
from fastpath.value import value


class CommandError(FastpathError):
    """A command that failed: its messages, a line each, what it had printed before, and its exit status."""

    def __init__(self, *lines: str, printed: str = "", status: int = 1) -> None:
        super().__init__("\n".join(lines))
        self.printed, self.status = printed, status


@value
class Options:
    """Options, as given anywhere among the words."""

    statistics: bool = False
    more: bool = False
    names: bool | None = None
    may_create: bool = False
    clear: bool = False


def reason(error: FastpathError | int) -> str:
    """What strerror says of an error."""
    if isinstance(error, int):
        return os.strerror(error)
    if isinstance(error, DatapathError):
        return os.strerror(error.errno)
    kinds = {NotFoundError: errno.ENODEV, ExistsError: errno.EEXIST, PrivilegeError: errno.EPERM}
    return os.strerror(kinds.get(type(error), errno.EINVAL))


class Target(Protocol):
    """The datapaths that a command line may be about."""

    @property
    def kernel(self) -> Kernel:
        """The kernel they are in."""

    def names(self, word: str) -> bool:
        """Whether *word* is the name of one."""

    def opened(self, words: list[str], most: int) -> DpInfo:
        """The datapath a verb of at most *most* words is about: the one its first word names, which is taken
        away, else the only one there is.  Raises CommandError."""


Verb: TypeAlias = Callable[[Target, list[str], Options], str]
