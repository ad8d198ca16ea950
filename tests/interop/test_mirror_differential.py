"""Mirrors as in the reference: random ports, mirrors and rules in two bridges joined by a patch.
Traces agree to the letter."""

from __future__ import annotations

import random
import re
import time
from typing import Any

from pair import Pair
from rule_sets import Case, Maker
from test_normal_differential import SETTINGS

from fastpath.testing import frame

N_CASES, N_PACKETS = 14, 16
VLANS = (5, 7, 9)
RULES = (("actions=NORMAL",), ("actions=output:2",), ("actions=output:1,output:2,output:3",),
         ("actions=FLOOD",), ("actions=mod_vlan_vid:7,output:2,strip_vlan,NORMAL",),
         ("actions=mod_dl_dst:01:80:c2:00:00:00,output:2,NORMAL",), ("actions=in_port,resubmit(2,1)",
                                                                   "table=1,actions=NORMAL"))


def set_mirror(pair: Pair, bridge: str, name: str, settings: dict[str, Any]) -> None:
    """Add the same mirror to both."""
    pair.switch[bridge].add_mirror(name, **settings)
    command, columns, ids = [], [], dict[str, str]()
    for column, value in settings.items():
        if column.endswith("_port"):
            for port in [value] if isinstance(value, str) else value:
                if port not in ids:
                    ids[port] = f"@p{len(ids)}"
                    command += ["--", f"--id={ids[port]}", "get", "port", port]
            value = ids[value] if isinstance(value, str) else ",".join(ids[port] for port in value)
        elif isinstance(value, tuple):
            value = ",".join(map(str, value))
        columns.append(f"{column}={str(value).lower() if isinstance(value, bool) else value}")
    pair.ref.vsctl(*command, "--", "--id=@m", "create", "mirror", f"name={name}", *columns,
                   "--", "add", "bridge", bridge, "mirrors", "@m")


def draw_mirror(r: random.Random, ports: list[str], outputs: list[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if r.random() < 0.4:
        settings["select_all"] = True
    else:
        for column in ("select_src_port", "select_dst_port"):
            if r.random() < 0.7:
                settings[column] = tuple(r.sample(ports, r.randint(1, 2)))
    if r.random() < 0.4:
        settings["select_vlan"] = tuple(r.sample((0, *VLANS), r.randint(1, 2)))
    if r.random() < 0.6:
        settings["output_port"] = r.choice(outputs)
    else:
        settings["output_vlan"] = r.choice(VLANS)
    if r.random() < 0.3:
        settings["snaplen"] = r.choice((14, 100, 65535))
    return settings


def make(pair: Pair, r: random.Random, bridge: str) -> None:
    """Random settings for a bridge's ports, and mirrors, which follow those of the case before."""
    ports = [port.name for port in pair.switch[bridge].ports]
    for name in ports[:2]:
        ours, theirs = r.choice(SETTINGS)
        pair.ref.vsctl("clear", "port", name, "tag", "trunks", "vlan_mode", "other_config", "cvlans", "--",
                       "set", "port", name, "protected=false", *theirs)
        pair.switch[bridge].port(name).set(trunks=range(4096), protected=False)
        pair.switch[bridge].port(name).set(**ours)          # type: ignore[arg-type]
    # Bridges that copy to each other go on and on: that is for the test below.
    outputs = ports if bridge == "br0" else [name for name in ports if not name.startswith("to-")]
    for i in range(r.randint(1, 4)):
        set_mirror(pair, bridge, f"m{i}", draw_mirror(r, ports, outputs))


def draw_packet(r: random.Random) -> str:
    vlan = r.choice(("", "", *(f",dl_vlan={vid},dl_vlan_pcp={r.choice((0, 3))}" for vid in (*VLANS, 8))))
    dst = r.choice(("02:00:00:00:00:01", "02:00:00:00:00:02", "01:80:c2:00:00:0e", "ff:ff:ff:ff:ff:ff"))
    return f"in_port={r.choice((1, 2, 3, 'LOCAL', 77))},dl_dst={dst}{vlan}"


def test_copies_go_where_the_reference_sends_them(pair: Pair, more: int) -> None:
    pair.add_patched_bridges()
    for name in ("br0", "br1"):
        for mac, port in (("02:00:00:00:00:01", 1), ("02:00:00:00:00:02", 2)):
            pair.switch[name].add_mac(port, mac)
            pair.ref.appctl("fdb/add", name, pair.switch[name].port(port).name, "0", mac)
    for seed in range(N_CASES * more):
        r = random.Random(seed)
        make(pair, r, "br0")
        make(pair, r, "br1")
        packets = [draw_packet(r) for _ in range(N_PACKETS)]
        inner = Case(seed, "OpenFlow13", r.choice(RULES), ())
        assert pair.compare("br1", inner)
        outer = Case(seed, "OpenFlow13", r.choice(RULES), tuple(packets))
        assert pair.compare("br0", outer)
        made = Maker(seed).case(N_PACKETS)
        pair.compare("br0", made)
        for name in ("br0", "br1"):
            pair.ref.vsctl("clear", "bridge", name, "mirrors")
            for mirror in pair.switch[name].mirrors:
                pair.switch[name].del_mirror(mirror)


def test_bridges_that_copy_to_each_other_come_to_an_end(pair: Pair) -> None:
    pair.add_patched_bridges()
    case = Case(0, "OpenFlow13", ("actions=output:2",), ("in_port=1", "in_port=1,dl_vlan=5"))
    for name, port, patch in (("br0", "p2", "to-br1"), ("br1", "p5", "to-br0")):
        set_mirror(pair, name, "m", {"select_dst_port": (port,), "output_port": patch})
        assert pair.compare(name, case) or name == "br1"


def counters(statistics: str) -> tuple[int, int]:
    """Packets and bytes of a mirror, as the database has them."""
    return tuple(int(found[1]) if (found := re.search(f"{name}=([0-9]+)", statistics)) else 0
                 for name in ("tx_packets", "tx_bytes"))        # type: ignore[return-value]


def test_counters_are_of_packets_copied(pair: Pair) -> None:
    bridge = pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3, "p4": 4}, 100)
    assert pair.compare("br0", Case(0, "OpenFlow13", ("actions=output:2",), ()))
    for name, settings in (("all", {"select_all": True, "output_port": "p3"}),
                           ("late", {"select_dst_port": ("p2",), "output_port": "p3"}),
                           ("five", {"select_src_port": ("p1",), "select_vlan": (5,), "output_port": "p4"})):
        set_mirror(pair, "br0", name, settings)
    for data in [frame("eth", src=1, dst=2)] * 3 + [frame("eth", src=1, dst=2, vlan=5)] * 2:
        bridge.inject("p1", data)
        pair.ref.appctl("netdev-dummy/receive", "p1", data.hex())
    ours = [(m.n_packets, m.n_bytes) for m in bridge.mirrors]
    deadline = time.monotonic() + 60         # the reference writes statistics every five seconds
    while True:
        theirs = [counters(pair.ref.vsctl("get", "mirror", name, "statistics"))
                  for name in ("all", "late", "five")]
        if theirs == ours or time.monotonic() > deadline:
            break
        time.sleep(0.3)
    assert theirs == ours == [(5, 300), (0, 0), (2, 120)]
