"""What a bridge tells people of itself."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fastpath.value import value


@value
class Description:
    """Who made the switch, which it is, and what it is for."""

    manufacturer: str = "fastpath"
    hardware: str = "fastpath"
    software: str = "unknown"
    serial: str = "None"
    datapath: str = "None"


def own() -> Description:
    """The description of this software."""
    try:
        return Description(software=version("fastpath"))
    except PackageNotFoundError:
        return Description()
