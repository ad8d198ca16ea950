"""The controller's side of one conversation: ask, and wait for the answer.

A ``Client`` speaks over anything that sends bytes and gives the next message (``runtime.dial``).  What a
switch refuses is raised as ``Refused`` with the bytes of its error, for whoever prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from fastpath.errors import FastpathError
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.messages import basic, bundle
from fastpath.openflow.messages.table import HEADER, Frame, decode, encode, is_more

ECHO_REQUEST, ERROR = 2, 1


class Wire(Protocol):
    """What carries the messages."""

    def send(self, data: bytes) -> None: ...
    def next(self) -> bytes | None: ...


class Refused(FastpathError):
    """The switch answered with an error message, all of which is *data*."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        super().__init__(decode(data).message.code)


class HungUp(FastpathError):
    """The switch ended the conversation."""


class Client:
    """One conversation in the highest version of *versions* that the switch speaks."""

    def __init__(self, wire: Wire, versions: Iterable[int] = VERSIONS) -> None:
        self._wire, self._xid = wire, 0
        ours = frozenset(versions)
        wire.send(encode(basic.hello_of(ours), max(ours), self._next_xid()))
        hello = self._receive()
        if hello[1] == ERROR:
            raise Refused(hello)
        known = bytes([min(hello[0], max(VERSIONS))]) + hello[1:]
        theirs = basic.hello_versions(decode(known).message, hello[0])
        common = ours & theirs
        if not common:
            raise FastpathError(f"no version in common: we speak {_names(ours)}, the switch {_names(theirs)}")
        self.version = max(common)

    def _next_xid(self) -> int:
        self._xid += 1
        return self._xid

    def _receive(self) -> bytes:
        data = self._wire.next()
        if data is None:
            raise HungUp("the switch hung up")
        return data

    def send(self, message: object, xid: int | None = None) -> int:
        """Send *message*; return its xid."""
        xid = self._next_xid() if xid is None else xid
        self._wire.send(encode(message, self.version, xid))
        return xid

    def encoded(self, message: object) -> bytes:
        """Bytes of *message* as they would be sent, for who prints them first."""
        return encode(message, self.version, self._next_xid())

    def received(self) -> Iterator[bytes]:
        """Messages as they come, until the switch hangs up; its echo requests are answered."""
        while (data := self._wire.next()) is not None:
            if data[1] == ECHO_REQUEST:
                self._wire.send(encode(basic.EchoReply(data[HEADER.size:]), data[0], _xid(data)))
            else:
                yield data

    def ask(self, message: object) -> list[bytes]:
        """The answer to *message*, of as many messages as it comes in.  Raises Refused."""
        xid, out = self.send(message), list[bytes]()
        for data in self.received():
            if _xid(data) != xid:
                continue
            if data[1] == ERROR:
                raise Refused(data)
            out.append(data)
            if not is_more(data):
                return out
        raise HungUp("the switch hung up")

    def answer(self, message: object) -> list[Frame]:
        """The same, decoded."""
        return [decode(data) for data in self.ask(message)]

    def tell(self, *messages: object) -> None:
        """Send *messages*, to which nothing is answered, and wait until they are done.  Raises Refused."""
        xids = {self.send(message) for message in messages}
        barrier = self.send(basic.BarrierRequest())
        for data in self.received():
            if data[1] == ERROR and _xid(data) in xids:
                raise Refused(data)
            if _xid(data) == barrier:
                return
        raise HungUp("the switch hung up")

    def bundle(self, messages: Iterable[object], *, flags: int = bundle.ATOMIC | bundle.ORDERED,
               number: int = 0) -> list[bytes]:
        """Have *messages* carried out together; return the errors, none if all went well."""
        kinds = bundle.BundleType
        errors: list[bytes] = []
        try:
            self.ask(bundle.BundleControl(number, kinds.OPEN_REQUEST, flags))
            for message in messages:
                xid = self._next_xid()
                self.send(bundle.BundleAdd(number, flags, encode(message, self.version, xid)), xid)
            xid = self.send(bundle.BundleControl(number, kinds.COMMIT_REQUEST, flags))
            for data in self.received():
                if data[1] == ERROR:
                    errors.append(data)
                if _xid(data) == xid:
                    break
        except Refused as refused:
            errors.append(refused.data)
        return errors


def _xid(data: bytes) -> int:
    return int.from_bytes(data[4:8], "big")


def _names(versions: Iterable[int]) -> str:
    return ", ".join(f"1.{v - 1}" for v in sorted(versions)) or "none"
