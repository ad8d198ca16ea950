from collections.abc import Callable
from typing import Any, final

from fastpath._matchwire import WireReader
from fastpath._rules import Forms

@final
class AddReader:
    by_table: bool
    def __init__(self, version: int, wire: WireReader, forms: Forms,
                 actions: Callable[[bytes, Any, int], Any], *, match: type, rule: type,
                 flags: object) -> None: ...
    def read(self, data: bytes, at: int, now: float) -> tuple[list[Any], int]: ...
    def read_bundled(self, data: bytes, at: int, now: float) -> tuple[list[Any], int, int, int]: ...
