"""Cases of tunnels, for ``cases.py``."""

from __future__ import annotations

import re

import lab
import scenarios
from answers import own, reference
from lab import Wires, sh, switch, until

from fastpath.io import link
from fastpath.io._af_packet import AfPacketPort


def case_tunnels() -> str:
    """A bridge joins a namespace over VXLAN."""
    with switch(normal=False) as sw:
        bridge = sw["br0"]
        bridge.add_tunnel("vx", "vxlan", remote_ip="10.0.0.1", key="7")
        bridge.add_port("br0", "internal:br0", number=0xFFFE)
        sh("ip addr add 10.0.0.9/24 dev br0; ip -n n1 neigh flush dev e1; "     # another br0 had that address
           "ip -n n1 link add vx1 type vxlan id 7 dstport 4789 "
           "remote 10.0.0.9 local 10.0.0.1; ip -n n1 link set vx1 up; ip -n n1 addr add 10.1.0.1/24 dev vx1; "
           "ip -n n2 addr add 10.1.0.2/24 dev e2")
        bridge.add_flows(["in_port=vx,actions=output:v2", "in_port=v2,actions=output:vx",
                          "in_port=v1,actions=LOCAL", "in_port=LOCAL,actions=output:v1"])
        sw.start()
        try:
            assert "2 received" in sh("ip netns exec n1 ping -c 2 -i 0.5 -W 10 10.1.0.2")
        finally:
            sh("ip -n n1 link del vx1; ip -n n2 addr del 10.1.0.2/24 dev e2")
    assert "vxlan_sys_4789" not in link.names()
    return "VXLAN"


def case_geneve() -> str:
    """Tunnels of one UDP port are told apart by key and address, and Geneve's options matched and set."""
    inner = scenarios.frame(1, 2)
    with switch(normal=False) as sw, Wires() as wires:
        bridge = sw["br0"]
        bridge.tlv_map.add("{class=0xffff,type=1,len=4}->tun_metadata0,"
                           "{class=0xffff,type=2,len=8}->tun_metadata1")
        bridge.add_tunnel("ga", "geneve", remote_ip="10.0.0.1", key="5")
        bridge.add_tunnel("gb", "geneve", remote_ip="flow", key="flow")
        bridge.add_port("br0", "internal:br0", number=0xFFFE)
        sh("ip addr add 10.0.0.9/24 dev br0; ip -n n1 neigh flush dev e1")    # another br0 had that address
        bridge.add_flows([
            "in_port=v1,actions=LOCAL", "in_port=LOCAL,actions=output:v1",
            "priority=9,in_port=ga,tun_metadata0=7,actions=output:v2",
            "priority=1,in_port=ga,actions=output:v3",
            "in_port=gb,actions=move:NXM_NX_TUN_METADATA0[0..31]->NXM_NX_TUN_METADATA1[0..31],"
            "set_tunnel:6,set_field:10.0.0.1->tun_dst,IN_PORT"])
        sw.start()
        with lab.datagrams(1, 6081) as udp:
            rounds = 3 * [(5, _option(1, 4, 7), {2}), (5, b"", {3}), (5, _option(1, 4, 8), {3}),
                          (5, _option(9, 4, 7) + _option(1, 4, 7), {2}),
                          (5, _option(0x80, 4, 1), set[int]())]
            for vni, options, expected in rounds:
                udp.sendto(_geneve(vni, options, inner), ("10.0.0.9", 6081))
                got: dict[int, list[bytes]] = {}
                if expected:
                    until(options.hex(), lambda got=got: got.update(wires.take()) or got.keys() & {2, 3})
                assert got.keys() - {1} == expected and all(
                    got[i] == [inner] for i in expected), (vni, options.hex(), got)
            udp.sendto(_geneve(77, _option(1, 4, 9), inner), ("10.0.0.9", 6081))
            assert udp.recv(2000) == _geneve(6, _option(1, 4, 9) + _option(2, 8, 9), inner)
        flows = sw.dump_megaflows()
        assert "geneve({class=0xffff,type=0x1,len=4,0x7})" in flows, flows
        told = reference(("dump-flows", "-m"))
        assert own(("dump-flows", "-m")).count("geneve(") == told.count("geneve(") >= 5, told
        sw.stop()
        sw.push_stats()
        counted = [line for line in bridge.dump_flows().splitlines() if "tun_metadata0=0x7" in line]
        assert "n_packets=6" in counted[0], counted
    assert "genev_sys_6081" not in link.names()
    return f"{len(rounds) + 1} packets"


