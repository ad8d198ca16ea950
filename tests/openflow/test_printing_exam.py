"""An exam of our text of messages against the reference's, in bulk: ``ovs-ofctl ofp-parse`` prints thousands
of messages of one file, told apart by echo requests between them."""

from __future__ import annotations

import random
import struct
import subprocess
from difflib import unified_diff
from pathlib import Path

import pytest
from wire_samples import samples, texts

from fastpath.ofproto.actions.versions import OF10
from fastpath.ofproto.flow_text import parse_flow
from fastpath.openflow.codec import NX_VENDOR, ONF_VENDOR, VERSIONS
from fastpath.openflow.messages import basic, flow
from fastpath.openflow.messages.table import HEADER, encode
from fastpath.openflow.printing.context import PAYLOADS
from fastpath.openflow.printing.message import format_message

ECHO, FIRST = 2, 0xBEEF0000
MARK = "OFPT_ECHO_REQUEST (xid={:#x}): 0 bytes of payload\n"


def printed(ovs_ofctl: str, messages: list[bytes], folder: Path, *, more: int = 0) -> list[str]:
    """What the reference prints of each of *messages*, whose headers tell their lengths."""
    path = folder / "messages"
    path.write_bytes(b"".join(
        message + HEADER.pack(OF10, ECHO, HEADER.size, FIRST + i) for i, message in enumerate(messages)))
    done = subprocess.run([ovs_ofctl, "-voff", *["-m"] * more, "ofp-parse", str(path)], capture_output=True,
                          timeout=300, check=True)
    text, out = done.stdout.decode(errors="replace"), []
    for i in range(len(messages)):
        one, mark, text = text.partition(MARK.format(FIRST + i))
        assert mark, f"lost at {messages[i].hex()}"
        out.append(one)
    return out


def agree(ovs_ofctl: str, messages: list[bytes], folder: Path, *, more: int = 0) -> None:
    """Fail with the first of *messages* that we print in another way."""
    wrong = []
    for message, theirs in zip(messages, printed(ovs_ofctl, messages, folder, more=more), strict=True):
        ours = format_message(message, verbosity=PAYLOADS + more)
        if ours != theirs:
            lines = unified_diff(theirs.splitlines(), ours.splitlines(), "reference", "ours", "", "", 1, "")
            wrong.append("\n".join((message.hex(), *lines)))
    assert not wrong, f"{len(wrong)} of {len(messages)}\n" + "\n".join(wrong[:3])


def sized(data: bytes) -> bytes:
    """*data* with its length in its header."""
    return data[:2] + struct.pack(">H", len(data)) + data[4:]


BYTES = (0, 1, 2, 4, 5, 7, 8, 9, 16, 24, 0x7F, 0x80, 0xFC, 0xFD, 0xFE, 0xFF)


def mutated(chance: random.Random, data: bytes) -> bytes:
    """*data* with bytes changed, left out and put in, behind its header."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 1, 2, 3, 6))):
        if len(out) == HEADER.size:
            break
        at, n = chance.randrange(HEADER.size, len(out)), chance.choice((1, 2, 4, 8))
        match chance.choice(("any", "odd", "odd", "bit", "out", "in")):
            case "any":
                out[at] = chance.randrange(256)
            case "odd":
                out[at] = chance.choice(BYTES)
            case "bit":
                out[at] ^= 1 << chance.randrange(8)
            case "out":
                del out[at:at + n]
            case "in":
                out[at:at] = bytes(chance.choice((0, 255, chance.randrange(256))) for _ in range(n))
    return sized(bytes(out))


def corpus(version: int) -> list[bytes]:
    """Messages of every kind that *version* has, and flow mods with every action."""
    mods = [parse_flow(text) for text in texts(version)]
    return [encode(m, version, 0x12345678) for m in (
        *samples(version), *(flow.NxFlowMod(mod) if version == OF10 else mod for mod in mods))]


@pytest.mark.parametrize("verbosity", range(3))
@pytest.mark.parametrize("version", VERSIONS)
def test_every_message_at_every_verbosity(
        ovs_ofctl: str, version: int, verbosity: int, tmp_path: Path) -> None:
    agree(ovs_ofctl, corpus(version), tmp_path, more=verbosity)


@pytest.mark.parametrize("version", VERSIONS)
def test_parts_of_messages(ovs_ofctl: str, version: int, tmp_path: Path, more: int) -> None:
    cut = [sized(data[:size]) for data in corpus(version) for size in range(HEADER.size, len(data))]
    chosen = random.Random(version).sample(cut, min(len(cut), 2000 * more))
    agree(ovs_ofctl, chosen, tmp_path, more=version % 2)


@pytest.mark.parametrize("version", VERSIONS)
def test_mutated_messages(ovs_ofctl: str, version: int, tmp_path: Path, more: int) -> None:
    chance, messages = random.Random(version), [encode(m, version, 0x12345678) for m in samples(version)]
    agree(ovs_ofctl, [mutated(chance, chance.choice(messages)) for _ in range(3000 * more)], tmp_path)


@pytest.mark.parametrize("version", [0, *VERSIONS, 7, 32, 255])
def test_types_and_versions_that_nobody_knows(ovs_ofctl: str, version: int, tmp_path: Path) -> None:
    bodies = [(kind, bytes(size)) for kind in range(40) for size in (0, 4, 8, 16, 24, 40, 64, 88)]
    for vendor in (NX_VENDOR, ONF_VENDOR, 0x1234):
        for number in (*range(40), 132, 1870, 1871, 1872, 1911, 2300, 2301, 2350):
            head = struct.pack(">II", vendor, number)
            bodies += [(4, head + bytes(size)) for size in (0, 4, 8, 16, 24)]
            for kind, pad in ((16, 0), (17, 0), (18, 4), (19, 4)):
                whole = b"\xff\xff\0\0" + bytes(pad) + head
                bodies += [(kind, whole + bytes(size)) for size in (0, 4, 8, 88)]
    agree(ovs_ofctl, [HEADER.pack(version, kind, HEADER.size + len(body), 7) + body for kind, body in bodies],
          tmp_path)


@pytest.mark.parametrize("version", [*VERSIONS, 9])
def test_errors_of_every_number(ovs_ofctl: str, version: int, tmp_path: Path) -> None:
    echo = encode(basic.EchoRequest(b"abc"), OF10, 5)
    bodies = [struct.pack(">HH", kind, code) + echo for kind in range(20) for code in range(22)]
    codes = (*range(10), *range(256, 270), *range(510, 540))
    for vendor in (0, NX_VENDOR, ONF_VENDOR, 0x1234):
        bodies += [struct.pack(">HHI", 0xFFFF, code, vendor) + echo[:code % 13]
                   for code in (*range(60), *range(2290, 2380), *range(4240, 4260), *range(4440, 4450))]
        bodies += [struct.pack(">HHIHH", 0xB0C2, 0, vendor, kind, code)
                   for kind in (0, 1, 2, 3, 5, 13, 14) for code in codes]
    bodies += [bytes(size) for size in range(4, 12)] + [b"\0\0\0\1" + bytes(range(256))]
    agree(ovs_ofctl, [HEADER.pack(version, 1, HEADER.size + len(body), 7) + body for body in bodies],
          tmp_path)
