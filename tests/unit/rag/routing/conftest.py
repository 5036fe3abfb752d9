from __future__ import annotations

import sys
from pathlib import Path

# For `tiny_index`, which the fault tests' driver needs beside it.
sys.path.insert(0, str(Path(__file__).parents[3] / "faults"))
