"""A controller written with this package: a meter and a group that fails over, made in one bundle.

    python failover_controller.py VERSION       listens on 127.0.0.1:6653 for one switch after the other

What comes in at port 1 is metered and sent to the first of ports 2 and 3 that is up; ARP goes that way
through the controller.  Each thing that happened is told as one line.
"""

from __future__ import annotations

import socket
import sys

from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.group_text import parse_group_mod
from fastpath.ofproto.match import Match
from fastpath.ofproto.meter_text import parse_meter_mod
from fastpath.openflow.client import Client
from fastpath.openflow.messages import basic, packet, port
from fastpath.openflow.messages.table import decode

GROUP = "group_id=1,type=ff,bucket=watch_port:2,output:2,bucket=watch_port:3,output:3"
METER = "meter=1,pktps,burst,stats,bands=type=drop,rate=1000,burst_size=1000"
FLOWS = ("priority=10,arp,in_port=1,actions=controller", "priority=5,in_port=1,ip,actions=meter:1,group:1",
         "priority=5,in_port=2,actions=output:1", "priority=5,in_port=3,actions=output:1",
         "priority=0,actions=drop")


class Peer:
    """One switch, as a Client wants it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._data = connection, b""

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def next(self) -> bytes | None:
        while len(self._data) < 8 or len(self._data) < int.from_bytes(self._data[2:4], "big"):
            more = self._socket.recv(1 << 16)
            if not more:
                return None
            self._data += more
        size = int.from_bytes(self._data[2:4], "big")
        message, self._data = self._data[:size], self._data[size:]
        return message


def say(*words: object) -> None:
    print(*words, flush=True)


def serve(client: Client) -> None:
    """Set the switch up, then pass ARP on until it hangs up."""
    features = client.answer(basic.FeaturesRequest())[0].message
    say("switch", f"{features.datapath_id:x}", "version", client.version)
    good, wrong = parse_flow(FLOWS[0]), parse_flow("table=9,actions=group:99")
    say("refused", len(client.bundle([good, wrong])) > 0)
    client.tell(parse_meter_mod(METER))
    errors = client.bundle([parse_group_mod(GROUP), *map(parse_flow, FLOWS)])
    say("bundle", not errors)
    for data in client.received():
        message = decode(data).message
        if isinstance(message, packet.PacketIn):
            out = packet.PacketOut(message.data, Match.of(in_port=1), parse_actions("group:1"))
            client.send(out)
        elif isinstance(message, basic.Error):
            say("error", message.code)
        elif isinstance(message, port.PortStatus):
            up = not message.desc.state & port.STATE_LINK_DOWN
            say("port", message.desc.port, "up" if up else "down")
    say("gone")


def main(version: int) -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 6653))
        server.listen()
        say("ready")
        while True:
            connection, _address = server.accept()
            with connection:
                serve(Client(Peer(connection), [version]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
