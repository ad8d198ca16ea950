"""``python -m fastpath`` is the ``fastpath`` command."""

from __future__ import annotations

import sys

from fastpath.cli.main import main

sys.exit(main())
