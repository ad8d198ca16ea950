from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar, final

from fastpath._flow import FlowKey
from fastpath.tlv import Options

_M = TypeVar("_M", bound=PackedMatch)

def shared(mask: FlowKey) -> FlowKey: ...

class PackedMatch:
    _key: FlowKey
    _words: bytes | None
    mask: FlowKey
    options: Options
    @property
    def form(self) -> Form | None: ...
    def __init__(self, key: FlowKey | None = None, mask: FlowKey | None = None,
                 options: Options | None = None) -> None: ...
    @property
    def key(self) -> FlowKey: ...
    def packed(self: _M) -> _M: ...
    @classmethod
    def kept(cls: type[_M], mask: FlowKey, words: bytes, options: Options) -> _M: ...

class PackedRule:
    mask: FlowKey
    words: bytes
    options: Options
    actions: Any
    successor: Any
    flags: Any
    @property
    def flag_bits(self) -> int: ...
    cookie: int
    n_packets: int
    n_bytes: int
    serial: int
    created: float
    modified: float
    used: float
    idle_timeout: float
    hard_timeout: float
    priority: int
    importance: int
    table_id: int
    removed: bool
    __hash__: ClassVar[Any]
    def __init__(self, match: PackedMatch, priority: int = 0x8000, actions: tuple[Any, ...] = (), *,
                 table_id: int = 0, cookie: int = 0, idle_timeout: float = 0, hard_timeout: float = 0,
                 importance: int = 0, flags: Any = None, now: float = 0.0) -> None: ...

@final
class Form:
    @property
    def mask(self) -> FlowKey | None: ...

@final
class Forms:
    def __init__(self, judge: Callable[[FlowKey, FlowKey], FlowKey | None]) -> None: ...
    def look(self, key: FlowKey, mask: FlowKey) -> Form: ...

@final
class Traits:
    def __init__(self, bits: dict[type, int]) -> None: ...
    def of(self, actions: tuple[Any, ...]) -> int: ...

_R = TypeVar("_R", bound=PackedRule)

@final
class PlainAdds(Generic[_R]):
    def __init__(self, traits: Traits, special: FlowKey, flags: int, n_tables: int, *, mod: type,
                 rule: type[_R], add: object) -> None: ...
    def rule_of(self, mod: object, is_judged: bool = False) -> _R | None: ...
    def n_plain(self, rules: list[_R], first: int) -> int: ...
