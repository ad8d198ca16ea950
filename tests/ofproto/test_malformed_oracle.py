"""Malformed flow, group and meter text: refused in the words of ovs-ofctl, or taken and printed alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest
from group_strategies import groups, meters
from malformed import drawn, good_flows, spoilt
from many_runs import Done, run_each

from fastpath.errors import InvalidFlow, ParseError
from fastpath.ofproto.actions.versions import OF10, OF15
from fastpath.ofproto.flow_text import format_flow_mod, parse_flow, parse_flows
from fastpath.ofproto.group_text import format_group_mod, parse_group_mod
from fastpath.ofproto.meter_text import parse_meter_mod

N_COMPARED = 2000           # flows that the reference is asked about
N_REFUSED = 10_000          # flows that are to be refused in one line
N_OTHERS = 400              # groups, and meters
_HEAD = re.compile(r"^(?:OFPT|NXT)_(?:FLOW|GROUP)_MOD (?:\(OF1\.(\d)\) )?\(xid=0x\w+\): *\n? *", re.MULTILINE)
_FOUND_BY_DECODER = ("OFPBMC_BAD_PREREQ", "OFPBMC_BAD_VALUE", "OFPBAC_BAD_SET_LEN", "OFPBAC_BAD_SET_ARGUMENT")
_BUCKET_ID = re.compile(r"bucket_id:\d+,")
_ALL_VERSIONS = ",".join(f"OpenFlow1{i}" for i in range(6))

# What the reference prints otherwise because its wire cannot say what was written: a VLAN id without
# the presence bit in OpenFlow 1.0, ICMP types and codes of more than 8 bits, runs of more than 64 bits of a
# register.  What it refuses though it prints it: a mask that covers a narrow field, an IPv6 mask that begins
# with a digit.  And what depends on the version it chose: a VLAN id without the presence bit beside an action
# that 1.0 lacks is for 1.1 alone, and a goto of table 0 from table 0 is a resubmit in 1.0.
WIRE_LOSES = re.compile(r"vlan_tci=0x(?!0000\b)[02468ace]\w\w\w|vlan_tci=0x0\w\w\w/|"
                        r"icmp_(?:code|type)=(?:\d{3,}|\w+/)|output:NXM_NX_XXREG\d\[")
REFUSED_THOUGH_PRINTED = re.compile(r"/0x(3f|3|7): invalid mask for field|"
                                    r"/\d[\da-fA-F:.]*: invalid IPv6 address")
VERSION_DECIDES = {("", "OFPBAC_BAD_SET_ARGUMENT"), ("OFPBIC_BAD_TABLE_ID", "")}


def refusal(done: Done) -> str:
    """The error that ovs-ofctl died of, "" if it lived."""
    last = done.err.rstrip("\n").rpartition("\n")[2]
    return last.removeprefix("ovs-ofctl: ").strip() if done.status else ""


def reference_flows(ovs_ofctl: str, lines: Sequence[str]) -> list[tuple[str, int, str]]:
    """What ovs-ofctl says of each line: its error, the version it chose, the flow as it prints it."""
    def ask(versions: str, which: Sequence[str]) -> list[Done]:
        return run_each([ovs_ofctl, "-O", versions, "-F", "any", "parse-flow", "--"], which)

    answers = ask(_ALL_VERSIONS, lines)
    again = [i for i, done in enumerate(answers) if "decode error" in done.out]
    for i, done in zip(again, ask("OpenFlow13", [lines[i] for i in again]), strict=True):
        answers[i] = done
    return [_flow_answer(done) for done in answers]


def _flow_answer(done: Done) -> tuple[str, int, str]:
    if done.status:
        return refusal(done), 0, ""
    if "decode error" in done.out:
        return done.out.partition("decode error: ")[2].partition("*")[0], 0, ""
    head = _HEAD.search(done.out)
    assert head is not None, done
    return "", OF10 + int(head[1] or 0), done.out[head.end():].replace("table:255 ", "").strip()


def ours(line: str, version: int) -> tuple[str, str]:
    """Our error for *line*, or the flow as we print it.  What the decoder of the message finds is
    told by its code, as the reference does."""
    try:
        return "", format_flow_mod(parse_flow(line), version or OF10).strip()
    except InvalidFlow as e:
        return (e.code if e.code in _FOUND_BY_DECODER else str(e)), ""
    except ParseError as e:
        return str(e).strip(), ""


def flow_differences(ovs_ofctl: str, lines: Sequence[str]) -> tuple[list[tuple[str, str, str]], int]:
    """(line, their answer, ours) where the two differ, and how many lines the reference refused."""
    wrong, n_refused = [], 0
    for line, (error, version, printed) in zip(lines, reference_flows(ovs_ofctl, lines), strict=True):
        our_error, our_print = ours(line, version)
        n_refused += bool(error)
        if REFUSED_THOUGH_PRINTED.search(error) or (not our_error and WIRE_LOSES.search(our_print)):
            continue
        if (error, our_error) in VERSION_DECIDES:
            continue
        if (our_error, our_print if version else "") != (error, printed):
            wrong.append((line, error or printed, our_error or our_print))
    return wrong, n_refused


def test_malformed_flows_are_answered_as_the_reference_answers_them(
    ovs_ofctl: str, shared: Path, more: int
) -> None:
    n = N_COMPARED * more
    wrong, n_refused = flow_differences(ovs_ofctl, spoilt(good_flows(shared / "data"), n, more))
    assert not wrong, f"{len(wrong)} of {n}: {wrong[:5]}"
    assert n_refused > n / 2


def test_malformed_flows_are_refused_with_one_line_that_names_what_is_wrong(
    shared: Path, more: int
) -> None:
    for line in spoilt(good_flows(shared / "data"), N_REFUSED * more, 7):
        error, printed = ours(line, OF10)
        assert bool(error) != bool(printed)
        assert "\n" not in error and len(error) < 2 * len(line) + 300


# -- groups and meters ----------------------------------------------------------------------------

def group_difference(text: str, done: Done) -> tuple[str, str, str] | None:
    """(text, their answer, ours) if they differ.  What the decoder of the message finds, and the numbers of
    buckets that were given none, are matters of the group table and compared with it."""
    try:
        said = parse_group_mod(text)
        our_error, our_print = "", format_group_mod(said, OF15)
    except ParseError as error:
        our_error, our_print = str(error).strip(), ""
    theirs, head = refusal(done), _HEAD.search(done.out)
    if theirs or our_error or head is None:
        alike = our_error == theirs
    else:
        alike = ("decode error" in done.out
                 or _BUCKET_ID.sub("", our_print) == _BUCKET_ID.sub("", done.out[head.end():].strip()))
    return None if alike else (text, theirs or done.out, our_error or our_print)


def meter_difference(text: str, done: Done) -> tuple[str, str, str] | None:
    """The same of a meter, of which the reference prints nothing: it goes on to look for the bridge."""
    try:
        parse_meter_mod(text)
        our_error = ""
    except ParseError as error:
        our_error = str(error).strip()
    theirs = refusal(done)
    if theirs.endswith("is not a bridge or a socket"):
        theirs = ""
    return None if our_error == theirs else (text, theirs, our_error)


@pytest.mark.parametrize(("good", "command", "difference"), [
    (groups(), ["-O", "OpenFlow15", "parse-group", "--"], group_difference),
    (meters(), ["-O", "OpenFlow13", "add-meter", "--", "none"], meter_difference),
])
def test_malformed_groups_and_meters_too(
    good: object, command: list[str], difference: Callable[[str, Done], object], ovs_ofctl: str, more: int
) -> None:
    texts = spoilt(drawn(good, 100, seed_with=5), N_OTHERS * more, more)
    answers = run_each([ovs_ofctl, *command], texts)
    wrong = [d for d in map(difference, texts, answers) if d is not None]
    assert not wrong, f"{len(wrong)} of {len(texts)}: {wrong[:5]}"


# -- files ----------------------------------------------------------------------------------------

GOOD_LINES = ("", "  # a comment", "in_port=1,actions=drop", " \t", "tcp,actions=1 # and another")


def test_the_first_wrong_line_of_a_file_is_named(
    ovs_ofctl: str, shared: Path, tmp_path: Path, more: int
) -> None:
    random, paths, expected = Random(more), [], []
    for number, text in enumerate(spoilt(good_flows(shared / "data"), 60 * more, more)):
        lines = random.choices(GOOD_LINES, k=random.randrange(5))
        lines.append(text)
        path = tmp_path / f"flows.{number}"
        path.write_text("\n".join(lines) + "\n" * random.randrange(2))
        paths.append(str(path))
        try:
            parse_flows(lines, "add", name=str(path))
            expected.append("")
        except ParseError as error:
            expected.append(str(error).strip())
    answers = run_each([ovs_ofctl, "-F", "any", "parse-flows"], paths)
    n_refused = 0
    for path, answer, error in zip(paths, answers, expected, strict=True):
        # No line was wrong, but what it says: to a version or, in the version ovs-ofctl chooses, at all.
        if "decode error" not in answer.out and refusal(answer) != "no usable protocol":
            assert refusal(answer) == error, Path(path).read_text()
            n_refused += bool(error)
    assert n_refused > 20 * more
