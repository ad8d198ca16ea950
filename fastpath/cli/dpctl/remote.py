"""Asking a running fastpath-vswitchd about the datapaths it has in its own process, over its control socket.

What ovs-appctl does: one JSON-RPC request (RFC 7047, section 4) ``dpctl/VERB`` and its reply.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence

from fastpath.dpif.netlink.verb import CommandError
from fastpath.errors import PortError

TIMEOUT_S = 30.0


def ask(path: str, words: Sequence[str]) -> str:
    """What the daemon whose control socket is at *path* answers to a command.  Raises CommandError, with
    its words, and PortError when it cannot be asked."""
    options = [word for word in words if word.startswith("-")]
    verb, *rest = [word for word in words if not word.startswith("-")] or [""]
    request = {"method": f"dpctl/{verb}", "params": [*options, *rest], "id": 0}
    reply = _exchange(path, json.dumps(request).encode())
    if reply.get("error") is not None:
        raise CommandError(*str(reply["error"]).rstrip("\n").splitlines())
    return str(reply.get("result") or "")


def _exchange(path: str, request: bytes) -> dict[str, object]:
    data = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(TIMEOUT_S)
            sock.connect(path)
            sock.sendall(request)
            while part := sock.recv(1 << 16):
                data += part
                try:
                    reply = json.loads(data)
                except ValueError:
                    continue                    # not all of it yet
                if isinstance(reply, dict):
                    return reply
                break
    except OSError as error:
        raise PortError(f"{path}: cannot connect ({error.strerror or error})") from None
    raise PortError(f"{path}: no answer that makes sense")
