"""The datapath that a name stands for: ``netdev``, our own in this process, or ``system``, the kernel's.

``system@NAME`` is the kernel's datapath called NAME.  What the kernel's needs is imported when asked for.
"""

from __future__ import annotations

from fastpath.dpif.provider import Datapath
from fastpath.dpif.userspace import UserspaceDpif
from fastpath.errors import ConfigError

KINDS = ("netdev", "system")


def split_name(datapath: str) -> tuple[str, str]:
    """Kind and name of a datapath, the name empty when not given.  Raises ConfigError."""
    kind, _, name = datapath.partition("@")
    if kind not in KINDS or (name and kind != "system"):
        raise ConfigError(f"datapath {datapath!r}: expected {' or '.join(KINDS)}, or system@NAME")
    return kind, name


def open_datapath(datapath: str, *, seed: int, flow_limit: int) -> Datapath:
    """The datapath called so.  Raises ConfigError where there is no such, PrivilegeError where we may not."""
    kind, name = split_name(datapath)
    if kind == "netdev":
        return UserspaceDpif(seed=seed, flow_limit=flow_limit)
    from fastpath.dpif.netlink.provider import NAME, NetlinkDpif
    return NetlinkDpif(name or NAME)
