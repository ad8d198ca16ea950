"""The TLV table, read and changed for a Session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fastpath.openflow.messages import tlv

if TYPE_CHECKING:
    from fastpath.openflow.service import Session


def _mod(session: Session, ask: tlv.TlvTableMod) -> Iterator[object]:
    if ask.command == tlv.ADD:
        session.bridge.add_tlvs(ask.mappings)
    else:
        session.bridge.del_tlvs(ask.mappings if ask.command == tlv.DELETE else None)
    yield from ()


def _request(session: Session, _ask: tlv.TlvTableRequest) -> Iterator[object]:
    yield tlv.TlvTableReply(session.bridge.tlvs())


HANDLERS: dict[type, Callable[[Session, Any], Iterator[object]]] = {
    tlv.TlvTableMod: _mod, tlv.TlvTableRequest: _request,
}
