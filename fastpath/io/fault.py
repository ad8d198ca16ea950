"""FaultInjector: wrap a port to see how what is behind it copes with a bad network."""

from __future__ import annotations

from fastpath._port import Port
from fastpath.arguments import checked
from fastpath.errors import ConfigError
from fastpath.io._fault import FaultPort

DIRECTIONS = {"both": (True, True), "rx": (True, False), "tx": (False, True)}
OTHER_SIDE = 0x5DEECE66D        # the two directions draw different numbers from one seed


@checked
class FaultInjector(FaultPort):
    """A port that treats the packets of *port* badly, in the same way each time with one *seed*.

    *drop*, *duplicate*, *corrupt* (one bit flips) and *reorder* (it goes after the next packet) are
    probabilities per packet; *delay* is seconds of the port's time.  *limit* bounds the packets kept back in
    a direction; more are dropped and counted as "overflowed".  Raises ConfigError.
    """

    def __init__(self, port: Port, *, drop: float = 0.0, duplicate: float = 0.0, corrupt: float = 0.0,
                 reorder: float = 0.0, delay: float = 0.0, seed: int = 0, direction: str = "both",
                 limit: int = 10_000) -> None:
        super().__init__(port)
        chances = {"drop": drop, "duplicate": duplicate, "corrupt": corrupt, "reorder": reorder}
        for name, value in chances.items():
            if not 0 <= value <= 1:
                raise ConfigError(f"{name}={value}: a probability is between 0 and 1")
        if not 0 <= delay < 1e6:
            raise ConfigError(f"delay={delay}: expected seconds, not negative")
        if not 0 <= limit < 1 << 32:
            raise ConfigError(f"limit={limit}: not between 0 and {(1 << 32) - 1}")
        if direction not in DIRECTIONS:
            raise ConfigError(f"direction={direction!r}: expected one of {', '.join(DIRECTIONS)}")
        for received, wanted in zip((True, False), DIRECTIONS[direction], strict=True):
            if wanted:
                self._set(received, drop=drop, duplicate=duplicate, corrupt=corrupt, reorder=reorder,
                          delay_s=delay, limit=limit, seed=(seed + OTHER_SIDE * received) % (1 << 64))
