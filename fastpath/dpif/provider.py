"""What ofproto asks of a datapath, whichever it is: ports, flows, packets, upcalls.

Implemented by ``dpif.userspace`` over the compiled datapath and by ``dpif.netlink`` over the kernel's.
Single calls answer at once; bulk work goes through ``operate``, whose results stand in the order of its
operations.  All calls come from one thread (the owner of the Switch).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import NamedTuple, TypeAlias

from fastpath._flow import FlowKey
from fastpath.dpif.actions import OdpActions, Userdata
from fastpath.value import field, record, value

# What ``flow_counters`` tells of one flow: packets, bytes, microseconds on the datapath's clock when last hit
# (0: never, -1: there is no such flow), TCP flags.  Packed, as all flows are asked for it twice a second.
COUNTERS = Struct("=QQqQ")
UFID = Struct("=Q")


class FlowStats(NamedTuple):
    """Counters of one flow; *used* is seconds on the datapath's clock or None if never hit;
    *tcp_flags* is the or of those seen."""

    n_packets: int
    n_bytes: int
    used: float | None
    tcp_flags: int


@record
class DpFlow:
    """One installed flow.  *ufid* is the handle that names it (unique, never reused while alive)."""

    ufid: int
    key: FlowKey
    mask: FlowKey
    actions: OdpActions
    stats: FlowStats


@record
class FlowPut:
    """Install a flow, or with *ufid* replace the actions of that one.  Result: ufid, or an error."""

    key: FlowKey
    mask: FlowKey
    actions: OdpActions
    ufid: int | None = None


@record
class FlowDel:
    """Remove a flow.  Result: its final FlowStats, or an error if it is gone."""

    ufid: int


@record
class Execute:
    """Run *actions* over a packet.  *key* gives its metadata (in_port, recirc_id, marks, ct)."""

    packet: bytes
    key: FlowKey
    actions: OdpActions
    # checksum and segmentation still owed to the bytes (opaque vnet header), as the upcall gave it
    vnet: bytes = b""


Operation: TypeAlias = FlowPut | FlowDel | Execute


@record
class Upcall:
    """A packet the datapath hands up: a miss (*userdata* None) or a userspace() action."""

    packet: bytes
    key: FlowKey                    # as extracted; in_port is the odp_port
    userdata: Userdata | None = None
    vnet: bytes = b""
    total_len: int = 0              # before truncation


@record
class PortStats:
    """Counters of one port since it was added."""

    rx_packets: int = 0
    rx_bytes: int = 0
    rx_dropped: int = 0
    rx_errors: int = 0
    tx_packets: int = 0
    tx_bytes: int = 0
    tx_dropped: int = 0
    tx_errors: int = 0


@value
class MeterBand:
    """What happens above *rate* (kbit/s or packets/s) once *burst* (kbit or packets) is used up: packets are
    dropped, or with *prec_level* their DSCP's drop precedence is raised by so much."""

    rate: int
    burst: int
    prec_level: int = 0


@value
class MeterStats:
    """Packets and bytes a meter saw since it was set, and those of each band."""

    n_packets: int
    n_bytes: int
    bands: tuple[tuple[int, int], ...]


@record
class DatapathStats:
    """Counters of the whole datapath."""

    n_hit: int = 0                  # packets answered by a flow, from cache or table
    n_cache_hit: int = 0            # of these, by the signature cache
    n_missed: int = 0
    n_lost: int = 0                 # misses that never reached ofproto
    n_flows: int = 0
    n_masks: int = 0
    drops: dict[str, int] = field(default_factory=dict)     # reason -> packets


_CLASSES, MAX_CLASSES = 1 << 16, 0xF000          # of discipline 1:, which is that of a device's root


@value
class Features:
    """What the datapath below can do, so that no action is emitted that it does not know."""

    max_vlan_headers: int = 2
    max_mpls_depth: int = 3
    masked_set: bool = True
    recirc: bool = True
    trunc: bool = True
    clone: bool = True
    check_pkt_len: bool = True
    add_mpls: bool = True
    ct_state: bool = True
    ct_zone: bool = True
    ct_mark: bool = True
    ct_label: bool = True
    ct_state_nat: bool = True
    ct_orig_tuple: bool = True
    ct_orig_tuple6: bool = True
    queue_classes: bool = False         # a queue is a class of the kernel's queueing, as a packet's priority

    def priority_of(self, queue: int) -> int | None:
        """The packet priority that stands for a queue, None where none does: the number of the queue, or the
        handle of its class, TC_H_MAKE(1 << 16, queue + 1)."""
        if not self.queue_classes:
            return queue
        return _CLASSES | queue + 1 if queue < MAX_CLASSES else None

    def queue_of(self, priority: int) -> int | None:
        """The queue that a packet priority stands for, None if for none."""
        if not self.queue_classes:
            return priority
        queue = (priority ^ _CLASSES) - 1
        return queue if 0 <= queue < MAX_CLASSES else None

    @property
    def has_all_of_conntrack(self) -> bool:
        """Whether nothing of conntrack is missing."""
        return (self.ct_state and self.ct_zone and self.ct_mark and self.ct_label and self.ct_state_nat
                and self.ct_orig_tuple and self.ct_orig_tuple6)


