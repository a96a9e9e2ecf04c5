"""What a command tells the person at the terminal beside its results."""

from __future__ import annotations

import sys


def say(sentence: str) -> None:
    """Write one line to standard error."""
    print(f"maskcast: {' '.join(sentence.splitlines())}", file=sys.stderr)
