"""Ports, addresses and megaflows as text, in the forms of the reference's commands.

Pure functions over values; who prints them is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fastpath._flow import FlowKey
from fastpath.dpif.actions import OdpActions
from fastpath.dpif.odptext import format_actions, format_key
from fastpath.dpif.provider import FlowStats, PortStats
from fastpath.ofproto.learning import MacEntry, MacTable
from fastpath.ofproto.mirrors import Mirror
from fastpath.ofproto.revalidate import Revalidator
from fastpath.ofproto.snooping import Member, format_group
from fastpath.ofproto.xlate.context import OFPP_LOCAL
from fastpath.text import format_mac
from fastpath.value import value

_TCP_LETTERS = "FSRP.U"             # bits 0..5, as dpctl prints them


@value
class Megaflow:
    """One installed flow: *key* under *mask*, in datapath terms, and what it does.

    ``n_packets`` of *stats* counts from the second packet on: the first was carried out by ofproto.
    """

    bridge: str
    ufid: int
    key: FlowKey
    mask: FlowKey
    actions: OdpActions
    stats: FlowStats

    def format(self, now: float, *, names: Mapping[int, str] | None = None, verbose: bool = False) -> str:
        """One line as ``dpctl/dump-flows`` prints it; *now* tells how long ago it was used.  Ports are named
        by *names*; *verbose* shows what the mask leaves open, too."""
        stats = self.stats
        used = "never" if stats.used is None or not stats.n_packets else f"{max(0.0, now - stats.used):.3f}s"
        flags = f", flags:{format_tcp_flags(stats.tcp_flags)}" if stats.tcp_flags else ""
        key = format_key(self.key, self.mask, names=names, verbose=verbose)
        return (f"{key}, packets:{stats.n_packets}, bytes:{stats.n_bytes}, used:{used}{flags}, "
                f"actions:{format_actions(self.actions, names)}")


def format_tcp_flags(flags: int) -> str:
    """Letters of the flags seen, those without one as hex in brackets."""
    letters = "".join(letter for bit, letter in enumerate(_TCP_LETTERS) if flags >> bit & 1)
    rest = flags >> len(_TCP_LETTERS) << len(_TCP_LETTERS)
    return letters + (f"[{rest:x}]" if rest else "")


def megaflows(revalidator: Revalidator) -> list[Megaflow]:
    """The flows *revalidator* looks after, with live counters."""
    ukeys = list(revalidator)
    stats = revalidator.backer.dpif.flow_stats([ukey.ufid for ukey in ukeys])
    return [Megaflow(ukey.bridge.name, ukey.ufid, ukey.key, ukey.mask, ukey.actions, counted)
            for ukey, counted in zip(ukeys, stats, strict=True) if counted is not None]


def format_megaflows(flows: Iterable[Megaflow], now: float) -> str:
    """Lines, in order of their text."""
    return "\n".join(sorted(flow.format(now) for flow in flows))


def format_fdb(entries: Iterable[MacEntry], now: float) -> str:
    """As ``fdb/show`` prints addresses, which counts the seconds that began since."""
    lines = [" port  VLAN  MAC                Age"]
    for entry in entries:
        port = "LOCAL" if entry.port == OFPP_LOCAL else str(entry.port)
        age = "static" if entry.is_static else f"{int(now) - int(entry.seen):>3d}"
        lines.append(f"{port:>5}  {entry.vlan:>4}  {format_mac(entry.mac)}  {age}")
    return "\n".join(lines)


def format_mdb(members: Iterable[Member]) -> str:
    """As ``mdb/show`` prints members of groups, and routers."""
    lines = [" port  VLAN  GROUP                Age"]
    for member in members:
        port = "LOCAL" if member.port == OFPP_LOCAL else str(member.port)
        group = "querier    " if member.group is None else format_group(member.group)
        lines.append(f"{port:>5}  {member.vlan:>4}  {group}         {member.age:>3d}")
    return "\n".join(lines)


def format_fdb_stats(bridge: str, macs: MacTable) -> str:
    """As ``fdb/stats-show`` prints what happened to addresses."""
    counted = macs.counters
    return "\n".join((
        f'Statistics for bridge "{bridge}":',
        f"  Current/maximum MAC entries in the table: {len(macs)}/{macs.max_entries}",
        f"  Current static MAC entries in the table : {macs.n_static}",
        f"  Total number of learned MAC entries     : {counted.n_learned}",
        f"  Total number of expired MAC entries     : {counted.n_expired}",
        f"  Total number of evicted MAC entries     : {counted.n_evicted}",
        f"  Total number of port moved MAC entries  : {counted.n_moved}"))


def format_mirrors(mirrors: Iterable[Mirror], names: Mapping[int, str]) -> str:
    """Mirrors, a line each; *names* are those of ports."""
    def ports(numbers: frozenset[int] | None) -> str:
        return "all" if numbers is None else ",".join(sorted(names[n] for n in numbers)) or "none"

    lines = []
    for m in mirrors:
        vlans = "" if m.vlans is None else f", vlans={','.join(map(str, sorted(m.vlans)))}"
        output = f"vlan {m.out_vlan}" if m.out_port is None else names[m.out_port]
        cut = f", snaplen={m.snaplen}" if m.snaplen else ""
        lines.append(f" {m.name}: src={ports(m.sources)}, dst={ports(m.targets)}{vlans}, output={output}{cut}"
                     f", n_packets={m.n_packets}, n_bytes={m.n_bytes}")
    return "\n".join(lines)


def format_ports(ports: Sequence[tuple[int, PortStats]]) -> str:
    """As ``ovs-ofctl dump-ports`` prints counters; what the datapath does not count is ``?``."""
    lines = []
    for number, s in ports:
        name = "LOCAL" if number == OFPP_LOCAL else str(number)
        lines.append(f"  port {name:>5}: rx pkts={s.rx_packets}, bytes={s.rx_bytes}, drop={s.rx_dropped}, "
                     f"errs={s.rx_errors}, frame=?, over=?, crc=?")
        lines.append(f"              tx pkts={s.tx_packets}, bytes={s.tx_bytes}, drop={s.tx_dropped}, "
                     f"errs={s.tx_errors}, coll=?")
    return "\n".join(lines)
