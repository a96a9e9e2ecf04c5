"""Scores of a data set after 0, 1, 2, … corrected frames per video.

corrections/<video>.json   rounds of one video, written when the video is finished
corrections.json           the curve over all videos
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskcast.core.files import path_inside, write_text
from maskcast.core.progress import Progress
from maskcast.core.segmenter import SegmenterSource
from maskcast.core.strict_json import read_json
from maskcast.data.dataset import Dataset, Video
from maskcast.evaluation.corrections import CorrectionRound, correct_video
from maskcast.evaluation.starts import FROM_MASKS, Start
from maskcast.metrics.frame import FrameScore
from maskcast.metrics.protocols import ScoringProtocol

FOLDER, CURVE = "corrections", "corrections.json"
GOAL = 0.9
"""J&F of a video that counts as good enough."""


@dataclass(frozen=True)
class CorrectionCurve:
    """Effect of corrections on the scores, over all videos of a data set."""

    scores: tuple[FrameScore, ...]
    """Mean J and F over all objects after 0, 1, 2, … corrections per video. A video without further
    frames to correct keeps its last scores."""
    mean_next: tuple[float, float] | None
    """Mean J over the frames that follow the first correction of a video, before and after it."""
    corrections_until_goal: tuple[int | None, ...]
    """Number of corrections until J&F of a video reaches ``GOAL``, for every video; None if it does
    not."""

    def to_json(self) -> dict[str, Any]:
        return {
            "rounds": [
                {"corrections": count, "J": score.J, "F": score.F, "J&F": (score.J + score.F) / 2}
                for count, score in enumerate(self.scores)
            ],
            "mean_next": self.mean_next,
            "goal": GOAL,
            "corrections_until_goal": self.corrections_until_goal,
        }


def measure_corrections(
    source: SegmenterSource,
    dataset: Dataset,
    ground_truth: Dataset,
    protocol: ScoringProtocol,
    run: Path,
    *,
    corrections: int,
    start: Start = FROM_MASKS,
    progress: Progress | None = None,
) -> CorrectionCurve:
    """Correct every video up to ``corrections`` times, and write the curve to ``corrections.json``.

    Finished videos of an earlier call with at least as many corrections are not segmented again.

    Args:
        source: builds the segmenter, if a video is left.
        dataset: opened for segmenting.
        ground_truth: the same videos, opened for scoring.
        protocol: decides which frames count.
        run: the folder of the evaluation.
        corrections: largest number of corrected frames per video, at least 1.
        start: how objects are given on their first frames.
        progress: called after every finished video.

    Raises:
        MaskcastError: a video or the segmenter failed; finished videos are kept.
    """
    segmenter = None
    videos: list[list[CorrectionRound]] = []
    for done, (video, true) in enumerate(zip(dataset, ground_truth, strict=True), 1):
        path = path_inside(run / FOLDER, video.name, ".json")
        rounds = _read_rounds(path, corrections)
        if rounds is None:
            segmenter = segmenter or source.build().segmenter
            made = correct_video(
                segmenter, video, true, protocol, corrections=corrections, start=start
            )
            rounds = list(made)
            write_text(path, _rounds_text(rounds, video, corrections))
        videos.append(rounds[: corrections + 1])
        if progress is not None:
            progress("correcting", done, len(dataset))
    curve = curve_of(videos, corrections)
    write_text(run / CURVE, json.dumps(curve.to_json(), indent=1) + "\n")
    return curve


def curve_of(videos: Sequence[Sequence[CorrectionRound]], corrections: int) -> CorrectionCurve:
    """Average the rounds of several videos; see ``CorrectionCurve``."""
    scores = []
    for count in range(corrections + 1):
        objects = [
            score
            for rounds in videos
            for score in rounds[min(count, len(rounds) - 1)].objects.values()
        ]
        scores.append(FrameScore(*np.mean(objects, axis=0).tolist()))
    firsts = [rounds[1].mean_next for rounds in videos if len(rounds) > 1]
    pairs = [pair for pair in firsts if pair is not None]
    before, after = np.mean(pairs, axis=0).tolist() if pairs else (0.0, 0.0)
    return CorrectionCurve(
        tuple(scores),
        (before, after) if pairs else None,
        tuple(_until_goal(rounds) for rounds in videos),
    )


def _until_goal(rounds: Sequence[CorrectionRound]) -> int | None:
    for count, made in enumerate(rounds):
        if np.mean([(score.J + score.F) / 2 for score in made.objects.values()]) >= GOAL:
            return count
    return None


def _rounds_text(rounds: Sequence[CorrectionRound], video: Video, corrections: int) -> str:
    tree = {
        "asked": corrections,
        "rounds": [
            {
                "frame": made.corrected,
                "name": None if made.corrected is None else video.frame_names[made.corrected],
                "objects": {str(name): list(score) for name, score in made.objects.items()},
                "mean_next": made.mean_next,
            }
            for made in rounds
        ],
    }
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"


def _read_rounds(path: Path, corrections: int) -> list[CorrectionRound] | None:
    """Read the rounds of a finished video; None if there are none, or not enough of them."""
    try:
        tree = read_json(path)
        rounds = [
            CorrectionRound(
                made["frame"],
                {
                    int(name): FrameScore(*map(float, score))
                    for name, score in made["objects"].items()
                },
                None if made["mean_next"] is None else (made["mean_next"][0], made["mean_next"][1]),
            )
            for made in tree["rounds"]
        ]
        return rounds if rounds and int(tree["asked"]) >= corrections else None
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None
