"""Inputs and fault scripts after people's bug reports, which lie outside the repository.

``MASKCAST_REPORTS`` and ``MASKCAST_FAULTS`` name their folders; each has a README with a table.
Tests that need them are skipped where they are missing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
REPORTS = Path(os.environ.get("MASKCAST_REPORTS") or CHECKOUT / "../shared/reports").resolve()
FAULTS = Path(os.environ.get("MASKCAST_FAULTS") or CHECKOUT / "../shared/faults").resolve()
INPUTS = REPORTS / "inputs"


def rows_of(readme: Path) -> dict[str, str]:
    """The rows of all tables in a README: the names in the first column, and the whole row."""
    found: dict[str, str] = {}
    for line in readme.read_text("utf-8").splitlines() if readme.is_file() else []:
        first = re.match(r"\| *(`.*?) \|", line)
        for name in re.findall(r"`([^`]+)`", first[1]) if first else []:
            found[name] = line
    return found
