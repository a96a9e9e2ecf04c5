"""``maskcast evaluate``: run a segmenter over a data set and score what it found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import UseAppendAction

from maskcast.cli.arguments import (
    Device,
    Folder,
    ListFile,
    MethodName,
    Options,
    Resolution,
    Split,
    Weights,
    shown_as,
)
from maskcast.cli.datasets import AnyDataset
from maskcast.cli.terminal import say
from maskcast.core.config import options_from
from maskcast.core.device_names import DeviceName, DtypeName
from maskcast.core.errors import UsageError

if TYPE_CHECKING:
    from maskcast.evaluation.baselines import BaselineSource
    from maskcast.evaluation.run import ProcessingTime
    from maskcast.evaluation.scores import Scores
    from maskcast.methods.spec import SegmenterSpec


def evaluate(
    dataset: AnyDataset,
    *,
    root: Folder,
    output: Annotated[Path, shown_as("FOLDER", None, short="-o")],
    split: Split = None,
    weights: Weights = None,
    method: MethodName = None,
    option: Options = (),
    init: Literal["mask", "box"] = "mask",
    videos: Annotated[UseAppendAction[tuple[str, ...]], shown_as("NAME", "(repeatable)")] = (),
    resolution: Resolution = None,
    all_frames: bool = False,
    unseen: ListFile = None,
    jobs: Annotated[int, shown_as("COUNT", None)] = 1,
    device: Device = "auto",
    dtype: DtypeName = "float32",
) -> None:
    """Segment every video of a data set and score the masks.

    The same command again goes on with the videos that are not finished. Scores leave out the frame
    on which an object is given. Where the truth is on a server, the masks are left for maskcast
    submit. Compare runs with maskcast report.

    A benchmark; videos of your own, from boxes; what copying the first mask would give:
        maskcast evaluate davis2017 --root DAVIS -o runs/davis17
        maskcast evaluate folder --root videos --init box -o runs/mine
        maskcast evaluate davis2017 --root DAVIS --method copy-first -o runs/copied

    Args:
        dataset: the name of a data set.
        root: where the data set lies, as it is unpacked.
        output: the run: masks, scores.json, scores.csv, and how long each video took.
        split: by default the validation split (val or valid); others are train, test, test-dev.
        weights: name or file; they say which method to run. Default: lwl-small, inside the package.
        method: a method's name, to take its default weights; or one of the baselines copy-first
            and shift-first, which copy or move the first mask.
        option: NAME=VALUE, a setting of the method; maskcast info METHOD lists them.
        init: start from the given masks, or from tight boxes around them.
        videos: only this video.
        resolution: of DAVIS: 480p, 1080p or Full-Resolution.
        all_frames: of YouTube-VOS: the images at 30 frames per second.
        unseen: a list of the unseen categories (YouTube-VOS) or videos (LVOS), one a line; by
            default the training split's meta.json, or unseen_videos.txt.
        jobs: processes, each with its own copy of the model; also for the scoring.
        device: auto (an accelerator if there is one), cpu, cuda, a certain card (cuda:1) or mps.
        dtype: of the network's computation; float32 is float32 on a GPU too, without TF32.
    """
    from maskcast.cli.progress import TerminalProgress
    from maskcast.cli.tables import print_scores
    from maskcast.data.catalogue import DatasetChoice
    from maskcast.evaluation.evaluate import evaluate_dataset
    from maskcast.evaluation.verdict import raise_if_incomplete

    source = _source(weights, method, options_from(option), device=device, dtype=dtype)
    choice = DatasetChoice(
        name=dataset,
        root=root,
        split=split,
        resolution=resolution,
        all_frames=all_frames,
        videos=videos,
    )
    with TerminalProgress() as progress:
        made = evaluate_dataset(
            choice,
            source,
            output,
            init=init,
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
    _print_speed(made.timing)
    _print_published(made.scores)
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
    place = str(choose_device(device))  # the same one in every process
    return SegmenterSpec(weights=weights, method=method, options=options, device=place, dtype=dtype)


def _published(source: SegmenterSpec | BaselineSource) -> str | None:
    """Return the name of the authors' weights, if it is these."""
    from maskcast.methods.catalogue import choose_weights
    from maskcast.methods.published_weights import published_name
    from maskcast.methods.spec import SegmenterSpec

    if not isinstance(source, SegmenterSpec):
        return None
    return published_name(choose_weights(source.weights, source.method))


def _print_published(scores: Scores) -> None:
    """Print what the paper reports for exactly this run, next to its own figures."""
    from maskcast.evaluation.published import published_rows
    from maskcast.evaluation.published_table import own_figures, printed_figures

    for row in published_rows():
        if row.is_reproduced_by(scores):
            print(f"{row.name}, {row.paper}, {row.place}: {printed_figures(row)}")
            print(f"here: {own_figures(row, scores)}")


def _print_speed(timing: ProcessingTime) -> None:
    from maskcast.evaluation.run import speed

    figures = speed(timing)
    model = figures["model_frames_per_second"]
    whole = figures["end_to_end_frames_per_second"]
    each = figures["model_seconds_per_object_frame"]
    print(
        f"speed: {model or 0:.2f} frames/s model only, {whole or 0:.2f} frames/s with reading and "
        f"writing, {1000 * (each or 0):.1f} ms for one object on a frame"
    )
