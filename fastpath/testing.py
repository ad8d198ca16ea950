"""Help for tests of networks: a switch fixture for pytest, frames in one call, readable assertions.

Nothing here needs root, a daemon or a packet library.  With fastpath installed pytest finds the
fixture by itself::

    def test_known_station_is_not_flooded(switch):
        br = switch.add_bridge("br0", normal=True)
        a, b, c = (br.add_port(name) for name in "abc")
        br.inject(b, frame("udp", src=2, dst=1))
        assert_outputs(br.inject(a, frame("udp", src=1, dst=2)), {b: 1})
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from struct import pack
from typing import TYPE_CHECKING, Any, TypeAlias

from fastpath import text
from fastpath.arguments import checks_arguments
from fastpath.errors import ParseError

if TYPE_CHECKING:
    from fastpath.switch import Switch

try:
    import pytest
except ImportError:         # the frame builders serve programs too, where pytest is not installed
    pass
else:
    @pytest.fixture
    def switch() -> Iterator[Switch]:
        """A Switch under virtual time with a fixed seed, closed after the test."""
        from fastpath.switch import Switch
        with Switch(seed=0) as sw:
            yield sw

Address: TypeAlias = "str | int"
TCP_FLAG = {name: 1 << bit for bit, name in enumerate(text.TCP_FLAGS[:8])}
ETH_TYPE = {"arp": 0x0806, "rarp": 0x8035, "ip": 0x0800, "ip6": 0x86dd}
IP_PROTO = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132}


@checks_arguments
def mac(value: Address) -> bytes:
    """Six bytes of a MAC address: text, or a small number n for 02:00:00:00:00:n."""
    if isinstance(value, str):
        return text.parse_mac(value).to_bytes(6, "big")
    _check_numbers(("value", value, 48))
    return (value if value > 0xffffffff else 0x020000000000 + value).to_bytes(6, "big")


def _ip(value: Address, *, v6: bool) -> bytes:
    """Bytes of an IP address: text, or a small number n for 10.0.0.n or fd00::n."""
    if isinstance(value, str):
        return text.parse_ipv6(value).to_bytes(16, "big") if v6 else text.parse_ipv4(value).to_bytes(4, "big")
    if v6:
        return (value if value >> 64 else (0xfd00 << 112) + value).to_bytes(16, "big")
    return (value if value >> 16 else 0x0a000000 + value).to_bytes(4, "big")


@checks_arguments
def checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071) of *data*."""
    total = sum(int.from_bytes(data[i:i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def _transport(proto: str, pseudo: bytes, sport: int, dport: int, flags: str, payload: bytes) -> bytes:
    """Header and payload of UDP, TCP or ICMP echo, checksum filled in; ICMP takes its type from
    *sport* and its code from *dport*."""
    number = IP_PROTO[proto]
    if proto == "udp":
        at, header = 6, pack("!HHHH", sport, dport, 8 + len(payload), 0)
    elif proto == "tcp":
        names = [name for name in flags.split("|") if name]
        unknown = [name for name in names if name not in TCP_FLAG]
        if unknown:
            raise ParseError(f"flags={flags!r}: {unknown[0]!r} is none of {', '.join(TCP_FLAG)}")
        bits = sum(TCP_FLAG[name] for name in set(names))
        at, header = 16, pack("!HHIIBBHHH", sport, dport, 1, 0, 0x50, bits, 8192, 0, 0)
    else:
        at, header = 2, pack("!BBHHH", sport, dport, 0, 1, 1)
    body = header + payload
    covered = body if proto == "icmp" else pseudo + pack("!IHBB", len(body), 0, 0, number) + body
    check = checksum(covered)
    if proto == "udp" and check == 0:
        check = 0xffff                  # RFC 768: zero would mean "none"
    return body[:at] + pack("!H", check) + body[at + 2:]


def _ipv4(payload: bytes, *, proto: int, src: bytes, dst: bytes, ttl: int, tos: int, frag: int) -> bytes:
    header = pack("!BBHHHBBH", 0x45, tos, 20 + len(payload), 1, frag, ttl, proto, 0) + src + dst
    return header[:10] + pack("!H", checksum(header)) + header[12:] + payload


def _ipv6(payload: bytes, *, proto: int, src: bytes, dst: bytes, ttl: int, tos: int) -> bytes:
    return pack("!IHBB", 6 << 28 | tos << 20, len(payload), proto, ttl) + src + dst + payload


@checks_arguments
def arp(*, op: int, sha: Address, spa: Address, tha: Address = 0, tpa: Address) -> bytes:
    """Body of an ARP packet; *op* is 1 request, 2 reply."""
    _check_numbers(("op", op, 16), ("sha", sha, 48), ("tha", tha, 48), ("spa", spa, 32), ("tpa", tpa, 32))
    target = bytes(6) if tha == 0 else mac(tha)
    return pack("!HHBBH", 1, 0x0800, 6, 4, op) + mac(sha) + _ip(spa, v6=False) + target + _ip(tpa, v6=False)


def _network(kind: str, *, src: Address, dst: Address, ip_src: Address | None, ip_dst: Address | None,
             sport: int | None, dport: int | None, op: int, ttl: int, tos: int, frag: int,
             flags: str, payload: bytes) -> tuple[int, bytes]:
    """Ethernet type and payload of a frame of *kind*."""
    v6 = kind.endswith("6")
    ends = [(end if isinstance(end, int) and end < 0x10000 else default) if ip is None else ip
            for ip, end, default in ((ip_src, src, 1), (ip_dst, dst, 2))]
    if kind in ("arp", "rarp"):
        tha = 0 if op == 1 else dst
        return ETH_TYPE[kind], arp(op=op, sha=src, spa=ends[0], tha=tha, tpa=ends[1])
    s, d = (_ip(end, v6=v6) for end in ends)
    proto = kind.removesuffix("6") if kind != "icmp6" else kind
    if proto == "ip":
        number, body = sport or 253, payload            # 253: for experiments (RFC 3692)
    else:
        first = {"icmp": 8, "icmp6": 128}.get(proto, 1000) if sport is None else sport
        second = {"icmp": 0, "icmp6": 0}.get(proto, 2000) if dport is None else dport
        number, body = IP_PROTO[proto], _transport(proto, s + d, first, second, flags, payload)
    if v6:
        return 0x86dd, _ipv6(body, proto=number, src=s, dst=d, ttl=ttl, tos=tos)
    return 0x0800, _ipv4(body, proto=number, src=s, dst=d, ttl=ttl, tos=tos, frag=frag)


def _check_numbers(*rows: tuple[str, object, int]) -> None:
    """Raise ParseError for a number that does not fit its field; text and None are others' affair."""
    for name, number, bits in rows:
        if not isinstance(number, str | None) and not (isinstance(number, int) and 0 <= number < 1 << bits):
            raise ParseError(f"{name}={number!r}: not a whole number from 0 to {(1 << bits) - 1}")


MAX_PAYLOAD = 65_000            # with any headers still an IP packet
KINDS = ("eth", "arp", "rarp", "ip", "ip6", "udp", "udp6", "tcp", "tcp6", "icmp", "icmp6")


@checks_arguments
def frame(kind: str = "udp", *, src: Address = 1, dst: Address = 2, vlan: int | Sequence[int] | None = None,
          pcp: int = 0, eth_type: int = 0x88b5, ip_src: Address | None = None, ip_dst: Address | None = None,
          sport: int | None = None, dport: int | None = None, op: int = 1, ttl: int = 64, tos: int = 0,
          frag: int = 0, flags: str = "syn", payload: bytes = b"", size: int = 60) -> bytes:
    """An Ethernet frame with right lengths and checksums, padded to *size* bytes.

    *kind* is one of KINDS.  Addresses are text or small numbers: ``src=3`` is MAC 02:00:00:00:00:03
    and, unless *ip_src* says otherwise, IP 10.0.0.3 (fd00::3).  *vlan* is a VID or several, outermost
    first, the outer ones of type 0x88a8.  *sport*/*dport* are the type and code for ICMP, *op* is the
    ARP operation, *frag* the 16-bit flags-and-offset field, *flags* of TCP as ``"syn|ack"``.
    """
    if kind not in KINDS:
        raise ParseError(f"{kind!r}: not a kind of frame ({', '.join(KINDS)})")
    width = 128 if kind.endswith("6") else 32
    vids = [] if vlan is None else [vlan] if isinstance(vlan, int) else list(vlan)
    _check_numbers(("pcp", pcp, 3), ("eth_type", eth_type, 16), ("sport", sport, 16), ("dport", dport, 16),
                   ("op", op, 16), ("ttl", ttl, 8), ("tos", tos, 8), ("frag", frag, 16),
                   ("src", src, 48), ("dst", dst, 48), ("size", size, 20),
                   ("ip_src", ip_src, width), ("ip_dst", ip_dst, width),
                   *(("vlan", vid, 12) for vid in vids))
    if kind != "eth" and len(payload) > MAX_PAYLOAD:
        raise ParseError(f"payload of {len(payload)} bytes: not at most {MAX_PAYLOAD}")
    if kind == "eth":
        dl_type, body = eth_type, payload
    else:
        dl_type, body = _network(kind, src=src, dst=dst, ip_src=ip_src, ip_dst=ip_dst, sport=sport,
                                 dport=dport, op=op, ttl=ttl, tos=tos, frag=frag, flags=flags,
                                 payload=payload)
    tags = b"".join(pack("!HH", 0x8100 if i == len(vids) - 1 else 0x88a8, pcp << 13 | vid)
                    for i, vid in enumerate(vids))
    return (mac(dst) + mac(src) + tags + pack("!H", dl_type) + body).ljust(size, b"\0")


@checks_arguments
def describe(packet: bytes) -> str:
    """One line that says what a frame is: its flow key as text, or hex if it cannot be read."""
    from fastpath._extract import extract
    return f"{len(packet)} bytes {extract(packet)}"


@checks_arguments
def describe_outputs(outputs: Mapping[Any, Sequence[bytes]]) -> str:
    """Outputs of ``inject`` as lines: port, then what came out of it."""
    lines = [f"  {port}: {describe(packet)}" for port, packets in outputs.items() for packet in packets]
    return "\n".join(lines) or "  (nothing)"


@checks_arguments
def assert_outputs(outputs: Mapping[Any, Sequence[bytes]],
                   expected: Mapping[Any, int | bytes | Sequence[bytes]]) -> None:
    """Assert that exactly the *expected* ports put out what is named for them.

    For each port: how many frames, the one frame, or all frames in order.  The message lists every
    frame that came out, in words.
    """
    for port in [*expected, *(port for port in outputs if port not in expected)]:
        want = expected.get(port, 0)
        got = list(outputs.get(port, ()))
        if isinstance(want, int):
            same, wanted = len(got) == want, f"{want} frames"
        else:
            frames = [want] if isinstance(want, bytes) else list(want)
            same, wanted = got == frames, "\n  ".join(describe(packet) for packet in frames)
        assert same, f"port {port}: expected {wanted}, put out:\n{describe_outputs(outputs)}"


@checks_arguments
def assert_dropped(outputs: Mapping[Any, Sequence[bytes]]) -> None:
    """Assert that nothing came out anywhere."""
    assert_outputs(outputs, {})
