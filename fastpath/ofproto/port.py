"""A port of a bridge: its numbers, what it is configured to do, and its state.

Implements ``xlate.context.PortView``.  A patch port has no datapath number: translation walks on in
the bridge of its peer, and its counters are kept here.  Changed by ``Bridge`` only, which then
counts a new generation so that flows built on the old settings are revalidated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from fastpath.dpif.provider import PortStats
from fastpath.errors import ConfigError
from fastpath.ofproto.queue import Queues
from fastpath.ofproto.tunnel import Tunnel
from fastpath.ofproto.xlate.context import VlanConfig, VlanMode
from fastpath.value import field, record

if TYPE_CHECKING:
    from fastpath.ofproto.bridge import Ofproto

VLAN_MAX = 4095
FLAGS = ("no_flood", "no_forward", "no_receive", "no_packet_in", "protected", "down", "no_stp",
         "no_receive_stp")
TOLD_FLAGS = tuple(name for name in FLAGS if name != "protected")      # those that OpenFlow knows
PRIORITY_TAGS = ("no", "if-nonzero", "always")


def vlan_config(*, tag: int | None = None, trunks: Iterable[int] | None = None,
                mode: VlanMode | str | None = None, priority_tags: str = "no",
                cvlans: Iterable[int] | None = None, qinq_ethtype: int = 0x88A8) -> VlanConfig:
    """VLAN settings of a port from what a user gives, with the defaults of Open vSwitch.

    *tag* alone is an access port, *trunks* (or nothing) a trunk, both together a native-tagged port;
    *mode* says otherwise; *cvlans* are what a dot1q-tunnel port takes.  Raises ConfigError for settings that
    make no sense together.
    """
    for name, vids in (("trunks", trunks), ("cvlans", cvlans)):
        if isinstance(vids, int | str):
            raise ConfigError(f"{name} {vids!r}: expected several VLANs, such as [{vids}]")
    allowed, customers = (None if vids is None else frozenset(vids) for vids in (trunks, cvlans))
    for vid in [*([] if tag is None else [tag]), *(allowed or ()), *(customers or ())]:
        if type(vid) is not int or not 0 <= vid <= VLAN_MAX:
            raise ConfigError(f"VLAN {vid!r}: not between 0 and {VLAN_MAX}")
    if priority_tags not in PRIORITY_TAGS:
        raise ConfigError(f"priority_tags {priority_tags!r}: not one of {', '.join(PRIORITY_TAGS)}")
    if mode is None:
        mode = (VlanMode.TRUNK if tag is None else VlanMode.ACCESS if allowed is None
                else VlanMode.NATIVE_TAGGED)
    try:
        mode = VlanMode(mode)
    except ValueError:
        known = ", ".join(m.value for m in VlanMode)
        raise ConfigError(f"VLAN mode {mode!r}: not one of {known}") from None
    if mode is not VlanMode.TRUNK and tag is None:
        raise ConfigError(f"VLAN mode {mode.value}: needs a tag")
    if mode in (VlanMode.ACCESS, VlanMode.DOT1Q_TUNNEL) and allowed:
        raise ConfigError(f"VLAN mode {mode.value}: takes a tag and no trunks")
    if customers is not None and mode is not VlanMode.DOT1Q_TUNNEL:
        raise ConfigError("cvlans: only with VLAN mode dot1q-tunnel")
    if qinq_ethtype not in (0x8100, 0x88A8):
        raise ConfigError(f"qinq_ethtype {qinq_ethtype!r}: neither 0x8100 nor 0x88a8")
    if mode is VlanMode.TRUNK:
        tag = None
    return VlanConfig(mode, tag or 0, allowed, priority_tags, customers, qinq_ethtype)


@record(eq=False)
class OfPort:
    """One port.  *odp_port* is None for a patch port, *peer_name* None for all others."""

    bridge: Ofproto = field(repr=False)
    name: str
    ofp_port: int
    odp_port: int | None = None
    peer_name: str | None = None
    link_up: bool = True
    created: float = 0.0            # when it became a port of its bridge
    counts_faults: bool = True      # whether its device knows of drops and errors
    more_counts: Callable[[PortStats], Mapping[str, int]] | None = field(default=None, repr=False)  # its own
    faults: Callable[[], Mapping[str, int]] | None = field(default=None, repr=False)    # of its device alone
    admin: Callable[[bool], bool] | None = field(default=None, repr=False)  # takes its device up, or down
    features: tuple[int, int, int] = (0, 0, 0)      # current, advertised, supported: bits of OFPPF_*
    hw_addr: int = 0                # Ethernet address told to controllers; 0: that of its device
    no_flood: bool = False
    no_forward: bool = False
    no_receive: bool = False
    no_packet_in: bool = False
    no_stp: bool = False            # kept for controllers of OpenFlow 1.0, as is the next
    no_receive_stp: bool = False
    protected: bool = False
    down: bool = False              # by its bridge's owner, whatever its link says
    vlan: VlanConfig = field(default_factory=VlanConfig)
    dscps: Mapping[int, int] = field(default_factory=dict)  # of what leaves by a queue, by its number
    tunnel: Tunnel | None = None
    queues: Queues = field(default_factory=Queues, repr=False)
    # Both ends of a patch name each other; kept by the backer, which alone sees all bridges.
    peer: tuple[Ofproto, OfPort] | None = field(default=None, repr=False)
    patch_stats: PortStats = field(default_factory=PortStats, repr=False)

    def configure(self, flags: Mapping[str, bool]) -> None:
        """Set flags by name.  Raises ConfigError for one there is not, with nothing changed."""
        self.check_flags(flags)
        for name, value in flags.items():
            setattr(self, name, value)

    @staticmethod
    def check_flags(flags: Mapping[str, bool]) -> None:
        """Raise ConfigError for flags that ``configure`` would not take."""
        for name, value in flags.items():
            if name not in FLAGS:
                raise ConfigError(f"{name!r}: no setting of a port, expected one of {', '.join(FLAGS)}")
            if not isinstance(value, bool):
                raise ConfigError(f"{name}={value!r}: expected True or False")

    @property
    def live(self) -> bool:
        """Whether packets sent here can arrive, which is what bundle and fast failover ask."""
        return self.link_up and not self.down

    @property
    def told(self) -> tuple[bool, frozenset[str]]:
        """What controllers know of its state, link and flags: they are told when this changes."""
        return self.link_up, frozenset(name for name in TOLD_FLAGS if getattr(self, name))

    @property
    def is_patch(self) -> bool:
        """Whether this port leads to another bridge rather than to the world."""
        return self.peer_name is not None

    def __str__(self) -> str:
        return self.name
