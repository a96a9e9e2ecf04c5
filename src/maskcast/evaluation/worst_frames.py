"""Pictures of the frames on which a run did worst: image, truth, prediction, side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from maskcast.core.arrays import MaskArray, Picture
from maskcast.core.errors import MaskcastError
from maskcast.data.catalogue import benchmark_of, open_dataset
from maskcast.data.dataset import Video
from maskcast.evaluation.predictions import Predictions, open_predictions
from maskcast.evaluation.scores import Scores, Tree
from maskcast.viz.overlay import draw_overlay

OBJECTS = 8
"""Worst objects shown for each run."""
FRAMES = 2
"""Frames of each: the worst one, and the worst one well away from it."""
WIDTH = 300
QUALITY = 78


@dataclass(frozen=True)
class WorstFrame:
    """One frame of one object, as three pictures ready for an HTML page."""

    object_name: str
    frame_name: str
    J: float
    F: float
    pictures: tuple[str, str, str]
    """``data:`` addresses: image, truth, prediction."""


def worst_frames(scores: Scores, masks: Path, root: Path | None = None) -> Iterator[WorstFrame]:
    """Yield frames of the objects with the lowest J&F.

    Args:
        scores: of the run.
        masks: where its predictions are.
        root: of the data set; by default where it was when it was scored.

    Raises:
        MaskcastError: the data set or the predictions are not there any more.
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
    predictions = open_predictions(masks, list(videos))
    ranked = sorted(scores.objects.items(), key=lambda item: float(item[1]["J&F"]))
    for name, entry in ranked[:OBJECTS]:
        for index in _worst_indices(entry):
            per_frame, video = entry["per_frame"], videos[entry["video"]]
            yield WorstFrame(
                name,
                per_frame["names"][index],
                per_frame["J"][index],
                per_frame["F"][index],
                _pictures(video, predictions, entry["id"], per_frame["names"][index]),
            )


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
    if frame_index in video.image_files:
        image = video.read_frame(frame_index)
    else:
        image = np.full((*video.size, 3), 40, np.uint8)
    truth = video.read_masks(frame_index).masks.get(object_id, empty)
    try:
        found = predictions.read(video, frame_index)
    except MaskcastError:
        found = None
    usable = found is not None and found.has(object_id)
    predicted = found.mask_of(object_id) if found is not None and usable else empty
    return (
        _encoded(image),
        _painted(image, truth, object_id),
        _painted(image, predicted, object_id),
    )


def _painted(image: Picture, mask: MaskArray, object_id: int) -> str:
    """The frame is grey, so that a mask shows on an object of its own colour."""
    grey = np.asarray(Image.fromarray(image).convert("L").convert("RGB"))
    return _encoded(draw_overlay(grey, mask.astype(np.int32) * object_id, ids=False))


def _encoded(picture: Picture) -> str:
    height, width = picture.shape[:2]
    size = (min(WIDTH, width), max(1, round(height * min(WIDTH, width) / width)))
    buffer = io.BytesIO()
    Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR).save(
        buffer, format="JPEG", quality=QUALITY
    )
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
