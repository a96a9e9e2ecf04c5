"""Encoding between page and server: label maps as bytes, numbers as base64, limited JSON.

label map    height × width   one byte per pixel: slots of objects, 0 is background
"""

from __future__ import annotations

import base64
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image

from maskcast.core.errors import DataError, UsageError
from maskcast.core.strict_json import parse_json

MOST_JSON = 64 * 2**10
"""Maximum size of a JSON body in bytes."""
MOST_MASK = 8 * 2**20
"""Maximum size of a compressed label map in bytes."""
DEEPEST = 8
"""Maximum nesting of a JSON body."""
INDEXED, GREY = 3, 0
"""Colour types of PNG."""


def inflate(body: bytes, size: tuple[int, int]) -> UInt8[np.ndarray, "height width"]:
    """Decompress a label map from a zlib stream, at most to its expected size.

    Raises:
        DataError: the stream is damaged, or holds more or less than height × width bytes.
    """
    height, width = size
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(body, height * width + 1)
    except zlib.error as error:
        raise DataError(f"the mask is not a zlib stream: {error}") from error
    if len(content) != height * width or not stream.eof or stream.unused_data:
        raise DataError(f"the mask must have {width}×{height} bytes when unpacked")
    return np.frombuffer(content, dtype=np.uint8).reshape(size)


def slots_png(slots: UInt8[np.ndarray, "height width"]) -> bytes:
    """Return a label map as 8-bit grey PNG."""
    buffer = io.BytesIO()
    Image.fromarray(slots).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def png_of_slots(path: Path, size: tuple[int, int]) -> bytes | None:
    """Return the content of a PNG with one byte per pixel and this size; None for other PNGs."""
    with path.open("rb") as file:
        head = file.read(33)
        header = np.frombuffer(head[16:24], dtype=">u4").tolist() if len(head) == 33 else None
        is_png = head[:8] == b"\x89PNG\r\n\x1a\n" and head[12:16] == b"IHDR"
        if not is_png or header != [size[1], size[0]]:
            return None
        if head[24] != 8 or head[25] not in (INDEXED, GREY) or head[28] != 0:
            return None
        return head + file.read()


def pack(numbers: Any, kind: str) -> str:
    """Return numbers as base64 of a little-endian array; ``kind`` is i4, f4 or f8."""
    return base64.b64encode(np.asarray(numbers, dtype=f"<{kind}").tobytes()).decode()


def read_json(body: bytes) -> dict[str, Any]:
    """Read the JSON object in a body. Raises ``UsageError``."""
    if len(body) > MOST_JSON:
        raise UsageError(f"JSON must have at most {MOST_JSON} bytes, got {len(body)}")
    if not body:
        return {}
    try:
        tree = parse_json(body)
    except DataError as error:
        raise UsageError(error.summary) from error
    if not isinstance(tree, dict) or _depth(tree) > DEEPEST:
        raise UsageError(f"expected a JSON object of at most {DEEPEST} levels")
    return tree


class Fields:
    """The entries of a JSON object, which are checked when read; raises ``UsageError``."""

    def __init__(self, tree: dict[str, Any], known: str) -> None:
        """Check that an object has only entries in ``known``, a list separated by spaces."""
        self._tree = tree
        if unknown := sorted(set(tree) - set(known.split())):
            raise UsageError(f"unknown entry {unknown[0]!r}; expected {', '.join(known.split())}")

    def has(self, name: str) -> bool:
        """Return whether an entry exists and is not null."""
        return self._tree.get(name) is not None

    def whole(self, name: str, least: int, most: int) -> int:
        """Return an integer in [least, most]."""
        value = self._tree.get(name)
        if type(value) is not int or not least <= value <= most:
            raise UsageError(
                f"{name} must be a whole number in [{least}, {most}], got {_shown(value)}"
            )
        return value

    def text(self, name: str, most: int = 4096) -> str:
        """Return a string of at most ``most`` characters."""
        value = self._tree.get(name)
        if not isinstance(value, str) or len(value) > most or "\0" in value:
            raise UsageError(f"{name} must be a string of at most {most} characters")
        return value

    def optional_text(self, name: str, most: int = 4096) -> str | None:
        """Return a string, or None if there is none."""
        return self.text(name, most) if self.has(name) else None

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """Return a string that is one of ``choices``."""
        value = self._tree.get(name)
        if value not in choices:
            raise UsageError(f"{name} must be one of {', '.join(choices)}, got {_shown(value)}")
        return str(value)

    def flag(self, name: str) -> bool:
        """Return a boolean."""
        value = self._tree.get(name)
        if not isinstance(value, bool):
            raise UsageError(f"{name} must be true or false, got {_shown(value)}")
        return value

    def list_of(self, name: str, kinds: tuple[type, ...], most: int) -> list[Any]:
        """Return a list of at most ``most`` values of some types."""
        values = self._tree.get(name)
        if not isinstance(values, list) or len(values) > most:
            raise UsageError(f"{name} must be a list of at most {most} entries")
        if any(type(value) not in kinds for value in values):
            raise UsageError(f"{name} has an entry of a wrong type")
        return values

    def values(self, name: str, most: int) -> dict[str, Any]:
        """Return an object of at most ``most`` entries; empty if there is none."""
        values = self._tree.get(name) or {}
        if not isinstance(values, dict) or len(values) > most:
            raise UsageError(f"{name} must be an object of at most {most} entries")
        return values

    def mapping(self, name: str) -> dict[str, str]:
        """Return an object of strings; empty if there is none."""
        values = self._tree.get(name) or {}
        if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
            raise UsageError(f"{name} must be an object of strings")
        return values


def to_slots(
    label_map: Integer[np.ndarray, "height width"], slots: dict[int, int]
) -> UInt8[np.ndarray, "height width"]:
    """Replace ids by slots; ids without a slot become background."""
    largest = int(label_map.max(initial=0))
    if largest < 2**16:
        table = np.zeros(largest + 1, dtype=np.uint8)
        for object_id, slot in slots.items():
            if object_id <= largest:
                table[object_id] = slot
        return np.asarray(table[label_map])
    mapped = np.zeros(label_map.shape, dtype=np.uint8)
    for object_id in np.unique(label_map).tolist():
        mapped[label_map == object_id] = slots.get(object_id, 0)
    return mapped


def _depth(tree: Any) -> int:
    if isinstance(tree, dict):
        return 1 + max(map(_depth, tree.values()), default=0)
    if isinstance(tree, list):
        return 1 + max(map(_depth, tree), default=0)
    return 0


def _shown(value: Any) -> str:
    return repr(value)[:60]
