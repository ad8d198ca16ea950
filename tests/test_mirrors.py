"""Mirrors of a Bridge: what is copied where, and that cached flows copy as translation does."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from test_soundness import N_PORTS, Universe
from test_soundness_packets import Half, draw

from fastpath import Bridge, Switch
from fastpath.errors import ConfigError, ExistsError, NotFoundError
from fastpath.testing import frame


@pytest.fixture
def br() -> Iterator[Bridge]:
    with Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        for name in ("a", "b", "c", "probe"):
            bridge.add_port(name)
        bridge.add_flow("in_port=a,actions=mod_dl_dst:02:00:00:00:00:99,output:b")
        yield bridge


def sent(br: Bridge, port: str, data: bytes) -> dict[str, list[bytes]]:
    """Frames put out, by port."""
    return {out.name: frames for out, frames in br.inject(port, data).items()}


DATA = frame("eth", src=1, dst=2, payload=bytes(200))
CHANGED = bytes.fromhex("020000000099") + DATA[6:]


def test_sources_are_copied_as_they_came_and_targets_as_they_left(br: Bridge) -> None:
    br.add_mirror("in", select_src_port=["a"], output_port="probe")
    assert [sent(br, "a", DATA) for _ in range(3)] == [{"b": [CHANGED], "probe": [DATA]}] * 3
    br.del_mirror("in")
    br.add_mirror("out", select_dst_port=["b"], output_port="probe")
    assert [sent(br, "a", DATA) for _ in range(3)] == [{"b": [CHANGED], "probe": [CHANGED]}] * 3
    br.del_mirror("out")
    assert sent(br, "a", DATA) == {"b": [CHANGED]}


def test_what_is_dropped_is_copied_too_and_all_is_copied_once(br: Bridge) -> None:
    br.add_mirror("all", select_all=True, output_port="probe")
    br.add_mirror("same", select_all=True, output_port="probe")
    assert sent(br, "c", DATA) == {"probe": [DATA]}
    assert sent(br, "a", DATA) == {"b": [CHANGED], "probe": [DATA]}
    assert [(m.name, m.n_packets) for m in br.mirrors] == [("all", 2), ("same", 0)]
    assert br.mirrors[0].n_bytes == 2 * len(DATA)


def test_an_output_port_does_nothing_else(br: Bridge) -> None:
    br.add_flow("priority=40000,actions=NORMAL")
    br.add_mirror("m", select_src_port=["c"], output_port="probe")
    assert sent(br, "probe", DATA) == {} and br.fdb() == []
    assert set(sent(br, "a", DATA)) == {"b", "c"}
    br.add_mac("probe", "02:00:00:00:00:02")
    assert sent(br, "a", DATA) == {}


def test_a_snaplen_cuts_the_copy_alone(br: Bridge) -> None:
    br.add_mirror("m", select_src_port=["a"], output_port="probe", snaplen=64)
    assert sent(br, "a", DATA) == {"b": [CHANGED], "probe": [DATA[:64]]}
    assert "trunc(64),4" in str(br.trace(DATA, in_port="a"))


def test_vlans_are_selected_inside_the_bridge(br: Bridge) -> None:
    br.port("a").set(tag=5)
    br.add_mirror("m", select_src_port=["a", "c"], select_vlan=[5], output_port="probe")
    tagged = frame("eth", src=1, dst=2, vlan=5)
    assert sent(br, "c", tagged) == {"probe": [tagged]} and sent(br, "c", DATA) == {}
    assert list(sent(br, "a", tagged)) == ["b"]                # a refuses tags, as an access port
    assert list(sent(br, "a", DATA)) == ["b", "probe"]


def test_an_output_vlan_is_flooded_but_not_with_frames_of_one_link(br: Bridge) -> None:
    br.port("c").set(tag=99)
    br.add_mirror("rspan", select_src_port=["a"], output_vlan=99)
    out, tagged = sent(br, "a", DATA), frame("eth", src=1, dst=2, vlan=99, payload=bytes(200))
    assert out == {"a": [tagged], "b": [tagged, CHANGED], "c": [DATA], "probe": [tagged]}
    assert set(sent(br, "a", frame("eth", src=1, dst="01:80:c2:00:00:0e"))) == {"b"}
    assert set(sent(br, "a", frame("eth", src=1, dst=2, vlan=99))) == {"b"}      # it is there already


def test_a_flow_depends_on_what_decides_whether_there_is_a_copy(br: Bridge) -> None:
    br.add_flow("priority=40000,actions=output:b")          # looks at nothing
    br.port("a").set(trunks=[0, 10])
    br.add_mirror("m", select_src_port=["a"], output_port="probe")
    in_10, in_11 = (frame("eth", src=1, dst=2, vlan=vid) for vid in (10, 11))
    assert set(sent(br, "a", in_10)) == {"b", "probe"} and set(sent(br, "a", in_11)) == {"b"}
    br.del_mirror("m")
    br.port("a").set(trunks=range(4096))
    br.add_mirror("m", select_src_port=["a"], output_vlan=10)
    assert set(sent(br, "a", DATA)) == {"a", "b", "c", "probe"} and set(sent(br, "a", in_10)) == {"b"}
    assert set(sent(br, "a", frame("eth", src=1, dst="01:80:c2:00:00:01"))) == {"b"}
    assert br.megaflows()


def test_mirrors_as_text(br: Bridge) -> None:
    br.add_mirror("m", select_src_port=["b", "a"], select_vlan=[7, 0], output_port="probe", snaplen=99)
    br.add_mirror("all", select_all=True, output_vlan=9)
    br.add_mirror("off", output_vlan=9)
    assert br.dump_mirrors() == (
        " m: src=a,b, dst=none, vlans=0,7, output=probe, snaplen=99, n_packets=0, n_bytes=0\n"
        " all: src=all, dst=all, output=vlan 9, n_packets=0, n_bytes=0\n"
        " off: src=none, dst=none, output=vlan 9, n_packets=0, n_bytes=0")


def test_a_port_that_goes_ends_its_mirrors(br: Bridge) -> None:
    br.add_mirror("m", select_all=True, output_port="probe")
    assert "probe" in sent(br, "a", DATA)
    br.del_port("probe")
    assert sent(br, "a", DATA) == {"b": [CHANGED]} and br.mirrors == []


@pytest.mark.parametrize("wrong, kind, words", [
    (lambda br: br.add_mirror("m", select_all=True), ConfigError, "either output_port or output_vlan"),
    (lambda br: br.add_mirror("m", output_port="a", output_vlan=3), ConfigError, "either"),
    (lambda br: br.add_mirror("m", output_vlan=0), ConfigError, "output_vlan 0 not between 1 and"),
    (lambda br: br.add_mirror("m", output_port="zork"), NotFoundError, "zork"),
    (lambda br: br.add_mirror("m", output_port="a", snaplen=13), ConfigError, "snaplen 13"),
    (lambda br: br.add_mirror("m", output_port="a", select_vlan=[4096]), ConfigError, "VLAN 4096"),
    (lambda br: br.add_mirror("m", output_port="a", select_vlan=7), ConfigError, "select_vlan 7, expected"),
    (lambda br: br.add_mirror("m", output_port="a", select_src_port="a"), ConfigError, "expected several"),
    (lambda br: br.add_mirror("m", output_port="a", select_dst_port=["x"]), NotFoundError, "'x'"),
    (lambda br: br.add_mirror("there", output_port="a"), ExistsError, "'there'"),
    (lambda br: br.del_mirror("m"), NotFoundError, "no mirror 'm'"),
])
def test_what_makes_no_sense_changes_nothing(br: Bridge, wrong: Callable[[Bridge], object],
                                             kind: type[Exception], words: str) -> None:
    br.add_mirror("there", output_port="probe")
    with pytest.raises(kind, match=words):
        wrong(br)
    assert [m.name for m in br.mirrors] == ["there"] and not br.ofproto.mirrors.is_output(1)


VLAN_SETTINGS: tuple[dict[str, Any], ...] = (
    {}, {"tag": 10}, {"trunks": [10]}, {"trunks": [0, 20]}, {"vlan_mode": "native-untagged", "tag": 20},
    {"vlan_mode": "native-tagged", "tag": 10, "trunks": [10]}, {"vlan_mode": "dot1q-tunnel", "tag": 20})


def draw_mirror(rng: random.Random) -> dict[str, Any]:
    ports = [f"p{i}" for i in range(1, N_PORTS + 1)]
    chosen = rng.choice(({"select_all": True}, {"select_src_port": rng.sample(ports, 2)},
                         {"select_dst_port": rng.sample(ports, 2)}))
    where = rng.choice(({"output_port": rng.choice(ports)}, {"output_vlan": rng.choice((10, 20))}))
    vlans = rng.choice(({}, {"select_vlan": [10]}, {"select_vlan": [0, 20]}))
    return {**chosen, **where, **vlans, **rng.choice(({}, {"snaplen": 40}))}


@pytest.mark.parametrize("part", range(2))
def test_cached_flows_copy_as_translation_does(part: int, more: int) -> None:
    """As in test_soundness_packets, with mirrors that come and go."""
    copied = 0
    for seed in range(5000 + part * 1000, 5000 + part * 1000 + 4 * more):
        u = Universe(seed)
        halves = [Half(caches=caches, vlans=[None] * N_PORTS) for caches in (True, False)]
        for number in range(1, N_PORTS + 1):
            settings = u.rng.choice(VLAN_SETTINGS)
            for half in halves:
                half.bridge.port(number).set(**settings)
        pool = [draw(u.rng) for _ in range(15)]
        for step in range(120):
            if step % 30 == 0:
                rules = ["actions=NORMAL"] if u.rng.random() < 0.3 else [u.rule(0) for _ in range(5)]
                rules = [rule for rule in rules if "mod_dl" not in rule and "move:NXM_OF_ETH" not in rule]
                drawn = draw_mirror(u.rng)
                for half in halves:
                    for rule in rules:
                        half.add(rule)
                    if step % 60 == 0 and step:
                        copied += sum(m.n_packets for m in half.bridge.mirrors)
                        half.bridge.del_mirror(half.bridge.mirrors[0])
                    half.bridge.add_mirror(f"m{step}", **drawn)
            port, packet = f"p{u.rng.randint(1, N_PORTS)}", u.rng.choice(pool)
            cached, plain = (half.inject(port, packet) for half in halves)
            assert cached == plain, (seed, step, port, packet.hex(), halves[0].bridge.dump_mirrors())
        assert halves[0].bridge.dump_mirrors() == halves[1].bridge.dump_mirrors(), seed
        assert halves[0].addresses() == halves[1].addresses(), seed
        for half in halves:
            half.switch.close()
    assert copied > 50 * more
