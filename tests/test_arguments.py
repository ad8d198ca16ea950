"""Every public method refuses what its annotations do not name, in words that name the argument, with nothing
changed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest

import fastpath
from fastpath import Bridge, ConfigError, MemoryPort, Port, Switch, testing
from fastpath.arguments import check_each, checked, checks_arguments
from fastpath.bundle import Bundle
from fastpath.controller_set import Controllers
from fastpath.errors import ArgumentError
from fastpath.io.fault import FaultInjector
from fastpath.tlvmap import TlvMap


class World:
    """A switch with some of everything, and how it stands."""

    def __init__(self) -> None:
        self.switch = Switch(seed=0)
        self.bridge = br = self.switch.add_bridge("br0")
        for name in "ab":
            br.add_port(name)
        br.add_group("group_id=1,type=all,bucket=output:1")
        br.add_meter("meter=1,kbps,band=type=drop,rate=10")
        br.add_flow("priority=0,actions=NORMAL")
        br.inject("a", testing.frame())
        br.add_mac("a", "00:00:00:00:00:09")
        br.add_mirror("m0", select_all=True, output_port="b")
        self.things: dict[type, object] = {
            Switch: self.switch, Bridge: br, Port: br.port("a"), Bundle: br.bundle(), TlvMap: br.tlv_map,
            Controllers: br.controllers, FaultInjector: FaultInjector(MemoryPort("q"))}

    def state(self) -> tuple[object, ...]:
        br, switch = self.bridge, self.switch
        return (switch.now, len(switch), switch.poll_us, switch.dump_megaflows(), br.fail_mode,
                br.dump_flows(hidden=True), br.dump_groups(), br.dump_meters(), br.dump_fdb(),
                br.dump_mirrors(), repr(br.tlv_map), list(br.controllers), len(br._listeners),
                [(p.name, p.number, p.of.vlan, p.of.link_up, p.of.no_flood) for p in br.ports])


CLASSES = (Switch, Bridge, Port, Bundle, TlvMap, Controllers, FaultInjector)
FUNCTIONS = (testing.mac, testing.checksum, testing.arp, testing.frame, testing.describe,
             testing.describe_outputs, testing.assert_outputs, testing.assert_dropped, fastpath.open_port,
             fastpath.parse_flow, fastpath.Match.parse)
# A thing, and the words of an annotation that may mean it.
WRONG: tuple[tuple[object, str], ...] = (
    (None, "None"), (5, "int|float"), (-1.5, "float"), (True, "bool"), ("x", "str"), (b"x", "bytes"),
    (object(), " "), ([object()], r"Iterable\[Any"), (int, "Callable|type"))


def calls() -> Iterator[tuple[str, type | None, Callable[..., object], str, str]]:
    """Label, class, function, parameter and annotation of all there are."""
    found: list[tuple[type | None, Callable[..., object]]] = [(None, function) for function in FUNCTIONS]
    for cls in CLASSES:
        found += [(cls, member) for base in cls.__mro__ for name, member in vars(base).items()
                  if inspect.isfunction(member) and base.__module__.startswith("fastpath.")
                  and (not name.startswith("_") or (name == "__init__" and cls not in (Bridge, Port)))]
    for cls, function in found:
        for p in inspect.signature(function).parameters.values():
            if p.annotation is not inspect.Parameter.empty and p.kind is not inspect.Parameter.VAR_KEYWORD:
                yield function.__name__, cls, function, p.name, p.annotation.replace(
                    "Address", "str | int").replace("PortNames", "Mapping[str, int]").replace(
                    "Mappings", "str | TlvMapping | Iterable[TlvMapping]")


def test_no_public_method_takes_arguments_without_a_look() -> None:
    for cls in CLASSES:
        for name, member in vars(cls).items():
            if inspect.isfunction(member) and not name.startswith("_"):
                takes_some = len(inspect.signature(member).parameters) > 1
                assert hasattr(member, "__wrapped__") or not takes_some, f"{cls.__name__}.{name}"


def plausible(world: World, annotation: str) -> object:
    """Something of the kind an annotation names first."""
    found = re.match(r"\w+", annotation)
    assert found
    plain = {"str": "x", "int": 1, "float": 1.0, "bool": True, "bytes": b"", "Address": 1, "Callable": print,
             "Mapping": {}, "Iterable": (), "Port": "a", "Bridge": world.bridge, "type": ValueError,
             "IoPort": MemoryPort("q"), "Datapath": world.switch.dpif}
    return plain[found.group()]


def test_what_is_no_argument_is_refused_and_changes_nothing() -> None:
    world = World()
    before = world.state()
    n = 0
    for label, cls, function, parameter, annotation in calls():
        parameters = inspect.signature(function).parameters
        is_made = function.__name__ == "__init__"
        if annotation in ("object", "Tls | None") or (annotation == "Port" and is_made):
            continue                # nothing is wrong; or what is, a compiled base says itself
        others = {p.name: plausible(world, "IoPort" if is_made and p.annotation == "Port" else p.annotation)
                  for p in parameters.values() if p.annotation is not p.empty and p.default is p.empty
                  and p.name != parameter and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        me = () if cls is None or is_made else (world.things.get(cls),)
        for wrong, words in WRONG:
            outer = re.sub(r"(?<!Callable)\[[^\[\]]*(\[[^\[\]]*\])?[^\[\]]*\]", "", annotation)
            if re.search(rf"\b({words})\b", annotation if "[" in words else outer):
                continue
            with pytest.raises(ArgumentError) as caught:
                if parameters[parameter].kind is inspect.Parameter.VAR_POSITIONAL:
                    function(*me, *others.values(), wrong)
                else:
                    (cls if cls and is_made else function)(*me, **others, **{parameter: wrong})
            told = str(caught.value)
            assert re.match(rf"\w+: {parameter} .*, expected .", told) and "\n" not in told, (label, told)
            n += 1
    assert n > 1000
    assert world.state() == before
    world.switch.close()


def test_what_is_an_argument_is_taken() -> None:
    @checks_arguments
    def anything(a: int | None, b: float = 1, *rest: bytes, c: Iterable[str | int] = (),
                 d: tuple[int, int] | bool = False, e: Mapping[Any, Sequence[bytes]] | None = None,
                 f: Callable[[int], object] = print, g: object = None, h: type[Exception] = ValueError,
                 **others: bool) -> int:
        return 1
    assert anything(1, 2) == anything(None, 2.5, b"x", bytearray(b"y")) == 1
    assert anything(1, c=["a", 1], d=(1, 2), e={5: [b"x"]}, f=len, g=len, h=KeyError, z=True) == 1
    assert anything(1, c=iter([None]), d=True, e=None) == 1       # whoever walks it sees
    for given in ({"a": "1"}, {"a": 1, "b": "x"}, {"a": 1, "c": "ab"}, {"a": 1, "c": [None]},
                  {"a": 1, "d": (1,)}, {"a": 1, "d": (1, "x")},
                  {"a": 1, "e": {1: [2]}}, {"a": 1, "f": 5}, {"a": 1, "z": 5}):
        with pytest.raises(ArgumentError, match=f"anything: {list(given)[-1]} "):
            anything(**given)                                       # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"anything: rest 'x', expected bytes"):
        anything(1, 2, "x")                                         # type: ignore[arg-type]


def test_numbers_of_other_libraries_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")

    @checks_arguments
    def numbers(a: int, b: float) -> tuple[int, float]:
        return a, b
    assert numbers(numpy.int64(3), numpy.float32(0.5)) == (3, 0.5)
    with pytest.raises(ArgumentError, match=r"a .*, expected a whole number"):
        numbers(numpy.float64(3), 1)


def test_a_class_keeps_its_signatures_and_its_private_methods() -> None:
    @checked
    class Thing:
        """It."""

        def __init__(self, size: int) -> None:
            self.size = size

        def grow(self, by: int = 1) -> int:
            """More."""
            return self.size + by

        def _shrink(self, by: int) -> int:
            return self.size - by
    assert str(inspect.signature(Thing.grow)) == "(self, by: 'int' = 1) -> 'int'"
    assert Thing.grow.__doc__ == "More."
    assert Thing(3).grow() == 4 and Thing(3)._shrink(True) == 2
    with pytest.raises(ArgumentError, match="Thing: size None, expected a whole number"):
        Thing(None)                                                 # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing 1 required positional"):
        Thing()                                                     # type: ignore[call-arg]


def test_elements_of_what_can_be_walked_once_are_judged_as_they_come() -> None:
    check_each("call", "names", iter(["a", "b"]), str)
    with pytest.raises(ArgumentError, match=r"call: names with None, expected several \(text\)"):
        check_each("call", "names", iter(["a", None]), str)
    with Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        walked: Any = [iter([None]) for _ in range(4)]
        for call in (lambda: bridge.trace("ip", ct_next=walked[0]), lambda: bridge.add_flows(walked[1]),
                     lambda: bridge.set_table(1, evict=walked[2]), lambda: bridge.tlv_map.add(walked[3])):
            with pytest.raises(TypeError, match=r"None.*expected"):
                call()
        assert not bridge.rules()


def test_an_argument_error_is_what_callers_may_catch() -> None:
    for kind in (TypeError, ValueError, ConfigError, fastpath.FastpathError):
        with suppress(kind):
            testing.mac(None)                                       # type: ignore[arg-type]
            pytest.fail("not refused")
