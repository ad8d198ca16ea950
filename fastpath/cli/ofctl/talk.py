"""What the verbs of ``fastpath ofctl`` share: options, the connection, names of ports, how answers print."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from fastpath.errors import FastpathError, OpenFlowError
from fastpath.io.textfile import read_text
from fastpath.ofproto.actions.base import Names
from fastpath.ofproto.actions.versions import OF13
from fastpath.ofproto.flow_reader import FlowReader
from fastpath.openflow.client import Client, HungUp, Refused
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.formats import Formats, format_formats
from fastpath.openflow.messages import basic, bundle, port, stats
from fastpath.openflow.messages.table import decode, encode
from fastpath.openflow.printing.context import PACKETS, PAYLOADS
from fastpath.openflow.printing.message import format_message
from fastpath.runtime.dial import Dial, DialError
from fastpath.runtime.log import Log
from fastpath.runtime.tls import Tls
from fastpath.value import record, value

RUNDIR = "/var/run/openvswitch"
_TARGET = re.compile(r"(tcp|ssl|unix):")


@value
class Daemon:
    """How a verb that goes on and on does so: in the background, with a file that names it, and a socket."""

    detach: bool = False
    monitor: bool = False
    no_chdir: bool = False
    pidfile: str | None = None
    overwrite_pidfile: bool = False
    unixctl: str | None = None


@record
class Options:
    """The options, as given."""

    versions: tuple[int, ...] = VERSIONS
    formats: Formats = Formats.ANY                  # of these versions, those allowed
    strict: bool = False
    bundle: bool = False
    names: bool | None = None                       # None: ports may be named, and are told by number
    stats: bool = True
    may_create: bool = False
    more: int = 0
    sort: tuple[tuple[str, bool], ...] = ()         # fields, and whether descending
    timeout: float | None = None
    packet_in_format: int | None = None             # None: the best there is
    readd: bool = False
    read_only: bool = False
    timestamp: bool = False
    tls: Tls | None = None
    paint: Callable[[str], str] = str               # the text of rules in dumps
    pcap: bool = False
    raw: bool = False
    daemon: Daemon = Daemon()
    program: str = "fastpath ofctl"                 # as errors name it
    log: Log | None = None


class Quit(Exception):
    """The command ends with *status*, all being said."""

    def __init__(self, status: int = 1) -> None:
        self.status = status
        super().__init__(status)


def target_of(name: str, suffix: str = "mgmt") -> str:
    """Where the switch is that ovs-ofctl calls *name*: ``tcp:`` and the like, a bridge, or a socket.  Raises
    FastpathError for what is none."""
    if ":" in name:
        if not _TARGET.match(name):
            raise FastpathError(f"connecting to {name} ({os.strerror(errno.EAFNOSUPPORT)})")
        return name
    rundir = Path(os.environ.get("OVS_RUNDIR", RUNDIR))
    for path in (rundir / f"{name}.{suffix}", Path(name)):
        if path.exists():
            return f"unix:{path}"
    raise FastpathError(f"{name} is not a bridge or a socket")


def lines_of(name: str) -> Iterable[str]:
    """Lines of the file *name*, "-" being standard input.  Raises FastpathError in the words of ovs-ofctl."""
    if name == "-":
        return sys.stdin
    try:
        return read_text(name).splitlines()
    except OSError as error:
        raise FastpathError(f"{name}: open failed ({error.strerror})") from None


class _Later(Mapping[str, int]):
    """Numbers by name, which *ask* gets when the first is looked up: there is much to ask."""

    def __init__(self, ask: Callable[[], dict[str, int]]) -> None:
        self._ask = ask
        self._found: dict[str, int] | None = None

    def _all(self) -> dict[str, int]:
        if self._found is None:
            self._found = self._ask()
        return self._found

    def __getitem__(self, name: str) -> int:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __bool__(self) -> bool:
        return True                 # perhaps; whether there are any is not asked before it matters


class Talk:
    """One conversation with the switch *name*, begun when it is first needed."""

    def __init__(self, name: str, options: Options, *, suffix: str = "mgmt") -> None:
        self.name, self.options = name, options
        self.versions = options.versions        # those that may be spoken
        self._suffix = suffix
        self._dial: Dial | None = None
        self._client: Client | None = None
        self._ports: dict[str, int] | None = None
        self._tables = _Later(self._table_names)

    @property
    def target(self) -> str:
        """The address of the switch."""
        return target_of(self.name, self._suffix)

    @property
    def client(self) -> Client:
        """The conversation."""
        if self._client is None:
            self._dial = self.dial()
            self._client = self._agree(self._dial)
        return self._client

    def _agree(self, dial: Dial) -> Client:
        """A conversation in a version of OpenFlow.  Raises FastpathError in the words of ovs-ofctl."""
        try:
            return Client(dial, self.versions)
        except (HungUp, BrokenPipeError, ConnectionResetError) as error:
            why = error.strerror if isinstance(error, OSError) else "End of file"
            place = self.name if ":" in self.name else self.target.removeprefix("unix:")
            raise FastpathError(f"{place}: failed to connect to socket ({why})") from None

    @property
    def dialled(self) -> Dial:
        """The connection of the conversation."""
        assert self.client and self._dial is not None
        return self._dial

    def dial(self) -> Dial:
        """A new connection.  Raises FastpathError in the words of ovs-ofctl."""
        target = self.target
        try:
            return Dial(target, tls=self.options.tls, timeout=self.options.timeout)
        except DialError as error:
            failed = f"connecting to {self.name}" if target == self.name else (
                f"{target.removeprefix('unix:')}: failed to open socket")
            raise FastpathError(f"{failed} ({error.reason})") from None

    @property
    def version(self) -> int:
        """Version of OpenFlow that is spoken."""
        return self.client.version

    def need(self, least: int, verb: str) -> None:
        """Raise FastpathError unless the version is *least* or higher."""
        if self.version < least:
            raise FastpathError(f"{verb} needs OpenFlow 1.{least - 1} or later ('-O OpenFlow1{least - 1}')")

    def need_format(self, usable: Formats) -> Formats:
        """Those of the *usable* formats that are allowed.  Raises FastpathError if none is."""
        allowed = self.options.formats
        if not usable & allowed:
            raise FastpathError(f"none of the usable flow formats ({format_formats(usable)}) is among the "
                                f"allowed flow formats ({format_formats(allowed)})")
        return usable & allowed

    def close(self) -> None:
        """Hang up."""
        if self._dial is not None:
            self._dial.close()

    # -- ports ---------------------------------------------------------------------------------------

    def descriptions(self) -> tuple[port.PortDesc, ...]:
        """All ports."""
        if self.version < OF13:
            features = self.client.answer(basic.FeaturesRequest())[0].message
            found: tuple[port.PortDesc, ...] = features.ports
            return found
        return tuple(p for frame in self.client.answer(stats.PortDescRequest()) for p in frame.message.ports)

    @property
    def ports(self) -> dict[str, int]:
        """Numbers of ports by name."""
        if self.options.names is False:
            return {}
        if self._ports is None:
            self._ports = {p.name: p.port for p in self.descriptions()}
        return self._ports

    @property
    def shown_names(self) -> Mapping[int, str] | None:
        """Names of ports by number, with those of tables, if names are to be shown."""
        if not self.options.names:
            return None
        return Names({number: name for name, number in self.ports.items()}, self.shown_tables or {})

    @property
    def tables(self) -> Mapping[str, int]:
        """Numbers of tables by name, asked for when a name is looked up."""
        return {} if self.options.names is False else self._tables

    @property
    def shown_tables(self) -> Mapping[int, str] | None:
        """Names of tables by number, if names are to be shown."""
        return {number: name for name, number in self.tables.items()} if self.options.names else None

    def _table_names(self) -> dict[str, int]:
        request = stats.TableRequest() if self.version < OF13 else stats.TableFeaturesRequest()
        return {t.name: t.table_id for frame in self.client.answer(request) for t in frame.message.tables
                if t.name}

    def reader(self) -> FlowReader:
        """Reads flow text that may name ports and tables."""
        return FlowReader(self.ports, self.tables)

    # -- answers -------------------------------------------------------------------------------------

    def show(self, messages: Iterable[bytes]) -> None:
        """Print *messages*."""
        for data in messages:
            self.print(format_message(data, ports=self.shown_names, tables=self.shown_tables,
                                      verbosity=PACKETS + self.options.more, stats=self.options.stats,
                                      paint=self.options.paint))

    @staticmethod
    def print(text: str) -> None:
        """Print *text*, which has its end."""
        sys.stdout.write(text)

    def ask(self, message: object) -> None:
        """Ask, and print the answer, be it a refusal."""
        try:
            self.show(self.client.ask(message))
        except Refused as refused:
            self.show([refused.data])

    def tell(self, *messages: object) -> None:
        """Have *messages* carried out; print the first refusal and quit."""
        try:
            self.client.tell(*messages)
        except Refused as refused:
            sys.stderr.write(format_message(refused.data, verbosity=PAYLOADS))
            raise Quit from None

    def bundle(self, messages: Iterable[object]) -> None:
        """Have *messages* carried out in one bundle; print what is wrong and quit."""
        errors = self.client.bundle(messages)
        for data in errors:
            text = format_message(_unwrapped(data))
            first, _, request = text.partition("\n")
            sys.stderr.write(f"Error {first.rpartition(' ')[2]} for: {request}")
        if errors:
            raise FastpathError(f"talking to {self.target} (Protocol error)")


def _unwrapped(data: bytes) -> bytes:
    """An error about a message of a bundle as one about the message itself."""
    error = decode(data)
    try:
        inner = decode(error.message.data).message
    except OpenFlowError:
        return data
    if not isinstance(inner, bundle.BundleAdd):
        return data
    return encode(basic.Error(error.message.code, inner.message), error.version, error.xid)
