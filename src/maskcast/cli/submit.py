"""``maskcast submit``: build or check the archive for a benchmark's server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from maskcast.cli.arguments import Resolution, Split, shown_as
from maskcast.cli.datasets import SubmittedDataset
from maskcast.cli.terminal import say
from maskcast.core.errors import DataError, UsageError
from maskcast.core.numbers import counted

if TYPE_CHECKING:
    from maskcast.data.dataset import Dataset


def submit(
    dataset: SubmittedDataset = None,
    *,
    root: Annotated[Path | None, shown_as("FOLDER")] = None,
    split: Split = None,
    results: Annotated[Path | None, shown_as("FOLDER|ZIP")] = None,
    output: Annotated[Path | None, shown_as("FILE.zip", short="-o")] = None,
    check: Annotated[Path | None, shown_as("FILE.zip")] = None,
    resolution: Resolution = None,
    all_frames: bool = False,
) -> None:
    """Build the archive that a benchmark's server expects, or check an archive.

    Examples: build an archive from a run; check one, which lists every problem (exit code 3):
        maskcast submit davis2017 --split test-dev --root DAVIS --results runs/a/masks -o a.zip
        maskcast submit davis2017 --split test-dev --root DAVIS --check a.zip

    Args:
        dataset: name of the data set.
        root: folder of the data set, which determines what the archive must contain.
        split: split to submit; default: the validation split. DAVIS also has test-dev and
            test-challenge.
        results: a folder or ZIP with the masks, such as RUN/masks.
        output: the archive to write.
        check: check this archive instead of building one; if DATASET and --root are not given, only
            its format is checked.
        resolution: DAVIS only: 480p, 1080p or Full-Resolution.
        all_frames: YouTube-VOS only: use the images at 30 frames per second.
    """
    from maskcast.data.catalogue import open_dataset
    from maskcast.evaluation.submission import around_videos, build_submission, check_submission

    if dataset is not None:
        around_videos(dataset)  # before any file is read
    opened: Dataset | None = None
    if dataset is not None and root is not None:
        opened = open_dataset(
            dataset, root, split=split, resolution=resolution, all_frames=all_frames
        )
    elif root is not None or split is not None or resolution is not None or all_frames:
        raise UsageError("the expected content of an archive requires both DATASET and --root")
    if check is not None:
        if results is not None or output is not None:
            raise UsageError("--check excludes --results and --output, which build an archive")
        _check(check, opened, dataset)
        return
    if opened is None or results is None or output is None:
        raise UsageError(
            "building an archive requires DATASET, --root, --results and --output FILE.zip"
        )
    count = build_submission(opened, results, output)
    faults = check_submission(output, opened)
    if faults:
        raise AssertionError(f"the archive just built has problems: {faults}")
    print(f"{output}: {counted(count, 'mask')} of {counted(len(opened), 'video')}")


def _check(path: Path, dataset: Dataset | None, name: str | None) -> None:
    from maskcast.evaluation.submission import check_submission

    faults = check_submission(path, dataset, name)
    if dataset is None:
        say("missing and extra videos, frames and ids are only checked with DATASET and --root")
    if faults:
        count = "1 problem" if len(faults) == 1 else f"{len(faults)} problems"
        raise DataError.listing(f"{path} has {count}", faults)
    print(f"{path}: no problems found")
