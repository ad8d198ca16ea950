"""A userspace switch that speaks Open vSwitch: embed it, run it, or forward with it.

Everything public is here; what a name needs is loaded when it is first used, so that
``import fastpath`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from fastpath.errors import (
    ConfigError,
    ExistsError,
    FastpathError,
    FormatError,
    NotFoundError,
    OpenFlowError,
    ParseError,
    PortError,
    PrivilegeError,
    TableFull,
)

if TYPE_CHECKING:
    from fastpath._classifier import Classifier as Classifier
    from fastpath._extract import extract as extract
    from fastpath._extract_batch import extract_many as extract_many
    from fastpath._flow import FlowKey as FlowKey
    from fastpath.bridge import Bridge as Bridge
    from fastpath.bridge import Port as Port
    from fastpath.io._memory import MemoryPort as MemoryPort
    from fastpath.io._pcap import PcapPort as PcapPort
    from fastpath.io._python import PythonPort as PythonPort
    from fastpath.io.port import open_port as open_port
    from fastpath.ofproto.events import FlowRemoved as FlowRemoved
    from fastpath.ofproto.events import PacketIn as PacketIn
    from fastpath.ofproto.events import PortStatus as PortStatus
    from fastpath.ofproto.flow_mod import FlowMod as FlowMod
    from fastpath.ofproto.flow_text import parse_flow as parse_flow
    from fastpath.ofproto.match import Match as Match
    from fastpath.ofproto.rule import Rule as Rule
    from fastpath.ofproto.xlate.trace import Trace as Trace
    from fastpath.switch import Switch as Switch

__version__ = "0.1.0"

# public name -> module it lives in
_LAZY = {
    "Bridge": "fastpath.bridge", "Classifier": "fastpath._classifier", "FlowKey": "fastpath._flow",
    "FlowMod": "fastpath.ofproto.flow_mod", "FlowRemoved": "fastpath.ofproto.events",
    "Match": "fastpath.ofproto.match", "MemoryPort": "fastpath.io._memory",
    "PacketIn": "fastpath.ofproto.events", "PcapPort": "fastpath.io._pcap", "Port": "fastpath.bridge",
    "PortStatus": "fastpath.ofproto.events", "PythonPort": "fastpath.io._python",
    "Rule": "fastpath.ofproto.rule", "Switch": "fastpath.switch",
    "Trace": "fastpath.ofproto.xlate.trace", "extract": "fastpath._extract",
    "extract_many": "fastpath._extract_batch", "open_port": "fastpath.io.port",
    "parse_flow": "fastpath.ofproto.flow_text",
}

__all__ = [
    "Bridge", "Classifier", "ConfigError", "ExistsError", "FastpathError", "FlowKey", "FlowMod",
    "FlowRemoved", "FormatError", "Match", "MemoryPort", "NotFoundError", "OpenFlowError", "PacketIn",
    "ParseError", "PcapPort", "Port", "PortError", "PortStatus", "PrivilegeError", "PythonPort", "Rule",
    "Switch", "TableFull", "Trace", "__version__", "extract", "extract_many", "open_port", "parse_flow",
]


def __getattr__(name: str) -> object:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
