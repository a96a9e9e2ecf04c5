"""Simulate an annotator who corrects frames of a video, and measure what each correction gains.

The annotator looks for the worst frame, gives the true masks of all objects on it, and the video
is segmented again from there. Objects without a true mask on that frame are marked absent.
Corrected frames count in the scores, as in the interactive track of DAVIS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import torch

from maskcast.core.arrays import MaskArray
from maskcast.core.segmenter import State, VideoSegmenter, segment_steps
from maskcast.core.types import ABSENT, Absent, Box, Frame, Mask, Prompts, to_frame
from maskcast.data.dataset import Video
from maskcast.evaluation.starts import FROM_MASKS, Start, given_prompts
from maskcast.metrics.frame import FrameScore, score_object
from maskcast.metrics.protocols import ScoringProtocol

NEXT_FRAMES = 25
"""Number of frames after a correction over which its effect is measured."""
STATES_KEPT = 100
"""Largest number of states kept per video, from which segmenting starts again."""


@dataclass(frozen=True)
class CorrectionRound:
    """Scores of a video after a number of corrections."""

    corrected: int | None
    """Index of the frame corrected last; None before the first correction."""
    objects: Mapping[int, FrameScore]
    """Mean J and F over the counted frames, by object id; objects without such frames are left
    out."""
    mean_next: tuple[float, float] | None
    """Mean J over the counted frames among the ``NEXT_FRAMES`` after the corrected one, before and
    after the correction; None if there are none."""


def correct_video(
    segmenter: VideoSegmenter[Any],
    video: Video,
    ground_truth: Video,
    protocol: ScoringProtocol,
    *,
    corrections: int,
    start: Start = FROM_MASKS,
) -> Iterator[CorrectionRound]:
    """Yield the scores of a video before the first and after every correction.

    Args:
        segmenter: any method that accepts corrections.
        video: opened for segmenting.
        ground_truth: the same video, opened for scoring.
        protocol: decides which frames count.
        corrections: largest number of frames to correct; fewer if no counted frame is left.
        start: how objects are given on their first frames.

    Raises:
        MaskcastError: the video cannot be read, or the segmenter failed.
    """
    annotator = _Annotator(segmenter, video, ground_truth, protocol, start)
    annotator.segment_from(0)
    yield CorrectionRound(None, annotator.means(), None)
    for _ in range(corrections):
        worst = annotator.worst_frame()
        if worst is None:
            return
        before = annotator.mean_after(worst)
        annotator.correct(worst)
        annotator.segment_from(worst)
        after = annotator.mean_after(worst)
        yield CorrectionRound(
            worst,
            annotator.means(),
            None if before is None or after is None else (before, after),
        )


class _Annotator(Generic[State]):
    """Segments one video several times, each time from the frame corrected last."""

    def __init__(
        self,
        segmenter: VideoSegmenter[State],
        video: Video,
        ground_truth: Video,
        protocol: ScoringProtocol,
        start: Start,
    ) -> None:
        self._segmenter = segmenter
        self._video = video
        self._ground_truth = ground_truth
        self._ignores_void = protocol.void == "ignored"
        self._prompts: dict[int, Prompts] = given_prompts(video, start)
        self._states: dict[int, State] = {0: segmenter.start()}
        self._distance = -(-video.frame_count // STATES_KEPT)
        self._corrected: set[int] = set()
        self._counted: dict[int, list[int]] = {}
        self._scores: dict[int, dict[int, FrameScore]] = {}
        self._first_frame_of = ground_truth.first_frame_of
        for item in ground_truth.objects:
            for frame_index in protocol.counted(
                ground_truth.annotated_frames,
                first_frame=item.first_frame,
                own_range=item.counted_frames,
            ):
                self._counted.setdefault(frame_index, []).append(item.object_id)

    def segment_from(self, frame_index: int) -> None:
        """Segment from a frame to the end of the video, from the nearest state before it."""
        first = max(kept for kept in self._states if kept <= frame_index)
        steps = segment_steps(
            self._segmenter,
            self._frames(first),
            self._prompts,
            state=self._states[first],
            first_frame=first,
        )
        for step in steps:
            following = step.frame_index + 1
            if following % self._distance == 0:
                self._states[following] = step.state
            if step.frame_index in self._counted:
                label_map = step.masks.label_map().cpu().numpy()
                self._scores[step.frame_index] = self._score(step.frame_index, label_map)

    def correct(self, frame_index: int) -> None:
        """Give the true masks of all objects that are known on this frame."""
        true = self._ground_truth.read_masks(frame_index).masks
        prompts: dict[int, Mask | Box | Absent] = dict(self._prompts.get(frame_index, {}))
        for object_id, first_frame in self._first_frame_of.items():
            if first_frame < frame_index:
                mask = true.get(object_id)
                prompts[object_id] = ABSENT if mask is None else torch.from_numpy(mask)
        self._prompts[frame_index] = prompts
        self._corrected.add(frame_index)

    def worst_frame(self) -> int | None:
        """Return the frame not yet corrected with the lowest mean J of its objects."""
        means = {
            frame_index: float(np.mean([score.J for score in scores.values()]))
            for frame_index, scores in self._scores.items()
            if frame_index not in self._corrected
        }
        return min(means, key=means.__getitem__) if means else None

    def means(self) -> dict[int, FrameScore]:
        by_object: dict[int, list[FrameScore]] = {}
        for scores in self._scores.values():
            for object_id, score in scores.items():
                by_object.setdefault(object_id, []).append(score)
        return {
            object_id: FrameScore(*np.mean(scores, axis=0).tolist())
            for object_id, scores in sorted(by_object.items())
        }

    def mean_after(self, frame_index: int) -> float | None:
        """Return the mean J of all objects on the frames that follow a frame."""
        values = [
            score.J
            for following in range(frame_index + 1, frame_index + 1 + NEXT_FRAMES)
            for score in self._scores.get(following, {}).values()
        ]
        return float(np.mean(values)) if values else None

    def _frames(self, first: int) -> Iterator[Frame]:
        for frame_index in range(first, self._video.frame_count):
            yield to_frame(self._video.read_frame(frame_index))

    def _score(self, frame_index: int, label_map: np.ndarray) -> dict[int, FrameScore]:
        true = self._ground_truth.read_masks(frame_index)
        nothing: MaskArray = np.zeros(self._ground_truth.size, np.bool_)
        void = true.void if self._ignores_void else None
        return {
            object_id: score_object(
                label_map == object_id, true.masks.get(object_id, nothing), void
            )
            for object_id in self._counted[frame_index]
        }
