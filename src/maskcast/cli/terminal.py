"""Print text on the terminal with control characters escaped, even to closed or full streams."""

from __future__ import annotations

import io
import logging
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

NARROWEST, WIDEST = 40, 1000
"""Limits of the width for which help texts are laid out, in columns."""


@contextmanager
def usable_streams() -> Iterator[None]:
    """Make standard output and standard error safe to write to inside the block.

    Closed streams are opened on the null device. Otherwise a file that is opened later would get
    their descriptor, and output of C libraries would be written to it. Text that cannot be written
    to standard error is dropped, because it cannot be reported anywhere.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names may hold bytes that are not text
        sys.stdout.reconfigure(errors="backslashreplace")
    before = sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as null:  # noqa: PTH123 - not a file
        sys.stderr = _DroppingErrors(before or null)
        try:
            yield
        finally:
            sys.stderr = before


class _DroppingErrors:
    """A text stream whose writes never fail: a closed pipe or a full disk drops the text."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except (OSError, ValueError):
            discard(self._stream)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            discard(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def discard(stream: Any) -> None:
    """Connect a stream that cannot be written to with the null device, so that closing it works."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


@contextmanager
def usable_width() -> Iterator[None]:
    """Pretend inside the block that the terminal has a width that help texts can be laid out in."""
    columns = shutil.get_terminal_size().columns
    with columns_of(min(max(columns, NARROWEST), WIDEST)):
        yield


@contextmanager
def columns_limited_to(most: int) -> Iterator[None]:
    """Pretend inside the block that the terminal has at most a number of columns."""
    with columns_of(min(shutil.get_terminal_size().columns, most)):
        yield


@contextmanager
def columns_of(count: int) -> Iterator[None]:
    """Pretend inside the block that the terminal has a number of columns."""
    if count == shutil.get_terminal_size().columns:
        yield
        return
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


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
    text = " ".join(text.splitlines())
    if text.isprintable():
        return text
    return "".join(c if _is_harmless(c) else ascii(c)[1:-1] for c in text)


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
