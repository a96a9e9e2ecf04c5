"""Show the objects of a frame under other ids, after swaps and merges. Imports no torch.

``ids`` are new ids by earlier id; objects that are not listed keep theirs. Objects that get the
same id are merged.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Integer

from maskcast.runs.masks import FoundObject


def with_other_ids(
    label_map: Integer[np.ndarray, "height width"], ids: Mapping[int, int]
) -> Integer[np.ndarray, "height width"]:
    """Return a label map with other ids."""
    changed = label_map.copy() if ids else label_map
    for old, new in ids.items():
        changed[label_map == old] = new
    return changed


def objects_with_other_ids(
    objects: Mapping[int, FoundObject], ids: Mapping[int, int]
) -> dict[int, FoundObject]:
    """Return the log entries of objects with other ids."""
    changed: dict[int, FoundObject] = {}
    for object_id, one in objects.items():
        new = ids.get(object_id, object_id)
        changed[new] = _together(changed[new], one) if new in changed else one
    return dict(sorted(changed.items())) if ids else changed


def _together(one: FoundObject, other: FoundObject) -> FoundObject:
    """Return two objects as one: areas add up, the more visible one decides the presence."""
    area = one.area + other.area
    weighted = [(o.area, o.confidence) for o in (one, other) if o.confidence is not None]
    pixels = sum(count for count, _ in weighted)
    mean = sum(count * confidence for count, confidence in weighted) / pixels if pixels else None
    known = [o.presence for o in (one, other) if o.presence is not None]
    return FoundObject(
        area, None if mean is None else round(mean, 5), max(known) if known else None
    )
