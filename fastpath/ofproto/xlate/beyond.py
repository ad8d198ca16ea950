"""What OpenFlow has and Open vSwitch has not: copied TTLs, backbone headers.

The datapath does these by actions of its own.  What they leave unknown of the packet (the TTL that came out
of an IP header under the labels, the frame inside a backbone header) is known after recirculation, which
comes when somebody asks.  They cannot be taken back by a commit, which ``Hand.altered`` says to whoever
carried out a list as if on a copy (``isolated``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastpath._flow import WINDOWS
from fastpath.dpif import actions as odp
from fastpath.ofproto.actions import mpls, pbb
from fastpath.ofproto.xlate import freeze
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.commit import commit
from fastpath.ofproto.xlate.context import VLAN_CFI, Xlate
from fastpath.ofproto.xlate.trace import Kind, report

_TCI, _ITAG, _ISID = WINDOWS["vlan_tci"], WINDOWS["pbb_itag"], WINDOWS["pbb_isid"]
_TAGS = tuple(WINDOWS[name] for name in ("vlan_tpid", "vlan_tci", "vlan1_tpid", "vlan1_tci"))
_LSE0, _LSE1 = WINDOWS["mpls_lse0"], WINDOWS["mpls_lse1"]
_TTL = 0xFF
_PCP, _ITAG_PCP_SHIFT = 0xE000, 16      # of a tag; from there to the I-TAG's


def _bottom_is_next(x: Xlate) -> bool | None:
    """Whether IP comes after the outermost label (not another label); None without labels."""
    flow, wc = x.hand.flow, x.hand.wc
    if not pk.is_mpls(flow):
        report(x, Kind.WARN, "no MPLS label to copy a TTL to or from")
        return None
    wc.set(_LSE0, wc.get(_LSE0) | pk.MPLS_BOS | _TTL)
    if flow.get(_LSE0) & pk.MPLS_BOS:
        return True
    wc.set(_LSE1, wc.get(_LSE1) | _TTL)
    return False


def copy_ttl_out(x: Xlate, a: mpls.CopyTtlOut) -> None:
    """TTL of the next header into the outermost label."""
    hand, bottom = x.hand, _bottom_is_next(x)
    if bottom:
        commit(x)
        x.out.actions.append(odp.CopyTtl())
        hand.was_mpls = hand.altered = True         # the key does not say what the label's TTL is now
    elif bottom is False:
        flow = hand.flow
        flow.set(_LSE0, flow.get(_LSE0) & ~_TTL | flow.get(_LSE1) & _TTL)


def copy_ttl_in(x: Xlate, a: mpls.CopyTtlIn) -> None:
    """TTL of the outermost label into the next header."""
    hand, bottom = x.hand, _bottom_is_next(x)
    if bottom is None:
        return
    commit(x)
    x.out.actions.append(odp.CopyTtl(inwards=True))
    hand.altered = True
    if not bottom:
        for key in (hand.flow, hand.base):
            key.set(_LSE1, key.get(_LSE1) & ~_TTL | key.get(_LSE0) & _TTL)


def push_pbb(x: Xlate, a: pbb.PushPbb) -> None:
    """Put a backbone header in front; what it now holds cannot be set any more."""
    hand, flow, wc = x.hand, x.hand.flow, x.hand.wc
    if flow.packet_type:
        report(x, Kind.WARN, "push_pbb needs an Ethernet frame")
        return
    commit(x)
    wc.set(_TCI, wc.get(_TCI) | VLAN_CFI | _PCP)
    itag = (flow.get(_TCI) & _PCP) << _ITAG_PCP_SHIFT if flow.get(_TCI) & VLAN_CFI else 0
    if flow.dl_type == pk.ETH_PBB:
        wc.fill(_ISID)
        itag |= flow.get(_ISID)
    x.out.actions.append(odp.PushPbb(itag))
    for key in (flow, hand.base):
        for window in (*_TAGS, *pk.ABOVE_ETHERNET):
            key.set(window, 0)
        key.dl_type = pk.ETH_PBB
        key.set(_ITAG, itag)
    hand.was_mpls, hand.altered = False, True


def pop_pbb(x: Xlate, a: pbb.PopPbb) -> bool:
    """Take the backbone header off; True as the rest has to wait for what was under it."""
    flow, wc = x.hand.flow, x.hand.wc
    wc.set(_TCI, wc.get(_TCI) | VLAN_CFI)
    if flow.packet_type or flow.dl_type != pk.ETH_PBB or flow.get(_TCI) & VLAN_CFI:
        report(x, Kind.WARN, "no PBB header is outermost")
        return False
    commit(x)
    x.out.actions.append(odp.PopPbb())
    x.hand.altered = True
    x.out.looks_up = False
    freeze.trigger(x)
    return True


@contextmanager
def isolated(x: Xlate, last: bool) -> Iterator[None]:
    """Have the datapath clone for what the block emits, if that cannot be taken back; not needed as
    the *last*."""
    hand, out = x.hand, x.out
    start, base, was_mpls, altered, exited = (
        len(out.actions), hand.base, hand.was_mpls, hand.altered, x.budget.exit)
    hand.base, hand.altered = base.copy(), False
    yield
    if hand.altered and not last:
        out.actions.fold(start)
        hand.base, hand.was_mpls, hand.altered = base, was_mpls, False
        x.budget.exit = exited              # the freeze was the copy's alone
    hand.altered |= altered
