from collections.abc import Callable
from typing import Any, final

from fastpath._flow import FlowKey, Patch, Window
from fastpath._rules import Forms

@final
class PlainField:
    def __init__(self, kind: str, window: Window, *, lsb: int, n_bytes: int, maskable: bool, ethernet: bool,
                 full: int, bits: int, exact: int, present: int) -> None: ...

@final
class PlainNumber:
    def __init__(self, name: str, limit: int, is_decimal: bool = False) -> None: ...

def scan(source: str,
         readers: dict[str, PlainField | PlainNumber | Patch | Callable[[str], Patch] | int | None],
         key: FlowKey, mask: FlowKey, values: dict[str, int]) -> bool: ...

@final
class PlainReader:
    def __init__(self, readers: dict[str, Any], forms: Forms, actions: Callable[..., Any], *, mod: type,
                 match: type, rule: type, command: object) -> None: ...
    def read(self, source: str) -> Any: ...
    def read_rule(self, source: str) -> Any: ...