class Dpif(ABC):
    """A datapath.  Ports are numbered by odp_port; 0xffffffff is none."""

    @abstractmethod
    def port_add(self, port: object, odp_port: int | None = None) -> int:
        """Attach *port* (an io port); return its odp_port: the one asked for, or the lowest free.
        Raises ExistsError when the number or the port is taken."""

    @abstractmethod
    def port_del(self, odp_port: int) -> None:
        """Detach a port; packets it had accepted are forwarded or counted first."""

    @abstractmethod
    def port_stats(self, odp_port: int) -> PortStats:
        """Counters of one port."""

    @abstractmethod
    def operate(self, ops: Sequence[Operation]) -> list[object]:
        """Carry out *ops* in order; each result stands in its place, errors as exception objects."""

    @abstractmethod
    def flow_get(self, ufid: int) -> DpFlow | None:
        """One flow with live statistics."""

    @abstractmethod
    def flow_dump(self) -> Iterator[DpFlow]:
        """Every installed flow with live statistics."""

    @abstractmethod
    def flow_stats(self, ufids: Iterable[int]) -> list[FlowStats | None]:
        """Live statistics of many flows at once."""

    # The same for many flows at once; providers that can do it faster do.

    def flow_counters(self, ufids: bytes) -> bytes:
        """COUNTERS of the flows whose *ufids* stand there as UFID."""
        return b"".join(_counters(stats) for stats in self.flow_stats(n for n, in UFID.iter_unpack(ufids)))

    def flow_delete(self, ufids: bytes) -> bytes:
        """Remove flows; return their final COUNTERS."""
        gone = self.operate([FlowDel(ufid) for ufid, in UFID.iter_unpack(ufids)])
        return b"".join(_counters(stats if isinstance(stats, FlowStats) else None) for stats in gone)

    def flow_install(self, keys: list[FlowKey], masks: list[FlowKey],
                     actions: list[OdpActions]) -> list[object]:
        """Install flows; a ufid or an exception object for each."""
        return self.operate(list(map(FlowPut, keys, masks, actions)))

    def execute(self, todo: Sequence[tuple[Upcall, OdpActions]]) -> list[object]:
        """Run actions over packets that came up; a result for each as of ``Execute``."""
        return self.operate([Execute(up.packet, up.key, actions, up.vnet) for up, actions in todo])

    @abstractmethod
    def flow_flush(self) -> None:
        """Remove every flow."""

    @abstractmethod
    def recv(self, limit: int) -> list[Upcall]:
        """Up to *limit* waiting upcalls, oldest first."""

    @abstractmethod
    def stats(self) -> DatapathStats:
        """Counters of the datapath."""

    @property
    @abstractmethod
    def max_meters(self) -> int:
        """Meters it has, numbered from 0."""

    @abstractmethod
    def meter_set(self, meter_id: int, *, pktps: bool, bands: Sequence[MeterBand]) -> None:
        """Create or change a meter, with rates in packets/s or kbit/s; it counts from 0."""

    @abstractmethod
    def meter_stats(self, meter_id: int) -> MeterStats:
        """Counters of a meter.  Raises NotFoundError."""

    @abstractmethod
    def meter_del(self, meter_id: int) -> None:
        """Remove a meter.  Raises NotFoundError."""

    @abstractmethod
    def set_now(self, now: float) -> None:
        """Tell the datapath the time (seconds); virtual when the caller says so."""


class Datapath(Dpif):
    """A datapath that a Switch runs: by turns of its own, or in threads beside it.  *is_ours* tells whether
    packets are moved by this program, between ports of its own; *poll_us* is then how long its threads look
    for packets when there are none, at most, before they sleep."""

    is_ours = True
    poll_us: int = 0

    @property
    def features(self) -> Features:
        """What translation may ask of it."""
        return Features()

    @abstractmethod
    def turn(self, rounds: int = 1) -> int:
        """Move packets in this thread, *rounds* times at most; how many came in."""

    @abstractmethod
    def start_threads(self, n: int = 1) -> None:
        """Have *n* threads move packets from now on."""

    @abstractmethod
    def stop_threads(self) -> None:
        """End the threads; nothing they had accepted is lost."""

    @abstractmethod
    def wait(self, timeout: float) -> bool:
        """Block without the GIL until upcalls wait; False when *timeout* seconds pass first."""

    @abstractmethod
    def interrupt(self) -> None:
        """Have wait() return now, or when it is called next; from any thread."""

    @abstractmethod
    def close(self) -> None:
        """Let the ports go and end."""


def _counters(stats: FlowStats | None) -> bytes:
    if stats is None:
        return COUNTERS.pack(0, 0, -1, 0)
    return COUNTERS.pack(stats.n_packets, stats.n_bytes, round((stats.used or 0.0) * 1e6), stats.tcp_flags)
