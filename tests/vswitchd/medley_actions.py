"""Actions of a medley: every one of ovs-actions(7), mixed without regard for sense.

Actions are drawn for one kind of packet, so that they may name its fields; those that change the kind
(labels, whole headers) go on with the new one.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from medley_fields import (
    ETH,
    IP6_KINDS,
    IP_KINDS,
    KINDS,
    META,
    MPLS_KINDS,
    PORT_KINDS,
    PORT_NUMBERS,
    VLAN,
    Field,
)
from medley_frames import IPS, LABELS, MACS, PORTS, VLANS

if TYPE_CHECKING:
    from medley_tables import Medley

N_TABLES = 6
_UNTIL_READ_ANEW = ("tcp", "udp", "sctp", "icmp", "icmpv6", "nd")       # fields that popped labels hide
_HASHED = ("eth_src", "symmetric_l4", "symmetric_l3l4", "symmetric_l3l4+udp", "nw_src", "nw_dst",
           "symmetric_l3")
_POPPED = {"ip": 0x800, "ip6": 0x86DD, "mpls": 0x8847, "mplsm": 0x8848, "arp": 0x806, "other": 0x1234}
WEIGHTS = {"output": 26, "special": 14, "controller": 4, "queue": 3, "group": 6, "resubmit": 17,
           "set_field": 18, "load": 9, "move": 9, "stack": 6, "old_mod": 8, "vlan": 9, "mpls": 8,
           "dec_ttl": 7, "header": 5, "clone": 7, "sample": 2, "larger": 3, "learn": 6, "balance": 5,
           "odd": 5, "ct_clear": 2, "ct": 14}


class Actions:
    """Draws the actions of one list: of a rule in *table* for packets of *kind*, or of a group's bucket."""

    def __init__(self, r: Random, kind: str, table: int, made: Medley, *, ct: bool = False,
                 bucket: bool = False, vlan: bool = False) -> None:
        self._r, self._kind, self._table, self._made = r, kind, table, made
        self._uses_ct, self._bucket, self._has_vlan = ct, bucket, vlan
        self._depth, self._n_pushed = 0, 0
        self._has_l4 = self._has_eth = True
        self._may_decap = True          # right after encap(mpls) the reference does not survive it

    def instructions(self) -> str:
        """A whole list with its instructions."""
        r, words = self._r, []
        if self._made.meters and r.random() < 0.1:
            words.append(f"meter:{r.randint(1, len(self._made.meters))}")
        words += self.some(r.choices((0, 1, 2, 3, 4, 6, 9), (3, 15, 22, 22, 18, 12, 8))[0])
        if r.random() < 0.06:
            words.append("clear_actions")
        if r.random() < 0.14:
            words.append(f"write_actions({self._action_set()})")
        if r.random() < 0.08:
            words.append(f"write_metadata:{r.choice(('1', '0x10000', '0x5/0xf'))}")
        if self._table < N_TABLES - 1 and r.random() < 0.25:
            words.append(f"goto_table:{r.randint(self._table + 1, N_TABLES - 1)}")
        return ",".join(words) or "drop"

    def some(self, n: int) -> list[str]:
        """Up to *n* actions: some that are drawn do not fit here."""
        names = [name for name in WEIGHTS if (self._uses_ct or not name.startswith("ct"))
                 and (self._made.learns or name != "learn")]
        drawn = self._r.choices(names, [WEIGHTS[name] for name in names], k=n)
        return [word for name in drawn if (word := getattr(self, f"_{name}")())]

    def _action_set(self) -> str:
        words = [word for word in (self._set_field(), self._dec_ttl(), self._set_field()) if word]
        if self._has_eth and not self._n_pushed and self._r.random() < 0.2:
            words.append("push_vlan:0x8100")
        return ",".join([*words, (self._r.random() < 0.4 and self._group()) or self._output()])

    # -- where to

    def _port(self) -> int:
        return self._r.choice(PORT_NUMBERS)

    def _output(self) -> str:
        return f"output:{self._port()}"

    def _special(self) -> str:
        r = self._r
        return r.choice(("in_port", "local", "flood", "all", "output:7", "output:99",
                         *(("normal", "NORMAL") if self._made.learns else ()),
                         f"enqueue:{self._port()}:{r.choice((0, 3))}", "output:NXM_OF_IN_PORT[]",
                         f"output(port={self._port()},max_len={r.choice((14, 60, 100, 9000))})",
                         "output:reg0[0..2]", f"output:reg{r.choice((1, 2, 3))}", "output:xreg5[0..3]"))

    def _controller(self) -> str:
        return self._r.choice(("controller", "controller:20", "controller(reason=invalid_ttl,max_len=64)",
                               "controller(userdata=01.02.03)", "controller(pause)",
                               "controller(reason=action,id=3)", "controller(pause,userdata=aa)",
                               "controller(meter_id=1)" if self._made.meters else "controller:65535"))

    def _queue(self) -> str:
        return self._r.choice(("set_queue:0", "set_queue:5", "pop_queue"))

    def _group(self) -> str:
        return f"group:{self._r.randint(1, len(self._made.groups))}" if self._made.groups else ""

    def _resubmit(self) -> str:
        r = self._r
        if self._bucket:
            return ""
        to = r.randint(min(self._table + 1, N_TABLES) if r.random() < 0.93 else 0, N_TABLES)
        return r.choice((f"resubmit(,{to})", f"resubmit(,{to})", f"resubmit({self._port()},{to})",
                         f"resubmit(in_port,{to})", f"resubmit:{self._port()}" if r.random() < 0.3 else ""))

    # -- what changes the packet

    def _fields(self, *, write: bool = False, form: bool = False) -> list[Field]:
        own = KINDS[self._kind].fields if self._kind in KINDS else []
        if not self._has_l4:
            own = [f for f in own if f.name.split("_")[0] not in _UNTIL_READ_ANEW]
        every = [*META, *(ETH if self._has_eth else []), *own * 3, *(VLAN * 3 if self._has_vlan else [])]
        return [f for f in every if (f.write or not write) and (f.form or not form)]

    def _set_field(self) -> str:
        f = self._r.choice(self._fields(write=True))
        return f"set_field:{f.masked(self._r)}->{f.name}"

    def _load(self) -> str:
        r = self._r
        f = r.choice(self._fields(write=True))
        start, end = f.piece(r)
        value = r.choice((0, 1, 2, 5, 0xAA)) & (1 << end - start + 1) - 1
        return f"load:{value:#x}->{f.name}[{start}..{end}]"

    def _move(self) -> str:
        r = self._r
        s, t = r.choice(self._fields(form=True)), r.choice(self._fields(write=True, form=True))
        n = r.randint(1, min(s.bits, t.bits))
        a, b = r.randint(0, s.bits - n), r.randint(0, t.bits - n)
        return f"move:{s.name}[{a}..{a + n - 1}]->{t.name}[{b}..{b + n - 1}]"

    def _stack(self) -> str:
        r = self._r
        push = "push:" + r.choice(self._fields(form=True)).part(r, 128)
        pop = "pop:" + r.choice(self._fields(write=True, form=True)).part(r, 128)
        return r.choice((push, push, push, f"{push},{pop}", f"{push},{pop}", pop))

    def _old_mod(self) -> str:
        r, words = self._r, []
        if not self._has_eth:
            return ""
        if self._kind in IP_KINDS:
            words += ["mod_nw_src:" + r.choice(IPS), "mod_nw_dst:" + r.choice(IPS)]
        if self._kind in IP_KINDS | IP6_KINDS:
            words += [f"mod_nw_tos:{r.choice((0, 32, 184))}", f"mod_nw_ecn:{r.choice((0, 1, 3))}",
                      f"mod_nw_ttl:{r.choice((1, 64))}"]
        if self._has_l4 and self._kind in PORT_KINDS:
            words += [f"mod_tp_src:{r.choice(PORTS)}", f"mod_tp_dst:{r.choice(PORTS)}"] * 2
        word = r.choice([*words, "mod_dl_src:" + r.choice(MACS), "mod_dl_dst:" + r.choice(MACS),
                         f"mod_vlan_vid:{r.choice(VLANS)}", f"mod_vlan_pcp:{r.choice((0, 3, 7))}"])
        self._has_vlan |= word.startswith("mod_vlan")
        return word

    def _vlan(self) -> str:
        r = self._r
        if self._has_eth and self._has_vlan and r.random() < 0.4:
            self._has_vlan = False
            return r.choice(("pop_vlan", "strip_vlan"))
        if not self._has_eth or self._n_pushed == 2:
            return ""
        self._has_vlan = True
        self._n_pushed += 1
        return f"push_vlan:{r.choice(('0x8100', '0x88a8'))}" + r.choice((
            "", "", f",set_field:{0x1000 | r.choice(VLANS)}->vlan_vid", ",set_field:3->vlan_pcp"))

    def _mpls(self) -> str:
        r = self._r
        if self._kind in MPLS_KINDS and r.random() < 0.55:
            self._kind, self._has_l4 = r.choice(list(_POPPED)), False
            return f"pop_mpls:{_POPPED[self._kind]:#06x}"
        if self._kind in MPLS_KINDS and r.random() < 0.6:
            return r.choice(("dec_mpls_ttl", f"set_mpls_label:{r.choice(LABELS)}",
                             f"set_mpls_tc:{r.choice((0, 7))}", f"set_mpls_ttl:{r.choice((0, 1, 64))}"))
        if not self._has_eth or (self._kind == "any" and r.random() < 0.5):
            return ""
        self._kind = r.choice(("mpls", "mplsm"))
        return f"push_mpls:{_POPPED[self._kind]:#06x}"

    def _dec_ttl(self) -> str:
        if self._kind == "nsh":
            return "dec_nsh_ttl"
        is_ip = self._kind in IP_KINDS | IP6_KINDS
        return self._r.choice(("dec_ttl", "dec_ttl", "dec_ttl(2,3)")) if is_ip else ""

    def _header(self) -> str:
        """encap and decap."""
        r = self._r
        if self._bucket:
            return ""
        if not self._has_eth:
            return self._of_bare_packet()
        if not self._has_vlan and r.random() < 0.3:
            self._has_eth = self._may_decap = self._kind == "nsh"
            return "decap()"
        if r.random() < 0.7:
            self._kind, self._has_l4, self._has_eth, self._has_vlan = "nsh", False, False, False
            return r.choice(("encap(nsh)", "encap(nsh(md_type=1))", "encap(nsh)",
                             "encap(nsh(md_type=2,tlv(0x1000,10,0x12345678)))")) + r.choice((
                                 "", ",set_field:0x1234->nsh_spi", ",set_field:1->nsh_c1"))
        if self._kind in MPLS_KINDS | IP_KINDS | IP6_KINDS:
            self._kind, self._has_l4, self._has_eth, self._has_vlan = "mpls", False, False, False
            self._may_decap = False
            return r.choice(("encap(mpls)", "encap(mpls_mc)"))
        return ""

    def _of_bare_packet(self) -> str:
        r = self._r
        if r.random() < 0.6:
            self._has_eth = True
            return "encap(ethernet)" + r.choice(("", f",set_field:{r.choice(MACS)}->eth_dst"))
        if not self._may_decap:
            return ""
        self._may_decap = False
        kind = r.choice(("0x800", "0x8847", "0x894f"))
        return r.choice(("decap", "decap()", f"decap(packet_type(ns=1,type={kind}))"))

    # -- what holds other actions, and the rest

    def _clone(self) -> str:
        if self._depth == 2:
            return ""
        kept = self.__dict__.copy()         # what is done to a copy leaves nothing behind
        self._depth += 1
        words = self.some(self._r.randint(1, 4))
        self.__dict__.update(kept)
        return f"clone({','.join(words)})" if words else ""

    def _sample(self) -> str:
        r = self._r
        return (f"sample(probability={r.choice((65535, 65535, 1000))},collector_set_id={r.choice((1, 2))},"
                f"obs_domain_id={r.choice((0, 9))},obs_point_id=3"
                + r.choice(("", f",sampling_port={self._port()}", ",egress")) + ")")

    def _larger(self) -> str:
        r = self._r
        return f"check_pkt_larger({r.choice((40, 64, 1500))})->reg{r.choice((0, 1, 2))}[{r.choice((0, 5))}]"

    def _learn(self) -> str:
        r = self._r
        if self._bucket:
            return ""
        words = [f"table={r.randint(self._table + 1, N_TABLES + 1)}", f"priority={r.randint(1000, 30000)}"]
        words += [word for word in (
            "idle_timeout=100", "hard_timeout=900", "fin_idle_timeout=5", "fin_hard_timeout=9",
            "delete_learned", "send_flow_rem", f"cookie={r.choice((1, 0x77))}") if r.random() < 0.25]
        if r.random() < 0.25:
            words.append(f"limit={r.choice((1, 2, 5))}")
            if r.random() < 0.6:
                words.append(f"result_dst=reg{r.choice((0, 1))}[{r.choice((0, 7))}]")
        done = ("output:NXM_OF_IN_PORT[]", "load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]", "output:reg0[0..15]",
                "load:5->NXM_NX_REG1[]", "load:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]")
        return f"learn({','.join([*words, *self._learned_match(), *r.sample(done, r.randint(0, 2))])})"

    def _learned_match(self) -> list[str]:
        r, typed = self._r, []
        plain = ["NXM_OF_VLAN_TCI[0..11]", "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[]", "NXM_OF_IN_PORT[]", "reg1=7",
                 "reg2[0..3]=reg0[4..7]", "NXM_NX_REG0[]=NXM_OF_ETH_SRC[0..31]", "metadata=1"]
        if self._kind in IP_KINDS:
            typed += ["eth_type=0x800,NXM_OF_IP_DST[]=NXM_OF_IP_SRC[]",
                      "eth_type=0x800,nw_proto=17,udp_dst=53"]
        if self._kind in IP6_KINDS:
            typed += ["eth_type=0x86dd,NXM_NX_IPV6_DST[]=NXM_NX_IPV6_SRC[]"]
        if self._kind == "tcp" and self._has_l4:
            typed += ["eth_type=0x800,nw_proto=6,NXM_OF_TCP_SRC[]=NXM_OF_TCP_DST[]"]
        if self._kind == "arp":
            typed += ["eth_type=0x800,NXM_OF_IP_DST[]=NXM_OF_ARP_SPA[]"]
        chosen = [r.choice(typed)] if typed and r.random() < 0.5 else []
        return [*chosen, *r.sample(plain, r.randint(1, 2))]

    def _balance(self) -> str:
        r = self._r
        how = f"{r.choice(_HASHED)},{r.choice((0, 50))}"
        ports = f"{r.choice(('active_backup', 'hrw'))},ofport"
        members = "members:" + ",".join(map(str, r.sample((*PORT_NUMBERS, 44), r.randint(1, 4))))
        choice = f"{r.choice(('modulo_n', 'hash_threshold', 'hrw', 'iter_hash'))},{r.randint(1, 8)}"
        return r.choice((f"multipath({how},{choice},{r.choice((0, 3))},reg{r.choice((0, 1))}[0..7])",
                         f"bundle({how},{ports},{members})",
                         f"bundle_load({how},{ports},reg{r.choice((0, 1, 2))}[0..15],{members})"))

    def _odd(self) -> str:
        r = self._r
        fin = "fin_timeout(idle_timeout=7,hard_timeout=20)" if self._kind in ("tcp", "tcp6") else ""
        return r.choice((f"note:{r.choice(('00', '11.22.33.44.55.66', 'aa.bb'))}", "set_tunnel:0x7", fin,
                         "exit" if r.random() < 0.4 else "note:01.02", "set_tunnel64:0x123456789",
                         "delete_field:tun_metadata0"))

    def _ct_clear(self) -> str:
        return "ct_clear"

    def _ct(self) -> str:
        r, v6 = self._r, self._kind in IP6_KINDS
        if self._kind not in IP_KINDS | IP6_KINDS or self._bucket:
            return ""
        commit = r.random() < 0.5
        zone = f"zone={r.choice(('77', 'reg0[0..15]'))}"
        words = [word for word in (f"table={r.randint(1, N_TABLES)}", zone) if r.random() < 0.7]
        if commit:
            words += ["commit", *r.choice(([], ["force"]))]
            inner = r.sample(("set_field:1->ct_mark", "set_field:0x5/0xf->ct_label", "move:reg0[]->ct_mark",
                              "load:3->ct_mark[0..7]"), r.choice((0, 0, 1, 2)))
            words += [f"exec({','.join(inner)})"] if inner else []
        if r.random() < 0.4:
            source = "[fe80::7]:80-90" if v6 else "10.1.1.1-10.1.1.9:80-90,random"
            target = "fe80::9" if v6 else "10.1.1.1"
            words.append(r.choice(("nat", f"nat(src={source})", f"nat(dst={target})")) if commit else "nat")
        if r.random() < 0.15 and self._kind in ("tcp", "udp"):
            words.append(r.choice(("alg=ftp", "alg=tftp")))
        return f"ct({','.join(words)})"
