"""Show the worst frames of a run: image, ground truth and prediction side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from maskcast.core.arrays import MaskArray, Picture
from maskcast.core.errors import DataError, MaskcastError
from maskcast.data.catalogue import benchmark_of, open_dataset
from maskcast.data.dataset import Video
from maskcast.evaluation.predictions import Predictions, open_predictions
from maskcast.evaluation.scores import Scores, Tree
from maskcast.viz.overlay import draw_overlay

OBJECTS = 8
"""Number of worst objects shown per run."""
FRAMES = 2
"""Number of frames per object: the worst one, and the worst one well away from it."""
WIDTH = 300
"""Maximum width of the pictures in pixels."""
QUALITY = 78
"""JPEG quality of the pictures."""


@dataclass(frozen=True)
class WorstFrame:
    """One frame of one object, as three pictures for an HTML page."""

    object_name: str
    frame_name: str
    J: float
    F: float
    pictures: tuple[str, str, str]
    """``data:`` URLs of image, ground truth and prediction."""


def worst_frames(
    scores: Scores, masks: Path, root: Path | None = None, *, names: Sequence[str] | None = None
) -> Iterator[WorstFrame]:
    """Yield the worst frames of some objects, or of those with the lowest J&F.

    Args:
        scores: scores of the run.
        masks: folder or ZIP of its predictions.
        root: folder of the data set; default: its location when it was scored.
        names: names of the objects; default: the worst ones of this run.

    Raises:
        MaskcastError: the data set or the predictions no longer exist or have changed.
    """
    videos, predictions = open_scored(scores, masks, root)
    ranked = sorted(scores.objects, key=lambda name: float(scores.objects[name]["J&F"]))
    for name in ranked[:OBJECTS] if names is None else filter(scores.objects.__contains__, names):
        entry = scores.objects[name]
        for index in _worst_indices(entry):
            per_frame, video = entry["per_frame"], videos.get(entry["video"])
            if video is None or per_frame["names"][index] not in video.frame_names:
                raise DataError(
                    f"the data set has changed since it was scored: it has no frame "
                    f"{per_frame['names'][index]} of {entry['video']}"
                )
            yield WorstFrame(
                name,
                per_frame["names"][index],
                per_frame["J"][index],
                per_frame["F"][index],
                _pictures(video, predictions, entry["id"], per_frame["names"][index]),
            )


def open_scored(
    scores: Scores, masks: Path, root: Path | None = None
) -> tuple[dict[str, Video], Predictions]:
    """Open the videos and the predictions of a run; see ``worst_frames`` for the arguments.

    Raises:
        MaskcastError: the data set or the predictions no longer exist.
    """
    rules = scores.tree["protocol"]
    dataset = open_dataset(
        rules["dataset"],
        Path(root or rules["root"]),
        split=rules["split"] if benchmark_of(rules["dataset"]).splits else None,
        resolution=rules.get("resolution"),
        purpose="score",
    )
    videos = {video.name: video for video in dataset}
    return videos, open_predictions(masks, list(videos))


def _worst_indices(entry: Tree) -> list[int]:
    values = np.array(entry["per_frame"]["J"]) + np.array(entry["per_frame"]["F"])
    chosen: list[int] = []
    apart = max(1, values.size // 5)
    for index in np.argsort(values, kind="stable"):
        if len(chosen) < FRAMES and all(abs(int(index) - other) >= apart for other in chosen):
            chosen.append(int(index))
    return chosen


def _pictures(
    video: Video, predictions: Predictions, object_id: int, frame_name: str
) -> tuple[str, str, str]:
    frame_index = video.frame_names.index(frame_name)
    empty: MaskArray = np.zeros(video.size, np.bool_)
    image = image_of(video, frame_index)
    ground_truth = video.read_masks(frame_index).masks.get(object_id, empty)
    try:
        prediction = predictions.read(video, frame_index)
    except MaskcastError:
        prediction = None
    usable = prediction is not None and prediction.has(object_id)
    predicted = prediction.mask_of(object_id) if prediction is not None and usable else empty
    return (
        encoded(image),
        _painted(image, ground_truth, object_id),
        _painted(image, predicted, object_id),
    )


def image_of(video: Video, frame_index: int) -> Picture:
    """Return a frame, or a dark picture of its size if the data set has no images."""
    if frame_index in video.image_files:
        return video.read_frame(frame_index)
    return np.full((*video.size, 3), 40, np.uint8)


def _painted(image: Picture, mask: MaskArray, object_id: int) -> str:
    """Paint a mask over the frame in grey, so that it is visible on an object of its colour."""
    grey = np.asarray(Image.fromarray(image).convert("L").convert("RGB"))
    return encoded(draw_overlay(grey, mask.astype(np.int32) * object_id, ids=False))


def encoded(picture: Picture) -> str:
    """Return a small JPEG of a picture as a ``data:`` URL."""
    height, width = picture.shape[:2]
    size = (min(WIDTH, width), max(1, round(height * min(WIDTH, width) / width)))
    buffer = io.BytesIO()
    Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR).save(
        buffer, format="JPEG", quality=QUALITY
    )
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
