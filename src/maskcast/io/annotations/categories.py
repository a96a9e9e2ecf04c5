"""Categories of objects: objects with the same name are instances of one category."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

UNNAMED = "object"
"""Category of the objects that have no name."""


@dataclass(frozen=True)
class Categories:
    """Categories of the objects of a video."""

    by_object: Mapping[int, str]
    """Name of the category of each object, by object id."""

    @property
    def names(self) -> list[str]:
        """Names of all categories, in the order of their first objects."""
        return list(dict.fromkeys(name for _, name in sorted(self.by_object.items())))

    def index(self, object_id: int) -> int:
        """Return the position of the category of an object in ``names``."""
        return self.names.index(self.by_object[object_id])


def categories_of(ids: Iterable[int], names: Mapping[int, str]) -> Categories:
    """Return the categories of objects.

    Args:
        ids: ids of all objects.
        names: names of objects by id; other objects are in the category ``object``.
    """
    return Categories({object_id: names.get(object_id, UNNAMED) for object_id in sorted(set(ids))})
