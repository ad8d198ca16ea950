from collections.abc import Callable
from typing import Any, final

from fastpath._addrules import RuleWriter
from fastpath._addwire import AddReader

@final
class AddTrip:
    def __init__(self, session: Any, connection: Any, version: int, heard: bytearray, out: bytearray, *,
                 lock: Any, reader: Callable[[], AddReader | None], writer: RuleWriter,
                 now: Callable[[], float], settle: Callable[[float], object]) -> None: ...
    def answer(self, data: bytes) -> bytes | None: ...
    def sent(self, n: int) -> None: ...
    def collect(self) -> tuple[int, int, dict[int, int], float, float, float] | None: ...
