"""fastpath under mininet: its switch class, in a namespace of its own, with hosts of mininet's."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from netns import Lab

from fastpath.io import link

ROOT = Path(__file__).resolve().parent.parent.parent
CLASS = ROOT / "fastpath" / "mininet.py"
# Two hosts on one switch: a port more while it runs, rules by dpctl, a link gone and back.
SCRIPT = f"""
from importlib.machinery import SourceFileLoader
from mininet.net import Mininet
FastpathSwitch = SourceFileLoader("fastpath_mininet", {str(CLASS)!r}).load_module().FastpathSwitch
net = Mininet(switch=FastpathSwitch, controller=None, waitConnected=False)
s1 = net.addSwitch("s1")
h1, h2, h3 = (net.addHost(f"h{{n}}") for n in (1, 2, 3))
net.addLink(h1, s1); net.addLink(h2, s1)
net.start()
print("two", net.ping([h1, h2]))
link = net.addLink(h3, s1)
s1.attach(link.intf2)
h3.setIP("10.0.0.3/8")
print("three", net.ping([h1, h2, h3]))
print("ports", s1.dpctl("dump-ports-desc").count("addr:"))
s1.dpctl("add-flow", "priority=100,arp,in_port=3,actions=drop")
s1.dpctl("add-flow", "priority=100,in_port=3,actions=drop")
print("dropped", net.ping([h1, h3], timeout="1"))
s1.detach(link.intf2)
print("ports", s1.dpctl("dump-ports-desc").count("addr:"))
print("connected", s1.connected())
net.stop()
"""


@pytest.fixture
def lab(root: None) -> Iterator[tuple[Lab, str]]:
    if shutil.which("mn") is None:
        pytest.skip("mininet is not installed")
    with Lab() as lab:
        yield lab, lab.netns("mn")


def in_mininet(lab: tuple[Lab, str], tmp_path: Path, *command: str) -> str:
    """What *command*, of mininet's interpreter, prints on both channels; it leaves nothing behind."""
    net, namespace = lab
    with pytest.MonkeyPatch.context() as env:
        env.setenv("FASTPATH", f"{sys.executable} -m fastpath")
        env.setenv("PYTHONPATH", str(ROOT))
        env.setenv("TMPDIR", str(tmp_path))
        said = net.run(namespace, "sh", "-c", 'exec "$@" 2>&1', "sh", *command, timeout=120)
    assert not [name for name in link.names(namespace) if name.startswith(("s", "h"))]
    assert not list(tmp_path.glob("fastpath-*"))
    return said


def test_all_hosts_of_a_tree_reach_each_other(lab: tuple[Lab, str], tmp_path: Path) -> None:
    said = in_mininet(lab, tmp_path, "mn", "--custom", str(CLASS), "--switch", "fastpath", "--controller",
                      "none", "--topo", "tree,2,3", "--test", "pingall")
    assert "*** Results: 0% dropped (72/72 received)" in said


def test_ports_come_and_go_and_rules_are_added(lab: tuple[Lab, str], tmp_path: Path) -> None:
    script = tmp_path / "net.py"
    script.write_text(SCRIPT)
    said = in_mininet(lab, tmp_path, "/usr/bin/python3", "-W", "ignore", str(script))
    facts = [line for line in said.splitlines()
             if line.split(" ")[0] in ("two", "three", "ports", "dropped", "connected")]
    assert facts == ["two 0.0", "three 0.0", "ports 3", "dropped 100.0", "ports 2", "connected True"], said
