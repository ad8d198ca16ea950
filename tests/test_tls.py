"""TLS: who proves what to whom, and a CA certificate that is got from the first peer."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from controller_side import Listening, Peer, make_keys, served, tls, until
from interop.reference import Reference, available

import fastpath
from fastpath.errors import ConfigError, PortError
from fastpath.openflow.messages import basic, port
from fastpath.runtime.dial import Dial
from fastpath.runtime.tls import Keys, Tls, tls_of


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"))


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
                 f"ssl:127.0.0.1:{listener.port}"], capture_output=True, text=True, timeout=60)
        done = dump("theirs")
        assert done.returncode == 0 and done.stdout.count("table=3") == 3000
        assert dump("stranger").returncode != 0
        assert dump("theirs").returncode == 0




# -- whom to trust is asked of the first peer -------------------------------------------------------

class Seen:
    """What a controller with the keys of *name* sees of one switch, connection by connection."""

    def __init__(self, s: Listening, context: ssl.SSLContext) -> None:
        self._listening, self._context = s, context

    def next(self) -> str:
        """How the next connection went: refused, dropped without a word, or used; it is ended."""
        try:
            with self._context.wrap_socket(self._listening.accept(), server_side=True) as s:
                peer = Peer(s)
                peer.wait_for(basic.Hello)
                peer.send(basic.BarrierRequest())
                peer.wait_for(basic.BarrierReply)
        except (ConnectionError, ssl.SSLEOFError):
            return "dropped"
        except ssl.SSLError:
            return "refused"
        return "used"


def context_of(keys: Path, name: str, *, brings_ca: bool = True) -> ssl.SSLContext:
    """The context of a server that does not look at who comes."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(keys / f"{name}.pem", keys / f"{name}.key")
    if brings_ca:
        found.load_verify_locations(keys / ("otherca.pem" if name == "stranger" else "ca.pem"))
    return found


@contextmanager
def switch_of_ours(target: str, keys: Path, ca: Path) -> Iterator[None]:
    with fastpath.Switch(seed=0, realtime=True) as switch:
        bridge = switch.add_bridge("br0")
        bridge.controllers.add(target, tls=Tls(keys / "ours.key", keys / "ours.pem", ca, bootstrap=True),
                               max_backoff=1)
        switch.start(1)
        yield


@contextmanager
def switch_of_theirs(target: str, keys: Path, ca: Path) -> Iterator[None]:
    if not available():
        pytest.skip("the reference is not installed")
    with Reference() as ref:
        ref.vsctl("--bootstrap", "set-ssl", str(keys / "ours.key"), str(keys / "ours.pem"), str(ca))
        ref.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy",
                  "protocols=OpenFlow13", "--", "set-controller", "br0", target)
        yield


@contextmanager
def command_of_ours(target: str, keys: Path, ca: Path) -> Iterator[None]:
    words = [sys.executable, "-m", "fastpath", "run", "--port", "memory:p1", "--controller", target,
             "--private-key", str(keys / "ours.key"), "--certificate", str(keys / "ours.pem"),
             "--bootstrap-ca-cert", str(ca), "--quiet", "--seconds", "60"]
    with subprocess.Popen(words) as process:
        yield
        process.terminate()
        assert process.wait(30) == 0


@contextmanager
def file_of_ours(target: str, keys: Path, ca: Path) -> Iterator[None]:
    config = ca.with_suffix(".toml")
    config.write_text(f'[switch]\nprivate_key = "{keys}/ours.key"\ncertificate = "{keys}/ours.pem"\n'
                      f'bootstrap_ca_cert = "{ca.name}"\n[bridges.br0]\ncontrollers = ["{target}"]\n'
                      '[bridges.br0.ports.p1]\nio = "memory:p1"\n')
    with subprocess.Popen([sys.executable, "-m", "fastpath", "run", "--config", str(config), "--quiet"]
                          ) as process:
        yield
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize("switch", [switch_of_ours, switch_of_theirs], ids=["library", "reference"])
def test_the_first_controller_says_whom_to_trust(keys: Path, tmp_path: Path, switch: Any) -> None:
    ca = tmp_path / "got.pem"
    with closing(Listening()) as s:
        silent, good = (Seen(s, context_of(keys, "theirs", brings_ca=brings)) for brings in (False, True))
        with switch(s.target("ssl"), keys, ca):
            assert silent.next() == "dropped"               # it has not brought a CA's certificate
            assert not ca.exists()
            assert good.next() == "dropped"                 # it was only for that
            assert ca.stat().st_mode & 0o777 == 0o444
            assert good.next() == "used"
    assert ssl.PEM_cert_to_DER_cert(ca.read_text()) == ssl.PEM_cert_to_DER_cert((keys / "ca.pem").read_text())


