from collections.abc import Callable
from typing import Any, final

from fastpath._flow import FlowKey, Window
from fastpath._rules import Form, Forms

@final
class WireField:
    def __init__(self, window: Window, *, lsb: int, n_bytes: int, number: int, maskable: bool, ethernet: bool,
                 is_port: bool, full: int, valid: int, bits: int, exact: int, present: int) -> None: ...

@final
class WireReader:
    def __init__(self, fields: dict[int, WireField], forms: Forms, match: type) -> None: ...
    def read(self, data: bytes, at: int, end: int) -> Any: ...
    def learn(self, data: bytes, at: int, end: int, match: object) -> None: ...

@final
class WireWriter:
    def __init__(self, forms: Forms,
                 plan: Callable[[Any, int], tuple[bytes, list[tuple[WireField, int]]] | None],
                 match: type) -> None: ...
    def put(self, mask: FlowKey, words: bytes, version: int) -> tuple[bytes, Form] | None: ...
