"""The TLV table and the tunnel options it names: tables, rules, traces and refusals against the reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

import pytest
from pair import Pair, tunnel_pair
from reference import Refused
from rule_sets import Case

from fastpath.errors import FastpathError, OpenFlowError, ParseError

PORTS = (("t1", "geneve", 11, {"remote_ip": "1.1.1.1", "key": "flow"}),
         ("t2", "vxlan", 12, {"remote_ip": "1.1.1.2", "key": "flow"}),
         ("t3", "geneve", 13, {"remote_ip": "flow", "dst_port": "9999"}))
# The last table has an option in two pieces.
TABLES = (
    (("add", "{class=0xffff,type=0,len=4}->tun_metadata0,{class=0xffff,type=1,len=8}->tun_metadata1,"
      "{class=0x102,type=0x80,len=0}->tun_metadata2,{class=0,type=0,len=124}->tun_metadata63"),),
    (("add", "{class=1,type=1,len=100}->tun_metadata10,{class=1,type=2,len=100}->tun_metadata11,"
      "{class=1,type=3,len=56}->tun_metadata12"),
     ("del", "{class=1,type=1,len=100}->tun_metadata10"), ("del", "{class=1,type=3,len=56}->tun_metadata12"),
     ("add", "{class=3,type=3,len=120}->tun_metadata1,{class=3,type=4,len=4}->tun_metadata0"),
     ("del", "{class=1,type=2,len=100}->tun_metadata11"),
     ("add", "{class=3,type=5,len=12}->tun_metadata2,{class=3,type=0x85,len=4}->tun_metadata63")),
)
SIZES = ({0: 4, 1: 8, 2: 0, 63: 124}, {0: 4, 1: 120, 2: 12, 63: 4})


@pytest.fixture(scope="module")
def tunnels() -> Iterator[Pair]:
    """Both switches with the same tunnel ports; ours is as strict as the reference."""
    with tunnel_pair(PORTS, strict=True) as pair:
        yield pair


def both(pair: Pair, command: str, mappings: str = "") -> tuple[str, str]:
    """Change both tables; return what each says of it, and holds afterwards."""
    target, tlvs = pair.ref.bridge_target("br0"), pair.switch["br0"].tlv_map
    theirs = ours = ""
    try:
        pair.ref.ofctl(f"{command}-tlv-map", target, *([mappings] if mappings else ()))
    except Refused as error:
        theirs = re.search(r"NXTTMFC_\w+|(?<=ovs-ofctl: ).*", str(error))[0]    # type: ignore[index]
    try:
        if command == "add":
            tlvs.add(mappings)
        elif mappings:
            tlvs.delete(mappings)
        else:
            tlvs.clear()
    except OpenFlowError as error:
        ours = error.code
    except ParseError as error:
        ours = str(error)
    shown = pair.ref.ofctl("dump-tlv-map", target).partition("\n")[2]
    return f"{theirs}\n{shown}".rstrip(), f"{ours}\n{tlvs.dump()}".rstrip()


def load_table(pair: Pair, n: int) -> None:
    """Give both sides the table TABLES[n] and no rules."""
    pair.ref.ofctl("del-flows", pair.ref.bridge_target("br0"))
    pair.switch["br0"].del_flows()
    for command, mappings in (("del", ""), *TABLES[n]):
        theirs, ours = both(pair, command, mappings)
        assert theirs == ours and theirs.startswith("\n")


def mapping(rng: Random) -> str:
    size = rng.choice((0, 4, 4, 8, 12, 40, 100, 124, rng.randrange(130)))
    index = rng.choice((*range(8), 62, 63, 64, 70000))
    return (f"{{class={rng.choice(('0', '1', '0xffff', '0x10001', '-1'))},type={rng.choice('01') }"
            f"{rng.choice(('', '', 'x'))},len={size}}}->tun_metadata{index}")


def test_tables_change_alike(tunnels: Pair, more: int) -> None:
    rng = Random(3)
    load_table(tunnels, 0)
    for _ in range(60 * more):
        command = rng.choices(("add", "del"), (5, 3))[0]
        several = ",".join(mapping(rng) for _ in range(rng.choice((1, 1, 1, 2, 4))))
        theirs, ours = both(tunnels, command, "" if command == "del" and rng.random() < 0.1 else several)
        assert ours == theirs, f"{command} {several}"


def number(rng: Random, size: int) -> int:
    """Mostly small, so that some are equal; now and then one byte more than there is room for."""
    wide = rng.getrandbits(8 * size + 1), rng.getrandbits(8 * size + 9)
    return rng.choice((0, 1, 5, 0x1234, *wide)) % (1 << 992)


def match(rng: Random, sizes: dict[int, int]) -> str:
    terms = [f"in_port={rng.choice((1, 2, 3))}"]
    for i in rng.sample(sorted(sizes), rng.choice((0, 1, 1, 2))):
        value = number(rng, sizes[i])
        mask = rng.choice((1, 4, 0xFF, 0xFFFF00, 0xFFFFFFFF))
        exact = f"={value:#x}"
        terms.append(f"tun_metadata{i}" + rng.choice(("", exact, exact, f"{exact}/{mask}")))
    return ",".join(terms)


def subfield(rng: Random, sizes: dict[int, int], n_bits: int) -> str:
    i = rng.choice([i for i in sizes if 8 * sizes[i] >= n_bits])
    ofs = rng.randint(0, 8 * sizes[i] - n_bits)
    return f"NXM_NX_TUN_METADATA{i}[{ofs}..{ofs + n_bits - 1}]"


def actions(rng: Random, sizes: dict[int, int], *, first: bool) -> str:
    """A list of actions; those of the *first* table go on to the next."""
    out = []
    for _ in range(rng.randint(1, 6)):
        n = rng.choice((2, 8, 16, 31, 32))
        sf, i = subfield(rng, sizes, n), rng.choice(sorted(sizes))
        value, mask = number(rng, sizes[i]), rng.choice((1, 0xF0, 0xFFFF, 0xFFFFFFFF))
        reg = f"NXM_NX_REG{rng.choice((0, 1))}[0..{n - 1}]"
        out.append(rng.choice((
            f"set_field:{value:#x}->tun_metadata{i}", f"set_field:{value & mask:#x}/{mask}->tun_metadata{i}",
            f"load:{rng.getrandbits(n)}->{sf}", f"move:{sf}->{reg}", f"move:{reg}->{sf}",
            f"move:{sf}->{subfield(rng, sizes, n)}", f"push:{sf},pop:{reg}", f"push:{reg},pop:{sf}",
            f"delete_field:tun_metadata{i}", f"output:{sf}",
            f"clone(set_field:{value:#x}->tun_metadata{i},output:11)",
            f"learn(table=2,{reg}={sf},load:1->{sf})",
            "set_field:7.7.7.7->tun_dst")))
        if rng.random() < 0.5:
            out.append(f"output:{rng.choice((2, 11, 11, 12, 13))}")
    if first:
        out.append(rng.choice(("resubmit(,1)", f"ct(table=1,zone={subfield(rng, sizes, 16)})", "output:11")))
    if rng.random() < 0.1:
        out.append(f"write_actions(set_field:{value:#x}->tun_metadata{i},output:13)")
    return ",".join(out)


def packet(rng: Random, sizes: dict[int, int]) -> str:
    terms = [f"in_port={rng.choice((1, 2, 3))}", "ip"]
    if rng.random() < 0.8:
        terms += ["tun_dst=2.2.2.2", f"tun_id={rng.choice((0, 7))}"]
    terms += [f"tun_metadata{i}={number(rng, sizes[i]):#x}"
              for i in rng.sample(sorted(sizes), rng.choice((0, 1, 2, 2)))]
    return ",".join(terms)


@pytest.mark.parametrize("n", range(len(TABLES)))
def test_traces_and_dumps_agree(tunnels: Pair, n: int, more: int) -> None:
    rng, sizes, taken = Random(n + 5), SIZES[n], 0
    load_table(tunnels, n)
    for seed in range(8 * more):
        heads = [(t, f"table={t},priority={p},ip,{match(rng, sizes)}")
                 for t, n in ((0, 8), (1, 4)) for p in rng.sample(range(100), n)]
        rules = tuple(f"{head} actions={actions(rng, sizes, first=not t)}" for t, head in heads)
        case = Case(seed, "OpenFlow15", rules, tuple(packet(rng, sizes) for _ in range(12)))
        taken += tunnels.compare("br0", case)
        dumped = tunnels.ref.ofctl("-O", "OpenFlow15", "--no-stats", "dump-flows",
                                   tunnels.ref.bridge_target("br0"))
        ours = set(tunnels.switch["br0"].dump_flows(stats=False).splitlines())
        theirs = {line.strip() for line in dumped.splitlines() if "actions=" in line}
        assert ours - theirs == theirs - ours == set()
    assert taken >= 6 * more


REFUSED = (
    "tun_metadata3=1 actions=drop", "tun_metadata3 actions=drop", "actions=set_field:5->tun_metadata3",
    "actions=delete_field:tun_metadata3", "actions=clone(set_field:5->tun_metadata3)",
    "actions=push:NXM_NX_TUN_METADATA0[]", "actions=push:NXM_NX_TUN_METADATA0[0..32]",
    "actions=move:NXM_NX_TUN_METADATA0[]->NXM_NX_TUN_METADATA1[]", "actions=output:NXM_NX_TUN_METADATA0[]",
    "actions=move:NXM_NX_REG0[]->NXM_NX_TUN_METADATA1[33..64]", "actions=learn(table=1,tun_metadata0=5)",
    "actions=learn(table=1,load:5->NXM_NX_TUN_METADATA0[])", "actions=pop:NXM_NX_TUN_METADATA2[0]",
    "actions=ct(commit,zone=NXM_NX_TUN_METADATA3[0..15])", "actions=write_actions(load:1->tun_metadata3[0])",
    "tun_metadata0=1,tun_metadata0=2 actions=drop", "tun_metadata0=0x1g actions=drop",
    "tun_metadata64=1 actions=drop", "actions=set_field:x->tun_metadata0",
    "actions=load:5->NXM_NX_TUN_METADATA0[0..992]", "actions=move:NXM_NX_REG0[]->NXM_NX_TUN_METADATA0[]",
    f"tun_metadata0=0x1{'0' * 200},tun_metadata1=0x1{'0' * 246},tun_metadata2=0x1{'0' * 200} actions=drop")


@pytest.mark.parametrize("text", REFUSED)
def test_rules_are_refused_alike(tunnels: Pair, text: str) -> None:
    load_table(tunnels, 0)
    with pytest.raises(Refused) as theirs:
        tunnels.ref.ofctl("add-flow", tunnels.ref.bridge_target("br0"), f"ip,{text}")
    with pytest.raises(FastpathError) as ours:
        tunnels.switch["br0"].add_flow(f"ip,{text}")
    code = ours.value.code if isinstance(ours.value, OpenFlowError) else f"ovs-ofctl: {ours.value}"
    assert code in str(theirs.value)


def test_an_option_in_use_stays(tunnels: Pair) -> None:
    load_table(tunnels, 0)
    target, br = tunnels.ref.bridge_target("br0"), tunnels.switch["br0"]
    for rule in ("ip,tun_metadata0 actions=drop", "ip,tun_metadata0=1 actions=set_field:1->tun_metadata1",
                 "ip,actions=learn(table=3,NXM_NX_REG0[]=NXM_NX_TUN_METADATA63[0..31])"):
        tunnels.ref.ofctl("add-flow", target, rule)
        br.add_flow(rule)
        for mappings in ("", *TABLES[0][0][1].split(",{")):
            theirs, ours = both(tunnels, "del", "{" * (mappings[:1] == "c") + mappings)
            assert ours == theirs
            if not theirs.startswith("NX"):
                load = next(m for m in TABLES[0][0][1].replace(",{", " {").split() if mappings in m)
                both(tunnels, "add", load)
        tunnels.ref.ofctl("del-flows", target)
        br.del_flows()
