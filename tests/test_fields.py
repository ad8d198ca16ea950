"""The field table agrees with itself, with the generated layout and with the compiled struct."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath import fields
from fastpath._flow import WINDOWS, FlowKey

ROOT = Path(__file__).resolve().parent.parent
PLAIN = [f for f in fields.FIELDS if not f.name.startswith("tun_metadata")]


def test_generated_layout_is_not_stale() -> None:
    generated = runpy.run_path(str(ROOT / "fastpath" / "_layoutgen.py"))["generated"]()
    for path, text in generated.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale; run make layout"


def test_key_has_the_size_the_table_says() -> None:
    assert len(bytes(FlowKey())) == fields.FLOW_SIZE == 8 * fields.FLOW_WORDS


def test_hot_members_share_the_first_cache_line() -> None:
    hot = {"in_port", "recirc_id", "dl_src", "dl_dst", "dl_type", "vlan_tci", "nw_src", "nw_dst", "nw_proto",
           "tp_src", "tp_dst"}
    assert all(fields.OFFSETS[name] + fields.MEMBER_BY_NAME[name].size <= 64 for name in hot)


@pytest.mark.parametrize("bad, message", [
    ([("a", 4, "be", 0), ("b", 8, "be", 0)], "not a multiple of 8"),
    ([("a", 4, "be", 0), ("b", 4, "be", 1)], "stage 1 in word 0"),
    ([("a", 4, "be", 0)], "4 bytes, not a multiple of 8"),
])
def test_layout_rules_are_enforced(bad: list[tuple[str, int, str, int]], message: str) -> None:
    check = runpy.run_path(str(ROOT / "fastpath" / "_layoutgen.py"))["check"]
    members = [fields.Member(n, size, order, fields.Stage(stage)) for n, size, order, stage in bad]
    with pytest.raises(ValueError, match=message):
        check({"MEMBERS": members, "FIRST_TNL_MEMBER": "a", "FIRST_XLATE_MEMBER": "a", "OFFSETS": {"a": 0}})


def test_names_and_ids_are_unique() -> None:
    names = [n for f in fields.FIELDS for n in (f.name, *f.aka)]
    assert len(names) == len(set(names))
    ids = [(i.cls, i.experimenter, i.number) for f in fields.FIELDS for i in f.ids]
    assert len(ids) == len(set(ids))
    assert len(fields.BY_OXM_NAME) == len(ids)


@pytest.mark.parametrize("field", PLAIN, ids=lambda f: f.name)
def test_field_fits_its_member_and_its_wire_width(field: fields.Field) -> None:
    window = WINDOWS[field.name] if field.name not in fields.MEMBER_BY_NAME else None
    member = fields.MEMBER_BY_NAME[field.member]
    assert field.bits <= field.n_bytes * 8
    assert field.exact < 1 << max(member.size, field.n_bytes) * 8
    if window is not None:
        assert window.ofs + window.size <= fields.FLOW_SIZE
        assert window.lsb + window.bits <= window.size * 8


@given(st.sampled_from(PLAIN), st.data())
def test_a_value_is_read_back_and_nothing_else_changes(field: fields.Field, data: st.DataObject) -> None:
    window = WINDOWS[field.name]
    value = data.draw(st.integers(0, window.limit))
    key = FlowKey.from_bytes(data.draw(st.binary(min_size=fields.FLOW_SIZE, max_size=fields.FLOW_SIZE)))
    before = int.from_bytes(bytes(key), "little")
    mask = FlowKey()
    mask.fill(window)
    key.set(window, value)
    assert key.get(window) == value == getattr(key, field.name)
    changed = before ^ int.from_bytes(bytes(key), "little")
    assert changed & ~int.from_bytes(bytes(mask), "little") == 0


def test_registers_overlay_high_word_first() -> None:
    key = FlowKey(reg0=1, reg1=2, reg2=3, reg3=4)
    assert key.xreg0 == 1 << 32 | 2
    assert key.xxreg0 == (1 << 96) + (2 << 64) + (3 << 32) + 4


def test_facts_of_the_reference_hold(shared: Path) -> None:
    """Every field row of the facts table for the 3.1 set stands here with the same width and mask."""
    text = (shared / "FACTS.md").read_text(encoding="utf-8")
    lines = [line for line in text[:text.index("## 2.")].splitlines() if line.startswith("|")]
    rows = [line.strip("|").split("|") for line in lines
            if not line.startswith(("|-", "|field")) and ".." not in line.split("|")[1]]
    assert len(rows) > 80
    for name, n_bytes, bits, mask, *_ in rows:
        field = fields.BY_NAME[name.split(" ")[0]]
        expected = int(n_bytes), int(bits), mask == "bitwise"
        assert (field.n_bytes, field.bits, field.maskable) == expected, name
