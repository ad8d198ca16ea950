"""Keys and certificates of TLS connections, both ways: who we are, and who may be at the other end.

As in Open vSwitch a peer proves itself by a certificate of *ca_cert*; host names are not looked at, as
controllers are named by addresses.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from fastpath.errors import ConfigError
from fastpath.value import value


@value
class Tls:
    """Paths of PEM files."""

    private_key: str | Path
    certificate: str | Path
    ca_cert: str | Path

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
            found.load_verify_locations(self.ca_cert)
        except OSError as error:        # which TLS errors are, too
            raise ConfigError(f"{what}: {(error.strerror or str(error)).lower()}") from None
        return found
