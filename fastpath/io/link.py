"""Network devices and namespaces of this machine: what they are, and changing them.

Looking at one device takes an ioctl; changing things takes netlink (pyroute2, imported when first needed,
as that costs 0.3 s).  Every function that takes *netns* works in that network namespace: a name as
``ip netns`` knows it, or a path such as ``/proc/1234/ns/net``; None is the caller's own.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastpath.errors import PortError, PrivilegeError
from fastpath.value import value

NETNS_FOLDER = "/run/netns"
NAME_SIZE = 16                  # IFNAMSIZ, its last byte is zero
CLONE_NEWNET = 0x40000000
SIOCGIFNAME, SIOCGIFFLAGS, SIOCGIFMTU, SIOCGIFHWADDR = 0x8910, 0x8913, 0x8921, 0x8927
SIOCSIFFLAGS, SIOCSIFMTU, SIOCSIFHWADDR = 0x8914, 0x8922, 0x8924
SIOCSIFADDR, SIOCSIFNETMASK, SIOCADDRT = 0x8916, 0x891C, 0x890B
RTF_UP, RTF_GATEWAY = 0x1, 0x2
SIOCETHTOOL = 0x8946
ETHTOOL_GDRVINFO, ETHTOOL_GLINK, ETHTOOL_GFLAGS, ETHTOOL_GCHANNELS = 0x03, 0x0A, 0x25, 0x3C
ETH_FLAG_RXVLAN = 1 << 8
IFF_UP, IFF_RUNNING = 0x1, 0x40
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772
_libc = ctypes.CDLL(None, use_errno=True)


@value
class Device:
    """A network device as the kernel describes it; *running* means it is up and has carrier."""

    name: str
    mac: str
    mtu: int
    up: bool
    running: bool
    ethernet: bool


def names(netns: str | None = None) -> list[str]:
    """Return the names of all devices, in the order of their index."""
    with in_netns(netns):
        return [name for _, name in sorted(socket.if_nameindex())]


def index(name: str) -> int:
    """Return the interface index of the device.  Raises PortError naming those there are."""
    try:
        return socket.if_nametoindex(name)
    except (OSError, ValueError):
        there = ", ".join(names()) or "none"
        raise PortError(f"no network device {name!r} in this namespace, there are: {there}") from None


def device(name: str, sock_fd: int | None = None) -> Device:
    """Return what the kernel says of the device, in the namespace of socket *sock_fd* if given."""
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM) if sock_fd is None else None
    fd = own.fileno() if own else sock_fd
    assert fd is not None
    try:
        family, mac = struct.unpack("H6s", _ask(fd, SIOCGIFHWADDR, name)[:8])
        flags, = struct.unpack("H", _ask(fd, SIOCGIFFLAGS, name)[:2])
        mtu, = struct.unpack("i", _ask(fd, SIOCGIFMTU, name)[:4])
        running = bool(flags & IFF_UP) and _carrier(fd, name, bool(flags & IFF_RUNNING))
    finally:
        if own:
            own.close()
    return Device(name, mac.hex(":"), mtu, bool(flags & IFF_UP), running,
                  family in (ARPHRD_ETHER, ARPHRD_LOOPBACK))


def _carrier(fd: int, name: str, otherwise: bool) -> bool:
    """Whether the driver sees carrier.  IFF_RUNNING says the same up to a second later."""
    answer = _ethtool(fd, name, ETHTOOL_GLINK, 4)
    return otherwise if answer is None else bool(struct.unpack("I", answer)[0])


def _ethtool(fd: int, name: str, command: int, size: int) -> bytes | None:
    """Ask the driver of a device; None when it does not know."""
    value = ctypes.create_string_buffer(struct.pack("I", command), 4 + size)
    try:
        fcntl.ioctl(fd, SIOCETHTOOL, _ifreq(name, struct.pack("P", ctypes.addressof(value))))
    except OSError:
        return None
    return value.raw[4:]


def driver(name: str, sock_fd: int) -> str:
    """Return the name of the driver of a device, "" when it does not say."""
    answer = _ethtool(sock_fd, name, ETHTOOL_GDRVINFO, 192)
    return answer[:32].partition(b"\0")[0].decode(errors="replace") if answer else ""


def queues(name: str, sock_fd: int) -> int:
    """Return how many receive queues a device uses; 1 when it does not say."""
    answer = _ethtool(sock_fd, name, ETHTOOL_GCHANNELS, 32)
    counts = struct.unpack("8I", answer) if answer else (0,) * 8
    return max(1, int(counts[4] + counts[7]))       # queues that receive alone, and that do both


def strips_tags(name: str, sock_fd: int) -> bool:
    """Whether a device takes VLAN tags off the frames it receives."""
    answer = _ethtool(sock_fd, name, ETHTOOL_GFLAGS, 4)
    return bool(answer and struct.unpack("I", answer)[0] & ETH_FLAG_RXVLAN)


def name_of(ifindex: int, sock_fd: int) -> str:
    """Return the present name of a device in the namespace of socket *sock_fd*.

    Raises PortError when the device is gone.
    """
    request = struct.pack("16si20x", b"", ifindex)
    try:
        return fcntl.ioctl(sock_fd, SIOCGIFNAME, request)[:NAME_SIZE].rstrip(b"\0").decode()
    except OSError:
        raise PortError(f"network device with index {ifindex} is gone") from None


def configure(name: str, *, mac: str | None = None, mtu: int | None = None, up: bool | None = None) -> None:
    """Set address, MTU and state of a device in the caller's namespace, without netlink."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fd = sock.fileno()
        if mac is not None:
            address = bytes.fromhex(mac.replace(":", ""))
            _tell(fd, SIOCSIFHWADDR, name, struct.pack("H6s", ARPHRD_ETHER, address), f"address {mac}")
        if mtu is not None:
            _tell(fd, SIOCSIFMTU, name, struct.pack("i", mtu), f"mtu {mtu}")
        if up is not None:
            flags, = struct.unpack("H", _ask(fd, SIOCGIFFLAGS, name)[:2])
            _tell(fd, SIOCSIFFLAGS, name, struct.pack("H", flags | IFF_UP if up else flags & ~IFF_UP),
                  "up" if up else "down")


