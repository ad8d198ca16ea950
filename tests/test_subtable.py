"""What one subtable un-wildcards when it does not match: as little as tells."""

from __future__ import annotations

from fastpath._classifier import Classifier
from fastpath._flow import FlowKey


def un_wildcarded(cls: Classifier[object], **key: int) -> FlowKey:
    wc = FlowKey()
    cls.lookup(FlowKey(**key), wc)
    return wc


def test_a_stage_that_misses_spares_the_later_ones() -> None:
    cls: Classifier[object] = Classifier(seed=1)
    cls.insert(FlowKey(in_port=1, dl_type=0x0800, nw_proto=6, tp_dst=80),
               FlowKey(in_port=0xffffffff, dl_type=0xffff, nw_proto=0xff, tp_dst=0xffff), 1, "web")
    assert un_wildcarded(cls, in_port=2) == FlowKey(in_port=0xffffffff)
    assert un_wildcarded(cls, in_port=1, dl_type=0x0806) == FlowKey(in_port=0xffffffff, dl_type=0xffff)
    assert un_wildcarded(cls, in_port=1, dl_type=0x0800, nw_proto=17, tp_dst=80) == FlowKey(
        in_port=0xffffffff, dl_type=0xffff, nw_proto=0xff)


def test_a_trie_takes_as_few_bits_as_tell() -> None:
    cls: Classifier[object] = Classifier(seed=1)
    mask = FlowKey(dl_type=0xffff, nw_src=0xffffff00)
    cls.insert(FlowKey(dl_type=0x0800, nw_src=0x0a000000), mask, 1, "net")
    # 192.x differs from 10.x in the first bit; 8.x in the seventh.
    assert un_wildcarded(cls, dl_type=0x0800, nw_src=0xc0000001) == FlowKey(dl_type=0xffff, nw_src=0x80000000)
    assert un_wildcarded(cls, dl_type=0x0800, nw_src=0x08000001) == FlowKey(dl_type=0xffff, nw_src=0xfe000000)


def test_the_ports_trie_takes_as_few_bits_as_tell() -> None:
    cls: Classifier[object] = Classifier(seed=1)
    cls.insert(FlowKey(nw_proto=6, tp_src=0x1000, ct_tp_src=3),
               FlowKey(nw_proto=0xff, tp_src=0xffff, ct_tp_src=0xffff), 1, "x")
    assert un_wildcarded(cls, nw_proto=6, tp_src=0x8000, ct_tp_src=9) == FlowKey(
        nw_proto=0xff, tp_src=0x8000, ct_tp_src=0xffff)


def test_a_trie_is_not_asked_about_what_is_not_its_protocol() -> None:
    cls: Classifier[object] = Classifier(seed=1)
    mask = FlowKey(nw_src=0xffffff00)
    cls.insert(FlowKey(nw_src=0x0a000000), mask, 1, "net")
    assert un_wildcarded(cls, dl_type=0x0806, nw_src=0xc0000001) == mask
