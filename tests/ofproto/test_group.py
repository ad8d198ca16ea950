"""The table of groups against a plain model; Webster's distribution; what is refused."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.output import Output
from fastpath.ofproto.group import (
    BUCKET_ALL,
    BUCKET_FIRST,
    BUCKET_LAST,
    GROUP_ALL,
    Bucket,
    Group,
    GroupCommand,
    GroupMod,
    GroupTable,
    GroupType,
    spread,
)
from fastpath.ofproto.group_text import parse_group_mod

C, T = GroupCommand, GroupType
IDS = st.integers(1, 4)
BUCKET_IDS = st.one_of(st.just(BUCKET_ALL), st.integers(0, 4))
BUCKETS = st.lists(st.builds(
    lambda port, bucket_id, weight, watch: Bucket((Output(port),), bucket_id, weight, watch),
    st.integers(1, 3), BUCKET_IDS, st.none(), st.just(0xFFFF)), max_size=3).map(tuple)
MODS = st.builds(
    GroupMod, st.sampled_from(list(C)), st.one_of(IDS, st.just(GROUP_ALL)),
    st.sampled_from([T.ALL, T.SELECT]), BUCKETS,
    command_bucket_id=st.one_of(st.sampled_from([BUCKET_ALL, BUCKET_FIRST, BUCKET_LAST]), st.integers(0, 4)))


class Model:
    """Lists of (bucket id, port) by group number, and what the specification says of each command."""

    def __init__(self) -> None:
        self.groups: dict[int, tuple[GroupType, list[tuple[int, int]]]] = {}

    @staticmethod
    def numbered(buckets: tuple[Bucket, ...], taken: list[int]) -> list[tuple[int, int]]:
        used = [b.bucket_id for b in buckets if b.bucket_id != BUCKET_ALL] + taken
        out = []
        for b in buckets:
            number = b.bucket_id
            if number == BUCKET_ALL:
                number = min(set(range(20)) - set(used))
                used.append(number)
            out.append((number, b.actions[0].port))     # type: ignore[attr-defined]
        return out

    def apply(self, gm: GroupMod) -> str:
        given = [b.bucket_id for b in gm.buckets if b.bucket_id != BUCKET_ALL]
        if gm.command is C.REMOVE_BUCKET and gm.buckets:
            return "OFPGMFC_BAD_BUCKET"
        if len(given) != len(set(given)):
            return "OFPGMFC_BAD_BUCKET"
        if gm.command is C.DELETE:
            for number in list(self.groups):
                if gm.group_id in (number, GROUP_ALL):
                    del self.groups[number]
            return ""
        old = self.groups.get(gm.group_id)
        if gm.command is C.ADD and old:
            return "OFPGMFC_GROUP_EXISTS"
        if old is None and gm.command not in (C.ADD, C.ADD_OR_MOD):
            return "OFPGMFC_UNKNOWN_GROUP"
        if gm.group_id == GROUP_ALL:
            return "OFPGMFC_INVALID_GROUP"
        if gm.command in (C.ADD, C.MODIFY, C.ADD_OR_MOD):
            self.groups[gm.group_id] = gm.type, self.numbered(gm.buckets, [])
            return ""
        assert old is not None
        return self.change_buckets(gm, old[1])

    def change_buckets(self, gm: GroupMod, buckets: list[tuple[int, int]]) -> str:
        ids, at = [number for number, _port in buckets], gm.command_bucket_id
        places = {BUCKET_FIRST: 0, BUCKET_LAST: len(ids) - 1}
        if gm.command is C.INSERT_BUCKET:
            if at not in places and at not in ids:
                return "OFPGMFC_UNKNOWN_BUCKET"
            new = self.numbered(gm.buckets, ids)
            if {number for number, _port in new} & set(ids):
                return "OFPGMFC_BUCKET_EXISTS"
            place = 0 if at == BUCKET_FIRST else len(ids) if at == BUCKET_LAST else ids.index(at) + 1
            buckets[place:place] = new
        elif at == BUCKET_ALL:
            buckets.clear()
        elif at in places:
            if buckets:
                del buckets[places[at]]
        elif at not in ids:
            return "OFPGMFC_UNKNOWN_BUCKET"
        else:
            del buckets[ids.index(at)]
        return ""


@given(st.lists(MODS, max_size=12))
@settings(max_examples=80)
def test_group_mods_do_what_a_plain_model_does(mods: list[GroupMod]) -> None:
    table, model = GroupTable(), Model()
    for now, gm in enumerate(mods):
        before = [str(group) for group in table]
        try:
            table.apply(gm, now)
            code = ""
        except OpenFlowError as error:
            code = error.code
            assert [str(group) for group in table] == before
        assert code == model.apply(gm)
        assert {g.group_id: (g.type, [(b.bucket_id, b.actions[0].port) for b in g.buckets])     # type: ignore
                for g in table} == model.groups


def group(text: str, **table: object) -> Group:
    return GroupTable(**table).apply(parse_group_mod(text), 0).added[0]         # type: ignore[arg-type]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_slots_are_as_near_to_the_weights_as_whole_numbers_can_be(weights: list[int]) -> None:
    buckets = [Bucket((), i, weight) for i, weight in enumerate(weights)]
    slots = spread(buckets, max_slots=256)
    least, total = min((w for w in weights if w), default=0), sum(weights)
    if not least or -(-total // least) > 256:
        assert slots == ()
        return
    n = len(slots)
    assert n >= 16 and n & n - 1 == 0 and n * least >= total
    share = [slots.count(bucket) for bucket in buckets]
    # Webster: no bucket could give a slot to another and both be nearer to their share.
    for i, one in enumerate(weights):
        for j, other in enumerate(weights):
            assert other * (2 * share[i] - 1) <= one * (2 * share[j] + 1) or not share[i], (i, j)


def test_a_modified_group_keeps_its_age_and_loses_its_counters() -> None:
    table = GroupTable()
    first = table.apply(parse_group_mod("group_id=1,type=all,bucket=output:1,bucket=output:2"), 5).added[0]
    first.credit(None, 3, 300)
    first.credit(first.buckets[1], 1, 60)
    assert (first.counter.n_packets, first.bucket_counters[1].n_bytes) == (4, 360)
    second = table.apply(parse_group_mod("group_id=1,type=all,bucket=output:3", "modify"), 9).added[0]
    assert (second.created, second.modified, second.counter.n_packets) == (5, 9, 0)
    assert first.buckets[1].actions == (Output(2),)


def test_the_table_has_room_for_so_many_groups_of_each_type() -> None:
    table = GroupTable(max_groups=2)
    for text in ("group_id=1,type=all", "group_id=2,type=all", "group_id=3,type=select"):
        table.apply(parse_group_mod(text), 0)
    for text, command in (("group_id=4,type=all", "add"), ("group_id=3,type=all", "modify")):
        with pytest.raises(OpenFlowError, match="OFPGMFC_OUT_OF_GROUPS"):
            table.apply(parse_group_mod(text, command), 0)
    table.apply(parse_group_mod("group_id=2,type=all,bucket=output:1", "modify"), 0)


def test_inserted_buckets_get_an_id_and_a_weight_that_fit_but_not_in_strict_mode() -> None:
    for strict in (False, True):
        table = GroupTable(strict=strict)
        table.apply(parse_group_mod("group_id=1,type=select,bucket=output:1"), 0)
        more = parse_group_mod("group_id=1,command_bucket_id=last,bucket=watch_port=2,output:2",
                               "insert_bucket")
        plain = dataclasses.replace(more, buckets=(dataclasses.replace(more.buckets[0], watch_port=0xFFFF),))
        if strict:
            for gm, code in ((plain, "OFPGMFC_BUCKET_EXISTS"), (more, "OFPGMFC_WATCH_UNSUPPORTED")):
                with pytest.raises(OpenFlowError, match=code):
                    table.apply(gm, 0)
        else:
            table.apply(more, 0)
            assert [(b.bucket_id, b.weight) for b in table.apply(plain, 0).added[0].buckets] == [
                (0, 1), (1, 1), (2, 1)]


@pytest.mark.parametrize(("text", "code"), [
    ("group_id=1,type=indirect", "OFPGMFC_INVALID_GROUP"),
    ("group_id=1,type=all,bucket=watch_port=1,output:1", "OFPGMFC_WATCH_UNSUPPORTED"),
    ("group_id=1,type=ff,selection_method=hash", "OFPBPC_BAD_VALUE"),
    ("group_id=1,type=select,selection_method=round_robin", "OFPBPC_BAD_VALUE"),
    ("group_id=all,type=all,bucket=output:1", "OFPGMFC_INVALID_GROUP"),
])
def test_what_makes_no_sense_is_refused(text: str, code: str) -> None:
    with pytest.raises(OpenFlowError, match=code):
        group(text)
