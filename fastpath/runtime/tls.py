"""Keys and certificates of TLS connections, both ways: who we are, and who may be at the other end.

As in Open vSwitch a peer proves itself by a certificate of *ca_cert*; host names are not looked at, as
controllers are named by addresses.  Files that change are read again by the next connection.

With *bootstrap* the file *ca_cert* need not be there yet: then the first peer that is connected to is
believed, whoever it is, its CA's certificate is written to the file, and the connection is dropped.  From
then on there is a CA to be proved by.  Those who connect to us never bring it.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastpath.errors import ConfigError, PortError
from fastpath.value import value

_MODE = 0o444                   # of a CA certificate that a peer gave us
_DER = 2                        # _ssl.ENCODING_DER
_CONTEXT_TAG = 0xA0             # of a certificate's version, which old ones have not
_AGAIN = "protocol error"       # how a connection ends that was for the CA certificate
log = logging.getLogger("fastpath.stream_ssl")


@value
class Tls:
    """Paths of PEM files."""

    private_key: str | Path
    certificate: str | Path
    ca_cert: str | Path
    bootstrap: bool = False

    @property
    def is_bootstrapping(self) -> bool:
        """Whether who we connect to next is to say whom to trust."""
        return self.bootstrap and not Path(self.ca_cert).exists()

    def context(self, *, server: bool) -> ssl.SSLContext:
        """What sockets are wrapped with.  Raises ConfigError naming a file that cannot be used."""
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        found.minimum_version = ssl.TLSVersion.TLSv1_2
        found.check_hostname = False
        found.verify_mode = ssl.CERT_REQUIRED
        what = f"certificate {self.certificate} with private key {self.private_key}"
        try:
            found.load_cert_chain(self.certificate, self.private_key)
            what = f"CA certificate {self.ca_cert}"
            if not self.is_bootstrapping:
                found.load_verify_locations(self.ca_cert)
            elif not server:                    # a server that knows no CA turns all away
                found.verify_mode = ssl.CERT_NONE
        except OSError as error:        # which TLS errors are, too
            raise ConfigError(f"{what}: {(error.strerror or str(error)).lower()}") from None
        return found

    def learn(self, sock: ssl.SSLSocket) -> str:
        """Write the certificate of the CA that the peer brought to the file; return why the connection is
        of no more use.  Raises PortError if it brought none."""
        chain = _chain(sock)
        if not chain:
            raise PortError("no certificate presented by peer while bootstrapping CA cert")
        issuer, subject = _names(chain[-1])
        if issuer != subject:
            why = "could not bootstrap CA cert: obtained certificate is not self-signed"
            if len(chain) == 1:
                why += ": the peer is probably not set up to send its CA certificate"
            raise PortError(why)
        try:
            handle = os.open(self.ca_cert, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _MODE)
        except FileExistsError:
            return _AGAIN               # by another connection, to whose peer ours is to prove itself now
        except OSError as error:
            raise PortError(f"could not bootstrap CA cert: creating {self.ca_cert} failed: "
                            f"{error.strerror}") from None
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(ssl.DER_cert_to_PEM_cert(chain[-1]))
        except OSError as error:
            with suppress(OSError):
                os.unlink(self.ca_cert)
            raise PortError(f"could not bootstrap CA cert: writing {self.ca_cert} failed: "
                            f"{error.strerror}") from None
        log.info("successfully bootstrapped CA cert to %s", self.ca_cert)
        log.info("killing successful connection to retry using CA cert")
        return _AGAIN

    def stamp(self) -> tuple[tuple[int, int] | None, ...]:
        """Differs after one of the files changed."""
        return tuple(map(_changed, (self.private_key, self.certificate, self.ca_cert)))


FILES = ("private_key", "certificate", "ca_cert", "bootstrap_ca_cert")


def tls_of(files: Mapping[str, str]) -> Tls | None:
    """Tls of *files* named by FILES, None without any; the last of them is a CA certificate that need not be
    there.  Raises ConfigError if one is missing."""
    if not files:
        return None
    given = dict(files)
    bootstrap = given.pop("bootstrap_ca_cert", None)
    if bootstrap is not None and "ca_cert" in given:
        raise ConfigError("--ca-cert and --bootstrap-ca-cert: one CA certificate is enough")
    for name in FILES[:3]:
        if name not in given and not (name == "ca_cert" and bootstrap):
            raise ConfigError(f"--{name.replace('_', '-')} is missing, TLS needs all three files")
    return Tls(given["private_key"], given["certificate"], bootstrap or given["ca_cert"],
               bootstrap=bootstrap is not None)


class Keys:
    """The context of one end of connections as the files of *tls* are now."""

    def __init__(self, tls: Tls, *, server: bool) -> None:
        self.tls, self._is_server = tls, server
        self._stamp = tls.stamp()
        self._context = tls.context(server=server)

    def context(self) -> ssl.SSLContext:
        """The context.  Raises ConfigError if a file changed and cannot be used."""
        stamp = self.tls.stamp()
        if stamp != self._stamp:
            self._context = self.tls.context(server=self._is_server)
            self._stamp = stamp
        return self._context


def _changed(path: str | Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _chain(sock: ssl.SSLSocket) -> list[bytes]:
    """The certificates the peer sent, its own first, in DER."""
    public: Any = getattr(sock, "get_unverified_chain", None)       # since Python 3.13
    if public is not None:
        return list(public() or ())
    found: Any = sock._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
    return [certificate.public_bytes(_DER) for certificate in found or ()]


def _names(der: bytes) -> tuple[bytes, bytes]:
    """Issuer and subject of a certificate (RFC 5280 section 4.1), as they stand in it."""
    (_tag, certificate), *_ = _items(der)
    (_tag, signed), *_ = _items(certificate)
    parts = [part for tag, part in _items(signed) if tag != _CONTEXT_TAG]
    _serial, _algorithm, issuer, _validity, subject = parts[:5]
    return issuer, subject


def _items(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tags and contents of the DER items that follow each other."""
    at = 0
    while at < len(der):
        tag, size = der[at], der[at + 1]
        at += 2
        if size & 0x80:
            n = size & 0x7F
            size, at = int.from_bytes(der[at:at + n], "big"), at + n
        yield tag, der[at:at + size]
        at += size
