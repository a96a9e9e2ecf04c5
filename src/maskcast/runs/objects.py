"""Names and colours of objects: ``objects.json``. They do not affect masks. Imports no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskcast.core.errors import ConfigError, DataError, UsageError
from maskcast.core.files import write_text
from maskcast.core.numbers import shortened, whole_number
from maskcast.core.palette import Colour, colour_in_hex
from maskcast.core.strict_json import read_json
from maskcast.io.label_maps import LARGEST_ID
from maskcast.runs.layout import OBJECTS

LONGEST_NAME = 80
"""Largest number of characters in the name of an object."""


@dataclass(frozen=True, kw_only=True)
class ObjectLook:
    """Name and colour with which an object is displayed.

    Raises:
        ConfigError: the name is too long or has control characters, or the colour is not
            ``#rrggbb``.
    """

    name: str | None = None
    colour: str | None = None
    """``#rrggbb``; None uses the colour of the palette."""

    def __post_init__(self) -> None:
        if self.name is not None and not 1 <= len(self.name) <= LONGEST_NAME:
            raise ConfigError(
                f"the name of an object must have 1 to {LONGEST_NAME} characters, "
                f"got {len(self.name)}"
            )
        if self.name is not None and not self.name.isprintable():
            raise ConfigError(f"the name of an object has control characters: {self.name!r}")
        if self.colour is not None and not re.fullmatch("#[0-9a-fA-F]{6}", self.colour):
            raise ConfigError(f"a colour must be written #rrggbb, got {self.colour!r}")


def read_objects(folder: Path) -> dict[int, ObjectLook]:
    """Read the names and colours in a run folder by object id; return {} if it has none.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / OBJECTS
    if not path.is_file():
        return {}
    try:
        tree = read_json(path)
        return {_object_id(key): _look(entry) for key, entry in tree.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"cannot read names and colours of objects from {path}: {error}") from error


def write_objects(folder: Path, looks: Mapping[int, ObjectLook]) -> None:
    """Write the names and colours of objects. Raises ``OutputError``."""
    tree = {
        str(object_id): {name: text for name, text in vars(look).items() if text is not None}
        for object_id, look in sorted(looks.items())
    }
    text = json.dumps(tree, indent=1, ensure_ascii=False) + "\n"
    write_text(folder / OBJECTS, text, sync=True)


def parse_looks(names: Sequence[str], colours: Sequence[str]) -> dict[int, ObjectLook]:
    """Parse ``ID=NAME`` and ``ID=#rrggbb`` into names and colours by object id.

    Raises:
        UsageError: a text has another form, or an object has two names or two colours.
    """
    named, coloured = _by_id(names, "name", "NAME"), _by_id(colours, "colour", "#rrggbb")
    looks = {}
    for object_id in sorted({*named, *coloured}):
        try:
            looks[object_id] = ObjectLook(name=named.get(object_id), colour=coloured.get(object_id))
        except ConfigError as error:
            raise UsageError(
                f"object {object_id}: {error.summary}", options=("name", "colour")
            ) from error
    return looks


def update_objects(folder: Path, looks: Mapping[int, ObjectLook]) -> None:
    """Add names and colours to those in a run folder; what is not given stays.

    Raises:
        DataError: the file is damaged.
        OutputError: it cannot be written.
    """
    known = read_objects(folder)
    merged = {**known, **{i: _over(known.get(i, ObjectLook()), look) for i, look in looks.items()}}
    if merged != known:
        write_objects(folder, merged)


def _over(known: ObjectLook, look: ObjectLook) -> ObjectLook:
    return ObjectLook(name=look.name or known.name, colour=look.colour or known.colour)


def _by_id(texts: Sequence[str], option: str, form: str) -> dict[int, str]:
    values: dict[int, str] = {}
    for text in texts:
        before, equals, value = text.partition("=")
        object_id = whole_number(before.strip())
        if not equals or object_id is None or not 1 <= object_id <= LARGEST_ID:
            raise UsageError(
                f"invalid {option} {shortened(text)!r}; write ID={form}", options=(option,)
            )
        if object_id in values:
            raise UsageError(f"object {object_id} is given two {option}s", options=(option,))
        values[object_id] = value.strip()
    return values


def colours_of(looks: Mapping[int, ObjectLook]) -> dict[int, Colour]:
    """Return the colours of the objects that have their own, by object id."""
    colours = {i: look.colour for i, look in looks.items() if look.colour is not None}
    return {i: colour_in_hex(text) for i, text in colours.items()}


def names_of(looks: Mapping[int, ObjectLook]) -> dict[int, str]:
    """Return the names of the objects that have one, by object id."""
    return {i: look.name for i, look in looks.items() if look.name is not None}


def _object_id(key: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,8}", key):
        raise ValueError(f"{key!r} is not an object id")
    return int(key)


def _look(entry: Any) -> ObjectLook:
    texts = {name: entry.get(name) for name in ("name", "colour")}
    if not all(text is None or isinstance(text, str) for text in texts.values()):
        raise TypeError("names and colours must be text")
    return ObjectLook(**texts)
