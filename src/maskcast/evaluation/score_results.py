"""The use case of ``maskcast score``: score the masks of any method. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maskcast.core.errors import UsageError
from maskcast.core.files import check_writable
from maskcast.core.processors import processor_count
from maskcast.core.progress import Progress
from maskcast.data.catalogue import DatasetChoice
from maskcast.data.dataset import Dataset
from maskcast.evaluation.groups import groups_of
from maskcast.evaluation.predictions import open_predictions
from maskcast.evaluation.score import prepare_processes, score_dataset
from maskcast.evaluation.scores import Scores, make_scores
from maskcast.metrics.protocols import Group, ScoringProtocol


@dataclass(frozen=True)
class Scoring:
    """Everything that scoring needs except the masks."""

    ground_truth: Dataset
    """Data set, opened for scoring."""
    protocol: ScoringProtocol
    groups: Mapping[str, Group] | None
    """Group of each object by ``video_id``; None if the data set has no groups."""

    def score(self, results: Path, *, jobs: int | None, progress: Progress | None) -> Scores:
        """Score a folder or a ZIP of masks.

        Raises:
            DatasetError, DataError: the ground truth cannot be read, or no mask is usable.
        """
        scored = score_dataset(
            self.ground_truth,
            open_predictions(results, [video.name for video in self.ground_truth]),
            self.protocol,
            jobs=jobs or processor_count(),
            progress=progress,
        )
        where = str(results.absolute())
        return make_scores(
            self.ground_truth, scored, self.protocol, results=where, groups=self.groups
        )


def score_results(
    choice: DatasetChoice,
    results: Path,
    protocol: ScoringProtocol,
    *,
    output: Path | None = None,
    unseen: Path | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Score the masks of any method.

    Args:
        choice: the data set.
        results: a folder or a ZIP with ``VIDEO/FRAME.png``.
        protocol: rules of the benchmark (``data.catalogue.protocol_of``), possibly changed.
        output: folder for ``scores.json`` and ``scores.csv``; None writes nothing.
        unseen: file that lists unseen categories or videos; see ``evaluation.groups``.
        jobs: worker processes; default: one per CPU core.
        progress: called after every video.

    Raises:
        UsageError: an argument is out of range or does not fit the data set.
        DatasetError: the data set is incomplete.
        DataError: no mask is usable.
        OutputError: ``output`` cannot be written.
    """
    check_jobs(jobs)
    if output is not None:
        check_writable(output)
    if jobs != 1:
        prepare_processes()
    ground_truth = choice.open("score")
    scoring = Scoring(ground_truth, protocol, groups_of(ground_truth, unseen))
    scores = scoring.score(results, jobs=jobs, progress=progress)
    if output is not None:
        scores.write(output)
    return scores


def check_jobs(jobs: int | None) -> None:
    """Raise ``UsageError`` if the number of worker processes is below 1; None is accepted."""
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs must be at least 1, got {jobs}", options=("jobs",))
