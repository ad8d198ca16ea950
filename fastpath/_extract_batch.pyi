from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from fastpath._flow import FlowKey

FLOW_DTYPE: np.dtype[np.void]

def flow_dtype() -> np.dtype[np.void]: ...
def extract_many(frames: Iterable[Buffer] | tuple[Buffer, npt.ArrayLike, npt.ArrayLike], *,
                 in_port: int = 0, md: FlowKey | None = None,
                 out: npt.NDArray[np.void] | None = None) -> npt.NDArray[np.void]: ...
def key_of(row: Any) -> FlowKey: ...
def as_rows(keys: Iterable[FlowKey]) -> npt.NDArray[np.void]: ...
def repeat(frames: Sequence[bytes], n: int, *, reuse: bool = True) -> float: ...
