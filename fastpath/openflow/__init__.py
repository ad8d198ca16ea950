"""OpenFlow on the wire: every version from one description, both directions, no socket and no clock."""
