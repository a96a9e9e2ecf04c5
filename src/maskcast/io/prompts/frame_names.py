"""Find the frame number in the name of a mask: ``frame_000006``, ``mask_00006``, ``00006_mask``."""

from __future__ import annotations

import re
import unicodedata

from maskcast.core.errors import PromptError
from maskcast.core.numbers import shortened

_NUMBER = re.compile(
    r"(?:(?<![a-z])(?P<before>frame|image|img|mask|label|matte|alpha|seg|segmentation|anno|annotation"
    r"|gt|pic|picture|f|t)s?[ _.#(=-]{0,2}"
    r"|(?<=[a-z])(?=0[0-9]{2})|(?<![a-z0-9]))"
    r"(?P<digits>[0-9]+)"
    r"(?![a-z0-9]|[ _.-]?bits?(?![a-z]))(?:[ _.-]?(?P<after>frame|image|mask|label)s?(?![a-z]))?",
    re.ASCII | re.IGNORECASE,
)
_ADDED = re.compile(r"[_.](?:jpe?g|png|bmp|webp|tiff?)(?:\.rf\.[0-9a-z]+)?$", re.IGNORECASE)
"""Suffixes that programs add to the name of a picture: a second extension, and Roboflow's key."""
LONG = 3
"""Minimum number of digits of a frame number without one of ``FRAME_WORDS`` next to it."""
FRAME_WORDS = ("frame", "image", "img")
"""Words after which any number is a frame number."""


def same_name(name: str) -> str:
    """Return one form of a name whose letters with accents are written in different ways."""
    return unicodedata.normalize("NFC", name)


def without_additions(name: str) -> str:
    """Return the name of a picture without a second extension or a key that a program added."""
    return _ADDED.sub("", name)


def number_in(name: str) -> str | None:
    """Return the digits of the frame number in a name; None if there is no number.

    A frame number is the whole name, has a leading zero or ``LONG`` digits, or follows a word such
    as ``frame``. Digits after other letters count if they are padded (``f00006``). Other digits
    (``480p``, ``v2``, ``16_bit``) are no frame numbers.

    Raises:
        PromptError: the name has several numbers, or one of which it is unclear what it counts.
    """
    name = without_additions(name)
    if name.isascii() and name.isdecimal():
        return name
    if _is_odd_number(name):
        raise PromptError(f"the name {shortened(name)!r} is not a plain number")
    matches = list(_NUMBER.finditer(name))
    numbers = [match["digits"] for match in matches if _counts_frames(match)]
    if len(numbers) > 1:
        raise PromptError(
            f"the name {shortened(name)!r} has several numbers ({', '.join(numbers)})"
        )
    unclear = [match["digits"] for match in matches if match["before"] or match["after"]]
    if unclear and not numbers:
        raise PromptError(
            f"the number {unclear[0]} in the name {shortened(name)!r} may count frames or masks"
        )
    return numbers[0] if numbers else None


def _is_odd_number(name: str) -> bool:
    """Return whether a name is a number in an unusual form, such as -1, 6.0 or in other digits."""
    digits = [c for c in name if c.isdecimal()]
    if not digits or not all(c.isascii() for c in digits):
        return bool(digits)
    return len(digits) < LONG and not any(c.isalpha() for c in name)


def _counts_frames(match: re.Match[str]) -> bool:
    digits = match["digits"]
    padded = len(digits) >= LONG or (len(digits) > 1 and digits[0] == "0")
    return padded or (match["before"] or "").lower() in FRAME_WORDS
