"""The switch's configuration database, as a client: connection, rows and transactions (RFC 7047)."""
