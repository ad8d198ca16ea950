"""Groups: what a group is, and the table of a bridge's groups with what a group mod does to it.

A group sends a packet through *buckets*, each a little action set: through all of them (``all``), through
one chosen by hash (``select``), through its only one (``indirect``) or through the first whose watched
port or group is alive (``ff``).  Groups may name groups, even themselves; nothing checks chains when they
are made, as in the reference, and translation has its limits for loops.

A modified group is a new object in the place of the old one, which translations still going on, and
flows not yet revalidated, may hold; its counters start again from 0, as the reference's do.  Text is
``group_text``'s business, choosing a bucket that of ``xlate.group``.  One writer: the owner of the Switch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from itertools import count

from fastpath.errors import OpenFlowError
from fastpath.fields import Field
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.output import GROUP_MAX, OFPP_ANY
from fastpath.value import field, record, replace, value

GROUP_ALL, GROUP_ANY = 0xFFFFFFFC, 0xFFFFFFFF
BUCKET_MAX, BUCKET_FIRST, BUCKET_LAST, BUCKET_ALL = 0xFFFFFF00, 0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF
METHODS = ("", "hash", "dp_hash")
MAX_SLOTS = 256                 # of the table from a datapath's hash to buckets
MIN_SLOTS = 16
HASH_ALGORITHMS = ("l4", "sym_l4")      # of dp_hash, by number: the upper half of selection_method_param


class GroupType(IntEnum):
    """How a group uses its buckets (OpenFlow 1.1 section 5.6)."""

    ALL = 0
    SELECT = 1
    INDIRECT = 2
    FF = 3


class GroupCommand(IntEnum):
    """What a group mod asks for (OpenFlow 1.5 section 7.3.4.3; ADD_OR_MOD is an extension)."""

    ADD = 0
    MODIFY = 1
    DELETE = 2
    INSERT_BUCKET = 3
    REMOVE_BUCKET = 5
    ADD_OR_MOD = 0x8000


@value
class Bucket:
    """One bucket.  *bucket_id* BUCKET_ALL means that one is still to be given.  *weight* None means the
    usual one: 1 in a select group, 0 elsewhere."""

    actions: ActionList
    bucket_id: int = BUCKET_ALL
    weight: int | None = None
    watch_port: int = OFPP_ANY
    watch_group: int = GROUP_ANY

    @property
    def is_watching(self) -> bool:
        """Whether it may be dead: it names a port or a group to watch."""
        return self.watch_port != OFPP_ANY or self.watch_group != GROUP_ANY


@value
class GroupMod:
    """One request.  *fields* are what ``selection_method=hash`` hashes, in the order of the field table,
    each with the mask of the bits that count."""

    command: GroupCommand = GroupCommand.ADD
    group_id: int = GROUP_ALL
    type: GroupType = GroupType.ALL
    buckets: tuple[Bucket, ...] = ()
    method: str = ""
    method_param: int = 0
    fields: tuple[tuple[Field, int], ...] = ()
    command_bucket_id: int = BUCKET_ALL

    def __str__(self) -> str:
        from fastpath.ofproto.group_text import format_group_mod  # text is one layer up from values
        return format_group_mod(self)


@record
class Counter:
    """Packets and bytes."""

    n_packets: int = 0
    n_bytes: int = 0

    def add(self, n_packets: int, n_bytes: int) -> None:
        """Count some more."""
        self.n_packets += n_packets
        self.n_bytes += n_bytes


@record(eq=False)
class Group:
    """One group.  Its buckets have ids and weights.  *slots*, for select groups a datapath may choose for,
    maps the low bits of its hash to buckets; empty where weights are too uneven for that."""

    group_id: int
    type: GroupType
    buckets: tuple[Bucket, ...]
    method: str
    method_param: int
    fields: tuple[tuple[Field, int], ...]
    created: float
    modified: float
    slots: tuple[Bucket, ...] = ()
    counter: Counter = field(default_factory=Counter)
    bucket_counters: dict[int, Counter] = field(default_factory=dict)      # by bucket id

    def __post_init__(self) -> None:
        self.bucket_counters = {bucket.bucket_id: Counter() for bucket in self.buckets}
        if self.type is GroupType.SELECT and self.method != "hash":
            self.slots = spread(self.buckets, max_slots=MAX_SLOTS)

    def __str__(self) -> str:
        from fastpath.ofproto.group_text import format_group
        return format_group(self)

    def credit(self, bucket: Bucket | None, n_packets: int, n_bytes: int) -> None:
        """Count packets that went through *bucket*, or through all of them."""
        self.counter.add(n_packets, n_bytes)
        for b in self.buckets if bucket is None else (bucket,):
            self.bucket_counters[b.bucket_id].add(n_packets, n_bytes)


def spread(buckets: Sequence[Bucket], *, max_slots: int) -> tuple[Bucket, ...]:
    """Buckets dealt out to a power of two of hash values in proportion to their weights, by Webster's
    method (as seats are to parties); () when the least weight would not get one within *max_slots*."""
    weights = [bucket.weight or 0 for bucket in buckets]
    n_slots = slots_wanted(weights)
    if not n_slots or n_slots > max_slots:
        return ()
    seats = [0] * len(weights)
    out = []
    for _ in range(n_slots):
        winner = max(range(len(weights)), key=lambda i: weights[i] / (2 * seats[i] + 1))
        seats[winner] += 1
        out.append(buckets[winner])
    return tuple(out)


def slots_wanted(weights: Sequence[int]) -> int:
    """How many hash values it takes for the least of *weights* to get one; 0 if there is no weight at all."""
    least = min((w for w in weights if w), default=0)
    return max(MIN_SLOTS, 1 << (-(-sum(weights) // least) - 1).bit_length()) if least else 0


def _refuse(code: str, detail: str) -> OpenFlowError:
    return OpenFlowError(code, detail)


def number_buckets(buckets: Iterable[Bucket], *, taken: Iterable[int] = (), strict: bool = False
                   ) -> tuple[Bucket, ...]:
    """*buckets* with ids for those that have none: the lowest that nobody has.  In *strict* mode, as the
    reference, ids given before the first bucket without one are not heeded, so two may come out equal."""
    buckets = tuple(buckets)
    first = next((i for i, b in enumerate(buckets) if b.bucket_id > BUCKET_MAX), 0) if strict else 0
    used = {b.bucket_id for b in buckets[first:]}.union(taken)
    free = (i for i in count() if i not in used)
    return tuple(replace(b, bucket_id=next(free)) if b.bucket_id > BUCKET_MAX else b for b in buckets)


def weigh_buckets(buckets: Iterable[Bucket], kind: GroupType) -> tuple[Bucket, ...]:
    """*buckets* with the usual weight for those without one."""
    usual = 1 if kind is GroupType.SELECT else 0
    return tuple(replace(b, weight=usual) if b.weight is None else b for b in buckets)


def check_group_mod(gm: GroupMod) -> None:
    """Raise OpenFlowError if *gm* makes no sense, whatever groups there are."""
    bucket_command = gm.command in (GroupCommand.INSERT_BUCKET, GroupCommand.REMOVE_BUCKET)
    if gm.type is GroupType.INDIRECT and gm.command is not GroupCommand.DELETE:
        check_single(gm.buckets)
    if gm.command is GroupCommand.REMOVE_BUCKET and gm.buckets:
        raise _refuse("OFPGMFC_BAD_BUCKET", "a removal of buckets cannot bring any")
    if gm.method and (gm.type is not GroupType.SELECT or bucket_command):
        raise _refuse("OFPBPC_BAD_VALUE", "only select groups have a selection method")
    if gm.method not in METHODS:
        raise _refuse("OFPBPC_BAD_VALUE", f"selection method {gm.method!r} is neither hash nor dp_hash")
    if gm.fields and gm.method != "hash":
        raise _refuse("OFPBPC_BAD_VALUE", "fields need the selection method hash")
    _check_ids([b for b in gm.buckets if b.bucket_id <= BUCKET_MAX])
    # An insertion that says ALL, as those do that say nothing, may be into a group of any type.
    if gm.command is not GroupCommand.INSERT_BUCKET:
        _check_buckets(gm.type, gm.buckets)
    elif gm.type is not GroupType.ALL:
        _check_watches(gm.type, gm.buckets)


def _check_ids(buckets: Sequence[Bucket]) -> None:
    if len({b.bucket_id for b in buckets}) < len(buckets):
        raise _refuse("OFPGMFC_BAD_BUCKET", "two buckets have the same id")


def check_single(buckets: Sequence[Bucket]) -> None:
    """Raise OpenFlowError unless *buckets* may be those of an indirect group."""
    if len(buckets) != 1:
        raise _refuse("OFPGMFC_INVALID_GROUP", f"an indirect group has one bucket, not {len(buckets)}")


def _check_buckets(kind: GroupType, buckets: Sequence[Bucket]) -> None:
    for bucket in buckets:
        if bucket.weight and kind is not GroupType.SELECT:
            raise _refuse("OFPGMFC_INVALID_GROUP", "only buckets of select groups have a weight")
        _check_watches(kind, (bucket,))


def _check_watches(kind: GroupType, buckets: Sequence[Bucket]) -> None:
    for bucket in buckets:
        if bucket.is_watching and kind in (GroupType.ALL, GroupType.INDIRECT):
            raise _refuse("OFPGMFC_WATCH_UNSUPPORTED", "only select and ff groups watch ports and groups")
        if kind is GroupType.FF and not bucket.is_watching:
            raise _refuse("OFPGMFC_INVALID_GROUP", "a bucket of an ff group watches a port or a group")


@record
class GroupModResult:
    """Groups a group mod made and took away; a modified group is in both."""

    added: list[Group] = field(default_factory=list)
    removed: list[Group] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)

    @property
    def deleted(self) -> list[Group]:
        """Those taken away without another in their place."""
        return [] if self.added else self.removed


class GroupTable:
    """The groups of one bridge.

    *max_groups* bounds the groups of each type.  In *strict* mode what a bucket is inserted without, an id
    or a weight, is taken from the reference, which gives ids from 0 and no weight, and refuses to watch.
    """

    def __init__(self, *, max_groups: int = GROUP_MAX, strict: bool = False) -> None:
        self.max_groups = max_groups
        self.strict = strict
        self._groups: dict[int, Group] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[Group]:
        """Groups by number."""
        return iter(sorted(self._groups.values(), key=lambda group: group.group_id))

    def get(self, group_id: int) -> Group | None:
        """Group of a number."""
        return self._groups.get(group_id)

    def snapshot(self) -> dict[int, Group]:
        """What ``restore`` takes; groups are replaced, never changed but for their counters."""
        return dict(self._groups)

    def restore(self, groups: dict[int, Group]) -> None:
        """Make the groups those of a snapshot."""
        self._groups = dict(groups)

    def apply(self, gm: GroupMod, now: float) -> GroupModResult:
        """Do what *gm* asks.  Raises OpenFlowError with nothing changed if it is refused."""
        check_group_mod(gm)
        if self.strict and gm.command is GroupCommand.INSERT_BUCKET:
            _check_watches(gm.type, gm.buckets)
        old = self._groups.get(gm.group_id)
        match gm.command:
            case GroupCommand.DELETE:
                return self._delete(gm.group_id)
            case GroupCommand.ADD if old is not None:
                raise _refuse("OFPGMFC_GROUP_EXISTS", f"group {gm.group_id} is there already")
            case GroupCommand.ADD | GroupCommand.ADD_OR_MOD if old is None:
                return self._put(self._make(gm, self._number(gm), now), None)
        if old is None:
            raise _refuse("OFPGMFC_UNKNOWN_GROUP", f"there is no group {gm.group_id}")
        return self._put(self._make(*self._modification(gm, old), now), old)

    def _modification(self, gm: GroupMod, old: Group) -> tuple[GroupMod, tuple[Bucket, ...]]:
        """What *old* is to become, as an addition of it would say, and its buckets."""
        if gm.command is GroupCommand.INSERT_BUCKET:
            buckets = self._insert(gm, old)
        elif gm.command is GroupCommand.REMOVE_BUCKET:
            buckets = _remaining(gm, old)
        else:
            return gm, self._number(gm)
        return replace(gm, type=old.type, method=old.method, method_param=old.method_param,
                       fields=old.fields), buckets

    def _number(self, gm: GroupMod, taken: Iterable[int] = ()) -> tuple[Bucket, ...]:
        buckets = number_buckets(gm.buckets, taken=taken, strict=self.strict)
        _check_ids(buckets)
        return buckets

    def _make(self, gm: GroupMod, buckets: tuple[Bucket, ...], now: float) -> Group:
        if gm.group_id > GROUP_MAX:
            raise _refuse("OFPGMFC_INVALID_GROUP", f"group {gm.group_id} is above {GROUP_MAX}")
        return Group(gm.group_id, gm.type, weigh_buckets(buckets, gm.type), gm.method, gm.method_param,
                     gm.fields, created=now, modified=now)

    def _put(self, group: Group, old: Group | None) -> GroupModResult:
        if (old is None or old.type is not group.type) and self._count(group.type) >= self.max_groups:
            raise _refuse("OFPGMFC_OUT_OF_GROUPS",
                          f"there are {self.max_groups} groups of type {group.type.name.lower()}")
        if old is not None:
            group.created = old.created
        self._groups[group.group_id] = group
        return GroupModResult([group], [] if old is None else [old])

    def _count(self, kind: GroupType) -> int:
        return sum(group.type is kind for group in self._groups.values())

    def _delete(self, group_id: int) -> GroupModResult:
        if group_id == GROUP_ALL:
            removed = list(self)
            self._groups.clear()
        else:
            gone = self._groups.pop(group_id, None)
            removed = [] if gone is None else [gone]
        return GroupModResult(removed=removed)

    def _insert(self, gm: GroupMod, old: Group) -> tuple[Bucket, ...]:
        ids = [b.bucket_id for b in old.buckets]
        new = self._number(gm, () if self.strict else ids)
        if self.strict:
            new = tuple(replace(b, weight=b.weight or 0) for b in new)
        at = gm.command_bucket_id
        if at not in (BUCKET_FIRST, BUCKET_LAST) and at not in ids:
            raise _refuse("OFPGMFC_UNKNOWN_BUCKET", f"group {old.group_id} has no bucket {at}")
        for bucket in new:
            if bucket.bucket_id in ids:
                raise _refuse("OFPGMFC_BUCKET_EXISTS",
                              f"group {old.group_id} has a bucket {bucket.bucket_id} already")
        if not self.strict:
            if old.type is GroupType.INDIRECT:
                check_single((*old.buckets, *new))
            _check_buckets(old.type, (*old.buckets, *new))
        place = 0 if at == BUCKET_FIRST else len(ids) if at == BUCKET_LAST else ids.index(at) + 1
        return (*old.buckets[:place], *new, *old.buckets[place:])


def _remaining(gm: GroupMod, old: Group) -> tuple[Bucket, ...]:
    at = gm.command_bucket_id
    if at == BUCKET_ALL:
        return ()
    if at == BUCKET_FIRST:
        return old.buckets[1:]
    if at == BUCKET_LAST:
        return old.buckets[:-1]
    left = tuple(b for b in old.buckets if b.bucket_id != at)
    if len(left) == len(old.buckets):
        raise _refuse("OFPGMFC_UNKNOWN_BUCKET", f"group {old.group_id} has no bucket {at}")
    return left
