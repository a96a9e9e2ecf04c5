"""The simulated annotator, on squares that move one pixel per frame and are copied by a baseline.

After d frames without a correction, J of a copied square of 7 pixels is (7 - d) / (7 + d).
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from evaluation.small_sets import davis2017
from maskcast.core.errors import UsageError
from maskcast.data.catalogue import DatasetChoice, open_dataset, protocol_of
from maskcast.evaluation.baselines import BaselineSource
from maskcast.evaluation.correction_curve import curve_of
from maskcast.evaluation.corrections import CorrectionRound, correct_video
from maskcast.evaluation.evaluate import evaluate_dataset
from maskcast.metrics.frame import FrameScore


def copied(*distances: int) -> float:
    """Return the sum of J after these numbers of frames without a correction."""
    return sum((7 - distance) / (7 + distance) for distance in distances)


def rounds(tmp_path, corrections: int, *, objects=None, frames: int = 7) -> list[CorrectionRound]:
    root = davis2017(tmp_path, {"ants": objects or {1: 0}}, frames=frames)
    protocol = replace(protocol_of("davis2017"), skip_first=True)
    segmenter = BaselineSource("copy-first").build().segmenter
    video, truth = (open_dataset("davis2017", root)[0] for _ in range(2))
    return list(correct_video(segmenter, video, truth, protocol, corrections=corrections))


def test_corrects_the_worst_frame_and_segments_again_from_there(tmp_path):
    before, first, second = rounds(tmp_path, 2)
    assert before.corrected is None
    # frames 1 to 5 count; the worst is frame 5, and frame 6 does not count
    assert pytest.approx(copied(1, 2, 3, 4, 5) / 5) == before.objects[1].J
    assert (first.corrected, second.corrected) == (5, 4)
    assert first.mean_next is None
    assert pytest.approx((copied(1, 2, 3, 4) + 1) / 5) == first.objects[1].J
    assert pytest.approx((copied(1, 2, 3) + 2) / 5) == second.objects[1].J
    assert second.mean_next == pytest.approx((1.0, 1.0))


def test_later_frames_follow_the_correction(tmp_path):
    # the second object begins on frame 3, where the first one is already far off
    *_, last = rounds(tmp_path, 1, objects={1: 0, 3: 3})
    assert last.corrected == 5
    assert pytest.approx((copied(1) + 1) / 2) == last.objects[3].J


def test_stops_when_all_counted_frames_are_corrected(tmp_path):
    made = rounds(tmp_path, 20)
    assert len(made) == 6
    assert made[-1].objects[1] == FrameScore(1.0, 1.0)


def test_the_curve_averages_objects_and_keeps_the_last_scores_of_short_videos():
    short = [CorrectionRound(None, {1: FrameScore(0.9, 0.92)}, None)]
    long = [
        CorrectionRound(None, {1: FrameScore(0.4, 0.2), 2: FrameScore(0.8, 0.6)}, None),
        CorrectionRound(7, {1: FrameScore(1.0, 0.8), 2: FrameScore(1.0, 1.0)}, (0.5, 0.9)),
    ]
    curve = curve_of([short, long], 1)
    assert curve.scores[0] == pytest.approx((2.1 / 3, 1.72 / 3))
    assert curve.scores[1] == pytest.approx((2.9 / 3, 2.72 / 3))
    assert curve.mean_next == pytest.approx((0.5, 0.9))
    assert curve.corrections_until_goal == (0, 1)


def evaluate(tmp_path, corrections: int):
    root = davis2017(tmp_path / "set", {"ants": {1: 0}, "bees": {1: 0, 3: 1}})
    choice = DatasetChoice(name="davis2017", root=root)
    source = BaselineSource("copy-first")
    return evaluate_dataset(choice, source, tmp_path / "run", corrections=corrections)


def test_evaluation_writes_the_curve_and_goes_on_with_finished_videos(tmp_path, monkeypatch):
    made = evaluate(tmp_path, 2)
    assert made.corrections is not None
    tree = json.loads((tmp_path / "run" / "corrections.json").read_text())
    assert [entry["corrections"] for entry in tree["rounds"]] == [0, 1, 2]
    assert tree["rounds"][0]["J"] == pytest.approx(made.scores.dataset["J"]["mean"])
    monkeypatch.setattr(BaselineSource, "build", None)
    again = evaluate(tmp_path, 1)
    assert again.corrections.scores == made.corrections.scores[:2]


def test_rejects_a_negative_number_of_corrections(tmp_path):
    with pytest.raises(UsageError, match="at least 0"):
        evaluate(tmp_path, -1)
