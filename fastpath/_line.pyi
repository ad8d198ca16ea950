from collections.abc import Sequence

from typing_extensions import Buffer

from fastpath._flow import FlowKey

def read_plain(frames: Sequence[Buffer], *, mds: Sequence[FlowKey | None] = (), form: str = "words"
               ) -> list[tuple[FlowKey, tuple[int, int, int, int], int] | None]: ...
def alike_ways(frames: list[bytes], flow: FlowKey, mask: FlowKey) -> list[tuple[object, ...]]: ...
def covered_ways(flow: FlowKey, mask: FlowKey, packets: Sequence[FlowKey]) -> list[tuple[bool, ...]]: ...
