"""Datapaths by name, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fastpath.dpif.choose import open_datapath, split_name
from fastpath.dpif.userspace import UserspaceDpif
from fastpath.errors import ConfigError, FastpathError


def test_names() -> None:
    assert split_name("netdev") == ("netdev", "")
    assert split_name("system") == ("system", "") and split_name("system@dp1") == ("system", "dp1")
    for wrong in ("", "kernel", "netdev@x", "System"):
        with pytest.raises(ConfigError, match="expected netdev or system"):
            split_name(wrong)


def test_our_own_is_opened() -> None:
    dpif = open_datapath("netdev", seed=1, flow_limit=10)
    assert isinstance(dpif, UserspaceDpif) and dpif.is_ours
    dpif.close()


def test_a_machine_without_the_module_is_told_in_one_line() -> None:
    try:
        open_datapath("system@fastpath-test", seed=1, flow_limit=10).close()
    except FastpathError as error:
        assert "\n" not in str(error) and ("openvswitch" in str(error) or "CAP_NET_ADMIN" in str(error))


def test_importing_fastpath_imports_nothing_of_the_kernels() -> None:
    theirs = ("pyroute2", "fastpath.dpif.netlink", "fastpath.io.genl")
    code = ("import sys, fastpath; fastpath.Switch().close(); "
            f"print([m for m in sys.modules if m.startswith({theirs})])")
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          timeout=60)
    assert told.stdout.strip() == "[]"


def test_run_tells_of_a_missing_module_in_one_line() -> None:
    told = subprocess.run([sys.executable, "-m", "fastpath", "run", "--datapath", "system@fastpath-test",
                           "--seconds", "0.1", "--quiet", "--port", "no-such-device"],
                          capture_output=True, text=True, timeout=60)
    assert told.returncode == 2 and len(told.stderr.splitlines()) == 1
