"""``maskcast score``: score the masks of any method."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from maskcast.cli.arguments import Folder, ListFile, Resolution, Split, shown_as
from maskcast.cli.datasets import ScoredDataset
from maskcast.core.errors import UsageError


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
        results: a folder or a ZIP with VIDEO/FRAME.png, or all frames of a video in
            VIDEO/masks.jsonl.gz or VIDEO/masks.zip; any folders may lie above the videos.
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
    choice = DatasetChoice(name=dataset, root=root, split=split, resolution=resolution)
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
    raise_if_incomplete(scores)


def _choice(which: str, skip: bool, keep: bool) -> bool | None:
    if skip and keep:
        raise UsageError(f"--skip-{which} and --keep-{which} exclude each other")
    return skip if skip or keep else None
