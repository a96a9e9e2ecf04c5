"""``maskcast score``: score the masks of any method."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from maskcast.cli.arguments import Folder, ListFile, Resolution, Split, shown_as
from maskcast.cli.datasets import ScoredDataset
from maskcast.cli.progress import TerminalProgress
from maskcast.cli.tables import print_scores
from maskcast.core.errors import OutputError, PartialResultError, UsageError
from maskcast.core.processors import processor_count
from maskcast.data.catalogue import open_dataset, protocol_of
from maskcast.data.dataset import Dataset
from maskcast.evaluation.groups import groups_of
from maskcast.evaluation.predictions import open_predictions
from maskcast.evaluation.score import prepare_processes, score_dataset
from maskcast.evaluation.scores import Scores, make_scores
from maskcast.evaluation.verdict import shortcomings
from maskcast.metrics.protocols import Group, ScoringProtocol, with_choices


def score(
    dataset: ScoredDataset,
    *,
    root: Folder,
    results: Annotated[Path, shown_as("FOLDER|ZIP", None)],
    split: Split = None,
    output: Annotated[Path | None, shown_as("FOLDER", short="-o")] = None,
    resolution: Resolution = None,
    unseen: ListFile = None,
    count_extra_objects: bool = False,
    skip_first: bool = False,
    skip_last: bool = False,
    keep_first: bool = False,
    keep_last: bool = False,
    jobs: Annotated[int | None, shown_as("COUNT")] = None,
) -> None:
    """Score predicted masks by the rules of a benchmark.

    Predictions that are missing or cannot be used are worth 0 and are listed, with exit code 4.
    Which frames count is as the benchmark has it; --skip-… and --keep-… change that.

        maskcast score davis2017 --root DAVIS --results masks.zip -o scores

    Args:
        dataset: the name of a data set.
        root: where the data set lies, as it is unpacked.
        results: a folder or a ZIP with VIDEO/FRAME.png; any folders may lie above the videos.
        split: by default the validation split (val or valid); others are train, test, test-dev.
        output: where scores.json and scores.csv go; without it only the table is printed.
        resolution: of DAVIS: 480p, 1080p or Full-Resolution.
        unseen: a list of the unseen categories (YouTube-VOS) or videos (LVOS), one a line; by
            default the training split's meta.json, or unseen_videos.txt.
        count_extra_objects: let predicted ids that the truth does not have count as objects.
        skip_first: leave out the frame on which an object's mask was given, where the rules of the
            data set count it.
        skip_last: leave out the last annotated frame, where the rules count it.
        keep_first: count the frame on which an object's mask was given, where the rules leave it
            out.
        keep_last: count the last annotated frame, where the rules leave it out.
        jobs: processes; by default one for each processor.
    """
    refuse_no_processes(jobs)
    protocol = protocol_of(dataset)
    protocol = with_choices(
        protocol,
        skip_first=_choice("first", skip_first, keep_first),
        skip_last=_choice("last", skip_last, keep_last),
    )
    if count_extra_objects and protocol.grouped:
        raise UsageError(f"{protocol.name} averages over groups, to which extra ids do not belong")
    protocol = replace(protocol, count_extra_objects=count_extra_objects)
    if output is not None:
        refuse_unwritable(output)
    if jobs != 1:
        prepare_processes()
    opened = open_dataset(dataset, root, split=split, purpose="score", resolution=resolution)
    groups = groups_of(opened, unseen)
    scores = score_and_sum_up(opened, results, protocol, groups, jobs=jobs)
    if output is not None:
        scores.write(output)
    print_scores(scores)
    refuse_shortcomings(scores)


def score_and_sum_up(
    dataset: Dataset,
    results: Path,
    protocol: ScoringProtocol,
    groups: Mapping[str, Group] | None,
    *,
    jobs: int | None = None,
) -> Scores:
    """Score a folder or a ZIP with progress on the terminal."""
    predictions = open_predictions(results, [video.name for video in dataset])
    with TerminalProgress() as progress:
        scored = score_dataset(
            dataset,
            predictions,
            protocol,
            jobs=jobs or processor_count(),
            progress=progress,
        )
    return make_scores(dataset, scored, protocol, results=str(results.absolute()), groups=groups)


def _choice(which: str, skip: bool, keep: bool) -> bool | None:
    if skip and keep:
        raise UsageError(f"--skip-{which} and --keep-{which} exclude each other")
    return skip if skip or keep else None


def refuse_shortcomings(scores: Scores) -> None:
    """Raise ``PartialResultError`` if something was missing or faulty."""
    message = shortcomings(scores)
    if message is not None:
        raise PartialResultError(message)


def refuse_no_processes(jobs: int | None) -> None:
    """Raise ``UsageError`` for fewer processes than one."""
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs is at least 1, got {jobs}")


def refuse_unwritable(folder: Path) -> None:
    """Raise ``OutputError`` before hours of work whose result could not be written."""
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not existing.is_dir():
        raise OutputError(f"cannot write into {folder}: {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write into {folder}: {existing} is not writable")
