"""The errors fastpath raises for what others did: bad input, refusals, missing privileges.

Every message is one lower-case line that names the thing, what was given and what would have been
right.  Our own bugs are assertions, not these.
"""

from __future__ import annotations


class FastpathError(Exception):
    """Base of all errors a caller may want to catch."""


class ParseError(FastpathError, ValueError):
    """Text (a flow, a match, an action, an address, a configuration) that cannot be read."""


class FormatError(FastpathError, ValueError):
    """Bytes (a capture file, a key, a program) that do not have the form they should."""


class ConfigError(FastpathError, ValueError):
    """Settings that are well formed but make no sense together."""


class ArgumentError(ConfigError, TypeError):
    """A call with an argument of a kind it does not take; nothing was done."""


class PortError(FastpathError):
    """A port that cannot be opened, found or used as asked."""


class PrivilegeError(PortError):
    """An operation the operating system refuses to this user."""


class NotFoundError(FastpathError, LookupError):
    """A bridge, port, flow or table that does not exist."""


class ExistsError(FastpathError):
    """A name or number that is taken."""


class TableFull(FastpathError):
    """A table at its limit; nothing was changed."""


class DatapathError(FastpathError):
    """A request that the kernel's datapath refused; *errno* is its reason."""

    def __init__(self, errno: int, message: str) -> None:
        super().__init__(message)
        self.errno = errno

    def __reduce__(self) -> tuple[type[DatapathError], tuple[int, str]]:
        return type(self), (self.errno, str(self))


class OpenFlowError(FastpathError):
    """A request OpenFlow refuses; *code* is the name of the error, such as ``OFPBAC_BAD_ARGUMENT``.

    Of a message with a list, *so_far* is the message with what stands before the part that is wrong."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.so_far: object = None


class StepRefused(OpenFlowError):
    """A bundle whose *step*, counted from 0, was refused; nothing was changed."""

    def __init__(self, code: str, detail: str, step: int) -> None:
        super().__init__(code, f"step {step + 1}: {detail}")
        self.step = step

    def __reduce__(self) -> tuple[type[OpenFlowError], tuple[object, ...]]:
        return type(self), (self.code, self.detail.partition(": ")[2], self.step)


class InvalidFlow(ParseError, OpenFlowError):
    """A flow that can be read but that no switch would take: *code* is what a switch would say."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.args = (message,)
        self.detail = message

    def __reduce__(self) -> tuple[type[OpenFlowError], tuple[str, str]]:
        return type(self), (self.code, self.detail)
