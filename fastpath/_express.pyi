from collections.abc import Callable, Sequence
from typing import Any, final

from fastpath._fieldsteps import FieldSteps
from fastpath._flow import FlowKey

PLAIN: bool
KINDS: dict[str, int]
SAME: int

@final
class Plan:
    def __init__(self, steps: list[tuple[str, int, int, FieldSteps | None]]) -> None: ...

@final
class Express:
    bridge: Any
    flow: FlowKey
    base: FlowKey
    mask: FlowKey
    pins: FlowKey | None
    actions: list[Any]
    hits: list[Any]
    macs: list[tuple[str, int, int]]
    def __init__(self, *, plan_of: Callable[[Sequence[Any]], Plan | None],
                 commit: Callable[[Express], bool], output: Callable[[int], object], writable: FlowKey,
                 dropping: tuple[object, ...], is_reserved: Callable[[int], bool],
                 is_trunk: Callable[[Any], bool],
                 port_of_mac: Callable[[Any, int, int], int | None]) -> None: ...
    def translate(self, bridge: object, key: FlowKey,
                  ofp_port: int) -> bytes | tuple[bytes, tuple[Any, ...]] | None: ...
