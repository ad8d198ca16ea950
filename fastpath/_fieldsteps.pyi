from typing import TypeAlias, final

from fastpath._flow import FlowKey, Window

NEEDS: dict[str, int]
Operand: TypeAlias = tuple[str, Window, int, int]       # need, window, lowest bit, bits

@final
class FieldSteps:
    n: int
    def add_store(self, need: str, window: Window, value: int, bits: int, *, marks: bool = True,
                  knows_proto: bool = False) -> None: ...
    def add_move(self, target: Operand, source: Operand) -> None: ...
    def run(self, flow: FlowKey, wc: FlowKey) -> None: ...
