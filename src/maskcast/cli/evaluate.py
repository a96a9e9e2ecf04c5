"""``maskcast evaluate``: segment the videos of a data set and score the masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from maskcast.cli.arguments import (
    Device,
    Folder,
    ListFile,
    MethodName,
    Options,
    Resolution,
    Split,
    Texts,
    WeightsArgument,
    repeatable,
    shown_as,
)
from maskcast.cli.datasets import AnyDataset
from maskcast.cli.terminal import say, show
from maskcast.core.config import options_from
from maskcast.core.device_names import DeviceName, DtypeName
from maskcast.core.errors import UsageError

if TYPE_CHECKING:
    from maskcast.evaluation.baselines import BaselineSource
    from maskcast.evaluation.run import ProcessingTime
    from maskcast.evaluation.scores import Scores
    from maskcast.methods.spec import SegmenterSpec

OPTION_GROUPS = {
    "data set": (
        "--root",
        "--split",
        "--videos",
        "--videos-from",
        "--resolution",
        "--all-frames",
        "--unseen",
    ),
    "method": ("--weights", "--method", "--option"),
    "prompts": ("--init", "--box-jitter", "--corrections"),
    "output": ("--output",),
    "machine": ("--jobs", "--device", "--dtype"),
    "other": (),
}


def evaluate(
    dataset: AnyDataset,
    *,
    root: Folder,
    output: Annotated[Path, shown_as("FOLDER", None, short="-o")],
    split: Split = None,
    weights: WeightsArgument = None,
    method: MethodName = None,
    option: Options = (),
    init: Literal["mask", "box"] = "mask",
    box_jitter: Annotated[float, shown_as("SHARE", None)] = 0.0,
    corrections: Annotated[int, shown_as("COUNT", None)] = 0,
    videos: Annotated[Texts, repeatable("NAME")] = (),
    videos_from: ListFile = None,
    resolution: Resolution = None,
    all_frames: bool = False,
    unseen: ListFile = None,
    jobs: Annotated[int, shown_as("COUNT", None)] = 1,
    device: Device = "auto",
    dtype: DtypeName = "float32",
) -> None:
    """Segment every video of a data set and score the masks.

    Run the same command again to continue with the unfinished videos. The frame on which an object
    is given does not count in the scores. Where the ground truth is not public, the masks are
    written but not scored; build an archive for the server with maskcast submit. Compare runs with
    maskcast report.

    Examples: a benchmark; your own videos, started from boxes; what copying the first mask would
    give:
        maskcast evaluate davis2017 --root DAVIS -o runs/davis17
        maskcast evaluate folder --root videos --init box -o runs/mine
        maskcast evaluate davis2017 --root DAVIS --method copy-first -o runs/copied

    Args:
        dataset: name of the data set.
        root: folder of the data set, as unpacked.
        output: run folder, for the masks, scores.json, scores.csv and the time per video.
        split: split to segment; default: the validation split (val or valid). Others are train,
            test and test-dev.
        weights: name or file of the weights, which also select the method; default: lwl-small,
            which is part of the package.
        method: a method, run with its default weights; or a baseline, copy-first or shift-first,
            which copies or moves the first mask.
        option: NAME=VALUE, a setting of the method; maskcast info METHOD lists the settings.
        init: start from the given masks, or from tight boxes around them.
        box_jitter: with --init box, move each side of a box by up to this share of its width or
            height, as a person's boxes are never exact; the same at every call.
        corrections: afterwards, correct the worst frame of every video this many times with its
            true masks, segmenting again from there, and show the scores after each correction.
        videos: segment only this video.
        videos_from: segment only the videos that this file lists, one name per line.
        resolution: DAVIS only: 480p, 1080p or Full-Resolution.
        all_frames: YouTube-VOS only: use the images at 30 frames per second.
        unseen: file that lists the unseen categories (YouTube-VOS) or videos (LVOS), one per line;
            default: taken from the training split's meta.json, or from unseen_videos.txt.
        jobs: worker processes for segmenting, each with its own copy of the model, and for scoring.
        device: auto (a GPU if there is one), cpu, cuda, a specific GPU (cuda:1) or mps.
        dtype: data type of the network's computation; float32 never uses TF32, not even on a GPU.
    """
    from maskcast.cli.progress import TerminalProgress
    from maskcast.cli.tables import print_corrections, print_scores
    from maskcast.data.catalogue import DatasetChoice
    from maskcast.evaluation.evaluate import evaluate_dataset
    from maskcast.evaluation.starts import Start
    from maskcast.evaluation.verdict import raise_if_incomplete

    source = _source(weights, method, options_from(option), device=device, dtype=dtype)
    choice = DatasetChoice(
        name=dataset,
        root=root,
        split=split,
        resolution=resolution,
        all_frames=all_frames,
        videos=videos,
        videos_from=videos_from,
    )
    with TerminalProgress() as progress:
        made = evaluate_dataset(
            choice,
            source,
            output,
            start=Start(init, box_jitter),
            corrections=corrections,
            unseen=unseen,
            jobs=jobs,
            weights=weights,
            published=_published(source),
            progress=progress,
        )
    if made.scores is None:
        say(
            f"the ground truth is not public; the masks are in {made.masks}; build a submission "
            f"with maskcast submit {dataset}"
        )
        _print_speed(made.timing)
        return
    print_scores(made.scores)
    if made.corrections is not None:
        print_corrections(made.corrections)
    _print_speed(made.timing)
    _print_published(made.scores)
    show(f"results: {output}")
    raise_if_incomplete(made.scores)


def _source(
    weights: str | None,
    method: str | None,
    options: Mapping[str, str],
    *,
    device: DeviceName,
    dtype: DtypeName,
) -> SegmenterSpec | BaselineSource:
    from maskcast.core.device import choose_device
    from maskcast.evaluation.baselines import BASELINES, BaselineSource
    from maskcast.methods.catalogue import METHODS
    from maskcast.methods.spec import SegmenterSpec

    if method is not None and method in BASELINES:
        if weights is not None or options:
            raise UsageError(f"the baseline {method} takes neither weights nor options")
        return BaselineSource(method)
    if method is not None and method not in METHODS:
        known = ", ".join([*METHODS, *BASELINES])
        raise UsageError(f"unknown method {method!r}; available: {known}", options=("method",))
    chosen = str(choose_device(device))  # the same one in every process
    return SegmenterSpec(
        weights=weights, method=method, options=options, device=chosen, dtype=dtype
    )


def _published(source: SegmenterSpec | BaselineSource) -> str | None:
    """Return the name of the published weights that a source uses; None if it uses others."""
    from maskcast.methods.catalogue import choose_weights
    from maskcast.methods.published_weights import published_name
    from maskcast.methods.spec import SegmenterSpec

    if not isinstance(source, SegmenterSpec):
        return None
    return published_name(choose_weights(source.weights, source.method))


def _print_published(scores: Scores) -> None:
    """Print what papers report for exactly this configuration, and the figures of this run."""
    from maskcast.evaluation.published import published_rows
    from maskcast.evaluation.published_table import own_figures, printed_figures

    for row in published_rows(ablations=True):
        if row.is_reproduced_by(scores):
            print(f"{row.name}, {row.paper}, {row.table}: {printed_figures(row)}")
            print(f"here: {own_figures(row, scores)}")


def _print_speed(timing: ProcessingTime) -> None:
    from maskcast.evaluation.run import speed

    figures = speed(timing)
    model = figures["model_frames_per_second"]
    whole = figures["end_to_end_frames_per_second"]
    per_object = figures["model_seconds_per_object_frame"]
    print(
        f"speed: {model or 0:.2f} frames/s model only, {whole or 0:.2f} frames/s with reading and "
        f"writing, {1000 * (per_object or 0):.1f} ms per object and frame"
    )
