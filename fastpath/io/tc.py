"""The queueing discipline at the root of a device of this host, over rtnetlink (``linux/pkt_sched.h``).

``Root`` installs the kinds that the database's QoS rows name (ovs-vswitchd.conf.db(5)), and for htb and hfsc
a class 1:N+1 for each queue N under the class 1:fffe.  Rates are in bytes a second here.

Messages begin with ``struct tcmsg``, whose first bytes ``io.genl`` knows as a generic header.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from functools import cache
from pathlib import Path

from fastpath.errors import FormatError, PortError
from fastpath.io.genl import CREATE, DUMP, ECHO, EXCL, ROUTE, Reply, Request, open_requests
from fastpath.io.netdev import attributes
from fastpath.value import value

N_QUEUES = 0xF000
_NEWQDISC, _DELQDISC, _GETQDISC, _NEWTCLASS, _DELTCLASS, _GETTCLASS = 36, 37, 38, 40, 41, 42      # RTM_*
_KIND, _OPTIONS, _STATS2, _STATS_BASIC, _STATS_QUEUE = 1, 2, 7, 1, 3    # TCA_*, TCA_STATS_*
_HTB_PARMS, _HTB_INIT, _HTB_CTAB, _HTB_RTAB = 1, 2, 3, 4                # TCA_HTB_*
_HFSC_CURVES = 1, 2, 3                                                  # TCA_HFSC_*: real time, share, limit
_TCM = struct.Struct("=iIII")           # struct tcmsg from its index on: handle, parent, info
_ATTR = struct.Struct("=HH")
_ROOT, _HANDLE, _TOP = 0xFFFFFFFF, 0x10000, 0x1FFFE
_HTB_GLOB = struct.pack("=5I", 3, 10, 1, 0, 0)          # version, rate to quantum, default class
_RATE_TO_QUANTUM = 10
_RTAB_LEN, _MIN_FRAME, _HEADERS = 256, 60, 18           # of frames: without FCS; Ethernet and one tag
_U32 = 0xFFFFFFFF


@value
class Class:
    """What one queue is given: bytes a second at least and at most, bytes at once (htb), its turn (htb)."""

    min_rate: int
    max_rate: int
    burst: int = 0
    priority: int = 0


@value
class Sent:
    """What a class has sent and dropped."""

    packets: int
    bytes: int
    drops: int


@cache
def _clock() -> tuple[float, int]:
    """Ticks of the kernel's packet schedulers a second, and the rate at which they send, as it tells."""
    try:
        us, per, second, hz = (int(word, 16) for word in Path("/proc/net/psched").read_text().split())
        return us * second / per, hz
    except (OSError, ValueError, ZeroDivisionError):
        return 1.0, 100


def ticks(rate: int, size: int) -> int:
    """Time that *size* bytes take at a rate."""
    return int(_clock()[0]) * size // rate & _U32 if rate else 0


def _attr(number: int, payload: bytes) -> bytes:
    return _ATTR.pack(4 + len(payload), number) + payload + bytes(-len(payload) % 4)


def u32s(*pairs: tuple[int, int]) -> bytes:
    """Attributes that are numbers."""
    return b"".join(_attr(number, struct.pack("=I", n & _U32)) for number, n in pairs)


def _cell_log(mtu: int) -> int:
    """By how many bits lengths are shifted to index a table of 256."""
    return max(0, (mtu + _HEADERS).bit_length() - 8)


