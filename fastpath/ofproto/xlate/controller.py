"""Send the packet to the controllers, by way of the datapath's userspace action."""

from __future__ import annotations

from fastpath.dpif import actions as odp
from fastpath.ofproto.actions.controller import Controller, PacketInReason
from fastpath.ofproto.meter import METER_CONTROLLER
from fastpath.ofproto.xlate.commit import commit
from fastpath.ofproto.xlate.context import Xlate
from fastpath.ofproto.xlate.freeze import hold_state, trigger


def to_controller(x: Xlate, max_len: int, reason: PacketInReason, controller_id: int = 0, *,
                  userdata: bytes = b"", meter_id: int | None = None) -> None:
    """Emit a packet-in of the packet as it is now.

    The metadata a packet-in shows are held by a recirculation id, as no packet carries them.
    """
    commit(x)
    hand = x.hand
    rule = hand.rule
    if (reason is PacketInReason.ACTION and rule is not None and not rule.priority
            and rule.match.mask.is_zero()):         # what OpenFlow 1.3 calls a table-miss rule
        reason = PacketInReason.EXPLICIT_MISS
    recirc_id = hold_state(x, hand.table_id, userdata=userdata)
    if not recirc_id:
        return
    up = odp.Userspace(odp.ToController(
        reason=reason, dont_send=x.env.trace is not None and not x.env.side_effects, continuation=False,
        recirc_id=recirc_id, rule_cookie=hand.cookie, controller_id=controller_id, max_len=max_len))
    dp_meter = None if meter_id is None else hand.bridge.meter(meter_id)
    if dp_meter is None:
        dp_meter = hand.bridge.meter(METER_CONTROLLER)
    x.out.actions.append(up if dp_meter is None else odp.Sample(0xFFFFFFFF, (odp.Meter(dp_meter), up)))


def controller(x: Xlate, a: Controller) -> bool:
    """The controller action; with "pause", translation goes on when a controller says so (True)."""
    if a.pause:
        x.out.pause = a
        trigger(x)
        return True
    to_controller(x, a.max_len, a.reason, a.controller_id, userdata=a.userdata, meter_id=a.meter_id)
    return False
