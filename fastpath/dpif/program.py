"""Compile odp actions into the program that ``_actions`` runs.

Layout in ``_odp.h``; opcodes stand here once more as rows, and a test holds the two together by running
every one.  Called when flows are installed or packets executed; what a datapath cannot do is refused
here with ConfigError, so that running a program never fails for what it says.
"""

from __future__ import annotations

import struct

from fastpath import text
from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.actions import (
    AddMpls,
    CheckPktLen,
    Clone,
    CopyTtl,
    Ct,
    CtClear,
    Drop,
    Hash,
    Meter,
    OdpAction,
    OdpActions,
    Output,
    PopEth,
    PopMpls,
    PopNsh,
    PopPbb,
    PopVlan,
    PushEth,
    PushMpls,
    PushNsh,
    PushPbb,
    PushVlan,
    Recirc,
    Sample,
    SetMasked,
    SetProto,
    SetType,
    Trunc,
    Userspace,
)
from fastpath.dpif.fuse import fuse_sets, runs
from fastpath.dpif.userdata import encode_userdata
from fastpath.errors import ConfigError
from fastpath.fields import DP_WORDS, TNL_WORD

(OUTPUT, SET_ETH, SET_IPV4, SET_IPV6, SET_ARP, SET_TCP, SET_UDP, SET_SCTP, SET_ICMP, SET_ICMPV6, SET_ND,
 SET_ND_EXT, SET_MPLS, SET_NSH, SET_MARK, SET_PRIORITY, SET_TUNNEL, PUSH_VLAN, POP_VLAN, PUSH_MPLS, POP_MPLS,
 PUSH_ETH, POP_ETH, PUSH_NSH, POP_NSH, ADD_MPLS, CT, CT_CLEAR, TRUNC, RECIRC, HASH, METER, SAMPLE, CLONE,
 CHECK_LEN, USERSPACE, DROP, SET_TYPE, SET_PROTO, SET_PBB, PUSH_PBB, POP_PBB, COPY_TTL_OUT,
 COPY_TTL_IN, HEADERS) = range(1, 46)

HASH_ALGS = ("l4", "sym_l4")
MAX_NESTING = 10
NSH_MAX = 252                   # bytes of the longest NSH header
_VLAN_TPIDS = (0x8100, 0x88A8)
_MPLS_TYPES = (0x8847, 0x8848)

# Attribute -> opcode, bytes of one value, and (member, first bit from the most significant one, bits).
_Row = tuple[int, int, dict[str, tuple[int, int]]]


def _row(op: int, size: int, /, **members: tuple[int, int]) -> _Row:
    return op, size, members


_PORTS = {"src": (0, 16), "dst": (16, 16)}
_ICMP = {"type": (0, 8), "code": (8, 8)}
_SETTERS: dict[str, _Row] = {
    "eth": _row(SET_ETH, 16, dst=(0, 48), src=(48, 48)),
    "ipv4": _row(SET_IPV4, 16, src=(0, 32), dst=(32, 32), tos=(64, 8), ttl=(72, 8)),
    "ipv6": _row(SET_IPV6, 40, src=(0, 128), dst=(128, 128), label=(256, 32), tclass=(288, 8),
                 hlimit=(296, 8)),
    "arp": _row(SET_ARP, 24, sip=(0, 32), tip=(32, 32), op=(64, 16), sha=(80, 48), tha=(128, 48)),
    "tcp": _row(SET_TCP, 8, **_PORTS),
    "udp": _row(SET_UDP, 8, **_PORTS),
    "sctp": _row(SET_SCTP, 8, **_PORTS),
    "icmp": _row(SET_ICMP, 8, **_ICMP),
    "icmpv6": _row(SET_ICMPV6, 8, **_ICMP),
    "nd": _row(SET_ND, 32, target=(0, 128), sll=(128, 48), tll=(176, 48)),
    "nd_ext": _row(SET_ND_EXT, 8, nd_reserved=(0, 32), nd_options_type=(32, 8)),
    "mpls": _row(SET_MPLS, 4, label=(0, 20), tc=(20, 3), bos=(23, 1), ttl=(24, 8), lse=(0, 32)),
    "pbb": _row(SET_PBB, 4, pcp=(0, 3), dei=(3, 1), uca=(4, 1), isid=(8, 24)),
    "nsh": _row(SET_NSH, 24, flags=(0, 8), ttl=(8, 8), spi=(32, 24), si=(56, 8),
                c1=(64, 32), c2=(96, 32), c3=(128, 32), c4=(160, 32)),
}
_WORDS = {"skb_mark": SET_MARK, "skb_priority": SET_PRIORITY}


