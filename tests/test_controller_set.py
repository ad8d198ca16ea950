"""Controllers a bridge connects to: sessions, reconnection, probes, limits, TLS; all over real sockets."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import fastpath
from fastpath.errors import ConfigError, ExistsError, NotFoundError
from fastpath.ofproto.actions.versions import OF13
from fastpath.ofproto.flow_text import parse_flow
from fastpath.openflow.messages import basic, packet, port
from fastpath.openflow.messages.table import Frame, decode, encode
from fastpath.runtime.tls import Tls

FRAME = bytes(12) + b"\x08\x00" + bytes(46)


class Peer:
    """The controller's end of one connection, in OpenFlow 1.3."""

    def __init__(self, s: socket.socket) -> None:
        self.socket, self._data = s, b""
        s.settimeout(10)
        self.send(basic.Hello())

    def send(self, message: object, xid: int = 7) -> None:
        self.socket.sendall(encode(message, OF13, xid))

    def next(self) -> Frame:
        """The next message; raises ConnectionError at the end."""
        while len(self._data) < 8 or len(self._data) < int.from_bytes(self._data[2:4], "big"):
            more = self.socket.recv(1 << 16)
            if not more:
                raise ConnectionError("hung up")
            self._data += more
        size = int.from_bytes(self._data[2:4], "big")
        data, self._data = self._data[:size], self._data[size:]
        # A hello comes in the highest version that is spoken.
        return decode(bytes([OF13]) + data[1:] if data[1] == 0 else data)

    def wait_for(self, kind: type) -> Frame:
        """The next message of *kind*."""
        while not isinstance((frame := self.next()).message, kind):
            pass
        return frame


class Listening:
    """A controller's socket, and the connections it accepted."""

    def __init__(self) -> None:
        self._socket, self._accepted = socket.socket(), list[socket.socket]()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self._socket.settimeout(10)

    def accept(self) -> socket.socket:
        self._accepted.append(self._socket.accept()[0])
        return self._accepted[-1]

    def target(self, kind: str = "tcp") -> str:
        return f"{kind}:127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        for s in (self._socket, *self._accepted):
            s.close()


@contextmanager
def served() -> Iterator[tuple[Listening, fastpath.Bridge]]:
    """A listening socket of a controller, and a bridge that runs."""
    with closing(Listening()) as s, fastpath.Switch(seed=0, realtime=True) as switch:
        bridge = switch.add_bridge("br0")
        for name in ("p1", "p2"):
            bridge.add_port(name)
        switch.start(1)
        yield s, bridge


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_controller_is_connected_to_and_served() -> None:
    with served() as (s, bridge):
        changes: list[str] = []
        bridge.controllers.on_change(lambda c: changes.append(c.link.state))
        controller = bridge.controllers.add(s.target())
        peer = Peer(s.accept())
        peer.send(basic.FeaturesRequest())
        assert isinstance(peer.wait_for(port.FeaturesReply).message, port.FeaturesReply)
        assert controller.is_connected and bridge.controllers.is_connected and controller.role == "equal"
        peer.send(parse_flow("table=0,in_port=1,actions=controller"))
        peer.send(basic.BarrierRequest())
        peer.wait_for(basic.BarrierReply)
        bridge.port("p1").inject(FRAME)
        told = peer.wait_for(packet.PacketIn)       # without having asked
        assert told.xid == 0 and told.message.data == FRAME
        peer.socket.close()
        until(lambda: not controller.is_connected)
        again = Peer(s.accept())
        again.send(basic.BarrierRequest())
        again.wait_for(basic.BarrierReply)
        until(lambda: controller.link.n_tries == 2 and changes[-1] == "ACTIVE")
        assert "BACKOFF" in changes
        bridge.controllers.remove(s.target())
        with pytest.raises(ConnectionError):
            again.wait_for(port.PortStatus)
        assert not len(bridge.controllers)


def test_two_controllers_fight_for_primary() -> None:
    with served() as (s, bridge), closing(Listening()) as other:
        peers = []
        for listening in (s, other):
            bridge.controllers.add(listening.target())
            peers.append(Peer(listening.accept()))
        for turn in range(20):
            mine, theirs = peers[turn % 2], peers[1 - turn % 2]
            mine.send(basic.RoleRequest("primary", turn))
            assert mine.wait_for(basic.RoleReply).message == basic.RoleReply("primary", turn)
            theirs.send(parse_flow("table=0,actions=drop"))
            refused = theirs.wait_for(basic.Error).message if turn else None
            assert refused is None or refused.code == "OFPBRC_IS_SECONDARY"
        assert sorted(c.role for c in bridge.controllers) == ["primary", "secondary"]


