"""OpenFlow messages as text, as ovs-ofctl prints them: ``message`` is the way in, the others are families."""
