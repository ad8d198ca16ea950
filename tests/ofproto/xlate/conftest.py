"""The generator of rule sets is kept with the comparisons; these tests use it too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "interop"))
