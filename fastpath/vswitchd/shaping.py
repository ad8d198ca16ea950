"""How a device of the host shapes what it sends: the QoS row of its port, carried out through ``io.tc``.

As in the reference a port without a QoS row, or with one of no type, has the discipline at the device's root
taken away; ``linux-noop`` leaves it as somebody else made it.  Where a type is not known the discipline stays
as it is, with the queues of the row.  Queues that stay keep what they have counted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from fastpath.errors import FastpathError, PortError
from fastpath.io import tc
from fastpath.io.tc import Class, Root, Sent
from fastpath.ofproto.queue import QueueCounts
from fastpath.value import field, record
from fastpath.vswitchd.qos import QosWanted, QueueWanted

NOOP, OTHER = "linux-noop", "linux-other"
CLASSFUL = {"linux-htb": "htb", "linux-hfsc": "hfsc"}
# Attributes that are numbers: the database's name, the kernel's, what stands for none.
_NUMBERS = {
    "linux-codel": (("target", 1, 5000), ("limit", 2, 10240), ("interval", 3, 100_000)),
    "linux-fq_codel": (("target", 1, 5000), ("limit", 2, 10240), ("interval", 3, 1_000_000),
                       ("flows", 5, 1024), ("quantum", 6, 1514)),
}
_SFQ, _NETEM = struct.Struct("=IiIII"), struct.Struct("=6I")    # tc_sfq_qopt, tc_netem_qopt
TYPES = (*CLASSFUL, *_NUMBERS, "linux-sfq", "linux-netem", NOOP)
_U32 = 0xFFFFFFFF
_PERCENT = 100
_US = 1_000_000
_EXTRA = 64                             # bytes of a burst beyond the MTU, for headers
# Bits of what a device does, and bits a second.
_SPEEDS = ((1 << 9, 10**12), (1 << 8, 10**11), (1 << 7, 4 * 10**10), (1 << 6, 10**10), (3 << 4, 10**9),
           (3 << 2, 10**8), (3, 10**7))
_USUAL_SPEED = 10**8


def speed(features: int) -> int:
    """Bits a second of a device by its current features."""
    return next((bps for bits, bps in _SPEEDS if features & bits), _USUAL_SPEED)


def _number(settings: Mapping[str, str], name: str) -> int:
    text = settings.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _plain(kind: str, settings: Mapping[str, str], mtu: int) -> tuple[dict[str, int], bytes]:
    """What a discipline without classes is set to, as it is told, and as the kernel takes it."""
    if kind in _NUMBERS:
        rows = _NUMBERS[kind]
        told = {name: (_number(settings, name) & _U32) or usual for name, _, usual in rows}
        return told, tc.u32s(*((number, told[name]) for name, number, _ in rows))
    if kind == "linux-sfq":
        told = {"quantum": _number(settings, "quantum") or mtu, "perturb": _number(settings, "perturb") or 10}
        return told, _SFQ.pack(told["quantum"] & _U32, told["perturb"] & _U32 >> 1, 0, 0, 0)
    told = {"latency": _number(settings, "latency"), "limit": _number(settings, "limit") or 1000,
            "loss": _number(settings, "loss")}
    if told["loss"] > _PERCENT:
        raise PortError("Invalid argument")
    return told, _NETEM.pack(tc.ticks(_US, told["latency"]), told["limit"] & _U32,
                             _U32 * told["loss"] // _PERCENT, 0, 0, 0)


def _class(kind: str, settings: Mapping[str, str], top: int, mtu: int) -> Class:
    """What a queue is given below a discipline of *top* bytes a second."""
    is_htb = kind == "htb"
    least = min(max(_number(settings, "min-rate") // 8, mtu if is_htb else 1), top)
    most = _number(settings, "max-rate") // 8 if _number(settings, "max-rate") else top
    most = min(max(most, least), top)
    if not is_htb:
        return Class(least, most)
    return Class(least, most, max(_number(settings, "burst") // 8, mtu + _EXTRA),
                 _number(settings, "priority"))


def _told(c: Class) -> dict[str, int]:
    """The settings of a queue in the database's words."""
    told = {"min-rate": 8 * c.min_rate}
    if c.min_rate != c.max_rate:
        told["max-rate"] = 8 * c.max_rate
    if c.burst:
        told["burst"] = 8 * c.burst
    if c.priority:
        told["priority"] = c.priority
    return told


