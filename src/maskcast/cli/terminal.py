"""What a command tells the person at the terminal beside its results."""

from __future__ import annotations

import sys


def say(sentence: str) -> None:
    """Write one line to standard error; what would steer the terminal is written out."""
    line = " ".join(sentence.splitlines())
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    print(f"maskcast: {shown}", file=sys.stderr)
