"""The frames that are shown of a run: of the worst objects first, the worst and one well away."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.small_sets import SIZE, davis2017, label_map, write_predictions
from maskcast.data.catalogue import open_dataset, protocol_of
from maskcast.evaluation.predictions import open_predictions
from maskcast.evaluation.score import score_dataset
from maskcast.evaluation.scores import Scores, make_scores
from maskcast.evaluation.worst_frames import WorstFrame, worst_frames
from maskcast.io.label_maps import write_label_map

FRAMES = 12


@pytest.fixture
def results(tmp_path) -> Path:
    """Of ``ants`` frame 5 is missing, 6 is far off, 9 less far; ``cows`` is off by one."""
    davis2017(tmp_path / "set", {"cows": {1: 0}, "ants": {1: 0}}, frames=FRAMES)
    results = write_predictions(tmp_path / "results", {"cows": (1,)}, shift=1, frames=FRAMES)
    write_predictions(results, {"ants": (1,)}, frames=FRAMES)
    (results / "ants" / "00005.png").unlink()
    for index, shift in ((6, 6), (9, 4)):
        write_label_map(results / "ants" / f"{index:05d}.png", label_map((1,), index, shift))
    return results


def scored(root: Path, results: Path) -> Scores:
    dataset, protocol = open_dataset("davis2017", root, purpose="score"), protocol_of("davis2017")
    predictions = open_predictions(results, [video.name for video in dataset])
    found = score_dataset(dataset, predictions, protocol)
    return make_scores(dataset, found, protocol, results=str(results), groups=None)


def colour(picture: str) -> np.ndarray:
    """How far each pixel of a picture on the page is from grey."""
    kind, _, content = picture.partition(",")
    assert kind == "data:image/jpeg;base64"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(content)))).astype(int)
    assert pixels.shape == (*SIZE, 3)
    return pixels.max(axis=2) - pixels.min(axis=2)


def of_ants(results: Path, root: Path) -> list[WorstFrame]:
    frames = list(worst_frames(scored(root, results), results))
    assert [frame.object_name for frame in frames] == ["ants_1", "ants_1", "cows_1", "cows_1"]
    return frames[:2]


def test_the_worst_object_comes_first_with_two_frames_that_are_no_neighbours(results, tmp_path):
    worst, away = of_ants(results, tmp_path / "set")
    assert (worst.frame_name, worst.J, worst.F) == ("00005", 0, 0)
    assert away.frame_name == "00009"  # 6 is worse, but next to 5


def test_truth_and_prediction_are_painted_and_a_missing_prediction_is_not(results, tmp_path):
    worst, away = of_ants(results, tmp_path / "set")
    for frame, index in ((worst, 5), (away, 9)):
        truth = label_map((1,), index) == 1
        painted = colour(frame.pictures[1])
        assert painted[truth].mean() > 50 > painted[~truth].mean()
    assert colour(worst.pictures[2]).max() < 10
    predicted = label_map((1,), 9, 4) == 1
    assert colour(away.pictures[2])[predicted].mean() > 50