def test_a_silent_controller_is_probed_and_left() -> None:
    with served() as (s, bridge):
        bridge.controllers.add(s.target(), inactivity_probe=0.2)
        peer = Peer(s.accept())
        echo = peer.wait_for(basic.EchoRequest)
        peer.send(basic.EchoReply(echo.message.data), echo.xid)
        peer.wait_for(basic.EchoRequest)
        with pytest.raises(ConnectionError):
            peer.next()
        assert s.accept()


def test_a_flood_of_packets_is_cut_to_the_rate() -> None:
    with served() as (s, bridge):
        bridge.controllers.add(s.target(), rate_limit=100, burst_limit=25)
        peer = Peer(s.accept())
        peer.send(parse_flow("table=0,actions=controller"))
        peer.send(basic.BarrierRequest())
        peer.wait_for(basic.BarrierReply)
        for _ in range(500):
            bridge.port("p1").inject(FRAME)
        time.sleep(0.5)
        peer.send(basic.BarrierRequest())
        n = 0
        while not isinstance((frame := peer.next()).message, basic.BarrierReply):
            n += isinstance(frame.message, packet.PacketIn)
        assert 25 <= n <= 25 + 25 + 100


def test_targets_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        for wrong in ("ptcp:1", "tcp:", "tcp:h:x", "tcp:h:99999", "unix:", "udp:h"):
            with pytest.raises(ConfigError, match=r"expected tcp:HOST\[:PORT\]"):
                bridge.controllers.add(wrong)
        with pytest.raises(ConfigError, match="TLS needs a private key"):
            bridge.controllers.add("ssl:127.0.0.1")
        with pytest.raises(ConfigError, match="no such file"):
            bridge.controllers.add("ssl:127.0.0.1", tls=Tls(tmp_path / "k", tmp_path / "c", tmp_path / "a"))
        bridge.controllers.add("unix:/no/such/path")
        with pytest.raises(ExistsError):
            bridge.controllers.add("unix:/no/such/path")
        with pytest.raises(NotFoundError):
            bridge.controllers.remove("tcp:other")
        (controller,) = bridge.controllers
        until(lambda: controller.link.last_error == "no such file or directory")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA with two certificates, ours and theirs, and a stranger's of another CA."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("keys")

    def run(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for ca, names in (("ca", ("ours", "theirs")), ("otherca", ("stranger",))):
        run("req", "-x509", *key, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN={ca}",
            "-days", "9")
        for name in names:
            run("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
            run("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
                "-CAcreateserial", "-out", f"{name}.pem", "-days", "9")
    return folder


def tls(keys: Path, name: str) -> Tls:
    return Tls(keys / f"{name}.key", keys / f"{name}.pem", keys / "ca.pem")


def test_a_controller_is_reached_over_tls_and_proves_itself(keys: Path) -> None:
    with served() as (s, bridge):
        controller = bridge.controllers.add(s.target("ssl"), tls=tls(keys, "ours"))
        plain = s.accept()
        peer = Peer(tls(keys, "theirs").context(server=True).wrap_socket(plain, server_side=True))
        assert peer.socket.getpeercert()["subject"] == ((("commonName", "ours"),),)  # type: ignore[attr-defined]
        peer.send(basic.FeaturesRequest())
        peer.wait_for(port.FeaturesReply)
        peer.socket.close()
        plain = s.accept()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(keys / "stranger.pem", keys / "stranger.key")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            Peer(context.wrap_socket(plain, server_side=True)).wait_for(port.FeaturesReply)
        until(lambda: "certificate verify failed" in controller.link.last_error)
        assert not controller.is_connected


def test_ovs_ofctl_is_served_over_tls(ovs_ofctl: str, keys: Path) -> None:
    with served() as (_s, bridge):
        bridge.add_flows(f"table=3,priority={i},actions=drop" for i in range(3000))
        listener = bridge.listen("pssl:0", tls=tls(keys, "ours"))

        def dump(name: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [ovs_ofctl, "-t", "5", "-O", "OpenFlow13", f"--private-key={keys / name}.key",
                 f"--certificate={keys / name}.pem", f"--ca-cert={keys / 'ca.pem'}", "dump-flows",
                 f"ssl:127.0.0.1:{listener.port}"], capture_output=True, text=True, timeout=30)
        done = dump("theirs")
        assert done.returncode == 0 and done.stdout.count("table=3") == 3000
        assert dump("stranger").returncode != 0
        assert dump("theirs").returncode == 0


def test_a_standalone_bridge_whose_controllers_are_gone_switches_by_itself() -> None:
    with served() as (s, bridge):
        bridge.set_fail_mode("standalone")
        controller = bridge.controllers.add(s.target(), inactivity_probe=0.3)
        peer = Peer(s.accept())
        peer.send(basic.BarrierRequest())
        peer.wait_for(basic.BarrierReply)
        until(lambda: not bridge.is_fail_open)
        peer.socket.close()
        s.close()
        until(lambda: bridge.is_fail_open)
        bridge.controllers.remove(controller.target)
        assert not bridge.is_fail_open
