"""The layering of the package is a test: who may import whom (docs/architecture.md).

A new row or a wider one is a design decision, made in the commit that needs it, with its reason.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "fastpath"

FACTS = {"arguments", "fields", "text", "errors", "flowtext", "compose", "value"}
# layer -> layers it may import besides itself.  "engine" is every top-level module with an underscore.
MAY_IMPORT: dict[str, set[str]] = {
    "fields": set(),
    "errors": set(),
    "arguments": {"errors"},
    "text": {"errors"},
    "flowtext": {"fields", "text", "errors", "engine", "value"},
    "compose": {"engine"},
    "value": {"engine"},
    "_layoutgen": set(),
    "engine": FACTS,
    "protocols": FACTS,
    "export": FACTS,
    "io": {"arguments", "engine", "errors", "text", "value"},
    "dpif": {"engine", "io"} | FACTS,
    "ofproto": {"dpif", "engine", "protocols", "export"} | FACTS,
    "openflow": {"ofproto", "engine"} | FACTS,
    "ovsdb": {"text", "errors"},
    "runtime": {"errors", "value"},
    "switch": {"ofproto", "dpif", "io", "runtime", "engine", "openflow"} | FACTS,
    "testing": {"switch", "engine"} | FACTS,
    "vswitchd": {"switch", "ofproto", "dpif", "io", "runtime", "engine", "openflow", "ovsdb"} | FACTS,
    "cli": {"switch", "ofproto", "dpif", "io", "runtime", "engine", "openflow", "testing"} | FACTS,
    "mininet": set(),           # runs in another interpreter, without the package
    "__init__": {"switch", "ofproto", "dpif", "io", "engine"} | FACTS,
}
# Modules that belong to another one's layer.
SAME_LAYER = {"bridge": "switch", "bundle": "switch", "groups": "switch", "addresses": "switch",
              "mirrors": "switch", "multicast": "switch", "part": "switch", "fail_mode": "switch",
              "controllers": "switch", "controller_set": "switch",
              "in_band": "switch", "passive": "switch", "patience": "switch", "tracing": "switch",
              "tlv": "flowtext", "geneve": "flowtext", "tlvmap": "switch", "__main__": "cli"}
# Within ofproto only these parts of dpif and the engine are known: never which provider it is.
OFPROTO_SEES = {"fastpath.dpif.provider", "fastpath.dpif.key", "fastpath.dpif.actions",
                "fastpath.dpif.odptext", "fastpath._flow", "fastpath._fieldsteps", "fastpath._classifier",
                "fastpath._extract", "fastpath._matchtext", "fastpath._rules", "fastpath._ukeys",
                "fastpath._express", "fastpath._addrules", "fastpath._csum"}
FROM_PACKAGE = re.compile(r"^\s*from\s+fastpath\s+c?import\s+(.+)$", re.M)
IMPORT_LINE = re.compile(r"^\s*(?:from\s+(fastpath[\w.]*)\s+c?import|c?import\s+(fastpath[\w.]*))", re.M)


def layer_of(module: str) -> str:
    """Layer of a dotted module name such as ``fastpath.io.link``."""
    first = module.split(".")[1] if "." in module else "__init__"
    first = SAME_LAYER.get(first, first)
    if first in MAY_IMPORT:
        return first
    return "engine" if first.startswith("_") else first


def imports_of(path: Path) -> list[str]:
    """Dotted names of fastpath modules that *path* imports or cimports."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return [a or b for a, b in IMPORT_LINE.findall(source) if (a or b) != "fastpath"] + \
            [f"fastpath.{name.split()[0]}" for names in FROM_PACKAGE.findall(source)
             for name in names.split(",")]
    out: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            out += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from fastpath.dpif import key` imports the module fastpath.dpif.key
            folder = PACKAGE.parent / node.module.replace(".", "/")
            is_package = (folder / "__init__.py").exists()
            out += [f"{node.module}.{a.name}" if is_package else node.module for a in node.names]
    return [name for name in out if name.split(".")[0] == "fastpath"]


def sources() -> list[Path]:
    return sorted(p for ext in ("py", "pyx", "pxd") for p in PACKAGE.rglob(f"*.{ext}"))


def problems(path: Path) -> list[str]:
    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    layer = layer_of(module)
    if layer not in MAY_IMPORT:
        return [f"{path.relative_to(ROOT)}: layer {layer!r} has no row in test_layers.py"]
    out = []
    for name in imports_of(path):
        target = layer_of(name)
        if target == layer or (target == "__init__" and name == "fastpath" and layer in ("cli", "testing")):
            continue
        if target not in MAY_IMPORT[layer]:
            out.append(f"{path.relative_to(ROOT)} ({layer}) imports {name} ({target})")
        elif layer == "ofproto" and target in ("dpif", "engine") and not any(
                name == seen or name.startswith(seen + ".") for seen in OFPROTO_SEES):
            out.append(f"{path.relative_to(ROOT)} (ofproto) imports {name}, which policy may not know")
        elif name == "fastpath._datapath" and layer not in ("dpif", "engine", "runtime"):
            out.append(f"{path.relative_to(ROOT)} ({layer}) imports {name}: only dpif.userspace may")
    return out


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downward(path: Path) -> None:
    assert problems(path) == []


def test_an_upward_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = PACKAGE / "io" / "bad.py"
    monkeypatch.setattr(Path, "read_text", lambda self, **_: "from fastpath.ofproto.match import Match\n")
    assert problems(bad) == ["fastpath/io/bad.py (io) imports fastpath.ofproto.match.Match (ofproto)"] or \
        problems(bad) == ["fastpath/io/bad.py (io) imports fastpath.ofproto.match (ofproto)"]


def test_compiled_modules_import_each_other_in_one_direction() -> None:
    graph = {p.stem: {name.split(".")[1] for name in imports_of(p) + (
        imports_of(p.with_suffix(".pyx")) if p.with_suffix(".pyx").exists() else [])
        if name.startswith("fastpath._")} - {p.stem} for p in PACKAGE.glob("_*.pxd")}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"cimport cycle: {' -> '.join((*path, name))}"
        if name not in done:
            for other in graph.get(name, ()):
                visit(other, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())
