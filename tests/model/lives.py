"""Lives of a switch: random sequences of packets, changes and time, as steps that can be done to any.

A life begins with tables, groups and a meter, so that the packets after it meet something.  A step is a
tuple: what is done, then its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from model.multicast import data as group_data
from model.multicast import igmp
from model.twins import PATCH, PORTS, Life, Twins

from fastpath.testing import frame

Step = tuple[object, ...]
MATCHES = ("", "in_port=1", "in_port=2", "in_port=9", "dl_dst=02:00:00:00:00:02", "dl_src=02:00:00:00:00:01",
           "udp", "tcp", "tcp,tp_dst=1", "ip,nw_dst=10.0.0.2", "ip,nw_dst=10.0.0.0/30", "dl_vlan=1",
           "reg0=2", "metadata=1", "ip,nw_ttl=63", "tcp,tcp_flags=+fin", "in_port=3,dl_vlan=0x1000/0x1000")
LEARN = ("learn(table=2,idle_timeout={idle},hard_timeout={hard},NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
         "output:NXM_OF_IN_PORT[])",
         "learn(table=2,idle_timeout={idle},limit=2,priority=3,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
         "load:NXM_OF_IN_PORT[]->NXM_NX_REG0[])",
         "learn(table=1,priority=2,idle_timeout={idle},fin_idle_timeout=1,delete_learned,cookie=7,"
         "NXM_OF_IN_PORT[],output:2)")
ACTIONS = ("output:1", "output:2", "output:3", "output:9", "NORMAL", "NORMAL", "FLOOD", "in_port", "drop",
           "resubmit(,1)", "resubmit(,2)", "resubmit(,1),resubmit(,2)", "group:1", "group:2",
           "meter:1,output:2",
           "controller", "set_field:2->reg0,resubmit(,1)", "dec_ttl,output:2", "mod_vlan_vid:1,output:3",
           "strip_vlan,resubmit(,1)", "load:2->NXM_NX_REG0[],output:NXM_NX_REG0[]",
           "mod_nw_dst:10.0.0.9,NORMAL",
           "push_mpls:0x8847,output:2", "pop_mpls:0x0800,resubmit(,1)",
           "fin_timeout(idle_timeout=1),output:2",
           "goto_table:1", "write_actions(output:3),goto_table:1", "write_metadata:1,goto_table:2",
           "output:2,output:9", "set_field:02:00:00:00:00:02->eth_dst,output:9",
           "clone(dec_ttl,output:1),output:2", "push_mpls:0x8847,pop_mpls:0x0800,dec_ttl,group:1")
GROUPS = ("type=all,bucket=output:1,bucket=output:2,bucket=resubmit(,2)", "type=indirect,bucket=output:9",
          "type=ff,bucket=watch_port:1,output:1,bucket=watch_port:9,output:9,bucket=watch_port:3,output:3",
          "type=select,bucket=output:1,bucket=output:2,bucket=watch_port:3,output:3",
          "type=select,selection_method=hash,fields=ip_dst,bucket=output:1,bucket=resubmit(,1)",
          "type=ff,bucket=watch_group:2,group:2,bucket=watch_port:2,output:2")


PORT_SETTINGS: tuple[dict[str, object], ...] = (
    {"link_up": False}, {"link_up": True}, {"no_flood": True}, {"no_flood": False}, {"no_forward": True},
    {"no_forward": False}, {"no_receive": True}, {"no_receive": False}, {"down": True}, {"down": False},
    {"tag": 1},
    {"trunks": [0, 1]}, {"tag": 2, "trunks": [1]})
TIMES = (15.0, 0.001, 0.09, 0.25, 0.5, 0.999, 1.0, 1.5, 2.0, 3.0, 7.0)


def flow(rng: Random) -> str:
    """A rule as text."""
    text = [f"table={rng.choice((0, 0, 0, 1, 1, 2))}", f"priority={rng.randint(1, 3)}"]
    if not rng.randrange(3):
        text.append(f"{rng.choice(('idle', 'hard'))}_timeout={rng.randint(1, 3)}")
    text.append(rng.choice(("", "", "send_flow_rem", "reset_counts", "cookie=7")))
    text.append(rng.choice(MATCHES))
    action = rng.choice(ACTIONS)
    if not rng.randrange(5):
        learn = rng.choice(LEARN).format(idle=rng.randint(0, 3), hard=rng.choice((0, 0, 2)))
        action = learn + rng.choice(("", ",resubmit(,2)", ",output:2", ",NORMAL"))
    return ",".join(filter(None, text)) + " actions=" + action


SNOOPING: tuple[dict[str, object], ...] = (
    {}, {}, {"aging": 15}, {"flood_unregistered": False}, {"flood_unregistered": False, "aging": 20})


def group_frame(rng: Random) -> bytes:
    """A packet of a multicast group, or what somebody says of one."""
    group, src, vlan = f"239.1.1.{rng.randint(1, 2)}", rng.randint(1, 3), rng.choice((None, None, 1))
    kind = rng.choice((0, 0, 0, 0x11, 0x16, 0x16, 0x17))
    return igmp(kind, group if kind != 0x11 else "0.0.0.0", src=src, vlan=vlan) if kind else group_data(
        group, src=src, vlan=vlan)


def packet(rng: Random) -> Step:
    """Some equal frames at one port."""
    name = rng.choice(("br0", "br0", "br1"))
    if not rng.randrange(4):
        return "packet", name, rng.choice(PORTS[name]), group_frame(rng), rng.choice((1, 1, 2))
    data = frame(rng.choice(("udp", "tcp", "tcp", "arp", "eth")), src=rng.randint(1, 3),
                 dst=rng.choice((1, 2, 3, "ff:ff:ff:ff:ff:ff")), vlan=rng.choice((None, None, None, 1)),
                 ip_dst=f"10.0.0.{rng.randint(1, 5)}", dport=rng.randint(1, 2), op=rng.randint(1, 2),
                 flags=rng.choice(("ack", "ack", "fin")), size=rng.choice((60, 200)))
    return "packet", name, rng.choice(PORTS[name]), data, rng.choice((1, 1, 1, 3))


def change(rng: Random) -> Step:
    """A change of tables, groups, meters, ports or addresses."""
    name = rng.choice(sorted(PORTS))
    kind = rng.choice(("flow", "flow", "flow", "flow", "bundle", "group", "group", "meter", "set", "set",
                       "plug", "fdb", "limit", "snoop", "snoop", "mdb"))
    if kind == "flow":
        how = rng.choice(("add", "add", "add", "mod", "mod_strict", "del", "del_strict"))
        return kind, name, how, flow(rng)
    if kind == "bundle":
        return kind, name, [flow(rng) for _ in range(rng.randint(1, 3))]
    if kind == "group":
        how = rng.choice(("add", "add", "mod", "mod", "del", "insert", "remove"))
        return kind, name, how, rng.randint(1, 2), rng.choice(GROUPS)
    if kind == "snoop":
        return kind, name, rng.randrange(4) > 0, rng.choice(SNOOPING)
    if kind == "mdb":
        return kind, name, rng.choice((1, 2, 3, PATCH)), rng.randrange(2) > 0, rng.randrange(2) > 0
    if kind == "limit":
        return kind, name, rng.randint(0, 2), rng.randint(2, 6)
    if kind == "meter":
        return kind, name, rng.randint(1, 5)
    if kind == "set":
        return kind, name, rng.choice((1, 2, 3, PATCH)), rng.choice(PORT_SETTINGS)
    return (kind, name, rng.choice((1, 2, PATCH))) if kind == "plug" else (kind, name)


def life(rng: Random, n: int) -> list[Step]:
    """A life of *n* steps and a beginning."""
    steps: list[Step] = [("group", name, "add", i, rng.choice(GROUPS)) for name in PORTS for i in (1, 2)]
    steps += [("meter", name, 2) for name in PORTS]
    for _ in range(rng.randint(4, 16)):
        steps.append(("flow", rng.choice(("br0", "br0", "br1")), "add", flow(rng)))
    heard: list[Step] = []
    while n:
        n -= 1
        kind = rng.random()
        if kind < 0.6:
            if not heard or rng.random() < 0.3:         # most packets are of flows that were there before
                heard.append(packet(rng))
            steps.append(rng.choice(heard[-8:]))
        elif kind < 0.75:
            steps.append(change(rng))
        elif kind < 0.92:
            steps.append(("advance", rng.choice(TIMES)))
        elif kind < 0.98:
            steps.append((rng.choice(("read", "peek")),))
        else:
            steps.append(("out", rng.choice(sorted(PORTS)), rng.choice(ACTIONS), packet(rng)))
    return steps


def change_flow(life: Life, name: str, command: str, text: str) -> None:
    bridge = life.sw[name]
    strict = command.endswith("strict")
    if command == "add":
        bridge.add_flow(text)
    elif command.startswith("mod"):
        bridge.mod_flows(text, strict=strict)
    else:
        without = ("idle", "hard", "send", "reset", *(() if strict else ("priority",)))
        words = text.partition(" actions=")[0].split(",")
        bridge.del_flows(",".join(word for word in words if not word.startswith(without)), strict=strict)


def change_group(life: Life, name: str, command: str, number: int, text: str) -> None:
    bridge = life.sw[name]
    head = f"group_id={number}"
    if command == "add":
        bridge.add_group(f"{head},{text}")
    elif command == "mod":
        bridge.mod_group(f"{head},{text}")
    elif command == "del":
        bridge.del_groups(head)
    elif command == "insert":
        bridge.insert_buckets(f"{head},command_bucket_id=last,bucket=watch_port:2,output:2")
    else:
        bridge.remove_buckets(f"{head},command_bucket_id=first")


def plug(life: Life, name: str, number: int) -> None:
    """Take a port out, or put it in if it is not there."""
    bridge = life.sw[name]
    if bridge.ofproto.port(number) is not None:
        bridge.del_port(number)
    elif number == PATCH:
        bridge.add_patch(f"{name}.{PATCH}", peer=f"{'br1' if name == 'br0' else 'br0'}.{PATCH}", number=PATCH)
    else:
        bridge.add_port(f"{name}.{number}", number=number)


def put_meter(life: Life, name: str, rate: int) -> None:
    """Have a meter, or none if the rate is 5."""
    bridge = life.sw[name]
    text = f"meter=1,pktps,burst,stats,band=type=drop,rate={rate},burst_size=1"
    if rate == 5:
        bridge.del_meters("meter=1")
    elif bridge.meters():
        bridge.mod_meter(text)
    else:
        bridge.add_meter(text)


def limit(life: Life, name: str, table: int, n: int) -> None:
    """Let a table evict rules above *n*."""
    life.sw[name].set_table(table, max_flows=n, evict=True)


def bundle(life: Life, name: str, texts: list[str]) -> None:
    with life.sw[name].bundle() as pending:
        for text in texts:
            pending.add_flow(text)


def inject(life: Life, name: str, number: int, data: bytes, n: int) -> None:
    bridge = life.sw[name]
    if bridge.ofproto.port(number) is not None:
        for _ in range(n):
            bridge.port(number).inject(data)


DOES: dict[str, Callable[..., None]] = {
    "packet": inject, "flow": change_flow, "group": change_group, "plug": plug, "meter": put_meter,
    "bundle": bundle, "limit": limit,
    "set": lambda life, name, number, values: life.sw[name].port(number).set(**values),
    "snoop": lambda life, name, on, settings: life.sw[name].set_snooping(on, **settings),
    "mdb": lambda life, name, port, floods, reports: life.sw[name].set_multicast_port(
        port, flood=floods, flood_reports=reports),
    "fdb": lambda life, name: life.sw[name].flush_fdb(),
    "advance": lambda life, seconds: life.sw.advance(seconds),
    "out": lambda life, name, actions, packet: life.sw[name].packet_out(packet[3], actions,
                                                                       in_port=packet[2]),
}


def live(twins: Twins, steps: list[Step]) -> None:
    """Put *twins* through a life, comparing them at every packet and where it says "read"; ends them."""
    try:
        for kind, *arguments in steps:
            if kind == "read":
                twins.compare()
            elif kind == "peek":
                twins.cached.seen()             # reading changes nothing
            else:
                twins.do(lambda one, kind=str(kind), arguments=arguments: DOES[kind](one, *arguments))
        twins.compare()
    finally:
        twins.close()


def fails(steps: list[Step], settings: dict[str, object]) -> str:
    """How the twins come apart in a life, "" if they do not."""
    try:
        live(Twins(**settings), steps)
    except AssertionError as error:
        return str(error) or "?"
    return ""


def shortest(steps: list[Step], settings: dict[str, object]) -> list[Step]:
    """A life that fails, without the steps it fails without."""
    size = len(steps) // 2
    while size:
        at = 0
        while at < len(steps):
            fewer = steps[:at] + steps[at + size:]
            if fails(fewer, settings):
                steps = fewer
            else:
                at += size
        size //= 2
    return steps
