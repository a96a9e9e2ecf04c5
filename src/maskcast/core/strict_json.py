"""Read untrusted JSON: every problem is a ``DataError``, and what is returned is safe to walk.

Rejected are: files that are not regular or too large, text that is not UTF-8 (or UTF-16 with a byte
order mark), values nested more than ``DEEPEST`` levels, numbers of more than ``LONGEST_NUMBER``
characters or beyond floating point, and objects in which a key occurs twice. Imports no torch.
"""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from maskcast.core.errors import DataError, MissingFileError
from maskcast.core.numbers import shortened

LARGEST_FILE = 2**28
"""Maximum size of a file in bytes."""
DEEPEST = 100
"""Maximum number of lists and objects inside one another."""
LONGEST_NUMBER = 100
"""Maximum number of characters of an integer."""


def read_json(path: Path, *, largest: int = LARGEST_FILE, non_finite: bool = False) -> Any:
    """Read a file that contains one JSON value.

    Args:
        path: the file.
        largest: maximum size in bytes.
        non_finite: whether NaN and infinities are accepted. They are not JSON, but many programs
            write them.

    Raises:
        MissingFileError: the file does not exist.
        DataError: the file cannot be read, is too large, or is not valid JSON.
    """
    if not path.is_file():
        if path.exists():
            raise DataError(f"cannot read {path}: it is not a regular file")
        raise MissingFileError(f"{path} does not exist")
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > largest:
        raise DataError(f"{path} is larger than {largest} bytes; split it")
    try:
        return parse_json(content, non_finite=non_finite)
    except DataError as error:
        raise DataError(f"{path}: {error.summary}") from error


def parse_json(content: str | bytes, *, non_finite: bool = False) -> Any:
    """Parse one JSON value.

    Args:
        content: the text, or its bytes.
        non_finite: whether NaN and infinities are accepted.

    Raises:
        DataError: the content is not valid JSON; the message begins with "invalid JSON".
    """
    decoder = _LENIENT if non_finite else _STRICT
    try:
        tree = decoder.decode(_decoded(content) if isinstance(content, bytes) else content)
    except RecursionError as error:
        raise DataError(_TOO_DEEP) from error
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"invalid JSON: {error}") from error
    _reject_deep(tree)
    return tree


_TOO_DEEP = f"invalid JSON: values are nested more than {DEEPEST} levels deep"


def _decoded(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell writes
        return content.decode("utf-16")
    return content.decode("utf-8-sig")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key in tree if counts[key] > 1)
        raise DataError(f"invalid JSON: the key {shortened(twice)!r} occurs twice in an object")
    return tree


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise DataError(
            f"invalid JSON: a number has {len(text)} characters, more than {LONGEST_NUMBER}"
        )
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise DataError(f"invalid JSON: the number {shortened(text)} is out of range")
    return number


def _reject_constant(text: str) -> float:
    raise DataError(f"invalid JSON: {text} is not a JSON number")


_STRICT = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_finite,
    parse_constant=_reject_constant,
)
_LENIENT = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=float, parse_constant=float
)


def _reject_deep(tree: Any) -> None:
    level = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise DataError(_TOO_DEEP)


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return [child for child in node.values() if isinstance(child, dict | list)]
    if isinstance(node, list):
        return [child for child in node if isinstance(child, dict | list)]
    return []
