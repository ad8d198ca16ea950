"""A cable is pulled while a switch runs: a controller hears of it, and of its return."""

from __future__ import annotations

import threading

from netns import Lab

import fastpath
from fastpath.io import link
from fastpath.ofproto.events import PortStatus


def test_a_port_whose_peer_goes_down_and_up_is_told(root: None) -> None:
    with Lab() as lab:
        sw_ns, host = lab.netns("sw"), lab.netns("h1")
        lab.veth(sw_ns, "p1", host, "eth0")
        with fastpath.Switch(realtime=True) as sw:
            br = sw.add_bridge("br0", normal=True)
            port = br.add_port("p1", f"af_packet:p1,netns={sw_ns}")
            assert port.of.link_up
            heard: list[bool] = []
            changed = threading.Event()

            def hear(event: PortStatus) -> None:
                heard.append(event.link_up)
                changed.set()

            sw.on(PortStatus, hear)
            sw.start()
            for up in (False, True):
                changed.clear()
                with link.in_netns(host):
                    link.set_up("eth0", up)
                assert changed.wait(5)
                assert heard[-1] is up and port.of.link_up is up