def test_others_are_not_trusted_from_then_on(keys: Path, tmp_path: Path) -> None:
    with closing(Listening()) as s, switch_of_ours(s.target("ssl"), keys, tmp_path / "got.pem"):
        assert Seen(s, context_of(keys, "theirs")).next() == "dropped"
        assert Seen(s, context_of(keys, "stranger")).next() == "refused"
        assert Seen(s, context_of(keys, "theirs", brings_ca=False)).next() == "used"


@pytest.mark.parametrize("switch", [command_of_ours, file_of_ours], ids=["command", "file"])
def test_the_command_asks_the_first_controller(keys: Path, tmp_path: Path, switch: Any) -> None:
    with closing(Listening()) as s, switch(s.target("ssl"), keys, tmp_path / "got.pem"):
        good = Seen(s, context_of(keys, "theirs"))
        assert [good.next(), good.next()] == ["dropped", "used"]


def test_who_gets_there_first_is_believed_alone(keys: Path, tmp_path: Path) -> None:
    """The file is never overwritten, whoever else was asked meanwhile."""
    wanted = Tls(keys / "ours.key", keys / "ours.pem", tmp_path / "got.pem", bootstrap=True)
    ends = []
    for name in ("theirs", "stranger"):
        one, other = socket.socketpair()
        client = wanted.context(server=False).wrap_socket(one, do_handshake_on_connect=False)
        server = context_of(keys, name).wrap_socket(other, server_side=True, do_handshake_on_connect=False)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda end: end.do_handshake(), (client, server)))
        ends += [client, server]
    assert wanted.is_bootstrapping
    assert wanted.learn(ends[0]) == wanted.learn(ends[2]) == "protocol error"
    assert not wanted.is_bootstrapping
    for end in ends:
        end.close()
    assert wanted.context(server=False).get_ca_certs()[0]["subject"] == ((("commonName", "ca"),),)


def test_a_place_that_cannot_be_written_is_named(keys: Path, tmp_path: Path) -> None:
    wanted = Tls(keys / "ours.key", keys / "ours.pem", tmp_path / "no" / "got.pem", bootstrap=True)
    with served() as (_s, bridge):
        listener = bridge.listen("pssl:0", tls=tls(keys, "theirs"))
        for _ in range(2):
            with pytest.raises(PortError, match=r"creating .*/no/got.pem failed: No such file or directory"):
                Dial(f"ssl:127.0.0.1:{listener.port}", tls=wanted, timeout=30)


def test_those_who_connect_bring_no_ca_and_files_that_change_are_read_again(keys: Path, tmp_path: Path
                                                                           ) -> None:
    ca = tmp_path / "ca.pem"
    with served() as (_s, bridge):
        listener = bridge.listen("pssl:0", tls=Tls(keys / "ours.key", keys / "ours.pem", ca, bootstrap=True))

        def hears() -> bool:
            try:
                with Dial(f"ssl:127.0.0.1:{listener.port}", tls=tls(keys, "theirs"), timeout=30) as dial:
                    return dial.next() is not None
            except (PortError, OSError):
                return False
        assert not hears() and not ca.exists()
        ca.write_bytes((keys / "ca.pem").read_bytes())
        assert hears()
        ca.write_text("nonsense")
        os.utime(ca, ns=(1, 1))             # surely another time
        assert not hears()
        ca.write_bytes((keys / "ca.pem").read_bytes())
        assert hears()


def test_a_context_is_made_anew_when_a_file_changes(keys: Path, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes((keys / "ca.pem").read_bytes())
    here = Keys(Tls(keys / "ours.key", keys / "ours.pem", ca), server=False)
    first = here.context()
    assert here.context() is first
    ca.write_bytes((keys / "otherca.pem").read_bytes())
    os.utime(ca, ns=(1, 1))
    assert here.context() is not first
    ca.unlink()
    with pytest.raises(ConfigError, match="no such file"):
        here.context()


@pytest.mark.parametrize(("files", "error"), [
    ({"private_key": "k", "certificate": "c"}, "--ca-cert is missing"),
    ({"certificate": "c", "bootstrap_ca_cert": "b"}, "--private-key is missing"),
    ({"private_key": "k", "bootstrap_ca_cert": "b"}, "--certificate is missing"),
    ({"private_key": "k", "certificate": "c", "ca_cert": "a", "bootstrap_ca_cert": "b"}, "is enough")])
def test_files_that_are_not_enough_are_refused(files: dict[str, str], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        tls_of(files)


def test_files_by_name() -> None:
    keys = {"private_key": "k", "certificate": "c"}
    assert tls_of({}) is None
    assert tls_of(keys | {"ca_cert": "a"}) == Tls("k", "c", "a")
    assert tls_of(keys | {"bootstrap_ca_cert": "b"}) == Tls("k", "c", "b", bootstrap=True)
