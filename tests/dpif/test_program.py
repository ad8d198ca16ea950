"""Programs: what compiles and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fastpath
from fastpath.dpif import actions as odp
from fastpath.dpif import program
from fastpath.dpif.actions import (
    Clone,
    Hash,
    OdpAction,
    Output,
    PushMpls,
    PushVlan,
    SetMasked,
    SlowPath,
    Trunc,
    Userspace,
)
from fastpath.dpif.program import (
    compile_actions,
    program_is_output,
)
from fastpath.dpif.userdata import SLOW_REASONS
from fastpath.errors import ConfigError


def test_opcodes_are_those_of_the_header() -> None:
    header = (Path(fastpath.__file__).parent / "_odp.h").read_text()
    enum = re.search(r"enum odp_opcode \{(.*?)\};", header, re.S)
    assert enum is not None
    names = re.findall(r"ODP_(\w+)", re.sub(r"/\*.*?\*/", "", enum.group(1)))[:-1]
    assert [getattr(program, name) for name in names] == list(range(1, len(names) + 1))


def test_single_output_is_known() -> None:
    assert program_is_output(compile_actions((Output(70000),))) == 70000
    assert program_is_output(compile_actions((Trunc(5),))) is None
    assert program_is_output(compile_actions((Output(1), Output(2)))) is None
    assert program_is_output(b"") is None


def test_no_actions_are_an_empty_program() -> None:
    assert compile_actions(()) == b""


def test_operations_are_aligned() -> None:
    for n in range(8):
        code = compile_actions((Userspace(SlowPath(SLOW_REASONS[:n])), Clone((Output(n),))))
        assert len(code) % 8 == 0


def nested(n: int) -> OdpAction:
    action: OdpAction = Output(1)
    for _ in range(n):
        action = Clone((action,))
    return action


@pytest.mark.parametrize(("action", "part"), [
    (SetMasked("ether", ()), "no such header"),
    (SetMasked("ipv4", (("frag", 1, 1),)), "not settable"),
    (SetMasked("ipv4", (("ttl", 256, 255),)), "ttl 256"),
    (SetMasked("tunnel", (("colour", 1, 1),)), "no such member"),
    (PushVlan(0x9100, 5), "TPID"),
    (PushMpls(0x0800, 5), "push_mpls"),
    (Hash("l3", 0), "hash algorithm"),
    (Output(-1), "output port"),
    (Userspace(SlowPath(("weather",))), "weather"),
    (nested(11), "nested"),
])
def test_what_cannot_run_is_refused(action: OdpAction, part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        compile_actions((action,))


def test_ten_levels_compile() -> None:
    assert compile_actions((nested(10),))


def test_an_action_is_found_wherever_it_stands() -> None:
    wanted = odp.Output(7)
    for nested in ((wanted,), (odp.Clone((odp.Sample(5, (wanted,)),)),),
                   (odp.PopVlan(), odp.Clone((wanted,))),
                   (odp.CheckPktLen(9, (), (wanted,)),), (odp.CheckPktLen(9, (odp.Clone((wanted,)),), ()),)):
        assert odp.mentions(nested, wanted) and not odp.mentions(nested, odp.Output(8))
    assert not odp.mentions((), wanted)
