"""Show the best videos of a run and its worst one: evenly spaced frames, painted with the masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskcast.core.errors import DataError
from maskcast.data.dataset import Video
from maskcast.evaluation.predictions import Predictions
from maskcast.evaluation.scores import Scores
from maskcast.evaluation.worst_frames import encoded, image_of, open_scored
from maskcast.viz.contact_sheet import choose_frames
from maskcast.viz.overlay import draw_overlay

SUCCESSES = 3
"""Number of best videos."""
FRAMES = 6
"""Number of frames of each video."""


@dataclass(frozen=True)
class Strip:
    """Frames of one video, as pictures for an HTML page."""

    video: str
    score: float
    """J&F of the video, 0..1."""
    is_failure: bool
    frames: tuple[tuple[str, str], ...]
    """Names of the frames and ``data:`` URLs of their pictures."""


def video_strips(scores: Scores, masks: Path, root: Path | None = None) -> list[Strip]:
    """Return the videos with the highest J&F, and at last the one with the lowest.

    Args:
        scores: scores of the run.
        masks: folder or ZIP of its predictions.
        root: folder of the data set; default: its location when it was scored.

    Raises:
        MaskcastError: the data set or the predictions no longer exist or have changed.
    """
    videos, predictions = open_scored(scores, masks, root)
    ranked = sorted(scores.videos, key=lambda name: -float(scores.videos[name]["J&F"]))
    shown = [*ranked[:-1][:SUCCESSES], ranked[-1]]
    strips = []
    for name in shown:
        if name not in videos:
            raise DataError(f"the data set has changed since it was scored: it has no video {name}")
        video = videos[name]
        frames = tuple(
            (video.frame_names[index], _painted(video, predictions, index))
            for index in choose_frames(video.frame_count, FRAMES)
        )
        score, is_failure = float(scores.videos[name]["J&F"]), name == ranked[-1]
        strips.append(Strip(name, score, is_failure, frames))
    return strips


def _painted(video: Video, predictions: Predictions, frame_index: int) -> str:
    label_map = np.zeros(video.size, np.int32)
    prediction = predictions.read(video, frame_index)
    for object_id in video.object_ids:
        if prediction is not None and prediction.has(object_id):
            label_map[prediction.mask_of(object_id)] = object_id
    return encoded(draw_overlay(image_of(video, frame_index), label_map, ids=False))
