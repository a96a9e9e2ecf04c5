"""The use case of ``maskcast evaluate``: segment the videos of a data set and score the masks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maskcast.core.errors import DatasetError, UsageError
from maskcast.core.files import alone_in, check_writable
from maskcast.core.progress import Progress
from maskcast.core.segmenter import SegmenterIdentity, SegmenterSource
from maskcast.data.catalogue import DatasetChoice, benchmark_of, protocol_of
from maskcast.data.dataset import Dataset
from maskcast.evaluation.correction_curve import CorrectionCurve, measure_corrections
from maskcast.evaluation.groups import groups_of
from maskcast.evaluation.run import ProcessingTime, masks_folder, segment_dataset, speed
from maskcast.evaluation.score_results import Scoring, check_jobs
from maskcast.evaluation.scores import Scores
from maskcast.evaluation.starts import FROM_MASKS, Start


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation."""

    masks: Path
    """Folder with one folder of masks per video."""
    timing: ProcessingTime
    """Processing time of all videos together."""
    scores: Scores | None
    """Scores; None if the ground truth is not public."""
    corrections: CorrectionCurve | None = None
    """Effect of corrections; None if none were requested."""


def evaluate_dataset(
    choice: DatasetChoice,
    source: SegmenterSource,
    output: Path,
    *,
    start: Start = FROM_MASKS,
    corrections: int = 0,
    unseen: Path | None = None,
    jobs: int = 1,
    weights: str | None = None,
    published: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Segment the videos of a data set that are not yet finished in ``output``, and score all.

    The frame on which an object is given does not count in the scores. The data set is checked
    completely before the first video is segmented.

    Args:
        choice: data set, split and videos.
        source: builds the segmenter, once in every process.
        output: folder for masks, timing and scores; see ``evaluation.run`` for its layout.
        start: how objects are given on their first frames.
        corrections: largest number of frames per video that a simulated annotator corrects, after
            the videos are scored without corrections; see ``evaluation.corrections``.
        unseen: file that lists unseen categories or videos; see ``evaluation.groups``.
        jobs: worker processes for segmenting, each with its own copy of the model, and for scoring.
        weights: name of the weights in ``evaluation.json``; default: the name in their identity.
        published: name of the published weights that the source uses, for ``scores.json``; None if
            it uses others.
        progress: called after every segmented and every scored video.

    Raises:
        UsageError: an argument is out of range or does not fit the data set.
        DatasetError: the data set is incomplete.
        RunConflictError: ``output`` holds something else, or another process is writing to it.
        OutputError: ``output`` cannot be written.
        MaskcastError: the segmenter failed; finished videos are kept.
        KeyboardInterrupt: the evaluation was interrupted; finished videos are kept.
    """
    check_jobs(jobs)
    if corrections < 0:
        raise UsageError(
            f"the number of corrections must be at least 0, got {corrections}",
            options=("corrections",),
        )
    request = _request(source.identity(uses_boxes=start.init == "box"), weights)
    check_writable(output)
    dataset = choice.open("segment")
    scoring = _scoring_of(choice, dataset, unseen)
    if corrections and scoring is None:
        raise UsageError(
            "corrections need ground truth, which is not public for this split",
            options=("corrections",),
        )
    with alone_in(output):
        try:
            timing = segment_dataset(
                source, dataset, output, request=request, start=start, jobs=jobs, progress=progress
            )
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(
                "interrupted; run again to continue with the unfinished videos"
            ) from interrupt
        masks = masks_folder(output, dataset)
        if scoring is None:
            return Evaluation(masks, timing, None)
        scores = scoring.score(masks, jobs=jobs, progress=progress)
        made_by = request | start.request | {"published": published}
        scores = scores.with_entries(run=made_by, speed=speed(timing))
        scores.write(output)
        if not corrections:
            return Evaluation(masks, timing, scores)
        curve = measure_corrections(
            source,
            dataset,
            scoring.ground_truth,
            scoring.protocol,
            output,
            corrections=corrections,
            start=start,
            progress=progress,
        )
    return Evaluation(masks, timing, scores, curve)


def _scoring_of(choice: DatasetChoice, dataset: Dataset, unseen: Path | None) -> Scoring | None:
    """Open the data set for scoring; None if the ground truth of this split is not public."""
    try:
        ground_truth = choice.open("score")
    except DatasetError:
        if dataset.split in benchmark_of(choice.name).hidden:
            return None
        raise
    protocol = replace(protocol_of(ground_truth.name), skip_first=True)
    return Scoring(ground_truth, protocol, groups_of(ground_truth, unseen))


def _request(identity: SegmenterIdentity, weights: str | None) -> dict[str, Any]:
    """Return what determines the masks, for ``evaluation.json``."""
    return {
        "method": identity.method,
        "weights": identity.weights if weights is None else weights,
        "weights_sha256": identity.weights_sha256,
        "options": dict(identity.options),
        "dtype": identity.dtype,
    }
