"""What the kernel cannot do, done here: actions run over one packet in our own datapath.

The packet goes through an inline datapath that has nothing but a memory port for each port the actions send
to.  What comes out there is handed to the kernel to be sent, what the actions hand up or recirculate comes
back as upcalls.
"""

from __future__ import annotations

from fastpath._flow import FlowKey
from fastpath.dpif.actions import CheckPktLen, Clone, OdpActions, Output, Sample
from fastpath.dpif.provider import Execute, Upcall
from fastpath.dpif.userspace import UserspaceDpif
from fastpath.io._memory import MemoryPort


class Aside:
    """An own datapath for the packets the kernel's cannot deal with."""

    def __init__(self) -> None:
        self._dpif = UserspaceDpif(seed=0, pool_limit=256)
        self._ports: dict[int, MemoryPort] = {}

    def run(self, packet: bytes, key: FlowKey, actions: OdpActions) -> tuple[
            object, list[tuple[int, bytes]], list[Upcall]]:
        """Run *actions*: what an Execute results in, the frames to send with their ports, and upcalls."""
        for number in outputs(actions) - self._ports.keys():
            self._ports[number] = MemoryPort(f"odp{number}")
            self._dpif.port_add(self._ports[number], number)
        result, = self._dpif.operate([Execute(packet, key, actions)])
        sent = [(number, frame) for number in outputs(actions) for frame in self._ports[number].take()]
        while self._dpif.turn():
            continue
        return result, sent, self._dpif.recv(64)

    def close(self) -> None:
        """Let the memory go."""
        self._dpif.close()
        for port in self._ports.values():
            port.close()


def outputs(actions: OdpActions) -> set[int]:
    """Ports that *actions* may send to."""
    found: set[int] = set()
    for action in actions:
        match action:
            case Output(port):
                found.add(port)
            case Clone(inner) | Sample(_, inner):
                found |= outputs(inner)
            case CheckPktLen(_, greater, less):
                found |= outputs(greater) | outputs(less)
    return found
