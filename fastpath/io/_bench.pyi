from collections.abc import Iterable

from fastpath._port import Port

class BenchPort(Port):
    def __init__(self, name: str, frames: Iterable[bytes] = ()) -> None: ...
    budget: int
    def floor(self, sink: BenchPort, packets: int) -> None: ...
