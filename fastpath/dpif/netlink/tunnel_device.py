"""Devices for all tunnels of a kind that the kernel's datapath has no type of port for, over rtnetlink.

Of each packet such a device is told where it is to go (IFLA_GRE_COLLECT_METADATA); it is a port of the
datapath as any device is.  It goes neither with the port nor with the datapath: who takes these away removes
it.
Messages begin with ``struct ifinfomsg``, whose first bytes ``io.genl`` knows as a generic header.
"""

from __future__ import annotations

import errno
import struct

from fastpath.dpif.netlink.kernel import error_of
from fastpath.dpif.netlink.nla import attr
from fastpath.io.genl import CREATE, EXCL, LOST, ROUTE, Request, Requests, open_requests
from fastpath.io.vport import LINK_KINDS, TUNNEL_KINDS

_NEWLINK, _DELLINK = 16, 17                             # RTM_*
_IFNAME, _MTU, _LINKINFO, _KIND, _DATA = 3, 4, 18, 1, 2     # IFLA_*, IFLA_INFO_*
_COLLECT_METADATA = 18                                  # IFLA_GRE_*
_INFO = struct.Struct("=iII")                           # struct ifinfomsg from its index on: flags, change
_UP = 1                                                 # IFF_UP
_LARGEST = 0xFFFF
NAMES = {TUNNEL_KINDS[kind]: kind for kind in LINK_KINDS}


def make(name: str, kind: str, requests: Requests | None = None) -> None:
    """Make device *name* for tunnels of *kind*, or make it anew where there was one."""
    info = attr(_KIND, kind.encode()) + attr(_DATA, attr(_COLLECT_METADATA))
    body = (_INFO.pack(0, _UP, _UP) + attr(_IFNAME, name.encode() + b"\0")
            + attr(_MTU, struct.pack("=I", _LARGEST)) + attr(_LINKINFO, info))
    new = Request(_NEWLINK, 0, 0, body, CREATE | EXCL)
    _carry_out([new], f"tunnel device {name!r}", (errno.EEXIST, LOST), requests,
               again=[_removal(name), new])


def remove(name: str, requests: Requests | None = None) -> None:
    """Remove device *name*; it may be gone.  Raises FastpathError."""
    _carry_out([_removal(name)], f"tunnel device {name!r}", (errno.ENODEV,), requests)


def remove_of(port: str) -> None:
    """Remove the device that a port of this name had for itself, if it is one of those made here."""
    if port in NAMES:
        remove(port)


def _removal(name: str) -> Request:
    return Request(_DELLINK, 0, 0, _INFO.pack(0, 0, 0) + attr(_IFNAME, name.encode() + b"\0"))


def _carry_out(wanted: list[Request], what: str, fine: tuple[int, ...], requests: Requests | None,
               again: list[Request] | None = None) -> None:
    """Have *wanted* done.  After an error in *fine* all is well, or *again* is tried in its place."""
    own = requests or open_requests(ROUTE)
    try:
        reply, = own.transact(wanted)
        if reply.error in fine and again is not None:
            reply = own.transact(again)[-1]
            fine = ()
        if reply.error and reply.error not in fine:
            raise error_of(reply.error, what, reply.note)
    finally:
        if requests is None:
            own.close()
