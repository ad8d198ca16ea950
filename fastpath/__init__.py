"""fastpath: a userspace switch that speaks Open vSwitch."""
