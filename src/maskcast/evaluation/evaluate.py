"""The use case of ``maskcast evaluate``: a data set from its videos to scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maskcast.core.errors import DatasetError
from maskcast.core.files import alone_in, check_writable
from maskcast.core.progress import Progress
from maskcast.core.segmenter import SegmenterIdentity, SegmenterSource
from maskcast.data.catalogue import DatasetChoice, benchmark_of, protocol_of
from maskcast.data.dataset import Dataset
from maskcast.evaluation.groups import groups_of
from maskcast.evaluation.run import Init, ProcessingTime, masks_folder, segment_dataset, speed
from maskcast.evaluation.score_results import Scoring, check_jobs
from maskcast.evaluation.scores import Scores


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation has made."""

    masks: Path
    """The folder with one folder of masks per video."""
    timing: ProcessingTime
    """What all videos together took."""
    scores: Scores | None
    """None if the ground truth is not public."""


def evaluate_dataset(
    choice: DatasetChoice,
    source: SegmenterSource,
    output: Path,
    *,
    init: Init = "mask",
    unseen: Path | None = None,
    jobs: int = 1,
    weights: str | None = None,
    published: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Segment the videos of a data set that ``output`` does not have yet, and score all of them.

    Scores leave out the frame on which an object is given. Everything that can be wrong with the
    data set is found before the first video is segmented.

    Args:
        choice: which videos of which data set.
        source: builds the segmenter, in every process.
        output: the folder for masks, timing and scores; see ``evaluation.run`` for its layout.
        init: start from the given masks, or from tight boxes around them.
        unseen: a list of unseen categories or videos; see ``evaluation.groups``.
        jobs: processes, each with its own copy of the model; also for scoring.
        weights: how ``evaluation.json`` names the weights; by default as their identity does.
        published: the name of the authors' weights, if it is these; for ``scores.json``.
        progress: called after every segmented and every scored video.

    Raises:
        UsageError: an argument is out of range or does not fit the data set.
        DatasetError: the data set is incomplete.
        RunConflictError: ``output`` holds something else, or another process is working there.
        OutputError: ``output`` cannot be written.
        MaskcastError: from the segmenter; finished videos stay.
        KeyboardInterrupt: likewise.
    """
    check_jobs(jobs)
    request = _request(source.identity(uses_boxes=init == "box"), weights)
    check_writable(output)
    dataset = choice.open("segment")
    scoring = _scoring_of(choice, dataset, unseen)
    with alone_in(output):
        try:
            timing = segment_dataset(
                source, dataset, output, request=request, init=init, jobs=jobs, progress=progress
            )
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(
                "interrupted; run again to continue with the unfinished videos"
            ) from interrupt
        masks = masks_folder(output, dataset)
        if scoring is None:
            return Evaluation(masks, timing, None)
        scores = scoring.score(masks, jobs=jobs, progress=progress)
        made_by = request | {"init": init, "published": published}
        scores = scores.with_entries(run=made_by, speed=speed(timing))
        scores.write(output)
    return Evaluation(masks, timing, scores)


def _scoring_of(choice: DatasetChoice, dataset: Dataset, unseen: Path | None) -> Scoring | None:
    """Open the data set for scoring; None if the ground truth of this split is not public."""
    try:
        truth = choice.open("score")
    except DatasetError:
        if dataset.split in benchmark_of(choice.name).hidden:
            return None
        raise
    protocol = replace(protocol_of(truth.name), skip_first=True)
    return Scoring(truth, protocol, groups_of(truth, unseen))


def _request(identity: SegmenterIdentity, weights: str | None) -> dict[str, Any]:
    """Return what decides the masks, for ``evaluation.json``."""
    return {
        "method": identity.method,
        "weights": identity.weights if weights is None else weights,
        "weights_sha256": identity.weights_sha256,
        "options": dict(identity.options),
        "dtype": identity.dtype,
    }