def set_ipv4(name: str, address: int, netmask: int) -> None:
    """Give a device in the caller's namespace one IPv4 address, in the place of what it has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        _tell(sock.fileno(), SIOCSIFADDR, name, _sockaddr(address), "address")
        _tell(sock.fileno(), SIOCSIFNETMASK, name, _sockaddr(netmask), "netmask")


def add_gateway(address: int) -> None:
    """Reach all other networks by the router at an IPv4 address, in the caller's namespace."""
    # struct rtentry: where to, by whom and for which network, each a socket address, then flags.
    route = struct.pack("@L16s16s16sH62x", 0, _sockaddr(0), _sockaddr(address), _sockaddr(0),
                        RTF_UP | RTF_GATEWAY)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            fcntl.ioctl(sock.fileno(), SIOCADDRT, route)
        except PermissionError as error:
            raise PrivilegeError("setting a gateway needs CAP_NET_ADMIN") from error
        except OSError as error:
            raise PortError(f"cannot set a gateway: {os.strerror(error.errno or 0).lower()}") from error


def _sockaddr(address: int) -> bytes:
    """A struct sockaddr_in without a port."""
    return struct.pack("=HHI8x", socket.AF_INET, 0, socket.htonl(address))


def check_name(name: str) -> bytes:
    """Return *name* in bytes.  Raises PortError when no device could be called that."""
    raw = name.encode()
    if not 0 < len(raw) < NAME_SIZE or name in (".", "..") or set(raw) & set(b"/: \t\n%\0"):
        raise PortError(f"{name!r} cannot name a network device: 1 to {NAME_SIZE - 1} bytes can, "
                        "without blanks, slash, colon and percent")
    return raw


def _ifreq(name: str, value: bytes = b"") -> bytes:
    return struct.pack("16s24s", check_name(name), value)


def _ask(fd: int, request: int, name: str) -> bytes:
    try:
        return fcntl.ioctl(fd, request, _ifreq(name))[NAME_SIZE:]
    except OSError as error:
        raise PortError(f"network device {name!r}: {os.strerror(error.errno or 0).lower()}") from error


def _tell(fd: int, request: int, name: str, value: bytes, what: str) -> None:
    try:
        fcntl.ioctl(fd, request, _ifreq(name, value))
    except PermissionError as error:
        raise PrivilegeError(f"network device {name!r}: setting {what} needs CAP_NET_ADMIN") from error
    except OSError as error:
        raise PortError(f"network device {name!r}: cannot set {what}: "
                        f"{os.strerror(error.errno or 0).lower()}") from error


# -- namespaces ------------------------------------------------------------------------------------------


@contextmanager
def in_netns(netns: str | None) -> Iterator[None]:
    """Within the block, this thread opens sockets and devices in network namespace *netns*."""
    if netns is None:
        yield
        return
    path = netns if "/" in netns else f"{NETNS_FOLDER}/{netns}"
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise PortError(f"no network namespace {netns!r}, there are: "
                            f"{', '.join(namespaces()) or 'none'}") from None
        try:
            _setns(there, netns)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _setns(home, "of this thread")
    finally:
        os.close(home)


def _setns(fd: int, what: str) -> None:
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        if code == errno.EPERM:
            raise PrivilegeError(f"network namespace {what!r}: entering it needs CAP_SYS_ADMIN")
        raise PortError(f"network namespace {what!r}: {os.strerror(code).lower()}")


def namespaces() -> list[str]:
    """Return the names of the network namespaces made with add_netns() or ``ip netns add``."""
    return sorted(os.listdir(NETNS_FOLDER)) if os.path.isdir(NETNS_FOLDER) else []


