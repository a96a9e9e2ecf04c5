"""``maskcast score``: score the masks of any method."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from maskcast.cli.arguments import (
    Folder,
    ListFile,
    Resolution,
    Split,
    Texts,
    repeatable,
    shown_as,
)
from maskcast.cli.datasets import ScoredDataset
from maskcast.cli.terminal import show
from maskcast.core.errors import UsageError


def score(
    dataset: ScoredDataset,
    *,
    root: Folder,
    results: Annotated[Path, shown_as("FOLDER|ZIP", None)],
    split: Split = None,
    videos: Annotated[Texts, repeatable("NAME")] = (),
    videos_from: ListFile = None,
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

    Predictions that are missing or unusable score 0 and are listed, and the exit code is 4. The
    rules of the benchmark decide which frames count, unless --skip-… or --keep-… is given.

        maskcast score davis2017 --root DAVIS --results masks.zip -o scores

    Args:
        dataset: name of the data set.
        root: folder of the data set, as unpacked; images may be missing. For folder also one with
            VIDEO/FRAME.png, the label maps alone.
        results: a folder or ZIP with VIDEO/FRAME.png, or with all frames of a video in
            VIDEO/masks.jsonl.gz or VIDEO/masks.zip; the videos may lie in subfolders.
        split: split to score; default: the validation split (val or valid). Others are train, test
            and test-dev.
        videos: score only this video.
        videos_from: score only the videos that this file lists, one name per line.
        output: folder for scores.json and scores.csv; if not given, only the table is printed.
        resolution: DAVIS only: 480p, 1080p or Full-Resolution.
        unseen: file that lists the unseen categories (YouTube-VOS) or videos (LVOS), one per line;
            default: taken from the training split's meta.json, or from unseen_videos.txt.
        count_extra_objects: count predicted ids that the ground truth does not have as objects.
        skip_first: skip the frame on which an object's mask was given, even if the rules of the
            data set count it.
        skip_last: skip the last annotated frame, even if the rules count it.
        keep_first: count the frame on which an object's mask was given, even if the rules skip it.
        keep_last: count the last annotated frame, even if the rules skip it.
        jobs: worker processes; default: one per CPU core.
    """
    from maskcast.cli.progress import TerminalProgress
    from maskcast.cli.tables import print_scores
    from maskcast.data.catalogue import DatasetChoice, protocol_of
    from maskcast.evaluation.score_results import score_results
    from maskcast.evaluation.verdict import raise_if_incomplete
    from maskcast.metrics.protocols import with_choices

    protocol = with_choices(
        protocol_of(dataset),
        skip_first=_choice("first", skip_first, keep_first),
        skip_last=_choice("last", skip_last, keep_last),
        count_extra_objects=count_extra_objects,
    )
    choice = DatasetChoice(
        name=dataset,
        root=root,
        split=split,
        resolution=resolution,
        videos=videos,
        videos_from=videos_from,
    )
    with TerminalProgress() as progress:
        scores = score_results(
            choice,
            results,
            protocol,
            output=output,
            unseen=unseen,
            jobs=jobs,
            progress=progress,
        )
    print_scores(scores)
    if output is not None:
        show(f"results: {output}")
    raise_if_incomplete(scores)


def _choice(which: str, skip: bool, keep: bool) -> bool | None:
    if skip and keep:
        raise UsageError(f"--skip-{which} and --keep-{which} exclude each other")
    return skip if skip or keep else None
