"""Flow text compared with ovs-ofctl: what it prints for a flow, and which text it refuses."""

from __future__ import annotations

import lzma
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from strategies import flows

from fastpath.errors import InvalidFlow, ParseError
from fastpath.ofproto.actions.versions import OF10, OF13, OF15
from fastpath.ofproto.flow_text import format_flow_mod, parse_flow

VERSIONS = {OF10: "OpenFlow10", OF13: "OpenFlow13", OF15: "OpenFlow15"}
N_FLOWS = 120
_HEAD = re.compile(r"(?:OFPT|NXT)_FLOW_MOD (?:\(OF1\.\d\) )?\(xid=0x\w+\): ")


def reference(ovs_ofctl: str, version: int, lines: list[str], path: Path) -> list[str]:
    """What ovs-ofctl prints for the flows in *lines* in *version*, without the message's name."""
    path.write_text("\n".join(lines) + "\n")
    format_option = ["-F", "NXM+table_id"] if version == OF10 else []
    run = subprocess.run(
        [ovs_ofctl, "-O", VERSIONS[version], *format_option, "parse-flows", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-500:]
    # 255 stands for "no table named", which forcing a flow format makes it print.
    return [
        _HEAD.sub("", line).replace(" table:255", "") for line in run.stdout.splitlines() if _HEAD.match(line)
    ]


def generate(n: int, *, of10: bool, seed_with: int) -> list[str]:
    """*n* flows for ovs-ofctl; gathered first, because one process prints many."""
    out: list[str] = []

    @seed(seed_with)
    @settings(
        max_examples=n,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(flows(of10=of10))
    def collect(line: str) -> None:
        out.append(line)

    collect()
    return out


@pytest.mark.parametrize("version", VERSIONS)
def test_generated_flows_print_as_the_reference_prints_them(
    version: int, ovs_ofctl: str, tmp_path: Path, more: int
) -> None:
    lines = generate(N_FLOWS * more, of10=version == OF10, seed_with=version)
    theirs = reference(ovs_ofctl, version, lines, tmp_path / "flows")
    assert len(theirs) == len(lines)
    for line, expected in zip(lines, theirs, strict=True):
        assert format_flow_mod(parse_flow(line), version) == expected, line


# -- refusals -------------------------------------------------------------------------------------

ALPHABET = "0123456789abcxf,:=/()[]->+. "


def mutated(line: str, random: Random, tokens: list[str]) -> str:
    """*line* with one thing wrong, or perhaps still right: a character or an item changed."""
    at, parts = random.randrange(len(line)), line.split(",")
    match random.randrange(5):
        case 0:
            return line[:at] + line[at + 1 :]
        case 1:
            return line[:at] + random.choice(ALPHABET) + line[at:]
        case 2:
            return line[:at] + random.choice(ALPHABET) + line[at + 1 :]
        case 3:
            parts[random.randrange(len(parts))] = random.choice(tokens)
        case _:
            del parts[random.randrange(len(parts))]
    return ",".join(parts)


def answer(ovs_ofctl: str, line: str) -> tuple[str, int, str]:
    """What ovs-ofctl says of *line*: its error, the version it chose, the flow as it prints it."""
    for versions in (",".join(f"OpenFlow1{i}" for i in range(6)), "OpenFlow13"):
        run = subprocess.run(
            [ovs_ofctl, "-O", versions, "-F", "any", "parse-flow", "--", line],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if run.returncode:
            return run.stderr.splitlines()[-1].removeprefix("ovs-ofctl: ").strip(), 0, ""
        if "decode error" not in run.stdout:
            break
    if "decode error" in run.stdout:
        return run.stdout.partition("decode error: ")[2].partition("*")[0], 0, ""
    head, printed = next((m, line[m.end() :]) for line in run.stdout.splitlines() if (m := _HEAD.match(line)))
    chosen = re.search(r"OF1\.(\d)", head.group())
    return "", OF10 + int(chosen.group(1)) if chosen else OF10, printed.replace("table:255 ", "").strip()


def ours(line: str, version: int) -> tuple[str, str]:
    """Our error for *line*, or the flow as we print it."""
    try:
        return "", format_flow_mod(parse_flow(line), version or OF10).strip()
    except InvalidFlow as e:
        return (e.code if e.code == "OFPBMC_BAD_PREREQ" else str(e)), ""
    except ParseError as e:
        return str(e).strip(), ""


# What the reference prints otherwise because its wire cannot say what was written: a VLAN id without
# the presence bit in OpenFlow 1.0, ICMP types and codes of more than 8 bits, runs of more than 64 bits of a
# register.  And the one text it refuses though it prints it: a mask that covers a narrow field.
WIRE_LOSES = re.compile(r"vlan_tci=0x0\w\w\w/|icmp_(?:code|type)=\d{3,}|output:NXM_NX_XXREG\d\[")
REFUSED_THOUGH_PRINTED = re.compile(r"/0x(3f|3|7): invalid mask for field")
VALUES = (
    "", "-1", "0x", "99999999999999999999", "foo", "1/0", "*", "0x1/0x2", "1.2.3.4", "00:11:22:33:44:55",
    "(1)", "65536", "256", "1:2", "[0..3]", "any", "LOCAL", "08", "1e3", "+1", "0x100",
)
DATA_SETS = ("of/of1_1k.flows.xz", "of/of2_1k.flows.xz", "ovn/br-int.1.flows.xz")


def with_other_value(line: str, random: Random) -> str:
    """*line* with the value of one item replaced, or cut short."""
    parts = line.split(",")
    at = random.randrange(len(parts))
    if random.randrange(3) == 0:
        return line[: random.randrange(len(line))]
    parts[at] = parts[at][: parts[at].rfind("=") + 1] + random.choice(VALUES)
    return ",".join(parts)


def malformed(n: int, seed_with: int, folder: Path) -> list[str]:
    """*n* flows, most of them wrong: generated ones and those of real tables, mutated."""
    random = Random(seed_with)
    lines = generate(60, of10=True, seed_with=11) + generate(60, of10=False, seed_with=12)
    for name in DATA_SETS:
        with lzma.open(folder / name, "rt") as file:
            table = [re.sub(r"duration=[\d.]+s, ", "", x.strip()) for x in file if "actions=" in x]
        lines += random.sample(table, 40)
    tokens = [t for line in lines for t in line.replace(" ", ",").split(",")]
    out = []
    for _ in range(n):
        line = random.choice(lines)
        out.append(mutated(line, random, tokens) if random.random() < 0.6 else with_other_value(line, random))
    return out


def test_malformed_flows_are_answered_as_the_reference_answers_them(
    ovs_ofctl: str, shared: Path, more: int
) -> None:
    """Refused or taken alike, in the same words, or printed alike."""
    lines, wrong, n_refused = malformed(150 * more, more, shared / "data"), [], 0
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda line: answer(ovs_ofctl, line), lines))
    for line, (error, version, printed) in zip(lines, answers, strict=True):
        our_error, our_print = ours(line, version)
        n_refused += bool(error)
        if REFUSED_THOUGH_PRINTED.search(error) or (not our_error and WIRE_LOSES.search(our_print)):
            continue
        if (our_error, our_print if version else "") != (error, printed):
            wrong.append((line, error or printed, our_error or our_print))
    assert not wrong, f"{len(wrong)} of {len(lines)}: {wrong[:5]}"
    assert n_refused > 80 * more


def test_malformed_flows_are_refused_with_one_line_that_names_what_is_wrong(
    shared: Path, more: int
) -> None:
    for line in malformed(10_000 * more, 7, shared / "data"):
        error, printed = ours(line, OF10)
        assert bool(error) != bool(printed)
        assert "\n" not in error and len(error) < len(line) + 300
