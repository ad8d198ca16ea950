"""``python -m fastpath`` is the ``fastpath`` command."""

from __future__ import annotations

import signal
import sys

signal.signal(signal.SIGINT, signal.SIG_DFL)            # until main() is there: ends quietly, nothing is open
from fastpath.cli.main import main  # noqa: E402

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
