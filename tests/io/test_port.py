"""open_port: each type by its description, and one clear line for each mistake."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastpath
from fastpath._port import Port
from fastpath.errors import ConfigError, PortError
from fastpath.io._af_packet import AfPacketPort
from fastpath.io._memory import MemoryPort
from fastpath.io._pcap import PcapPort
from fastpath.io._wrap import PcapTap
from fastpath.io.fault import FaultInjector
from fastpath.io.pcapfile import read_pcap
from fastpath.io.port import ALIASES, PORT_TYPES, open_port, parse_spec, with_name
from fastpath.io.tracer import Tracer


def test_memory_port_with_options() -> None:
    port = open_port("memory:p1,capacity=2,vnet=yes,mtu=9000")
    assert isinstance(port, MemoryPort)
    assert (port.name, port.caps, port.mtu) == ("p1", 1, 9000)
    assert port.inject_many([b"x"] * 3) == 2


def test_pcap_port_with_options(tmp_path: Path) -> None:
    port = open_port(f"pcap:out,write={tmp_path}/out.pcap,pace=2.5,epoch_s=10")
    assert isinstance(port, PcapPort)
    port.send([b"x" * 60], now=1.0)
    port.close()
    assert [r.time_ns for r in read_pcap(tmp_path / "out.pcap")] == [11_000_000_000]


def test_a_type_alone_is_that_of_a_port_whose_name_is_known() -> None:
    assert with_name("memory", "p1") == "memory:p1"
    assert with_name("internal,mtu=9000,up=yes", "p1") == "internal:p1,mtu=9000,up=yes"
    for whole in ("tap:tap0,mtu=9000", "eth0", "eth0,ring=no", ""):
        assert with_name(whole, "p1") == whole
    with fastpath.Switch() as switch:
        port = switch.add_bridge("br0").add_port("p1", "memory,capacity=2")
        assert isinstance(port.io, MemoryPort)
        assert (port.io.name, port.io.inject_many([b"x"] * 3)) == ("p1", 2)


def test_a_bare_name_is_a_network_device() -> None:
    assert parse_spec("eth0") == ("af_packet", "eth0", {})
    assert parse_spec("eth0,promisc=no") == ("af_packet", "eth0", {"promisc": "no"})


def test_the_reference_names_of_types_are_known() -> None:
    assert {parse_spec(f"{alias}:x")[0] for alias in ALIASES} == {"af_packet", "tap", "memory"}
    assert set(ALIASES.values()) <= set(PORT_TYPES)


def test_common_options_wrap_any_port(tmp_path: Path) -> None:
    port = open_port(f"memory:p1,drop=1,direction=tx,seed=7,capture={tmp_path}/c.pcap,trace={tmp_path}/t.txt")
    assert isinstance(port, Tracer)
    assert isinstance(port.inner, PcapTap)
    assert isinstance(port.inner.inner, FaultInjector)
    assert port.send([b"\x02" * 60]) == 0
    port.close()
    assert len(list(read_pcap(tmp_path / "c.pcap"))) == 1
    assert " p1 tx   60 02:02:" in (tmp_path / "t.txt").read_text()


@pytest.mark.parametrize(("spec", "says"), [
    ("ethernet:x", "port 'ethernet:x': type 'ethernet', expected one of af_packet, afxdp, tap, memory, pcap"),
    ("memory:", "port 'memory:': no name, expected TYPE:NAME"),
    ("", "port '': no name"),
    ("memory:x,vnet", "'vnet', expected key=value"),
    ("memory:x,=3", "'=3', expected key=value"),
    ("memory:x,mtu=3,mtu=4", "mtu is given twice"),
    ("memory:x,vnet=perhaps", "vnet=perhaps: expected yes or no"),
    ("memory:x,mtu=many", "mtu=many: expected a whole number"),
    ("memory:x,mtu=99999999999", "mtu=99999999999: expected a whole number"),
    ("memory:x,colour=red", "option 'colour', expected one of capacity, vnet, mtu, drop"),
    ("memory:x,drop=often", "drop=often: expected a number"),
    ("tap:x,mac=zz", "mac=zz: expected an Ethernet address such as"),
    ("pcap:x,read=y,pace=slow", "pace 'slow': expected asap, real or a positive number"),
    ("pcap:x,read=/nonexistent/x", "capture file '/nonexistent/x': no such file or directory"),
    ("memory:x,capture=/nonexistent/x", "capture file '/nonexistent/x': no such file or directory"),
    ("memory:x,trace=/nonexistent/x", "trace file '/nonexistent/x': no such file or directory"),
])
def test_a_mistake_is_told_in_one_line(spec: str, says: str) -> None:
    with pytest.raises(PortError) as error:
        open_port(spec)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_probability_out_of_range_is_told() -> None:
    with pytest.raises(ConfigError, match=re.escape("drop=1.5: a probability is between 0 and 1")):
        open_port("memory:x,drop=1.5")


def test_a_missing_device_is_told_with_those_there_are() -> None:
    with pytest.raises(PortError, match=r"no network device 'fpnone0' in this namespace, there are: .*lo"):
        open_port("fpnone0")


def test_a_user_without_privilege_is_told_what_it_takes(root: None) -> None:
    # the modules are imported first, by the user who may read them
    script = ("import os\n"
              "from fastpath.io.port import open_port\n"
              "from fastpath.errors import PrivilegeError\n"
              "os.setgid(65534); os.setuid(65534)\n"
              "for spec in ('lo', 'tap:fptap0'):\n"
              "    try: open_port(spec)\n"
              "    except PrivilegeError as e: print(e)\n")
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60,
                         env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=True)
    first, second = out.stdout.splitlines()
    assert first.startswith("af_packet port 'lo': 'lo' cannot be opened by this user, it needs CAP_NET_RAW")
    assert "CAP_NET_ADMIN" in second


def test_every_type_makes_a_port(lab: object) -> None:
    ns = lab.netns("sw")  # type: ignore[attr-defined]
    for spec, kind in ((f"af_packet:p1,ifname=lo,netns={ns}", AfPacketPort),
                       (f"tap:fptap0,netns={ns},mtu=1400", PORT_TYPES["tap"].make)):
        port = open_port(spec)
        assert isinstance(port, Port)
        assert isinstance(port, kind)  # type: ignore[arg-type]
        port.close()
