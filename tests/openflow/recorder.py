"""A switch that only listens: it answers what keeps ovs-ofctl talking and keeps all it was sent."""

from __future__ import annotations

import socketserver
import struct
import subprocess
import threading
from pathlib import Path

from fastpath.openflow.actions.base import put_property
from fastpath.openflow.messages import basic, port, stats
from fastpath.openflow.messages.table import encode

HEADER = struct.Struct(">BBHI")
HELLO, FEATURES = 0, 5
BARRIER = {1: 18, 2: 20, 3: 20, 4: 20, 5: 20, 6: 20}
ASK = {1: 16, 2: 18, 3: 18, 4: 18, 5: 18, 6: 18}
REQUIRED = b"".join(put_property(kind, b"") for kind in range(0, 16, 2))
REPLIES = {
    3: stats.TableReply(),
    12: stats.TableFeaturesReply((stats.TableFeatures(0, properties=REQUIRED),)),
    13: stats.PortDescReply(),
}


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, version: int) -> None:
        self.version, self.got = version, list[bytes]()
        super().__init__(str(path), _Client)


class _Client(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        version = self.server.version
        self.wfile.write(encode(basic.Hello(), version, 1))
        while len(head := self.rfile.read(HEADER.size)) == HEADER.size:
            _version, kind, size, xid = HEADER.unpack(head)
            message = head + self.rfile.read(size - HEADER.size)
            if kind == BARRIER[version]:
                self.wfile.write(encode(basic.BarrierReply(), version, xid))
            elif kind == ASK[version]:
                reply = REPLIES.get(message[9], basic.Error("OFPBRC_BAD_STAT", message[:64]))
                self.wfile.write(encode(reply, version, xid))
            elif kind == FEATURES:
                self.wfile.write(encode(port.FeaturesReply(n_tables=254), version, xid))
            elif kind != HELLO:
                self.server.got.append(message)


def record(folder: Path, version: int, *command: str, text: str | None = None) -> list[bytes]:
    """Messages that ``ovs-ofctl -O <version>`` sends for *command*; ``SWITCH`` in it names the switch."""
    path = folder / "record.sock"
    path.unlink(missing_ok=True)
    with _Server(path, version) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        words = [f"unix:{path}" if word == "SWITCH" else word for word in command]
        command = ("ovs-ofctl", "-t", "10", "-O", f"OpenFlow1{version - 1}", *words)
        done = subprocess.run(command, input=text, text=True, capture_output=True, timeout=30)
        server.shutdown()
        thread.join(10)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return server.got
