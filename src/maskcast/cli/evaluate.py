"""``maskcast evaluate``: run a segmenter over a data set and score what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

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
from maskcast.cli.progress import TerminalProgress
from maskcast.cli.score import (
    refuse_no_processes,
    refuse_shortcomings,
    refuse_unwritable,
    score_and_sum_up,
)
from maskcast.cli.tables import print_scores
from maskcast.cli.terminal import say
from maskcast.core.config import options_from
from maskcast.core.device import DtypeName, choose_device
from maskcast.core.errors import DatasetError, MaskcastError, UsageError
from maskcast.core.segmenter import SegmenterIdentity, SegmenterSource, VideoSegmenter
from maskcast.data.catalogue import DATASETS, open_dataset, protocol_of
from maskcast.data.dataset import Dataset
from maskcast.evaluation.baselines import BASELINES, BaselineSource
from maskcast.evaluation.groups import groups_of
from maskcast.evaluation.published import published_rows
from maskcast.evaluation.published_table import (
    CHECKOUT_TABLE,
    fill_published_table,
    own_figures,
    printed_figures,
)
from maskcast.evaluation.run import Init, Timing, masks_folder, segment_dataset, speed
from maskcast.evaluation.scores import Scores
from maskcast.io.files import alone_in
from maskcast.methods.catalogue import METHODS, choose_weights
from maskcast.methods.published_weights import published_name
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
    init: Init = "mask",
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
    refuse_no_processes(jobs)
    place = str(choose_device(device))
    source = _choose(weights, method, options_from(option), device=place, dtype=dtype)
    identity = source.identity(uses_boxes=init == "box")
    request = _request(identity, weights)
    published = _published(weights, identity)
    refuse_unwritable(output)
    open_for = partial(
        open_dataset, dataset, root, split=split, resolution=resolution, all_frames=all_frames
    )
    opened = open_for(purpose="segment")
    truth = _truth(open_for, is_hidden=opened.split in DATASETS[dataset].hidden)
    if videos:
        opened, truth = opened.only(videos), truth.only(videos) if truth is not None else None
    score_masks = None if truth is None else _scoring(truth, unseen, jobs)
    with alone_in(output):
        timing = _segment(
            partial(_build, source), opened, output, request=request, init=init, jobs=jobs
        )
        masks = masks_folder(output, opened)
        if score_masks is None:
            say(f"the truth is not public; the masks are in {masks}, see maskcast submit {dataset}")
            _print_speed(timing)
            return
        made = request | {"init": init, "published": published}
        scores = score_masks(masks).with_entries(run=made, speed=speed(timing))
        scores.write(output)
    print_scores(scores)
    _print_speed(timing)
    _set_beside_published(scores)
    refuse_shortcomings(scores)


def _choose(
    weights: str | None,
    method: str | None,
    options: Mapping[str, str],
    *,
    device: str,
    dtype: DtypeName,
) -> SegmenterSource:
    if method is not None and method in BASELINES:
        if weights is not None or options:
            raise UsageError(f"the baseline {method} takes neither weights nor options")
        return BaselineSource(method)
    if method is not None and method not in METHODS:
        known = ", ".join([*METHODS, *BASELINES])
        raise UsageError(f"there is no method {method!r}; known: {known}")
    return SegmenterSpec(
        weights=weights, method=method, options=options, device=device, dtype=dtype
    )


def _published(weights: str | None, identity: SegmenterIdentity) -> str | None:
    """Return the name of the authors' weights, if it is these."""
    if identity.weights is None:
        return None
    return published_name(choose_weights(weights, identity.method))


def _build(source: SegmenterSource) -> VideoSegmenter[Any]:
    """Build a segmenter in the process that uses it."""
    return source.build().segmenter


def _request(identity: SegmenterIdentity, weights: str | None) -> dict[str, Any]:
    """Return what decides the masks, for ``evaluation.json``; weights are named as given."""
    return {
        "method": identity.method,
        "weights": identity.weights if weights is None else weights,
        "weights_sha256": identity.weights_sha256,
        "options": dict(identity.options),
        "dtype": identity.dtype,
    }


def _truth(open_for: Callable[..., Dataset], *, is_hidden: bool) -> Dataset | None:
    """Open the data set for scoring before the work begins; None where its truth is hidden."""
    try:
        return open_for(purpose="score")
    except DatasetError:
        if is_hidden:
            return None
        raise


def _scoring(truth: Dataset, unseen: Path | None, jobs: int) -> Callable[[Path], Scores]:
    """Return what scores a folder of masks, having read all else that it needs."""
    protocol = replace(protocol_of(truth.name), skip_first=True)
    groups = groups_of(truth, unseen)
    return lambda masks: score_and_sum_up(truth, masks, protocol, groups, jobs=jobs)


def _segment(
    build: Callable[[], VideoSegmenter[Any]],
    dataset: Dataset,
    output: Path,
    *,
    request: Mapping[str, Any],
    init: Init,
    jobs: int,
) -> Timing:
    try:
        with TerminalProgress() as progress:
            return segment_dataset(
                build,
                dataset,
                output,
                request=request,
                init=init,
                jobs=jobs,
                progress=progress,
            )
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(
            "interrupted; the same command goes on with the videos that are not finished"
        ) from interrupt


def _set_beside_published(scores: Scores) -> None:
    """Print what the paper reports for just this run, and fill the table of a checkout."""
    rows = [row for row in published_rows() if row.is_reproduced_by(scores)]
    for row in rows:
        print(f"{row.name}, {row.paper}, {row.place}: {printed_figures(row)}")
        print(f"here: {own_figures(row, scores)}")
    if not rows or not CHECKOUT_TABLE.is_file():
        return
    try:
        fill_published_table(CHECKOUT_TABLE, [scores])
    except MaskcastError as error:
        say(str(error))
    else:
        say(f"filled in the column of own figures in {CHECKOUT_TABLE}")


def _print_speed(timing: Timing) -> None:
    figures = speed(timing)
    model = figures["model_frames_per_second"]
    whole = figures["end_to_end_frames_per_second"]
    each = figures["model_seconds_per_object_frame"]
    print(
        f"speed: {model or 0:.2f} frames/s model only, {whole or 0:.2f} frames/s with reading and "
        f"writing, {1000 * (each or 0):.1f} ms for one object on a frame"
    )
