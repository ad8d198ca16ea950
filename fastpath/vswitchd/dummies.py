"""What ``--enable-dummy`` makes of types of datapaths and interfaces: some have no devices behind them."""

from __future__ import annotations

from dataclasses import dataclass

TUNNELS = ("bareudp", "erspan", "geneve", "gre", "gtpu", "ip6erspan", "ip6gre", "lisp", "stt", "vxlan")


@dataclass(frozen=True, slots=True)
class Dummies:
    """Types of datapaths whose own devices are dummies, and types of interfaces that are made dummies
    wherever they are.  Those called so (``dummy``, ``dummy-internal``, ``dummy-pmd``) are besides."""

    datapaths: frozenset[str] = frozenset()
    interfaces: frozenset[str] = frozenset()

    @property
    def are_known(self) -> bool:
        """Whether there are any."""
        return bool(self.datapaths)


NO_DUMMIES = Dummies()
BESIDES = Dummies(frozenset(("dummy",)))
FOR_SYSTEM = Dummies(frozenset(("dummy", "system")), frozenset(("system",)))
FOR_ALL = Dummies(frozenset(("dummy", "netdev", "system")),
                  frozenset(("afxdp", "afxdp-nonpmd", "internal", "system", "tap", *TUNNELS)))


def dummies(option: str | None) -> Dummies:
    """What the value of ``--enable-dummy`` asks for; None if it is not given, empty if it has none."""
    if option is None:
        return NO_DUMMIES
    return {"": BESIDES, "system": FOR_SYSTEM}.get(option, FOR_ALL)
