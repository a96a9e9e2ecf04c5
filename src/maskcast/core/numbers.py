"""Parse numbers in text of others: options, file names, labels, JSON. Imports no torch.

Python's ``int`` accepts digits of every script, underscores and spaces, and raises an error at more
than 4300 digits. The functions here accept ASCII digits only, and any number of them.
"""

from __future__ import annotations

import re
from math import isfinite

BEYOND = 10**18
"""Returned for every whole number from here on, which no count, index or id reaches."""
LONGEST_SHOWN = 40
"""Maximum number of characters of a value in a message."""

_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?", re.ASCII)


def whole_number(text: str) -> int | None:
    """Return the value of ASCII digits, at most ``BEYOND``; None if ``text`` is anything else."""
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) <= len(str(BEYOND)) - 1 else BEYOND


def signed_number(text: str) -> int | None:
    """Return the value of ASCII digits with or without a sign; None if ``text`` is anything else.

    The magnitude is at most ``BEYOND``.
    """
    magnitude = whole_number(text[1:] if text[:1] in ("+", "-") else text)
    if magnitude is None:
        return None
    return -magnitude if text[0] == "-" else magnitude


def finite_number(text: str) -> float | None:
    """Return the value of a decimal number; None if ``text`` is not one or is out of range."""
    text = text.strip()
    if _DECIMAL.fullmatch(text) is None:
        return None
    number = float(text)
    return number if isfinite(number) else None


def shortened(value: object, longest: int = LONGEST_SHOWN) -> str:
    """Return a value as text for a message: of ``longest`` characters at most, all printable."""
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def counted(number: int, word: str) -> str:
    """Return a number of things, such as ``1 video`` or ``2 videos``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
