"""Hypothesis strategies for the text of groups and meters."""

from __future__ import annotations

from hypothesis import strategies as st

ACTIONS = st.lists(st.sampled_from((
    "output:1", "output:CONTROLLER", "NORMAL", "set_field:5->reg0", "set_field:00:00:00:00:00:09->eth_dst",
    "group:7", "push_vlan:0x8100", "dec_ttl", "resubmit(,4)", "move:NXM_NX_REG0[]->NXM_NX_REG1[]",
    "ct(commit,table=3)",
    "learn(table=1,load:1->NXM_NX_REG0[])", "set_queue:9", "note:00.11.22.33.44.55")),
    min_size=1, max_size=4)
U32 = st.integers(0, 0xFFFFFF00)
RATES = st.integers(1, 0xFFFFFFFF)
FIELDS = st.lists(st.sampled_from(("eth_src", "ip_dst=255.255.0.0", "tcp_src", "ipv6_src=ffff::",
                                   "reg3=0xff00", "in_port", "metadata",
    "vlan_vid")), min_size=1, unique=True)


@st.composite
def groups(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(("all", "select", "indirect", "ff")))
    text = f"group_id={draw(U32)},type={kind}"
    if kind == "select":
        method = draw(st.sampled_from(("", "hash", "dp_hash")))
        if method:
            text += f",selection_method={method},selection_method_param={draw(st.integers(0, (1 << 64) - 1))}"
        if method == "hash" and draw(st.booleans()):
            text += f",fields({','.join(draw(FIELDS))})"
    for _ in range(1 if kind == "indirect" else draw(st.integers(0, 3))):
        keys = [f"bucket_id={draw(U32)}"] if draw(st.booleans()) else []
        if kind == "select":
            keys.append(f"weight={draw(st.integers(0, 0xFFFF))}")
        if kind == "ff" or (kind == "select" and draw(st.booleans())):
            keys.append(f"watch_port={draw(st.integers(1, 0xFEFF))}")
            keys.append(f"watch_group={draw(U32)}")
        text += ",bucket=" + ",".join([*keys, *draw(ACTIONS)])
    return text


@st.composite
def meters(draw: st.DrawFn) -> str:
    burst = draw(st.booleans())
    flags = [draw(st.sampled_from(("kbps", "pktps"))), *["burst"] * burst, *["stats"] * draw(st.booleans())]
    bands = []
    for _ in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(("drop", "dscp_remark")))
        bands.append(f"type={kind},rate={draw(RATES)}" + f",burst_size={draw(RATES)}" * burst + (
            f",prec_level={draw(st.integers(1, 255))}" if kind == "dscp_remark" else ""))
    meter = draw(st.one_of(st.integers(1, 0xFFFF0000).map(str), st.sampled_from(("controller", "slowpath"))))
    return f"meter={meter},{','.join(flags)},{draw(st.sampled_from(('band', 'bands')))}={','.join(bands)}"
