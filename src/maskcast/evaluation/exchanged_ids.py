"""Notice predictions whose masks are good but have the ids of other objects. Scores do not change.

Only objects with a low J are examined, on few frames, so this costs little.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from maskcast.core.errors import DataError
from maskcast.data.dataset import Video
from maskcast.evaluation.predictions import Predictions
from maskcast.metrics.protocols import ObjectScores
from maskcast.metrics.region import region_similarity

LOW_J = 0.05
"""Mean J of an object below which its id is examined."""
HIGH_J = 0.5
"""Mean J that another id must have with the object."""
FRAMES = 3
"""Frames that are examined, evenly spread over those that count."""


def exchanged_ids(
    video: Video, predictions: Predictions, curves: Mapping[int, ObjectScores]
) -> str | None:
    """Return a line about objects that masks with another id fit; None if there are none.

    Args:
        video: the video with its ground truth.
        predictions: the predicted masks.
        curves: scores of the objects by id.
    """
    fits = []
    for object_id, curve in curves.items():
        if not curve.frame_names or float(curve.J.mean()) >= LOW_J:
            continue
        names = _spread(curve.frame_names)
        by_id = _similarities(video, predictions, object_id, names)
        by_id.pop(object_id, None)
        other = max(by_id, key=lambda i: by_id[i], default=None)
        if other is not None and by_id[other] > HIGH_J:
            name, true = _shown(video, other), _shown(video, object_id)
            fits.append(f"the masks of {name} fit object {true} (J {100 * by_id[other]:.0f})")
    if not fits:
        return None
    return f"{video.name}: {', '.join(fits)}; were the ids exchanged?"


def _spread(names: tuple[str, ...]) -> Collection[str]:
    positions = np.linspace(0, len(names) - 1, min(FRAMES, len(names))).round().astype(int)
    return [names[position] for position in positions]


def _similarities(
    video: Video, predictions: Predictions, object_id: int, names: Collection[str]
) -> dict[int, float]:
    """Return the mean J of the masks of every predicted id with one object of the ground truth."""
    sums: dict[int, float] = {}
    for name in names:
        frame_index = video.frame_names.index(name)
        annotation = video.read_masks(frame_index)
        true = annotation.masks.get(object_id)
        try:
            prediction = predictions.read(video, frame_index)
        except DataError:  # it is among the faults
            continue
        if true is None or prediction is None:
            continue
        for other in prediction.ids:
            if prediction.has(other):
                similarity = region_similarity(prediction.mask_of(other), true, annotation.void)
                sums[other] = sums.get(other, 0.0) + similarity
    return {other: total / len(names) for other, total in sums.items()}


def _shown(video: Video, object_id: int) -> str:
    return video.object_names.get(object_id, str(object_id))
