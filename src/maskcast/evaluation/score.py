"""Score predictions against the ground truth, frame by frame, with videos in parallel.

Each process has only one frame in memory, so videos may have any length.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing.context import BaseContext
from pathlib import Path

import numpy as np

from maskcast.core.arrays import MaskArray
from maskcast.core.errors import DataError, DatasetError, MaskcastError
from maskcast.core.progress import Progress
from maskcast.data.dataset import Annotation, Dataset, Video, listed
from maskcast.evaluation.exchanged_ids import exchanged_ids
from maskcast.evaluation.predictions import PredictedFrame, Predictions, reopened
from maskcast.metrics.frame import MISSED, FrameScore, score_object
from maskcast.metrics.protocols import ObjectScores, ScoringProtocol

FRAMES_PER_PROCESS = 150
"""Frames per process below which starting another process takes longer than it saves."""


@dataclass(frozen=True)
class VideoScores:
    """The scores of one video, and the problems in its predictions."""

    name: str
    objects: dict[int, ObjectScores]
    """Scores by object id, in ascending order."""
    missing: tuple[str, ...] = ()
    """Missing predictions as ``video/frame``; each scores 0."""
    faults: tuple[str, ...] = ()
    """Descriptions of unusable predictions; each scores 0."""
    extra_objects: dict[int, str] = field(default_factory=dict)
    """Predicted ids that are not in the ground truth, each with the first frame that has it."""
    frames_read: int = 0
    """Number of usable predictions."""
    wrong_names: tuple[str, ...] = ()
    """Descriptions of masks whose frames the data set does not have."""
    exchanged: str | None = None
    """A line about masks that fit an object with another id; None if there are none."""


def score_video(video: Video, predictions: Predictions, protocol: ScoringProtocol) -> VideoScores:
    """Score one video.

    Raises:
        DataError: the ground truth cannot be read. Problems in predictions are part of the result.
    """
    scoring = _VideoScoring(video, predictions, protocol)
    for frame_index in video.annotated_frames:
        scoring.take(frame_index)
    scores = scoring.result()
    return replace(
        scores,
        wrong_names=_wrong_names(video, predictions),
        exchanged=exchanged_ids(video, predictions, scores.objects),
    )


def _wrong_names(video: Video, predictions: Predictions) -> tuple[str, ...]:
    """Report masks of frames that the video does not have, if frames lack masks as well.

    Then the names are probably counted from another number. Without missing masks, the predictions
    have more frames than the data set shows, such as all frames of YouTube-VOS.
    """
    named = {name.rpartition("/")[2].removesuffix(".png") for name in predictions.masks_of(video)}
    frames = set(video.frame_names)
    strays = sorted(named - frames)
    if not strays or frames <= named:
        return ()
    lacking = next(name for name in video.frame_names if name not in named)
    return (
        f"{video.name} has masks of {listed(strays)}, which the data set does not have, and none "
        f"of {lacking}; name masks after the frames",
    )


def score_dataset(
    dataset: Dataset,
    predictions: Predictions,
    protocol: ScoringProtocol,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[VideoScores]:
    """Score all videos, and return the results in the order of the data set.

    Args:
        dataset: opened for scoring.
        predictions: predictions for its videos.
        protocol: rules of the benchmark.
        jobs: maximum number of worker processes; a script that uses more than one must guard its
            entry point with ``if __name__ == "__main__"``.
        progress: called after every finished video.

    Raises:
        DatasetError: the ground truth cannot be read, or has no frame to score.
        DataError: no prediction is usable.
    """
    frames = sum(len(video.annotation_files) for video in dataset)
    jobs = max(1, min(jobs, len(dataset), frames // FRAMES_PER_PROCESS))
    by_name: dict[str, VideoScores] = {}
    results = (
        _in_processes(dataset, predictions, protocol, jobs)
        if jobs > 1
        else (score_video(video, predictions, protocol) for video in dataset)
    )
    for scores in results:
        by_name[scores.name] = scores
        if progress is not None:
            progress("scoring", len(by_name), len(dataset))
    scored = [by_name[video.name] for video in dataset]
    _reject_nothing_scored(dataset, scored)
    return scored


def prepare_processes() -> None:
    """Start importing modules for worker processes in the background, before data are read."""
    if _context().get_start_method() == "forkserver":
        from multiprocessing import forkserver  # noqa: PLC0415 - not on Windows

        forkserver.ensure_running()


def _context() -> BaseContext:
    """Return a context that forks workers from a server with this module, or else spawns them."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _in_processes(
    dataset: Dataset, predictions: Predictions, protocol: ScoringProtocol, jobs: int
) -> Iterator[VideoScores]:
    """Yield the scores of videos as workers finish them; the longest videos start first."""
    longest_first = sorted(dataset, key=lambda video: -len(video.annotation_files))
    with ProcessPoolExecutor(jobs, mp_context=_context()) as pool:
        path, prefix = predictions.files.path, predictions.prefix
        waiting = [
            pool.submit(_score_reopened, video, path, prefix, protocol) for video in longest_first
        ]
        try:
            for done in as_completed(waiting):
                yield done.result()
        except BrokenProcessPool as error:
            raise MaskcastError(
                "a worker process died, usually because memory ran out; use fewer processes",
                options=("jobs",),
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _score_reopened(
    video: Video, path: Path, prefix: str, protocol: ScoringProtocol
) -> VideoScores:
    return score_video(video, reopened(path, prefix), protocol)


def _reject_nothing_scored(dataset: Dataset, scored: list[VideoScores]) -> None:
    if not any(curve.frame_names for scores in scored for curve in scores.objects.values()):
        raise DatasetError(
            f"{dataset.name} {dataset.split} in {dataset.root} has no frame to score: it has "
            "ground truth for the given masks only"
        )
    if any(scores.frames_read for scores in scored):
        return
    faults = [fault for scores in scored for fault in scores.faults]
    missing = [name for scores in scored for name in scores.missing]
    if faults:
        raise DataError.listing("no prediction can be used", faults)
    raise DataError(f"no scored frame has a prediction; the first one is {missing[0]}")


class _VideoScoring:
    """Scores a video in one pass over its frames; objects may be discovered on the way."""

    def __init__(self, video: Video, predictions: Predictions, protocol: ScoringProtocol) -> None:
        self._video = video
        self._predictions = predictions
        self._protocol = protocol
        self._counted: dict[int, frozenset[int]] = {}
        self._scores: dict[int, list[tuple[int, FrameScore]]] = {}
        self._missing: list[str] = []
        self._faults: list[str] = []
        self._extra: dict[int, int] = {}
        self._read = 0
        self._nothing: MaskArray = np.zeros(video.size, np.bool_)
        for item in video.declared or ():
            self._expect(item.object_id, item.first_frame, item.counted_frames)

    def take(self, frame_index: int) -> None:
        """Score the objects that count on one annotated frame."""
        undeclared = self._video.declared is None
        if not undeclared and not self._due(frame_index):
            return
        annotation = self._video.read_masks(frame_index)
        if undeclared:
            for object_id in annotation.masks:
                if object_id not in self._counted:
                    self._expect(object_id, frame_index)
        due = self._due(frame_index)
        if not due:
            return
        prediction = self._read_prediction(frame_index, due)
        for object_id in due:
            score = self._score(object_id, annotation, prediction)
            self._scores[object_id].append((frame_index, score))
        if prediction is not None:
            self._note_extra(frame_index, annotation, prediction)

    def result(self) -> VideoScores:
        extra = {i: frame for i, frame in self._extra.items() if i not in self._counted}
        kept = {*self._counted, *(extra if self._protocol.count_extra_objects else ())}
        names = self._video.frame_names
        return VideoScores(
            self._video.name,
            {object_id: self._curve(object_id) for object_id in sorted(kept)},
            tuple(self._missing),
            tuple(self._faults),
            {object_id: names[extra[object_id]] for object_id in sorted(extra)},
            self._read,
        )

    def _expect(
        self, object_id: int, first_frame: int, own_range: tuple[int, ...] | None = None
    ) -> None:
        counted = self._protocol.counted(
            self._video.annotated_frames, first_frame=first_frame, own_range=own_range
        )
        self._counted[object_id] = frozenset(counted)
        self._scores[object_id] = []

    def _due(self, frame_index: int) -> list[int]:
        return [object_id for object_id, frames in self._counted.items() if frame_index in frames]

    def _read_prediction(self, frame_index: int, due: list[int]) -> PredictedFrame | None:
        where = f"{self._video.name}/{self._video.frame_names[frame_index]}"
        try:
            prediction = self._predictions.read(self._video, frame_index)
        except DataError as error:
            self._faults.append(str(error))
            return None
        if prediction is None:
            self._missing.append(where)
            return None
        self._read += 1
        for object_id in due:
            if not prediction.has(object_id):
                self._missing.append(f"{where} of object {self._name(object_id)}")
        return prediction

    def _score(
        self, object_id: int, annotation: Annotation, prediction: PredictedFrame | None
    ) -> FrameScore:
        if prediction is None or not prediction.has(object_id):
            return MISSED
        void = annotation.void if self._protocol.void == "ignored" else None
        true = annotation.masks.get(object_id, self._nothing)
        return score_object(prediction.mask_of(object_id), true, void)

    def _note_extra(
        self, frame_index: int, annotation: Annotation, prediction: PredictedFrame
    ) -> None:
        """Record ids that are not in the ground truth so far.

        ``result`` drops those that appear in the ground truth later.
        """
        for object_id in prediction.ids:
            if object_id not in self._counted:
                self._extra.setdefault(object_id, frame_index)
                self._scores.setdefault(object_id, [])
        if not self._protocol.count_extra_objects:
            return
        for object_id in self._extra:
            if object_id not in self._counted:
                score = self._score(object_id, annotation, prediction)
                self._scores[object_id].append((frame_index, score))

    def _curve(self, object_id: int) -> ObjectScores:
        scores = self._scores[object_id]
        values = np.array([score for _, score in scores], np.float64).reshape(-1, 2)
        names = tuple(self._video.frame_names[frame_index] for frame_index, _ in scores)
        return ObjectScores(names, values[:, 0], values[:, 1])

    def _name(self, object_id: int) -> str:
        return self._video.object_names.get(object_id, str(object_id))
