"""Messages to the user on standard error, and the characters that must not reach a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence


def say(summary: str, details: Sequence[str] = ()) -> None:
    """Write one line to standard error, and one more for each detail."""
    colon = ":" if details else ""
    lines = [f"maskcast: {one_line(summary)}{colon}", *(f"  - {one_line(d)}" for d in details)]
    print("\n".join(lines), file=sys.stderr)


def one_line(text: str) -> str:
    """Join the lines of a text and escape control characters, which could drive the terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.splitlines()))


class TerminalFormatter(logging.Formatter):
    """Formats log records for a terminal: prefixed, with control characters escaped."""

    def __init__(self) -> None:
        super().__init__("maskcast: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text; lists and tracebacks keep their lines."""
        return "\n".join(map(one_line, super().format(record).split("\n")))
