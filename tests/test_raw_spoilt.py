"""Messages with something wrong in them are refused by the error the reference refuses them by.

A good message of any kind has bytes changed, added or taken away; its header says the length it then has.  A
run takes some of each version, ``--more`` that many times as many.
"""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ofctl_pair import Raw, our_bridge, reference_bridge
from test_raw_differential import _LEFT_OUT, _NOT_EQUAL, told

from fastpath.ofproto.actions.versions import OF15
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.group import GROUP_ALL, GroupCommand, GroupMod, GroupType
from fastpath.ofproto.match import Match
from fastpath.ofproto.meter import METER_ALL, MeterCommand, MeterMod
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.messages import tlv
from fastpath.openflow.messages.table import HEADER, encode, versions_of

sys.path.insert(0, str(Path(__file__).parent / "openflow"))

from wire_samples import samples

N_MESSAGES, N_TOGETHER = 250, 50        # of a version; before both begin anew
XID = 7
_BYTES = (0, 1, 2, 3, 0xFF, 0x80, 0x7F)
_WORDS = (b"\0\0", b"\xff\xff", b"\xff\xfe", b"\0\1", bytes(4), b"\xff" * 4, b"\xff\xff\xff\xfd")
_CLEAN = (FlowMod(Command.DELETE, 255, 0, Match(), ()),
          GroupMod(GroupCommand.DELETE, GROUP_ALL, GroupType.ALL, ()),
          MeterMod(MeterCommand.DELETE, METER_ALL), tlv.TlvTableMod(tlv.CLEAR))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with reference_bridge() as theirs, our_bridge(tmp_path_factory.mktemp("ours")) as (ours, _bridge):
        yield ours, theirs


def spoilt(good: bytes, r: random.Random) -> bytes:
    """*good* with one or two things wrong."""
    data = bytearray(good)
    for _ in range(r.choice((1, 1, 1, 2))):
        at = HEADER.size + int((len(data) - HEADER.size) * r.random() ** 1.3)
        match r.randrange(5):
            case 0 | 1 if at < len(data):
                data[at] = r.choice((*_BYTES, data[at] ^ 1, r.randrange(256)))
            case 2:
                word = r.choice(_WORDS)
                data[at:at + len(word)] = word[:max(0, len(data) - at)]
            case 3:
                del data[at:at + r.choice((1, 2, 4, 8))]
            case _:
                data[at:at] = bytes(r.choice((1, 2, 4, 8)))
    return bytes(data[:2]) + struct.pack(">H", len(data)) + bytes(data[4:])


def clean(target: str) -> None:
    with Raw(target, OF15) as peer:
        for message in _CLEAN:
            peer.send(message)
        peer.said()


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_spoilt_is_refused_alike(both: tuple[str, str], version: int, more: int) -> None:
    r = random.Random(version)
    left = (*_LEFT_OUT, *_NOT_EQUAL.get(version, ()))
    good = [encode(one, version, XID) for one in samples(version)
            if version in versions_of(type(one)) and not isinstance(one, left)]
    good = [data for data in good if len(data) > HEADER.size]
    for _ in range(N_MESSAGES // N_TOGETHER * more):
        for target in both:
            clean(target)
        with Raw(both[0], version) as ours, Raw(both[1], version) as theirs:
            for _ in range(N_TOGETHER):
                data = spoilt(r.choice(good), r)
                for peer in (ours, theirs):
                    peer.send(data)
                assert told(ours.said()) == told(theirs.said()), data.hex()