def compile_actions(actions: OdpActions) -> bytes:
    """Return the program of *actions*; empty for none, which drops.

    Raises ConfigError for what no program can do: an unknown attribute or member, a value that does not fit
    its member, a TPID that is no VLAN's, nesting deeper than MAX_NESTING.
    """
    return _compile(actions, 0)


def program_is_output(program: bytes) -> int | None:
    """Port of a program that is one output and nothing else, None for any other."""
    if len(program) == 16:
        op, size, port = struct.unpack_from("=HxxII", program)
        if op == OUTPUT and size == 16:
            return int(port)
    return None


def _compile(actions: OdpActions, depth: int) -> bytes:
    if depth > MAX_NESTING:
        raise ConfigError(f"actions are nested deeper than {MAX_NESTING} levels")
    return b"".join(_run(run, depth) for run in runs(actions))


def _run(run: OdpActions, depth: int) -> bytes:
    code = b"".join(_one(action, depth) for action in run)
    fused = fuse_sets(run)
    return code if fused is None else _op(HEADERS, fused + code)


def _op(op: int, body: bytes = b"") -> bytes:
    body += bytes(-len(body) % 8)
    return struct.pack("=HHI", op, 0, 8 + len(body)) + body


def _u32(op: int, n: int, what: str, limit: int = 0xFFFFFFFF) -> bytes:
    return _op(op, struct.pack("=II", _fit(n, limit, what), 0))


def _fit(n: int, limit: int, what: str) -> int:
    if not 0 <= n <= limit:
        raise ConfigError(f"{what} {n} is not 0 to {limit:#x}")
    return n


def _one(action: OdpAction, depth: int) -> bytes:
    match action:
        case Output(port):
            return _u32(OUTPUT, port, "output port")
        case SetMasked(attr, members):
            return _set(attr, members)
        case PushVlan() | PopVlan() | PushMpls() | PopMpls():
            return _push_pop(action)
        case PushEth() | PopEth() | PushNsh() | PopNsh() | AddMpls():
            return _encap(action)
        case SetType() | SetProto() | PushPbb() | PopPbb() | CopyTtl():
            return _own(action)
        case Ct():
            return _op(CT)              # which no datapath can do yet
        case CtClear():
            return _op(CT_CLEAR)
        case Trunc(n):
            return _u32(TRUNC, n, "trunc length")
        case Recirc(n):
            return _u32(RECIRC, n, "recirc id")
        case Meter(n):
            return _u32(METER, n, "meter")
        case Drop(n):
            return _u32(DROP, n, "drop reason")
        case Hash(alg, basis):
            if alg not in HASH_ALGS:
                raise ConfigError(f"hash algorithm {alg!r} is not one of {', '.join(HASH_ALGS)}")
            return _op(HASH, struct.pack("=II", HASH_ALGS.index(alg), _fit(basis, 0xFFFFFFFF, "hash basis")))
        case Userspace(userdata):
            data = encode_userdata(userdata)
            return _op(USERSPACE, struct.pack("=II", len(data), 0) + data)
        case Sample() | Clone() | CheckPktLen():
            return _nested(action, depth + 1)
    raise AssertionError(action)


def _nested(action: Sample | Clone | CheckPktLen, depth: int) -> bytes:
    match action:
        case Sample(probability, actions):
            head = struct.pack("=II", _fit(probability, 0xFFFFFFFF, "probability"), 0)
            return _op(SAMPLE, head + _compile(actions, depth))
        case Clone(actions):
            return _op(CLONE, _compile(actions, depth))
        case CheckPktLen(size, greater, less_equal):
            g = _compile(greater, depth)
            head = struct.pack("=II", _fit(size, 0xFFFFFFFF, "packet length"), len(g))
            return _op(CHECK_LEN, head + g + _compile(less_equal, depth))
    raise AssertionError(action)


def _push_pop(action: PushVlan | PopVlan | PushMpls | PopMpls) -> bytes:
    match action:
        case PushVlan(tpid, tci):
            if tpid not in _VLAN_TPIDS:
                raise ConfigError(f"push_vlan: TPID {tpid:#06x} is neither 0x8100 nor 0x88a8")
            return _op(PUSH_VLAN, struct.pack(">HH", tpid, _fit(tci, 0xFFFF, "tci")))
        case PopVlan():
            return _op(POP_VLAN)
        case PushMpls(ethertype, lse):
            if ethertype not in _MPLS_TYPES:
                raise ConfigError(f"push_mpls: Ethernet type {ethertype:#06x} is neither 0x8847 nor 0x8848")
            return _op(PUSH_MPLS, struct.pack(">IH", _fit(lse, 0xFFFFFFFF, "label stack entry"), ethertype))
        case PopMpls(ethertype):
            return _op(POP_MPLS, struct.pack(">H", _fit(ethertype, 0xFFFF, "Ethernet type")))
    raise AssertionError(action)


