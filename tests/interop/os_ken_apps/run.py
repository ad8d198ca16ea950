"""Runs ``learning_switch`` on the port given, until it is ended."""

import sys

from os_ken import cfg
from os_ken.base.app_manager import AppManager
from os_ken.controller import controller

cfg.CONF(args=["--ofp-tcp-listen-port", sys.argv[1], "--ofp-listen-host", "127.0.0.1"], project="os_ken")
print("ready", controller.__name__, flush=True)
AppManager.run_apps(["learning_switch"])
