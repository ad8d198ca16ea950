"""Wrong use of Switch, Bridge and Port: each is refused by an error that says what was given, and nothing
is left half done."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

import fastpath
from fastpath import (
    Bridge,
    ConfigError,
    ExistsError,
    MemoryPort,
    NotFoundError,
    OpenFlowError,
    PythonPort,
    Switch,
)
from fastpath.testing import frame


@pytest.fixture
def br() -> Iterator[Bridge]:
    with Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_port("a")
        bridge.add_port("b")
        yield bridge


def closed_port() -> MemoryPort:
    port = MemoryPort("gone")
    port.close()
    return port


def closed_python_port() -> PythonPort:
    port = PythonPort("idle")
    port.close()
    return port


@cache
def other_switch() -> Switch:
    return Switch(seed=1)


def port_of_another_switch() -> MemoryPort:
    port = MemoryPort("taken")
    switch = other_switch()
    switch.add_bridge(f"b{len(switch)}").add_port("taken", port)
    return port


@pytest.mark.parametrize("call, error, words", [
    (lambda br: br.add_port("a"), ExistsError, "has one of that name"),
    (lambda br: br.add_port(""), ConfigError, "expected a name"),
    (lambda br: br.add_port("x\n"), ConfigError, "expected a name"),
    (lambda br: br.add_port(5), ConfigError, "add_port: name 5, expected text"),
    (lambda br: br.add_port("x", number="3"), ConfigError, "number '3', expected a whole number or None"),
    (lambda br: br.add_port("x", number=True), ConfigError, "number True, expected a whole number"),
    (lambda br: br.add_port("x", number=2), ExistsError, "has it as 'b'"),
    (lambda br: br.add_port("x", 42), ConfigError, "io 42, expected a Port or text or None"),
    (lambda br: br.add_port("x", MemoryPort), ConfigError, "expected a Port"),
    (lambda br: br.add_port("x", closed_port()), ConfigError, "'gone'> is closed"),
    (lambda br: br.add_port("x", closed_python_port()), ConfigError, "'idle'> is closed"),
    (lambda br: br.add_port("x", port_of_another_switch()), ExistsError, "'taken' is in .* another switch"),
    (lambda br: br.add_port("x", br.port("a").io), ExistsError, "in the datapath already"),
    (lambda br: br.add_port("x", tag="10"), ConfigError, "tag '10', expected a whole number"),
    (lambda br: br.add_port("x", trunks=10), ConfigError, "trunks 10, expected several"),
    (lambda br: br.add_port("x", no_flood="yes"), ConfigError, "expected True or False"),
    (lambda br: br.port("a").set(no_flood=1), ConfigError, "expected True or False"),
    (lambda br: br.port("a").set(link_up="no"), ConfigError, "link_up 'no', expected True or False"),
    (lambda br: br.set_table(1, max_flows=-1), ConfigError, "max_flows -1"),
    (lambda br: br.set_table(1, miss="flood"), ConfigError, "miss 'flood': not one of default"),
    (lambda br: br.add_meter(None), TypeError, "meter None, expected text or a MeterMod"),
    (lambda br: br.del_meters(5), TypeError, "meter 5, expected text or a MeterMod"),
    (lambda br: br.packet_out(b"x" * 100_000, "output:1"), fastpath.FormatError, "at most 65600"),
    (lambda br: br.switch.on(5, print), TypeError, "kind 5, expected a class"),
    (lambda br: br.switch.on(fastpath.PacketIn, 5), TypeError, "callback 5, expected something that"),
    (lambda br: br.switch.del_bridge(None), TypeError, "bridge None, expected a Bridge or text"),
    (lambda br: br.listen(None), ConfigError, "listen: address None, expected text"),
    (lambda br: br.listen("ptcp:0", versions=[9]), ConfigError, r"versions \[9\]: expected some of 1"),
    (lambda br: br.listen("ptcp:0", versions=[]), ConfigError, "expected some of 1"),
    (lambda br: br.listen("ptcp:0", dpid=1 << 64), ConfigError, "dpid 18446744073709551616"),
    (lambda br: br.controllers.add(None), ConfigError, "target None, expected text"),
    (lambda br: br.controllers.add("tcp:127.0.0.1:1", versions=["1.3"]), ConfigError, "versions"),
    (lambda br: br.controllers.add("tcp:127.0.0.1:1", inactivity_probe=float("nan")), ConfigError, "a probe"),
    (lambda br: br.controllers.add("tcp:127.0.0.1:1", max_backoff=0), ConfigError, "a backoff above 0"),
    (lambda br: br.controllers.add("tcp:127.0.0.1:1", burst_limit=-1), ConfigError, "a burst of 0 or more"),
    (lambda br: br.add_flow(None), TypeError, "flow None, expected text or a FlowMod"),
    (lambda br: br.add_flow(b"actions=drop"), TypeError, "expected (several|text)"),
    (lambda br: br.add_flows(["actions=drop", None]), TypeError, "expected (several|text)"),
    (lambda br: br.trace(frame(), in_port=99999), ConfigError, "99999"),
    (lambda br: br.inject("a", b"x" * 100_000), fastpath.FormatError, "at most 65600"),
    (lambda br: br.on_packet_in(None), TypeError, "callback None, expected something that can be called"),
    (lambda br: br.switch.connect(br, br), ConfigError, "with itself"),
    (lambda br: br.switch.advance(-1), ConfigError, "advance -1: expected seconds"),
    (lambda br: br.switch.advance(float("nan")), ConfigError, "expected seconds"),
    (lambda br: br.switch.run(-1), ConfigError, "run -1: expected seconds"),
    (lambda br: br.switch.add_bridge(""), ConfigError, "bridge ''"),
    (lambda br: br.switch.add_bridge("br0"), ExistsError, "br0"),
    (lambda br: br.switch.add_bridge("x", mac_aging=0), ConfigError, "mac_aging 0"),
    (lambda br: br.switch.add_bridge("x", mac_aging=float("nan")), ConfigError, "mac_aging nan"),
    (lambda br: br.switch.add_bridge("x", max_macs=0), ConfigError, "max_macs 0"),
    (lambda br: Switch(flow_limit=-1), ConfigError, "flow_limit -1"),
    (lambda br: Switch(flow_limit=100_000_001), ConfigError, "flow_limit 100000001: not between 0 and"),
    (lambda br: Switch(poll_us=-1), ConfigError, "poll_us cannot be -1: expected a whole number from 0 to"),
    (lambda br: Switch(poll_us=0.5), ConfigError, "poll_us 0.5, expected a whole number"),
    (lambda br: Switch(max_idle=0), ConfigError, "max_idle 0"),
    (lambda br: Switch(max_revalidator=0), ConfigError, "max_revalidator 0"),
    (lambda br: Switch(max_revalidator=float("nan")), ConfigError, "max_revalidator nan"),
    (lambda br: Switch(min_revalidate_pps=-1), ConfigError, "min_revalidate_pps -1"),
])
def test_wrong_use_is_refused_and_changes_nothing(br: Bridge, call: Callable[[Bridge], object],
                                                  error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(br)
    assert [port.name for port in br.ports] == ["a", "b"] and list(br.switch) == [br] and not br.rules()
    assert br.port("a").of.no_flood is False


def test_a_thread_count_that_makes_no_sense_is_refused() -> None:
    with Switch(realtime=True) as sw:
        for n in (0, -1, 32, "two", True):
            with pytest.raises(ConfigError, match=r"not between 1 and 31|expected a whole number"):
                sw.start(n)                                         # type: ignore[arg-type]
        assert not sw.is_running


def test_a_port_that_was_removed_is_not_used(br: Bridge) -> None:
    port = br.port("b")
    br.add_flow("in_port=a,actions=output:b")
    br.inject("a", frame())
    port.io.inject(frame())                                         # type: ignore[union-attr]
    br.del_port(port)
    uses: list[Callable[[], object]] = [
        lambda: port.inject(frame()), port.stats, lambda: port.set(tag=3), lambda: br.inject(port, frame()),
        lambda: br.del_port(port)]
    for use in uses:
        with pytest.raises(NotFoundError, match="no port 'b' any more"):
            use()


def test_a_bridge_that_was_deleted_is_not_used(br: Bridge) -> None:
    switch = br.switch
    switch.del_bridge(br)
    again = switch.add_bridge("br0")
    uses: list[Callable[[], object]] = [
        lambda: br.add_port("x"), lambda: br.add_flow("actions=drop"), br.dump_flows, br.fdb,
        lambda: br.trace("in_port=1"), lambda: switch.del_bridge(br)]
    for use in uses:
        with pytest.raises(NotFoundError, match="bridge 'br0' was deleted"):
            use()
    assert list(switch) == [again]


def test_a_closed_switch_says_so(br: Bridge) -> None:
    switch, port = br.switch, br.port("a")
    stream = br.events()
    switch.close()
    switch.close()
    uses: list[Callable[[], object]] = [
        lambda: switch.add_bridge("x"), lambda: br.add_port("x"), lambda: br.add_flow("actions=drop"),
        lambda: br.inject(port, frame()), lambda: br.packet_out(frame(), "output:1"), br.dump_ports,
        port.stats, switch.stats, switch.forward, lambda: switch.advance(1), switch.__enter__,
        lambda: port.inject(frame()), lambda: br.listen("ptcp:0"),
        lambda: br.controllers.add("tcp:127.0.0.1:1")]
    for use in uses:
        with pytest.raises(ConfigError, match="closed"):
            use()
    for left in (stream, br.events()):                  # of before and of after: both are at their end
        with pytest.raises(StopAsyncIteration):
            left.__anext__().send(None)                             # type: ignore[attr-defined]


def test_connecting_leaves_nothing_when_the_other_end_cannot_be_made(br: Bridge) -> None:
    other = br.switch.add_bridge("br1")
    other.add_port("br1-br0")
    with pytest.raises(ExistsError):
        br.switch.connect(br, other)
    assert [port.name for port in br.ports] == ["a", "b"]


def test_what_is_one_running_thing_is_not_copied(br: Bridge) -> None:
    br.add_flow("actions=output:b")
    with pytest.raises(TypeError, match="such as a Trace"):
        pickle.dumps(br.trace("in_port=1"))
    for thing in (br.switch, br, br.port("a"), br.port("a").io, fastpath.Classifier()):
        for copied in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied"):
                copied(thing)                                       # type: ignore[operator]


@pytest.mark.parametrize("value", [
    fastpath.extract(frame()), fastpath.Match.parse("tcp,tp_dst=80"), fastpath.parse_flow("actions=drop"),
    fastpath.ParseError("x")], ids=lambda value: type(value).__name__)
def test_values_survive_pickling_and_copying(value: Any) -> None:
    for twin in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
        assert type(twin) is type(value) and str(twin) == str(value)


def test_an_openflow_error_keeps_its_code_when_pickled() -> None:
    error = pickle.loads(pickle.dumps(OpenFlowError("OFPBAC_BAD_ARGUMENT", "port 0")))
    assert (error.code, error.detail, str(error)) == (
        "OFPBAC_BAD_ARGUMENT", "port 0", "OFPBAC_BAD_ARGUMENT: port 0")


def test_a_callback_that_raises_takes_nothing_from_the_others(br: Bridge) -> None:
    br.add_flow("actions=controller,output:b")

    def wrong(event: fastpath.PacketIn) -> None:
        raise RuntimeError("mine")
    stop = br.on_packet_in(wrong)
    got: list[fastpath.PacketIn] = []
    br.on_packet_in(got.append)
    with pytest.raises(RuntimeError, match="mine"):
        br.inject("a", frame())
    assert len(got) == 1
    assert br.outputs() == {br.port("b"): [frame()]}
    stop()
    assert br.inject("a", frame()) == {br.port("b"): [frame()]}
    assert len(got) == 2


def test_events_are_not_kept_for_a_reader_that_is_gone(br: Bridge) -> None:
    br.add_flow("actions=controller")
    feed = br.switch.feed
    stream = br.events()
    assert len(feed._streams) == 1
    del stream
    br.inject("a", frame())
    assert len(feed._streams) == 0


def test_things_say_what_they_are(br: Bridge) -> None:
    switch = br.switch
    assert repr(switch) == "<Switch with 1 bridges, at 1.000 s>"
    assert repr(br.port("a").io) == "<MemoryPort 'a'>"
    assert repr(fastpath.Classifier()) == "<Classifier of 0 rules>"
    switch.close()
    assert repr(switch) == "<Switch with 1 bridges, closed>"


def test_a_port_may_move_to_another_switch_once_the_first_let_it_go() -> None:
    class Kept(PythonPort):
        def close(self) -> None:
            """Stays open."""

    port = Kept("kept")
    with Switch(seed=0) as one, Switch(seed=0) as two:
        one.add_bridge("br0").add_port("kept", port)
        here = two.add_bridge("br0")
        with pytest.raises(ExistsError, match="another switch"):
            here.add_port("kept", port)
        one["br0"].del_port("kept")
        here.add_port("kept", port)
    with Switch(seed=0) as three:
        three.add_bridge("br0").add_port("kept", port)


def test_a_callback_that_removes_the_port_is_told_of() -> None:
    with Switch(seed=0) as switch:
        br = switch.add_bridge("br0")
        br.add_port("a")
        br.add_flow("actions=controller")
        br.on_packet_in(lambda event: br.del_port("a"))
        with pytest.raises(NotFoundError, match="no port 'a' any more"):
            br.inject("a", frame(), frame())


def test_other_things_than_meters_and_ports_are_refused_in_words() -> None:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        for call, words in ((lambda: bridge.apply_meter(None), "mod None, expected a MeterMod"),
                            (lambda: bridge.meter_stats(None), "expected a Meter"),
                            (lambda: fastpath.open_port(None), "open_port: spec None, expected text")):
            with pytest.raises(TypeError, match=words):
                call()
