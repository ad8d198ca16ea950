"""Userdata of userspace actions: bytes and text there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.dpif.actions import FlowSample, RawUserdata, SlowPath, ToController, Userdata, Userspace
from fastpath.dpif.odptext import format_actions, parse_actions
from fastpath.dpif.userdata import SLOW_REASONS, decode_userdata, encode_userdata
from fastpath.errors import ConfigError, FormatError, ParseError

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
USERDATA = st.one_of(
    st.lists(st.sampled_from(SLOW_REASONS), unique=True).map(
        lambda chosen: SlowPath(tuple(r for r in SLOW_REASONS if r in chosen))),
    st.builds(FlowSample, U16, U32, U32, U32, U32, st.sampled_from(("", "ingress", "egress"))),
    st.builds(ToController, U16, st.booleans(), st.booleans(), U32,
              st.integers(0, (1 << 64) - 1), U16, U16))


@given(USERDATA)
def test_userdata_comes_back(userdata: Userdata) -> None:
    data = encode_userdata(userdata)
    assert decode_userdata(data) == userdata
    for n in range(len(data)):
        with pytest.raises(FormatError):
            decode_userdata(data[:n])


@given(st.binary(max_size=24))
def test_any_bytes_are_userdata_or_refused(data: bytes) -> None:
    try:
        assert decode_userdata(data) is not None
    except FormatError as e:
        assert data.hex() in str(e)


@given(USERDATA, U32)
def test_text_comes_back(userdata: Userdata, pid: int) -> None:
    actions = (Userspace(userdata, pid),)
    assert parse_actions(format_actions(actions)) == actions


def test_a_flow_sample_prints_as_the_reference_prints_it() -> None:
    action = Userspace(FlowSample(12345, 1, 2, 3, 2, "egress"))
    assert format_actions((action,)) == ("userspace(pid=0,flow_sample(probability=12345,collector_set_id=1,"
                                         "obs_domain_id=2,obs_point_id=3,output_port=2,egress))")


@given(st.binary(max_size=40), U32)
def test_userdata_of_others_comes_back_as_it_is(data: bytes, pid: int) -> None:
    assert decode_userdata(encode_userdata(RawUserdata(data))) == RawUserdata(data)
    actions = (Userspace(RawUserdata(data), pid),)
    assert parse_actions(format_actions(actions)) == actions


def test_what_does_not_fit_is_refused() -> None:
    for wrong in (FlowSample(65536, 1, 2, 3, 4), FlowSample(1, 1, 2, 3, 4, "up"), SlowPath(("weather",))):
        with pytest.raises(ConfigError):
            encode_userdata(wrong)
    for text in ("userspace(pid=0,userdata(x))", "userspace(flow_sample())",
                 "userspace(pid=0,controller(reason=1))"):
        with pytest.raises(ParseError):
            parse_actions(text)
