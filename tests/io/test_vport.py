"""Ports of the kernel's datapath, as texts name them."""

from __future__ import annotations

import pytest

from fastpath.errors import ConfigError, PortError
from fastpath.io import link
from fastpath.io.vport import KINDS, KernelPort, kernel_port, tunnel_device


@pytest.mark.parametrize(("spec", "name", "ifname", "kind"), [
    ("lo", "lo", "lo", "netdev"), ("system:p1,ifname=lo", "p1", "lo", "netdev"),
    ("af_packet:lo", "lo", "lo", "netdev"), ("internal:br7", "br7", "br7", "internal"),
    ("tap:x,ifname=br7,mtu=9000,mac=02:00:00:00:00:01", "x", "br7", "internal"),
])
def test_texts_name_ports(spec: str, name: str, ifname: str, kind: str) -> None:
    port = kernel_port(spec)
    assert (port.name, port.ifname, port.kind) == (name, ifname, kind)
    assert port.rx(32) == [] and port.recv() == []


@pytest.mark.parametrize(("spec", "words"), [
    ("pcap:x,read=y", "no ports of type 'pcap'"), ("memory:m", "no ports of type 'memory'"),
    ("lo,ring=yes", "option 'ring', expected one of ifname"),
    ("internal:x,mtu=big", "expected a whole number"),
    ("no-such-device", "no network device"), ("internal:a/b", "cannot name a network device"),
    ("lo,drop=0.1", "option 'drop'"),
])
def test_what_the_kernel_has_not_is_refused(spec: str, words: str) -> None:
    with pytest.raises(PortError, match=words):
        kernel_port(spec)


def test_a_port_is_as_its_device() -> None:
    port = KernelPort("lo")
    device = link.device("lo")
    assert (port.mac, port.mtu, port.link_up()) == (device.mac, device.mtu, device.running)
    gone = KernelPort("fp-none", kind="internal")
    assert (gone.mac, gone.mtu, gone.link_up()) == (None, 0, False)
    port.attached()                             # a device that was there stays as it is
    with pytest.raises(PortError):
        gone.attached()


def test_kinds() -> None:
    assert [tunnel_device(kind, 4789) for kind in KINDS[2:]] == [
        "vxlan_sys_4789", "genev_sys_4789", "gre_sys_4789", "erspan_sys_4789", "ip6erspan_sys_4789"]
    assert [KernelPort("x", kind=kind).vport_type for kind in ("vxlan", "erspan")] == ["vxlan", "netdev"]
    assert tunnel_device("gre", 0) == "gre_sys"
    with pytest.raises(ConfigError, match="expected one of netdev"):
        KernelPort("x", kind="stt")
