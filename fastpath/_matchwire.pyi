from typing import Any, final

from fastpath._flow import Window
from fastpath._rules import Forms

@final
class WireField:
    def __init__(self, window: Window, *, lsb: int, n_bytes: int, number: int, maskable: bool, ethernet: bool,
                 is_port: bool, full: int, valid: int, bits: int, exact: int, present: int) -> None: ...

@final
class WireReader:
    def __init__(self, fields: dict[int, WireField], forms: Forms, match: type) -> None: ...
    def read(self, data: bytes, at: int, end: int) -> Any: ...
    def learn(self, data: bytes, at: int, end: int, match: object) -> None: ...
