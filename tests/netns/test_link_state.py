"""A cable is pulled while a switch runs: a controller hears of it, and of its return."""

from __future__ import annotations

import threading

import fastpath
from fastpath.io import link
from fastpath.ofproto.events import PortStatus


def test_a_port_whose_peer_goes_down_and_up_is_told(root: None) -> None:
    link.add_veth("fplinka", "fplinkb")
    try:
        for name in ("fplinka", "fplinkb"):
            link.set_up(name)
        with fastpath.Switch(realtime=True) as sw:
            br = sw.add_bridge("br0", normal=True)
            port = br.add_port("fplinka", "af_packet:fplinka")
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
                link.set_up("fplinkb", up)
                assert changed.wait(5)
                assert heard[-1] is up and port.of.link_up is up
    finally:
        link.delete("fplinka")