def _htb_class(c: Class, mtu: int) -> bytes:
    """The options of a class of htb; a quantum of its own where the rate would give too little a one."""
    log = _cell_log(mtu)
    rates = [min(rate, _U32) for rate in (c.min_rate, c.max_rate)]
    specs = b"".join(struct.pack("=BBHhHI", log, 0, 0, 0, _MIN_FRAME, rate) for rate in rates)
    buffers = [ticks(rate, max(c.burst, rate // _clock()[1] + mtu)) for rate in rates]
    quantum = mtu if c.min_rate // _RATE_TO_QUANTUM < mtu else 0
    tables = [struct.pack(f"={_RTAB_LEN}I", *(ticks(rate, max(_MIN_FRAME, i + 1 << log))
                                              for i in range(_RTAB_LEN))) for rate in rates]
    return (_attr(_HTB_PARMS, specs + struct.pack("=5I", *buffers, quantum, 0, c.priority & _U32))
            + _attr(_HTB_RTAB, tables[0]) + _attr(_HTB_CTAB, tables[1]))


def _hfsc_class(c: Class, _mtu: int) -> bytes:
    """The options of a class of hfsc: straight curves."""
    return b"".join(_attr(number, struct.pack("=3I", 0, 0, rate & _U32)) for number, rate in
                    zip(_HFSC_CURVES, (c.min_rate, c.min_rate, c.max_rate), strict=True))


_CLASSES = {"htb": _htb_class, "hfsc": _hfsc_class}
_BARE = {"htb": _attr(_HTB_INIT, _HTB_GLOB), "hfsc": struct.pack("=H", 1)}      # default class 1


class Root:
    """The root discipline of device *name*.  Raises PortError where the kernel refuses."""

    def __init__(self, name: str) -> None:
        self.name = name

    def kind(self) -> str:
        """Its kind in the kernel's words; empty for what no one chose."""
        reply = self._ask(Request(_GETQDISC, 0, 0, self._head(0, _ROOT), ECHO), errno.ENOENT, errno.EINVAL)
        for _, body in reply.bodies:
            return dict(attributes(body[_TCM.size:])).get(_KIND, b"").rstrip(b"\0").decode()
        return ""

    def remove(self) -> None:
        """Have the device use what it does by itself; that it does so already is no error."""
        self._ask(Request(_DELQDISC, 0, 0, self._head(0, _ROOT)), errno.EINVAL, errno.ENOENT)

    def install(self, kind: str, options: bytes | None = None) -> None:
        """Put a discipline of a kind in the place of what is there; those with classes need no *options*."""
        self.remove()
        body = self._body(_HANDLE, _ROOT, kind, _BARE[kind] if options is None else options)
        self._ask(Request(_NEWQDISC, 0, 0, body, CREATE | EXCL))

    def set_top(self, kind: str, rate: int, mtu: int) -> None:
        """Give the class above all queues its rate."""
        self._set(kind, _TOP, _HANDLE, Class(rate, rate), mtu)

    def set_class(self, kind: str, queue_id: int, wanted: Class, mtu: int) -> None:
        """Make or change the class of a queue."""
        self._set(kind, _HANDLE + queue_id + 1, _TOP, wanted, mtu)

    def _set(self, kind: str, handle: int, parent: int, wanted: Class, mtu: int) -> None:
        body = self._body(handle, parent, kind, _CLASSES[kind](wanted, mtu))
        self._ask(Request(_NEWTCLASS, 0, 0, body, CREATE))

    def delete_class(self, queue_id: int) -> None:
        """Remove the class of a queue."""
        self._ask(Request(_DELTCLASS, 0, 0, self._head(_HANDLE + queue_id + 1, 0)))

    def classes(self) -> dict[int, Sent]:
        """What the class of each queue has sent."""
        reply = self._ask(Request(_GETTCLASS, 0, 0, self._head(0, 0), DUMP))
        found = {}
        for _, body in reply.bodies:
            handle = _TCM.unpack_from(body)[1]
            if 0 < handle - _HANDLE <= N_QUEUES:
                found[handle - _HANDLE - 1] = _sent(body[_TCM.size:])
        return found

    def _head(self, handle: int, parent: int) -> bytes:
        try:
            return _TCM.pack(socket.if_nametoindex(self.name), handle, parent, 0)
        except OSError as error:
            raise PortError(os.strerror(errno.ENODEV)) from error

    def _body(self, handle: int, parent: int, kind: str, options: bytes) -> bytes:
        return self._head(handle, parent) + _attr(_KIND, kind.encode() + b"\0") + _attr(_OPTIONS, options)

    @staticmethod
    def _ask(request: Request, *fine: int) -> Reply:
        requests = open_requests(ROUTE)
        try:
            reply, = requests.transact([request])
        finally:
            requests.close()
        if reply.error and reply.error not in fine:
            raise PortError(os.strerror(reply.error))
        return reply


def _sent(data: bytes) -> Sent:
    """The counters in the attributes of a class.  Raises FormatError."""
    stats = dict(attributes(dict(attributes(data)).get(_STATS2, b"")))
    basic, queue = stats.get(_STATS_BASIC, b""), stats.get(_STATS_QUEUE, b"")
    if len(basic) < 12 or len(queue) < 12:
        raise FormatError("netlink: a class without counters")
    n_bytes, packets = struct.unpack_from("=QI", basic)
    return Sent(packets, n_bytes, struct.unpack_from("=8xI", queue)[0])
