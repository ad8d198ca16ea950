"""KernelPort: a device that the kernel's datapath forwards for, so that no packet of it comes by here.

Opened, it is a wish: the datapath makes the port when it takes it.  What the device is called, whether it is
up and how large its packets may be is asked of the system each time, as others change it.
"""

from __future__ import annotations

from typing import Any

from fastpath.errors import ConfigError, PortError
from fastpath.io import link
from fastpath.io._python import PythonPort
from fastpath.io.port import PORT_TYPES, parse_spec, read_option

KINDS = ("netdev", "internal", "vxlan", "geneve", "gre", "erspan", "ip6erspan")
LINK_KINDS = ("erspan", "ip6erspan")    # ports of devices made for them, as no type of port is theirs
_KINDS_OF_TYPES = {"af_packet": "netdev", "tap": "internal"}     # by the types of our own ports
TUNNEL_KINDS = {"vxlan": "vxlan_sys", "geneve": "genev_sys", "gre": "gre_sys", "erspan": "erspan_sys",
                "ip6erspan": "ip6erspan_sys"}


class KernelPort(PythonPort):
    """The port of device *ifname* (by default *name*): of *kind* netdev for one that is there, internal for
    one that ends in the switch, or a kind of tunnel, of UDP port *dst_port*.  An internal device gets address
    *mac* and *mtu*, and is set *up*."""

    def __init__(self, name: str, *, kind: str = "netdev", ifname: str | None = None, dst_port: int = 0,
                 gbp: bool = False, mac: str | None = None, mtu: int | None = None, up: bool = True) -> None:
        super().__init__(name)
        if kind not in KINDS:
            raise ConfigError(f"port {name!r}: kind {kind!r}, expected one of {', '.join(KINDS)}")
        self.ifname = ifname or name
        link.check_name(self.ifname)
        self.kind, self.dst_port, self.gbp = kind, dst_port, gbp
        self.stays = False
        self._wanted: dict[str, Any] = {"mac": mac, "mtu": mtu, "up": up or None}
        if kind == "netdev":
            link.index(self.ifname)             # raises PortError naming those there are

    @property
    def vport_type(self) -> str:
        """The type of port that the datapath makes of it."""
        return "netdev" if self.kind in LINK_KINDS else self.kind

    def persist(self, stays: bool) -> None:
        """Whether the kernel's port outlives this one, with its device: for who comes after us."""
        self.stays = stays

    def attached(self) -> None:
        """The datapath has made the port: give an internal device what it is to have."""
        if self.kind != "netdev":
            link.configure(self.ifname, **self._wanted)

    def device(self) -> link.Device | None:
        """The device as it is now, None when there is none."""
        try:
            return link.device(self.ifname)
        except PortError:
            return None

    @property
    def mac(self) -> str | None:
        """Ethernet address of the device."""
        found = self.device()
        return found.mac if found is not None else None

    @property
    def mtu(self) -> int:
        """Largest payload of the device, 0 when there is none."""
        found = self.device()
        return found.mtu if found is not None else 0

    def link_up(self) -> bool:
        """Whether the device is up and has a carrier."""
        found = self.device()
        return found is not None and found.running

    def rx(self, limit: int) -> list[bytes]:
        """Nothing: what comes in goes through the kernel."""
        return []


def kernel_port(spec: str) -> KernelPort:
    """The port that a text such as ``eth0``, ``system:p1,ifname=eth0`` or ``internal:br0,mtu=9000`` names, as
    ``open_port`` reads it.  Raises PortError."""
    type_name, name, settings = parse_spec(spec)
    kind = _KINDS_OF_TYPES.get(type_name)
    if kind is None:
        raise PortError(f"port {spec!r}: the kernel's datapath has no ports of type {type_name!r}, but "
                        "devices of the system and internal ones")
    options = PORT_TYPES[type_name].options
    known = {key: options[key] for key in ("ifname", *(("mac", "mtu", "up") if kind == "internal" else ()))}
    for key in settings:
        if key not in known:
            raise PortError(f"port {spec!r}: option {key!r}, expected one of {', '.join(known)}")
    return KernelPort(name, kind=kind, **{key: read_option(spec, key, text, known[key])
                                          for key, text in settings.items()})


def tunnel_device(kind: str, dst_port: int) -> str:
    """Name of the device for all tunnels of *kind* with *dst_port*, as the reference calls it."""
    return f"{TUNNEL_KINDS[kind]}_{dst_port}" if dst_port else TUNNEL_KINDS[kind]
