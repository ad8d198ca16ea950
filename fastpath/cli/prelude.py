"""Meters and groups given on the command line or in a file: what must be there before rules name them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fastpath.errors import ConfigError, FastpathError
from fastpath.io.textfile import read_text
from fastpath.value import value

if TYPE_CHECKING:
    from fastpath.bridge import Bridge

Placed: TypeAlias = "tuple[tuple[str, str], ...]"           # where it was written, text


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Say *place*, if it is not empty, before whatever error is met within."""
    try:
        yield
    except FastpathError as error:
        message = str(error).removeprefix("flows:1: ").removeprefix("groups:1: ")
        raise ConfigError(f"{place}: {message}" if place else message) from None


def read_lines(path: Path) -> Placed:
    """Lines of a file of rules or groups with their places; comments and blank lines are left out."""
    stripped = ((i, line.partition("#")[0].strip()) for i, line in enumerate(read_text(path).splitlines(), 1))
    return tuple((f"{path}:{i}", line) for i, line in stripped if line)


@value
class Prelude:
    """Meters and groups of one bridge."""

    meters: Placed = ()
    groups: Placed = ()

    @classmethod
    def given(cls, args: argparse.Namespace) -> Prelude:
        """Those of the command line."""
        groups = tuple((f"--group {text!r}", text) for text in args.group)
        return cls(tuple((f"--meter {text!r}", text) for text in args.meter),
                   groups + (read_lines(Path(args.groups)) if args.groups else ()))

    def __bool__(self) -> bool:
        return bool(self.meters or self.groups)

    def add_to(self, bridge: Bridge) -> None:
        """Add all to *bridge*, whose ports are there.  Raises ConfigError naming the place."""
        for place, text in self.meters:
            with placed(place):
                bridge.add_meter(text)
        for place, text in self.groups:
            with placed(place):
                bridge.add_groups([text])


NONE = Prelude()


def add_options(p: argparse.ArgumentParser) -> None:
    """Let *p* take meters and groups."""
    p.add_argument("--group", action="append", default=[], metavar="GROUP",
                   help="a group as ovs-ofctl takes it, such as group_id=1,type=all,bucket=output:2")
    p.add_argument("--groups", metavar="FILE", help="file of groups, one a line")
    p.add_argument("--meter", action="append", default=[], metavar="METER",
                   help="a meter, such as meter=1,pktps,band=type=drop,rate=100")
