from collections.abc import Callable
from typing import Any, final

from fastpath._matchwire import WireWriter

@final
class EntryWriter:
    def __init__(self, matches: WireWriter, ids: int, now: float, actions: Callable[[Any], bytes],
                 slow: Callable[[Any], bytes], *, nx: bool, flags: bool, importance: bool) -> None: ...
    def page(self, rules: list[Any], at: int, room: int) -> tuple[bytes, int]: ...
