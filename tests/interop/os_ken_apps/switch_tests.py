"""Runs os-ken's switch tests of a folder: switch_tests.py PORT FOLDER VERSION, until it is ended.

Datapath 1 sends and receives; datapath 2, joined to it by three links, is what is tested.
"""

import sys

import eventlet

eventlet.monkey_patch()

from os_ken import cfg, log  # noqa: E402
from os_ken.base.app_manager import AppManager  # noqa: E402
from os_ken.controller import controller  # noqa: E402

TESTER = "os_ken.tests.switch.tester"

log.early_init_log()
port, folder, version = sys.argv[1:]
__import__(TESTER)      # which has options of its own
cfg.CONF(args=["--ofp-tcp-listen-port", port, "--ofp-listen-host", "127.0.0.1", "--test-switch-dir", folder,
               "--test-switch-tester", "1", "--test-switch-target", "2",
               "--test-switch-tester-version", version, "--test-switch-target-version", version],
         project="os_ken")
log.init_log()
print("ready", controller.__name__, flush=True)
AppManager.run_apps([TESTER])