def _encap(action: PushEth | PopEth | PushNsh | PopNsh | AddMpls) -> bytes:
    match action:
        case PushEth(src, dst):
            return _op(PUSH_ETH, _fit(dst, text.MAC_MAX, "dst").to_bytes(6, "big")
                       + _fit(src, text.MAC_MAX, "src").to_bytes(6, "big"))
        case PopEth():
            return _op(POP_ETH)
        case PushNsh():
            header = nsh_header(action)
            return _op(PUSH_NSH, struct.pack("=II", len(header), 0) + header)
        case PopNsh():
            return _op(POP_NSH)
        case AddMpls(ethertype, lse):
            if ethertype not in _MPLS_TYPES:
                raise ConfigError(f"add_mpls: Ethernet type {ethertype:#06x} is neither 0x8847 nor 0x8848")
            return _op(ADD_MPLS, struct.pack(">IH", _fit(lse, 0xFFFFFFFF, "label stack entry"), ethertype))
    raise AssertionError(action)


def _own(action: SetType | SetProto | PushPbb | PopPbb | CopyTtl) -> bytes:
    """What no other datapath has."""
    match action:
        case SetType(ethertype):
            return _op(SET_TYPE, struct.pack(">H", _fit(ethertype, 0xFFFF, "Ethernet type")))
        case SetProto(proto):
            return _op(SET_PROTO, bytes([_fit(proto, 0xFF, "protocol")]))
        case PushPbb(itag):
            return _op(PUSH_PBB, struct.pack(">I", _fit(itag, 0xFFFFFFFF, "I-TAG")))
        case PopPbb():
            return _op(POP_PBB)
        case CopyTtl(inwards):
            return _op(COPY_TTL_IN if inwards else COPY_TTL_OUT)
    raise AssertionError(action)


def nsh_header(a: PushNsh) -> bytes:
    """Bytes of the header (RFC 8300 section 2).  Raises ConfigError for a member that does not fit."""
    if a.mdtype == 1:
        metadata = b"".join(_fit(c, 0xFFFFFFFF, "context").to_bytes(4, "big") for c in a.context)
    else:
        metadata = a.metadata
    size = 8 + len(metadata)
    if size % 4 or size > NSH_MAX:
        raise ConfigError(f"push_nsh: {len(metadata)} bytes of metadata, up to {NSH_MAX - 8} in fours fit")
    first = _fit(a.flags, 3, "flags") << 12 | _fit(a.ttl, 63, "ttl") << 6 | size // 4
    path = _fit(a.spi, 0xFFFFFF, "spi") << 8 | _fit(a.si, 0xFF, "si")
    return struct.pack(">HBBI", first, _fit(a.mdtype, 15, "mdtype"), _fit(a.np, 255, "np"), path) + metadata


def _set(attr: str, members: tuple[tuple[str, int, int], ...]) -> bytes:
    if attr == "tunnel":
        return _op(SET_TUNNEL, b"".join(struct.pack("=IIQ", i, 0, v) for i, v in _tunnel_words(members)))
    if attr in _WORDS:
        ((_, value, mask),) = members
        n, m = (_fit(v, 0xFFFFFFFF, attr) for v in (value, mask))
        return _op(_WORDS[attr], struct.pack("=II", n, m))
    if attr not in _SETTERS:
        known = ", ".join([*_SETTERS, *_WORDS, "tunnel"])
        raise ConfigError(f"set({attr}): no such header; known are {known}")
    op, size, layout = _SETTERS[attr]
    values = masks = 0
    for name, value, mask in members:
        if name not in layout:
            raise ConfigError(f"set({attr}({name})): not settable; members are {', '.join(layout)}")
        first, bits = layout[name]
        up = 8 * size - first - bits
        limit = (1 << bits) - 1
        values |= _fit(value, limit, f"{attr} {name}") << up
        masks |= _fit(mask & limit, limit, f"{attr} {name} mask") << up
    return _op(op, values.to_bytes(size, "big") + masks.to_bytes(size, "big"))


def _tunnel_words(members: tuple[tuple[str, int, int], ...]) -> list[tuple[int, int]]:
    """The words of the flow key's tunnel part that are not zero, by number, when *members* are set."""
    key = FlowKey()
    for name, value, _ in members:
        window = WINDOWS.get(name if name.startswith("tun_") else f"tun_{name}")
        if window is None:
            raise ConfigError(f"set(tunnel({name})): no such member")
        key.set(window, _fit(value, window.limit, f"tunnel {name}"))
    words = struct.unpack(f"={DP_WORDS - TNL_WORD}Q", bytes(key)[8 * TNL_WORD:8 * DP_WORDS])
    return [(TNL_WORD + i, word) for i, word in enumerate(words) if word]
