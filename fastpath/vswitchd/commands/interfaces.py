"""``dpctl/*`` that make and remove datapaths and their ports, without a bridge.

A datapath that bridges are in is the database's: a port that it knows nothing of goes at once.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from fastpath.errors import FastpathError
from fastpath.runtime.log import Level
from fastpath.vswitchd.commands.command import MANY, Command, CommandError
from fastpath.vswitchd.commands.dpctl import find, is_datapath, port_names
from fastpath.vswitchd.commands.of_kernel import by_kernel
from fastpath.vswitchd.datapaths import Datapath
from fastpath.vswitchd.devices import DeviceError
from fastpath.vswitchd.settings import InterfaceWanted

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def _refuse(text: str, number: int) -> CommandError:
    return CommandError(f"ovs-vswitchd: {text} ({os.strerror(number)})")


def _open(daemon: Daemon, name: str) -> Datapath:
    try:
        return find(daemon, name)
    except CommandError:
        raise _refuse("opening datapath", errno.ENODEV) from None


def add_datapath(daemon: Daemon, args: list[str]) -> None:
    """Make a datapath, with interfaces."""
    kind, at, name = args[0].rpartition("@")
    kind = kind if at else "system"
    if kind not in daemon.datapaths.kinds:
        raise _refuse("add_dp", errno.EAFNOSUPPORT)
    if any((d.type, d.name) == (kind, name) for d in daemon.datapaths):
        raise _refuse("add_dp", errno.EEXIST)
    daemon.datapaths.add_extra(kind, name)
    for text in args[1:]:
        add_interface(daemon, [args[0], text])


def delete_datapath(daemon: Daemon, args: list[str]) -> None:
    """Take a datapath away."""
    datapath = _open(daemon, args[0])
    if not datapath.is_extra:
        raise _refuse("del_dp", errno.EBUSY)
    for name in list(datapath.ports):
        _remove(daemon, datapath, name)
    daemon.datapaths.remove_extra(datapath)


def _wanted(text: str) -> tuple[InterfaceWanted, int | None]:
    """What ``name[,type=T][,port_no=N][,OPTION=VALUE]...`` asks for, and the number."""
    name, *pairs = text.split(",")
    options = dict(pair.partition("=")[::2] for pair in pairs if pair)
    number, kind = options.pop("port_no", None), options.pop("type", "system")
    if number is not None and not number.isdecimal():
        raise _refuse(f"{name}: bad port number: {number}", errno.EINVAL)
    wanted = InterfaceWanted(None, name, kind, tuple(sorted(options.items())), None, None, None, None)
    return wanted, None if number is None else int(number)


def add_interface(daemon: Daemon, args: list[str]) -> None:
    """Make interfaces ports of a datapath."""
    datapath = _open(daemon, args[0])
    for text in args[1:]:
        wanted, number = _wanted(text)
        _add(daemon, datapath, wanted, number)


def _add(daemon: Daemon, datapath: Datapath, wanted: InterfaceWanted, number: int | None) -> None:
    name = wanted.name
    if name in datapath.ports:
        dp, reason = f"{datapath.type}@{datapath.name}", os.strerror(errno.EEXIST)
        raise CommandError(f"ovs-vswitchd: adding {name} to {dp} failed ({reason})",
                           ("dpif", Level.WARN, f"{dp}: failed to add {name} as port: {reason}"))
    try:
        device = daemon.devices.open(wanted, datapath.type)
    except DeviceError as error:
        reason = str(error).rpartition("(")[2].removesuffix(")")
        raise CommandError(f"ovs-vswitchd: {name}: failed to open network device ({reason})",
                           *(line for line in error.lines if line[0] != "bridge")) from None
    if not datapath.is_extra or device.io is None:
        daemon.devices.close(device)
        if device.io is not None:
            device.io.close()
        return
    try:
        with datapath.switch.lock:
            asked = datapath.choose_port(name) if number is None else number
            datapath.ports[name] = datapath.switch.dpif.port_add(device.io, asked)
    except FastpathError as error:
        daemon.devices.close(device)
        device.io.close()
        raise CommandError(f"ovs-vswitchd: adding {name} to {datapath.type}@{datapath.name} failed ({error})"
                           ) from None
    datapath.types[name] = device.type


def delete_interface(daemon: Daemon, args: list[str]) -> None:
    """Take ports, named or numbered, from a datapath."""
    datapath = _open(daemon, args[0])
    for text in args[1:]:
        failed = f"deleting port {text} from {datapath.type}@{datapath.name}"
        name = next((n for number, n in port_names(datapath).items() if str(number) == text), text)
        is_own = name == datapath.name
        if name not in datapath.ports:
            if is_own or text.isdecimal():
                reason = os.strerror(errno.EINVAL if is_own else errno.ENODEV)
                raise CommandError(f"ovs-vswitchd: {failed} failed ({reason})", (
                    "dpif", Level.WARN, f"{datapath.type}@{datapath.name}: port_del failed ({reason})"))
            raise CommandError(f"ovs-vswitchd: no port named {text}")
        if not datapath.is_extra:
            raise _refuse(f"{failed} failed", errno.EBUSY)
        _remove(daemon, datapath, name)


def _remove(daemon: Daemon, datapath: Datapath, name: str) -> None:
    with datapath.switch.lock:
        datapath.switch.dpif.port_del(datapath.ports.pop(name))
    del datapath.types[name]
    for device in daemon.devices:
        if device.name == name:
            daemon.devices.close(device)


def set_interface(daemon: Daemon, args: list[str]) -> None:
    """Change settings of ports; neither number nor type can be."""
    datapath = _open(daemon, args[0])
    for text in args[1:]:
        wanted, number = _wanted(text)
        name = wanted.name
        has = next((n for n, known in port_names(datapath).items() if known == name), None)
        if has is None:
            raise _refuse(f"{name}: failed to query port in {datapath.type}@{datapath.name}", errno.ENODEV)
        if "type=" in text and wanted.type != datapath.type_of(name):
            raise CommandError(f"ovs-vswitchd: {name}: can't change type from {datapath.type_of(name)} to "
                               f"{wanted.type}")
        if number is not None and number != has:
            raise CommandError(f"ovs-vswitchd: {name}: can't change port number from {has} to {number}")


def cache_sizes(daemon: Daemon, args: list[str]) -> str:
    """Sizes of caches of the datapath: none can be asked for."""
    if args and not is_datapath(daemon, args[0]):
        raise _refuse(f"Opening datapath {args[0]} failed", errno.ENODEV)
    chosen = [find(daemon, name) for name in args] or list(daemon.datapaths)
    return "".join(f"{d.type}@{d.name}:\n" for d in chosen)


def set_cache_size(daemon: Daemon, args: list[str]) -> None:
    """Set one: none can be."""
    if not args[2].isdecimal():
        raise _refuse("size is malformed", errno.EINVAL)
    find(daemon, args[0])
    raise _refuse("Setting caches not supported", errno.EOPNOTSUPP)


def offload_stats(daemon: Daemon, args: list[str]) -> str:
    """What devices do by themselves: nothing."""
    if args:
        find(daemon, args[0])
    raise _refuse("retrieving offload statistics", errno.EINVAL)


COMMANDS = (
    Command("dpctl/add-dp", "dp [iface...]", 1, MANY, add_datapath),
    Command("dpctl/add-if", "dp iface...", 2, MANY, add_interface),
    Command("dpctl/cache-get-size", "[dp]", 0, 1, cache_sizes),
    Command("dpctl/cache-set-size", "dp cache <size>", 3, 3, set_cache_size),
    Command("dpctl/del-dp", "dp", 1, 1, delete_datapath),
    Command("dpctl/del-if", "dp iface...", 2, MANY, delete_interface),
    by_kernel(Command("dpctl/offload-stats-show", "[dp]", 0, 1, offload_stats)),
    Command("dpctl/set-if", "dp iface...", 2, MANY, set_interface),
)
