"""Print text on the terminal, with control characters escaped."""

from __future__ import annotations

import logging
import sys
import unicodedata
from collections.abc import Sequence


def say(summary: str, details: Sequence[str] = ()) -> None:
    """Write one line to standard error, and one line for each detail."""
    colon = ":" if details else ""
    lines = [f"maskcast: {one_line(summary)}{colon}", *(f"  - {one_line(d)}" for d in details)]
    print("\n".join(lines), file=sys.stderr)


def in_bytes(size: int) -> str:
    """Format a number of bytes for people, such as ``12.3 MB``."""
    for unit, bytes_of_unit in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= bytes_of_unit:
            return f"{size / bytes_of_unit:.1f} {unit}"
    return f"{size} bytes"


def one_line(text: str) -> str:
    """Join the lines of a text and escape control characters, which terminals would execute."""
    return "".join(c if _is_harmless(c) else ascii(c)[1:-1] for c in " ".join(text.splitlines()))


def show(text: str) -> None:
    """Write a text that may come from files to standard output, as one line."""
    print(one_line(text))


def _is_harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"  # wide spaces


class TerminalFormatter(logging.Formatter):
    """Formats log records for a terminal: prefixed, with control characters escaped."""

    def __init__(self) -> None:
        super().__init__("maskcast: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text; lists and tracebacks keep their lines."""
        return "\n".join(map(one_line, super().format(record).split("\n")))