@record(eq=False)
class Shaper:
    """The shaping of one device; *type* is what is installed, None where that is not known."""

    root: Root
    type: str | None = None
    settings: dict[str, int] = field(default_factory=dict)
    queues: dict[int, dict[str, int]] = field(default_factory=dict)
    created: dict[int, float] = field(default_factory=dict)
    _top: int = 0

    def apply(self, wanted: QosWanted, *, mtu: int, bps: int, now: float) -> Iterator[str]:
        """Carry a row out.  Yields what is to be warned of."""
        if wanted.type == NOOP:
            self._forget("")
            return
        try:
            self._load(now)
            if not wanted.type or wanted.type in TYPES:
                yield from self._set(wanted, mtu, bps)
                self._load(now)                 # what is there where that failed
            if wanted.type and self.type in CLASSFUL:       # of another type, too, if that could not be had
                yield from self._set_queues(wanted.queues, mtu, now)
        except FastpathError as error:
            yield f"{self.root.name}: {error}"

    def counts(self) -> Mapping[int, Sent]:
        """What the queues have sent, by number."""
        try:
            return self.root.classes() if self.queues else {}
        except FastpathError:
            return {}                   # the device is gone

    def counted(self, number: int) -> QueueCounts:
        """What a queue has sent, for OpenFlow."""
        sent = self.counts().get(number)
        return QueueCounts() if sent is None else QueueCounts(
            sent.packets, sent.bytes, sent.drops, self.created.get(number))

    def _load(self, now: float) -> None:
        if self.type is not None:
            return
        kind = self.root.kind()
        self.type = next((t for t in TYPES if t == f"linux-{kind}"), OTHER) if kind else ""
        if self.type in CLASSFUL:
            self.queues = {number: {} for number in self.root.classes()}
            self.created = dict.fromkeys(self.queues, now)

    def _set(self, wanted: QosWanted, mtu: int, bps: int) -> Iterator[str]:
        """The discipline itself."""
        kind, settings = wanted.type, dict(wanted.settings)
        was = self.type
        if not kind:
            if was:
                self.root.remove()
            self._forget("")
            return
        try:
            if kind in CLASSFUL:
                self._top = min((_number(settings, "max-rate") // 8 or bps // 8), _U32)
                if was != kind:
                    self._forget(None)
                    self.root.install(CLASSFUL[kind])
                self.root.set_top(CLASSFUL[kind], self._top, mtu)
                self.settings = {"max-rate": 8 * self._top}
            else:
                told, options = _plain(kind, settings, mtu)
                if was != kind or told != self.settings:
                    self._forget(None)
                    self.root.install(kind.removeprefix("linux-"), options)
                self.settings = told
            self.type = kind
        except PortError as error:
            self._forget(None)
            yield f"{self.root.name}: Failed to install new qdisc: {error}"

    def _forget(self, kind: str | None) -> None:
        self.type, self.settings, self.queues, self.created = kind, {}, {}, {}

    def _set_queues(self, wanted: tuple[QueueWanted, ...], mtu: int, now: float) -> Iterator[str]:
        kind = CLASSFUL[self.type or ""]
        asked = {0: dict[str, str]()} | {q.queue_id: dict(q.settings) for q in wanted
                                         if q.queue_id < tc.N_QUEUES}
        for number in self.queues.keys() - asked.keys():
            self.root.delete_class(number)
            del self.queues[number], self.created[number]
        for number, settings in sorted(asked.items()):
            c = _class(kind, settings, self._top, mtu)
            if self.queues.get(number) == _told(c):
                continue
            try:
                self.root.set_class(kind, number, c, mtu)
            except PortError as error:
                yield (f"failed to replace {self.root.name} class 1:{number + 1}, parent 1:65534, "
                       + (f"min_rate={c.min_rate} max_rate={c.max_rate} burst={c.burst} prio={c.priority}"
                          if kind == "htb" else f"min-rate {c.min_rate}bps, max-rate {c.max_rate}bps")
                       + f" ({error})")
                continue
            self.queues[number] = _told(c)
            self.created.setdefault(number, now)
