"""IPv6 through ``fastpath run`` between namespaces: neighbours find each other, TCP arrives whole."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hosts import transfer
from netns import Lab

from fastpath.io import link

ROOT = Path(__file__).resolve().parents[2]
FLOWS = ("priority=9,tcp6,in_port=1,actions=dec_ttl,output:2", "in_port=1,actions=output:2",
         "priority=9,tcp6,in_port=2,actions=dec_ttl,output:1", "in_port=2,actions=output:1")


def speak_ip6(namespace: str, address: str) -> None:
    with link.in_netns(namespace):
        for kind in ("all", "eth0"):
            Path(f"/proc/sys/net/ipv6/conf/{kind}/disable_ipv6").write_text("0")
        Path("/proc/sys/net/ipv6/conf/eth0/accept_dad").write_text("0")
    link.add_address("eth0", address, netns=namespace)


def reached(lab: Lab, host: str, address: str) -> bool:
    for _ in range(20):
        with suppress(subprocess.CalledProcessError):
            lab.run(host, "ping", "-6", "-c", "1", "-W", "0.5", address)
            return True
    return False


@pytest.mark.parametrize("kind", ["", "afxdp:"])
def test_tcp_over_ip6_arrives_whole_on_its_way_through_a_router(root: None, kind: str) -> None:
    with Lab() as lab:
        one, two, switch = (lab.netns(label) for label in ("one", "two", "sw"))
        for host, port, address in ((one, "p1", "fd00:1::1/64"), (two, "p2", "fd00:1::2/64")):
            lab.veth(host, "eth0", switch, port)
            speak_ip6(host, address)
        flows = (word for flow in FLOWS for word in ("--flow", flow))
        run = lab.spawn(switch, sys.executable, "-m", "fastpath", "run", "--port", f"{kind}p1",
                        "--port", "p2", *flows, env={**os.environ, "PYTHONPATH": str(ROOT)})
        if not reached(lab, one, "fd00:1::2"):
            run.terminate()
            said, _ = run.communicate(timeout=20)
            if "this kernel has no" in said:
                pytest.skip(said)
            raise AssertionError(said)
        for client, server, address in ((one, two, "fd00:1::2"), (two, one, "fd00:1::1")):
            assert transfer(lab, client, server, address, 20)
