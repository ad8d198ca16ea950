"""The TLV table of a Bridge, as a program handles it: which tunnel options tun_metadata0 to 63 stand for.

Text is what ovs-ofctl takes and prints::

    br.tlv_map.add("{class=0xffff,type=0,len=4}->tun_metadata0")
    br.add_flow("tun_metadata0=0x1234,actions=output:2")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from fastpath.arguments import check_each, checked
from fastpath.ofproto.tlv_table import TlvMapping, parse_mappings

if TYPE_CHECKING:
    from fastpath.bridge import Bridge

Mappings: TypeAlias = str | TlvMapping | Iterable[TlvMapping]


@checked
class TlvMap:
    """The mappings of *bridge*, by number of the field.  Any thread."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def add(self, mappings: Mappings) -> None:
        """Map more options.  Raises OpenFlowError, with nothing changed, if one cannot be."""
        found = _mappings(mappings)
        with self._bridge._lock:
            self._bridge.ofproto.add_tlvs(found)

    def delete(self, mappings: Mappings) -> None:
        """Forget what the fields of *mappings* stand for, if they stand for anything.  Raises OpenFlowError
        if a rule names one of them."""
        found = _mappings(mappings)
        with self._bridge._lock:
            self._bridge.ofproto.del_tlvs(found)

    def clear(self) -> None:
        """Forget all.  Raises OpenFlowError if a rule names any."""
        with self._bridge._lock:
            self._bridge.ofproto.del_tlvs()

    def dump(self) -> str:
        """As ``ovs-ofctl dump-tlv-map`` prints it, without the line that names the message."""
        return self._bridge.ofproto.tlvs.format()

    def __iter__(self) -> Iterator[TlvMapping]:
        return iter(self._bridge.ofproto.tlvs)

    def __len__(self) -> int:
        return len(self._bridge.ofproto.tlvs)

    def __repr__(self) -> str:
        return f"TlvMap({','.join(map(str, self))})"


def _mappings(given: Mappings) -> tuple[TlvMapping, ...]:
    if isinstance(given, str):
        return parse_mappings(given)
    several = (given,) if isinstance(given, TlvMapping) else tuple(given)
    check_each("tlv_map", "mappings", several, TlvMapping)
    return several
