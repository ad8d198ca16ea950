"""What the parts of Bridge have in common: each is about one matter and uses the same of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.arguments import checked
from fastpath.ofproto.bridge import Ofproto
from fastpath.runtime.loop import Lock

if TYPE_CHECKING:
    from fastpath.bridge import Port
    from fastpath.switch import Switch


@checked
class BridgePart:
    """A part of Bridge; what raises NotImplementedError here is Bridge's own."""

    switch: Switch
    ofproto: Ofproto

    @property
    def _lock(self) -> Lock:
        raise NotImplementedError

    def port(self, which: Port | str | int) -> Port:
        """A port by name or number."""
        raise NotImplementedError