def add_netns(name: str) -> None:
    """Make a network namespace whose loopback is up."""
    from pyroute2 import netns as namespace
    with _explain(f"network namespace {name!r}"):
        namespace.create(name)
    with in_netns(name):
        configure("lo", up=True)


def delete_netns(name: str) -> None:
    """Forget a network namespace; it goes, with its devices, when no process is in it."""
    from pyroute2 import netns as namespace
    with _explain(f"network namespace {name!r}"):
        namespace.remove(name)


# -- devices, by netlink ---------------------------------------------------------------------------------


@contextmanager
def _explain(what: str) -> Iterator[None]:
    """Turn what the kernel refuses into PortError and PrivilegeError about *what*."""
    from pyroute2.netlink.exceptions import NetlinkError
    try:
        yield
    except PermissionError as error:
        raise PrivilegeError(f"{what}: not permitted, it needs CAP_NET_ADMIN") from error
    except NetlinkError as error:
        if error.code == errno.EPERM:
            raise PrivilegeError(f"{what}: not permitted, it needs CAP_NET_ADMIN") from error
        raise PortError(f"{what}: {os.strerror(error.code).lower()}") from error
    except OSError as error:
        raise PortError(f"{what}: {os.strerror(error.errno or 0).lower()}") from error


@contextmanager
def _netlink(what: str, netns: str | None) -> Iterator[Any]:
    from pyroute2 import IPRoute
    with _explain(what), in_netns(netns), IPRoute() as route:
        yield route


def add_veth(name: str, peer: str, *, netns: str | None = None, peer_netns: str | None = None,
             up: bool = True) -> None:
    """Make a pair of connected devices: *name* in *netns*, *peer* in *peer_netns* (None: the same)."""
    with _netlink(f"veth pair {name!r}, {peer!r}", netns) as route:
        other: dict[str, object] = {"ifname": peer}
        if peer_netns is not None:
            other["net_ns_fd"] = peer_netns
        route.link("add", ifname=name, kind="veth", peer=other)
    if up:
        set_up(name, netns=netns)
        set_up(peer, netns=netns if peer_netns is None else peer_netns)


def add_tap(name: str, *, netns: str | None = None) -> None:
    """Make a TAP device that stays until it is deleted."""
    with _netlink(f"tap device {name!r}", netns) as route:
        route.link("add", ifname=name, kind="tuntap", mode="tap")


def add_bridge(name: str, members: list[str] | tuple[str, ...] = (), *, netns: str | None = None) -> None:
    """Make a kernel bridge that joins *members*, and set it up."""
    with _netlink(f"bridge {name!r}", netns) as route:
        route.link("add", ifname=name, kind="bridge")
        master = socket.if_nametoindex(name)
        for member in members:
            route.link("set", index=index(member), master=master)
        route.link("set", index=master, state="up")


def add_vlan(name: str, lower: str, vid: int, *, netns: str | None = None) -> None:
    """Make device *name* that tags what it sends through *lower* with VLAN *vid*, and set it up."""
    with _netlink(f"vlan device {name!r}", netns) as route:
        route.link("add", ifname=name, kind="vlan", link=index(lower), vlan_id=vid)
        route.link("set", index=index(name), state="up")


def delete(name: str, *, netns: str | None = None) -> None:
    """Delete a device; one end of a veth pair takes the other with it."""
    with _netlink(f"network device {name!r}", netns) as route:
        route.link("del", index=index(name))


def move(name: str, to_netns: str, *, netns: str | None = None) -> None:
    """Move a device to another namespace; it arrives down and without addresses."""
    with _netlink(f"network device {name!r}", netns) as route:
        route.link("set", index=index(name), net_ns_fd=to_netns)


def set_up(name: str, up: bool = True, *, netns: str | None = None) -> None:
    """Set a device up, or down."""
    with in_netns(netns):
        configure(name, up=up)


def add_address(name: str, address: str, *, netns: str | None = None) -> None:
    """Give a device an IPv4 or IPv6 address, written with its prefix length."""
    ip, _, length = address.partition("/")
    with _netlink(f"address {address} of {name!r}", netns) as route:
        route.addr("add", index=index(name), address=ip, prefixlen=int(length or (128 if ":" in ip else 32)))


def addresses(name: str, *, netns: str | None = None) -> list[str]:
    """Return the addresses of a device with their prefix lengths."""
    with _netlink(f"addresses of {name!r}", netns) as route:
        found = route.get_addr(index=index(name))
        return [f"{dict(a['attrs'])['IFA_ADDRESS']}/{a['prefixlen']}" for a in found]


def counters(name: str, *, netns: str | None = None) -> dict[str, int]:
    """Return the kernel's own counters of a device: rx_packets, tx_bytes, rx_dropped and so on."""
    with _netlink(f"network device {name!r}", netns) as route:
        (found,) = route.get_links(index(name))
        return dict(found.get_attr("IFLA_STATS64"))