def case_erspan() -> str:
    """Mirrored frames come and go with what ERSPAN tells of them, in both of its versions."""
    inner = scenarios.frame(1, 2)
    with switch(normal=False) as sw, Wires() as wires:
        bridge = sw["br0"]
        bridge.add_tunnel("er", "erspan", remote_ip="10.0.0.1", key="flow", erspan_ver="flow",
                          erspan_idx="flow", erspan_dir="flow", erspan_hwid="flow")
        bridge.add_tunnel("one", "erspan", remote_ip="10.0.0.1", local_ip="10.0.0.9", in_key="99",
                          out_key="5", erspan_ver="1", erspan_idx="0xabcde")
        bridge.add_port("br0", "internal:br0", number=0xFFFE)
        sh("ip addr add 10.0.0.9/24 dev br0; ip -n n1 neigh flush dev e1; ip -batch - <<END\n" + "".join(
            f"link add {name} netns n1 type erspan seq key {key} local 10.0.0.1 remote 10.0.0.9 {more}\n"
            for name, key, more in (("er1", 5, "erspan_ver 1 erspan 0x5a"),
                                    ("er2", 6, "erspan_ver 2 erspan_dir egress erspan_hwid 0x27"))) + "END\n"
           "ip -n n1 link set er1 up; ip -n n1 link set er2 up")
        bridge.add_flows([
            "in_port=v1,actions=LOCAL", "in_port=LOCAL,actions=output:v1",
            "priority=9,in_port=er,tun_id=5,tun_erspan_ver=1,tun_erspan_idx=0x5a,actions=output:v2",
            "priority=9,in_port=er,tun_id=6,tun_erspan_ver=2,tun_erspan_dir=1,tun_erspan_hwid=0x27,"
            "actions=output:v3",
            "priority=1,in_port=er,actions=output:v4",
            "in_port=v2,actions=one,set_tunnel:6,set_field:2->tun_erspan_ver,set_field:1->tun_erspan_dir,"
            "set_field:0x13->tun_erspan_hwid,er"])
        sw.start()
        try:
            _mirror(wires, inner)
            told = reference(("dump-flows", "-m"))
            assert "idx=0x5a/0xfffff" in told and "ver=2" in told, told
            assert own(("dump-flows", "-m")).count("erspan(") == told.count("erspan(") >= 4, told
            assert "set(tunnel(tun_id=0x5,src=10.0.0.9,dst=10.0.0.1,ttl=64,erspan(ver=1,idx=0xabcde)," in told
            ours, theirs = (run(("show",)) for run in (own, reference))
            assert _steady(ours) == _steady(theirs) and "erspan_sys (erspan: " in ours, (
                ours, theirs)
        finally:
            sh("ip -n n1 link del er1; ip -n n1 link del er2")
    assert "erspan_sys" not in link.names()
    return "versions 1 and 2"


def _steady(shown: str) -> str:
    """What is shown of a datapath without what counts on."""
    return re.sub(r"(hit|missed|lost|total|hit/pkt|hit-rate|flows):( ?[0-9.]+)", r"\1", shown)


def _mirror(wires: Wires, inner: bytes) -> None:
    """Send a frame by each of er1 and er2, twice, and take what comes back by them."""
    ends = [AfPacketPort(name, netns="n1", ring=False) for name in ("er1", "er2")]
    try:
        for _ in range(2):
            for end, out in zip(ends, (2, 3), strict=True):
                end.send([inner])
                got: dict[int, list[bytes]] = {}
                until(f"a frame to v{out}", lambda got=got: got.update(wires.take()) or got.keys() - {1})
                assert {i: frames for i, frames in got.items() if i != 1} == {out: [inner]}, got
        for end in ends:
            while end.recv():
                pass
        wires.take()
        wires.send(2, inner)
        for end in ends:
            came: list[bytes] = []
            until("a frame back",
                  lambda came=came, end=end: came.extend(f for f, _ in end.recv()) or inner in came)
            assert came.count(inner) == 1, came         # hosts may have something to say besides
        # Behind 34 bytes of Ethernet and IP and 8 of GRE: version and VLAN, session, what the version has.
        sent = [frame[42:54] for frame in wires.take()[1] if frame[23] == 47]
        assert [head[:8].hex() for head in sent[:1]] == ["10000005000abcde"], sent
        two = sent[1]
        hwid, session = (two[10] & 3) << 4 | two[11] >> 4, int.from_bytes(two[2:4], "big") & 0x3FF
        assert (two[0] >> 4, session, hwid, two[11] >> 3 & 1) == (2, 6, 0x13, 1), two.hex()
    finally:
        for end in ends:
            end.close()


def _option(kind: int, size: int, number: int) -> bytes:
    return b"\xff\xff" + bytes((kind, size // 4)) + number.to_bytes(size, "big")


def _geneve(vni: int, options: bytes, inner: bytes) -> bytes:
    """What stands in a UDP packet to port 6081."""
    critical = 0x40 * (b"\xff\xff\x80" in options)
    head = bytes((len(options) // 4, critical)) + b"\x65\x58" + vni.to_bytes(3, "big") + b"\0"
    return head + options + inner
