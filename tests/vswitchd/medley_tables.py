"""Medleys: rules in several tables with groups, meters, VLANs and mirrors around them, drawn from a seed.

Priorities within a table are all different, as the order of rules that tie is an accident; only rules of one
conjunctive match share theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from medley_actions import N_TABLES, Actions
from medley_fields import PORT_NUMBERS, draw_kind, draw_match
from medley_frames import IPS, PORTS

_VLAN_MODES = ("", "", "", "tag=10", "tag=20", "trunks=10,20", "tag=10 vlan_mode=native-tagged",
               "tag=20 vlan_mode=native-untagged trunks=10,20", "tag=100 vlan_mode=dot1q-tunnel cvlans=10",
               "tag=1 other_config:priority-tags=always", "tag=20 other_config:priority-tags=if-nonzero")
_MIRRORED = ("select_all=true", "select_src_port=@s", "select_dst_port=@s",
             "select_all=true select_vlan=10,20")
_DIMENSIONS = ([f"nw_src={ip}" for ip in IPS[:3]], [f"nw_dst={ip}" for ip in IPS[:3]],
               [f"tp_dst={p}" for p in PORTS[1:5]], [f"tp_src={p}" for p in PORTS[1:5]],
               [f"in_port={p}" for p in (1, 2, 3)], ["nw_ttl=64", "nw_ttl=1"])


@dataclass
class Medley:
    """What both switches are given."""

    seed: int
    version: str = "OpenFlow15"
    ports: tuple[str, ...] = ()         # arguments of ovs-vsctl that set VLANs and mirrors up
    meters: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    forwards: bool = True               # frames are sent through; else there are traces only
    learns: bool = False                # rules and addresses: learn and NORMAL


def draw(seed: int) -> Medley:
    """The medley of this seed."""
    r = Random(seed)
    ct = r.random() < 0.15
    made = Medley(seed, forwards=not ct and r.random() < 0.85, learns=r.random() < 0.5,
                  version=r.choices(("OpenFlow15", "OpenFlow13", "OpenFlow10"), (80, 10, 10))[0])
    if r.random() < 0.4:
        made.ports = _draw_ports(r)
    if made.version > "OpenFlow10":
        if r.random() < 0.5:
            made.meters = _draw_meters(r)
        if r.random() < 0.6:
            _draw_groups(r, made)
    for table in range(N_TABLES):
        _draw_rules(r, table, made, ct=ct)
    return made


def _draw_rules(r: Random, table: int, made: Medley, *, ct: bool) -> None:
    n = r.choice((0, 2, 4, 8) if table else (4, 8, 14))
    first, *priorities = r.sample(range(40000, 50000), n + 1)
    for priority in priorities:
        kind = draw_kind(r)
        match = draw_match(r, kind)
        has_vlan = "dl_vlan" in match and "dl_vlan=0x0" not in match
        actions = Actions(r, kind, table, made, ct=ct, vlan=has_vlan).instructions()
        made.rules.append(f"table={table},priority={priority}{',' if match else ''}{match} actions={actions}")
    if r.random() < 0.12:
        _draw_conjunctions(r, table, first, made)
    if r.random() < (0.5 if table else 0.75):
        actions = Actions(r, "any", table, made, ct=ct).instructions()
        made.rules.append(f"table={table},priority=0 actions={actions}")


def _draw_conjunctions(r: Random, table: int, priority: int, made: Medley) -> None:
    """Rules of one priority that together make conjunctive matches."""
    n, cid = r.randint(2, 4), r.randint(1, 99)
    for k, values in enumerate(r.sample(_DIMENSIONS, n), 1):
        for value in r.sample(values, r.randint(1, len(values))):
            other = f",conjunction({cid + 1},{r.randint(1, 2)}/2)" if r.random() < 0.2 else ""
            made.rules.append(f"table={table},priority={priority},tcp,{value} "
                              f"actions=conjunction({cid},{k}/{n}){other}")
    for number in (cid, cid + 1):
        actions = Actions(r, "tcp", table, made).instructions()
        made.rules.append(f"table={table},priority={priority},conj_id={number},tcp actions={actions}")


def _draw_groups(r: Random, made: Medley) -> None:
    """Groups 1 to n; each may refer to those before it."""
    for number in range(1, r.randint(1, 5) + 1):
        kind = r.choice(("all", "select", "indirect", "ff", "all"))
        seen = Medley(made.seed, groups=list(made.groups), learns=made.learns)
        n = 1 if kind == "indirect" else r.randint(0 if kind == "all" else 1, 4)
        how = ""
        if kind == "select":            # by what the datapath hashes only where nothing has to come out alike
            by_datapath = "", "", ",selection_method=dp_hash,selection_method_param=5"
            how = r.choice((",selection_method=hash,fields(eth_src,ip_dst)", ",selection_method=hash",
                            ",selection_method=hash,fields=eth_dst", *(() if made.forwards else by_datapath)))
        buckets = [_draw_bucket(r, kind, at, seen) for at in range(1, n + 1)]
        made.groups.append(",".join([f"group_id={number},type={kind}{how}", *buckets]))


def _draw_bucket(r: Random, kind: str, number: int, seen: Medley) -> str:
    words = [f"bucket=bucket_id:{number}"]
    if kind == "ff":
        words.append(f"watch_group:{r.randint(1, len(seen.groups))}" if seen.groups and r.random() < 0.5
                     else f"watch_port:{r.choice(PORT_NUMBERS)}")
    elif kind == "select":
        words.append(f"weight:{r.choice((0, 1, 5, 100))}")
        if r.random() < 0.2:
            words.append(f"watch_port:{r.choice(PORT_NUMBERS)}")
    inner = Actions(r, "any", N_TABLES, seen, bucket=True).some(r.randint(0, 3))
    return ",".join([*words, "actions=" + (",".join(inner) or "drop")])


def _draw_meters(r: Random) -> list[str]:
    """Meters 1 to n, whose rates stop either nearly all or nothing."""
    out = []
    for number in range(1, r.randint(1, 3) + 1):
        rate, unit, has_burst = r.choice((1, 100000)), r.choice(("pktps", "kbps")), r.random() < 0.5
        out.append(f"meter={number} {unit}{',burst' if has_burst else ''},stats bands=type=drop rate={rate}"
                   f"{f' burst_size={5 * rate}' if has_burst else ''}")
    return out


def _draw_ports(r: Random) -> tuple[str, ...]:
    """Settings of VLANs, for ports that had others, and one mirror at most: their order is an accident.  None
    goes to a VLAN: megaflows of the reference forget that it looks for reserved addresses then."""
    commands = ["clear bridge br0 mirrors flood_vlans"]
    for i in PORT_NUMBERS:
        mode = r.choice(_VLAN_MODES)
        commands.append(f"clear port p{i} tag trunks vlan_mode cvlans other_config")
        if mode:
            commands.append(f"set port p{i} {mode}")
    if r.random() < 0.33:
        out = r.choice(("output_port=@o", "output_port=@o snaplen=64"))
        commands += [f"--id=@s get port p{r.choice(PORT_NUMBERS)}", f"--id=@o get port p{r.choice((5, 6))}",
                     f"--id=@m create mirror name=m {r.choice(_MIRRORED)} {out}", "add bridge br0 mirrors @m"]
    return tuple(" -- ".join(commands).split())
