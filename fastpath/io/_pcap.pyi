from pathlib import Path

from fastpath._port import Port

class PcapPort(Port):
    def __init__(self, name: str, *, read: str | Path | None = None, write: str | Path | None = None,
                 pace: str | float = "asap", loop: bool = False, epoch_s: float = 0.0,
                 mtu: int = 0) -> None: ...
    @property
    def remaining(self) -> int: ...
    def rewind(self) -> None: ...
